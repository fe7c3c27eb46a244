"""Reads keys as they are handed over, a JWK or a JWK Set: docs/protocol.md, "Keys"."""
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import ec

from envelope import NAME, Bad, as_object, as_text, ec_public, need, to_base64, unbase64
from strictjson import parse_object

MAX_TEXT = 256 << 10
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
ALGORITHMS = {"ES256": ("sig", "EC"), "ECDH-ES": ("enc", "EC"), "PS256": ("sig", "RSA"), "RSA-OAEP-256": ("enc", "RSA")}


class OtherSuite(Bad):
    """A key of an alg or for a use that this page does not name: a set leaves it out."""


def read_public(text):
    """Returns the keys of a public JWK or of a JWK Set, or raises ValueError."""
    members = read_text(text)
    if "keys" not in members:
        return [public_key(members)]
    if not isinstance(members["keys"], list):
        raise Bad("not a set")
    found = {}
    for element in members["keys"]:
        try:
            key = public_key(as_object(element))
        except OtherSuite:
            continue
        if found.setdefault(key["kid"], key) != key:
            raise Bad("a key for two uses, or of two agents")
    if not found:
        raise Bad("no key is left")
    return list(found.values())


def read_private(text):
    """Returns the one key of a private JWK."""
    members = read_text(text)
    if "oth" in members:
        raise Bad("more than two primes")
    key = named_key(members)
    check_half = check_ec_half if members["kty"] == "EC" else check_rsa_half
    check_half(members)
    return [key]


def read_text(text):
    data = text.encode()
    if len(data) > MAX_TEXT:
        raise Bad("too long")
    return parse_object(data)


def public_key(members):
    if PRIVATE & set(members):
        raise Bad("private material")
    return named_key(members)


def named_key(members):
    """Checks a key's public half and returns what names it."""
    use, alg = (as_text(need(members, name), NAME) for name in ("use", "alg"))
    if alg not in ALGORITHMS or use not in ("sig", "enc"):
        raise OtherSuite("of another suite")
    if (use, need(members, "kty")) != ALGORITHMS[alg]:
        raise Bad("use or kty is not that of alg")
    own = ("crv", "kty", "x", "y") if members["kty"] == "EC" else ("e", "kty", "n")
    check = check_ec if members["kty"] == "EC" else check_rsa
    check(members)
    text = json.dumps({name: members[name] for name in own}, separators=(",", ":"))
    kid = to_base64(hashlib.sha256(text.encode()).digest())
    if members.get("kid", kid) != kid:
        raise Bad("kid is not the thumbprint")
    agent = {"agent": as_text(members["agent"], NAME)} if "agent" in members else {}
    return {"kid": kid, "use": use, "alg": alg, **agent}


def octets(members, name):
    value = need(members, name)
    if not isinstance(value, str):
        raise Bad("not a text")
    return unbase64(value)


def coordinate(members, name):
    if len(octets(members, name)) != 32:
        raise Bad("not 32 bytes")
    return int.from_bytes(octets(members, name), "big")


def number(members, name):
    if octets(members, name)[:1] in (b"", b"\0"):
        raise Bad("not as short as it can be")
    return int.from_bytes(octets(members, name), "big")


def check_ec(members):
    coordinate(members, "x"), coordinate(members, "y")
    if need(members, "crv") != "P-256":
        raise Bad("another curve")
    ec_public(members)  # that the point is on it


def check_ec_half(members):
    point = ec.derive_private_key(coordinate(members, "d"), ec.SECP256R1()).public_key().public_numbers()
    if (point.x, point.y) != (coordinate(members, "x"), coordinate(members, "y")):
        raise Bad("d is of another key")


def check_rsa(members):
    n = number(members, "n")
    if n.bit_length() not in (3072, 4096) or n % 2 == 0 or number(members, "e") != 65537:
        raise Bad("a modulus or exponent that is not allowed")


def check_rsa_half(members):
    n, e, d, p, q, dp, dq, qi = (number(members, name) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi"))
    if p * q != n or 1 in (p, q):
        raise Bad("p and q are not the factors of n")
    if (dp, dq) != (d % (p - 1), d % (q - 1)) or e * dp % (p - 1) != 1 or e * dq % (q - 1) != 1 or qi >= p or q * qi % p != 1:
        raise Bad("halves that do not belong together")
