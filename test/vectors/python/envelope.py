"""Opens request tokens as an agent does, and verifies result tokens as a portal does: docs/protocol.md, without a JOSE library.

Needs python3-cryptography. It is written to be compared with the document, for the test vectors; it does not erase secrets.
"""
import base64
import datetime
import functools
import hashlib
import re
import unicodedata

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from strictjson import Number, has_half_pair, parse_object

MAX_TOKEN, MAX_HEADER, MAX_ENTRY, MAX_PASSWORD = 65536, 1024, 16384, 4096
LATEST = 253402300799
OUTCOMES = ("written", "not_written", "unknown", "ok")
KINDS = ("sid", "guid", "upn", "sam", "immutable_id", "mail")
MEMBERS = {
    "reset": {"user", "password", "must_change", "unlock"}, "change": {"user", "password", "old_password"},
    "unlock": {"user"}, "check": {"user"}, "ping": set(),
}
OAEP = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)
PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)


class Refused(Exception):
    """A token that is not taken: the step and the reason; answered: it was signed well enough to be answered."""

    def __init__(self, step, reason, answered=False):
        super().__init__(step, reason)
        self.step, self.reason, self.answered = step, reason, answered


class Bad(ValueError):
    """A member that has not its form."""


# Forms of strings: least and greatest length in bytes of UTF-8, and the characters.

def _printable(character):
    return character == " " or character != "\ufffd" and unicodedata.category(character)[0] in "LMNPS"


def _all(pattern):
    return re.compile(pattern).fullmatch


ID = 22, 64, _all(r"[A-Za-z0-9_-]")
THUMBPRINT = 43, 43, _all(r"[A-Za-z0-9_-]")
NAME = 1, 128, _all(r"[A-Za-z0-9_.:/+-]")
TIME = 1, 64, _all(r"[A-Za-z0-9_.:/+-]")
METHOD = 1, 32, _all(r"[A-Za-z0-9_.:/+-]")
OPERATOR = 1, 256, _printable
USER = 1, 1024, _printable
ENTRY = 1, MAX_ENTRY, _all(r"[A-Za-z0-9_.-]")


def as_text(value, form):
    least, greatest, allowed = form
    if not isinstance(value, str) or has_half_pair(value):
        raise Bad("not a text")
    if not least <= len(value.encode()) <= greatest or not all(map(allowed, value)):
        raise Bad("not of its form")
    return value


def as_number(value, greatest=LATEST):
    if not isinstance(value, Number) or not re.fullmatch("[0-9]+", value.text) or int(value.text) > greatest:
        raise Bad("not a whole number in range")
    return int(value.text)


def as_bool(value):
    if not isinstance(value, bool):
        raise Bad("not true or false")
    return value


def as_object(value):
    if not isinstance(value, dict):
        raise Bad("not an object")
    return value


def as_texts(value, greatest, form):
    if not isinstance(value, list) or not 1 <= len(value) <= greatest or len(value) != len({as_text(v, form) for v in value}):
        raise Bad("not an array of different texts")
    return value


def need(members, name):
    if name not in members:
        raise Bad(name + " is missing")
    return members[name]


# Tokens.

def unbase64(text):
    """Decodes base64url in its one canonical form."""
    if not re.fullmatch("[A-Za-z0-9_-]*", text):
        raise Bad("not base64url")
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64(decoded) != text:
        raise Bad("not canonical base64url")
    return decoded


def to_base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_header(part, members):
    """Reads the first part of a token, which must hold exactly the given members."""
    text = unbase64(part)
    header = parse_object(text)
    if len(text) > MAX_HEADER or set(header) != members:
        raise Bad("header")
    return header


def split_token(token, typ):
    """Returns header, parts and signature of a compact JWS whose outside is right."""
    if not 0 < len(token.encode()) <= MAX_TOKEN or token.count(".") != 2:
        raise Bad("not a token")
    parts = token.split(".")
    header = read_header(parts[0], {"typ", "alg", "kid"})
    if as_text(header["typ"], NAME) != typ:
        raise Bad("typ")
    as_text(header["alg"], NAME)
    as_text(header["kid"], THUMBPRINT)
    return header, parts, unbase64(parts[2])


def check_signature(jwk, signature, signing_input):
    if jwk["alg"] == "ES256":
        if len(signature) != 64:
            raise InvalidSignature
        numbers = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        ec_public(jwk).verify(utils.encode_dss_signature(*numbers), signing_input, ec.ECDSA(SHA256()))
    elif jwk["alg"] == "PS256":
        rsa_public(jwk).public_key().verify(signature, signing_input, PSS, SHA256())
    else:
        raise InvalidSignature


def integer(text):
    return int.from_bytes(unbase64(text), "big")


def ec_public(jwk):
    return ec.EllipticCurvePublicNumbers(integer(jwk["x"]), integer(jwk["y"]), ec.SECP256R1()).public_key()


def rsa_public(jwk):
    return rsa.RSAPublicNumbers(integer(jwk["e"]), integer(jwk["n"]))


def private_key(jwk):
    if jwk["kty"] == "EC":
        return ec.derive_private_key(integer(jwk["d"]), ec.SECP256R1())
    return rsa_private(*(integer(jwk[name]) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")))


@functools.cache
def rsa_private(n, e, d, p, q, dp, dq, qi):
    """Makes a private key, which the library checks at length: once for each."""
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def verify_signed(token, typ, pinned):
    """Takes a token as far as its payload. pinned: kid -> (owner, JWK)."""
    try:
        header, parts, signature = split_token(token, typ)
    except ValueError:
        raise Refused("verify", "envelope.malformed")
    if header["kid"] not in pinned:
        raise Refused("verify", "envelope.untrusted_issuer")
    owner, jwk = pinned[header["kid"]]
    signing_input = (parts[0] + "." + parts[1]).encode()
    try:
        if header["alg"] != jwk["alg"]:
            raise InvalidSignature
        check_signature(jwk, signature, signing_input)
        payload = unbase64(parts[1])
    except (InvalidSignature, ValueError):
        raise Refused("verify", "envelope.bad_signature")
    return owner, header["kid"], payload, to_base64(hashlib.sha256(signing_input).digest())


def pins(owners):
    return {jwk["kid"]: (owner, jwk) for owner, jwks in owners.items() for jwk in jwks}


# Requests, as an agent opens them.

CLAIMS = {"iss", "aud", "jti", "iat", "exp", "nbf", "op", "act", "auth_time", "amr", "reply", "sealed"}


def verify_request(token, trust):
    """Returns the claims and the sealed entries of a request."""
    owner, kid, payload, digest = verify_signed(token, "writeback-request+jwt", pins(trust["issuers"]))
    try:
        members = parse_object(payload)
        claims = {name: as_text(need(members, name), form) for name, form in
                  (("iss", NAME), ("aud", NAME), ("jti", ID), ("reply", ID))}
    except ValueError:
        raise Refused("verify", "envelope.malformed")
    if claims["iss"] != owner or claims["aud"] != trust["group"]:
        raise Refused("verify", "envelope.untrusted_issuer")
    if set(members) - CLAIMS:
        raise Refused("verify", "request.unsupported", answered=True)
    try:
        read_claims(members, claims)
    except ValueError:
        raise Refused("verify", "envelope.malformed", answered=True)
    if claims["op"] not in MEMBERS or claims["act"]["kind"] not in ("self", "admin"):
        raise Refused("verify", "request.unsupported", answered=True)
    return {**claims, "kid": kid, "req_sha256": digest}, members["sealed"]


def read_claims(members, claims):
    for name in ("iat", "exp", "nbf", "auth_time"):
        if name in members or name in ("iat", "exp"):
            claims[name] = as_number(need(members, name))
    if claims["exp"] <= claims["iat"]:
        raise Bad("exp is not after iat")
    if "amr" in members:
        claims["amr"] = as_texts(members["amr"], 16, METHOD)
    claims["op"] = as_text(need(members, "op"), NAME)
    claims["act"] = read_actor(as_object(need(members, "act")))
    entries = as_object(need(members, "sealed"))
    if not 1 <= len(entries) <= 64:
        raise Bad("sealed")
    for name, entry in entries.items():
        as_text(name, THUMBPRINT)
        as_text(entry, ENTRY)


def read_actor(act):
    kind = as_text(need(act, "kind"), NAME)
    if kind not in ("self", "admin"):
        return {"kind": kind}  # refused by the caller, with another reason
    if kind == "admin":
        as_text(need(act, "id"), OPERATOR)
    if set(act) != ({"kind", "id"} if kind == "admin" else {"kind"}):
        raise Bad("act")
    return dict(act)


def judge_times(claims, clock, trust):
    skew = trust["skew"]
    if claims["exp"] - claims["iat"] > trust["max_life"] or claims.get("auth_time", 0) > claims["iat"] + skew:
        raise Refused("times", "envelope.malformed", answered=True)
    if max(claims["iat"], claims.get("nbf", 0)) > clock + skew:
        raise Refused("times", "request.not_yet_valid", answered=True)
    if clock >= claims["exp"] + skew:
        raise Refused("times", "request.expired", answered=True)


def open_sealed(claims, entries, trust):
    """Opens the entry for the first of the agent's keys that has one."""
    own = next((jwk for jwk in trust["sealing_keys"] if jwk["kid"] in entries), None)
    if own is None:
        raise Refused("open", "envelope.not_for_us", answered=True)
    try:
        return read_sealed(decrypt(own, entries[own["kid"]]), claims)
    except (ValueError, InvalidTag):
        raise Refused("open", "envelope.undecryptable", answered=True)


def decrypt(own, entry):
    agrees = own["alg"] == "ECDH-ES"
    parts = entry.split(".")
    if len(parts) != 5:
        raise Bad("not a compact JWE")
    header = read_header(parts[0], {"alg", "enc", "cty", "kid"} | ({"epk"} if agrees else set()))
    if (header["alg"], header["enc"], header["cty"], header["kid"]) != (own["alg"], "A256GCM", "json", own["kid"]):
        raise Bad("header")
    encrypted_key, nonce, ciphertext, tag = map(unbase64, parts[1:])
    length = 0 if agrees else len(unbase64(own["n"]))
    if (len(encrypted_key), len(nonce), len(tag)) != (length, 12, 16):
        raise Bad("lengths")
    key = agree(own, as_object(header["epk"])) if agrees else private_key(own).decrypt(encrypted_key, OAEP)
    if len(key) != 32:
        raise Bad("content key")
    return AESGCM(key).decrypt(nonce, ciphertext + tag, parts[0].encode())


def agree(own, epk):
    """ECDH-ES: the Concat KDF of RFC 7518 section 4.6.2 for A256GCM, which takes one round of SHA-256."""
    if set(epk) != {"kty", "crv", "x", "y"} or (epk["kty"], epk["crv"]) != ("EC", "P-256"):
        raise Bad("epk")
    coordinates = {name: as_text(epk[name], THUMBPRINT) for name in "xy"}
    z = private_key(own).exchange(ec.ECDH(), ec_public(coordinates))
    return hashlib.sha256(bytes.fromhex("00000001") + z + bytes.fromhex("00000007") + b"A256GCM" + bytes(8) + bytes.fromhex("00000100")).digest()


def read_sealed(plaintext, claims):
    text = plaintext.rstrip(b" ")
    if not plaintext or len(plaintext) % 512 or not text.endswith(b"}"):
        raise Bad("padding")
    members = parse_object(text)
    same = {"jti", "iss", "aud", "op"}
    if set(members) - same - set().union(*MEMBERS.values()):
        raise Refused("open", "request.unsupported", answered=True)
    if set(members) - same - MEMBERS[claims["op"]] or any(need(members, name) != claims[name] for name in same):
        raise Bad("a member that the operation does not have, or another request")
    sealed = {}
    if "user" in MEMBERS[claims["op"]]:
        sealed["user"] = read_user(as_object(need(members, "user")))
    for name in ("password", "old_password"):
        if name in MEMBERS[claims["op"]]:
            sealed[name + "_base64"] = base64.b64encode(read_password(need(members, name))).decode()
    if claims["op"] == "reset":
        sealed["must_change"] = as_bool(members.get("must_change", False))
        sealed["unlock"] = as_bool(members.get("unlock", True))
    return sealed


def read_password(value):
    if not isinstance(value, str):
        raise Bad("not a text")
    if has_half_pair(value):
        raise Refused("open", "password.invalid_characters", answered=True)
    if len(value.encode()) > MAX_PASSWORD:
        raise Bad("too long")
    return value.encode()


def read_user(user):
    if set(user) - set(KINDS):
        raise Refused("open", "request.unsupported", answered=True)
    if len(user) != 1 and not (len(user) == 2 and "immutable_id" in user):
        raise Bad("not exactly one identifier")
    return {kind: as_text(value, USER) for kind, value in user.items()}


# Results, as a portal verifies them.

RESULT = {"iss", "aud", "jti", "iat", "req", "req_sha256", "outcome", "reason", "detail", "replayed", "agent"}
COUNTS = ("min_length", "max_length", "history_length")


def verify_result(token, trust):
    owner, _, payload, _ = verify_signed(token, "writeback-result+jwt", pins(trust["agents"]))
    try:
        result = read_result(parse_object(payload))
    except ValueError:
        raise Refused("verify", "envelope.malformed")
    if result["iss"] != owner or result["aud"] != trust["issuer"]:
        raise Refused("verify", "envelope.untrusted_issuer")
    return result


def read_result(members):
    if set(members) - {"detail"} != RESULT - {"detail"}:
        raise Bad("claims")
    forms = {"iss": NAME, "aud": NAME, "jti": ID, "req": ID, "req_sha256": THUMBPRINT, "outcome": NAME, "reason": NAME, "agent": NAME}
    result = {name: as_text(members[name], form) for name, form in forms.items()}
    result["iat"], result["replayed"] = as_number(members["iat"]), as_bool(members["replayed"])
    unbase64(result["req_sha256"])
    group, slash, agent = result["iss"].rpartition("/")
    if result["outcome"] not in OUTCOMES or not (group and slash and agent) or result["agent"] != agent:
        raise Bad("outcome or agent")
    if "detail" in members:
        result["detail"] = read_detail(as_object(members["detail"]))
    return result


def read_detail(members):
    """Reads the members that docs/protocol.md names, and leaves the others."""
    detail = {name: as_number(members[name], 65536) for name in COUNTS if name in members}
    for name in ("possible", "warnings"):
        if name in members:
            detail[name] = as_texts(members[name], 16, NAME)
    if "hint" in members:
        detail["hint"] = as_text(members["hint"], NAME)
    if "retry_after" in members:
        detail["retry_after"] = as_time(members["retry_after"])
    return detail


def as_time(value):
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", as_text(value, TIME))
    if not found:
        raise Bad("not an RFC 3339 time")
    datetime.datetime.fromisoformat(found[1])  # that there is such a day
    return value


def match(result, request):
    """Refuses a result that answers another request, and returns what it says."""
    if (result["req"], result["req_sha256"]) != (request["jti"], request["req_sha256"]):
        raise Refused("match", None)
    return {name: result[name] for name in ("iss", "jti", "iat", "outcome", "reason", "replayed", "detail") if name in result}
