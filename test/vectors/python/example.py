"""Recomputes the worked example of docs/protocol.md from what the document prints: example.py DOCUMENT. Prints TAP.

It starts from the sealing key's private half, the public keys and the two tokens, takes the steps of the document, and compares each
value it arrives at with the one that is printed.
"""
import hashlib
import json
import re
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from envelope import check_signature, ec_public, integer, to_base64, unbase64


def read_example(path):
    """Returns the labelled values of the section, in its order."""
    section = Path(path).read_text("utf-8").partition("\n## Worked example\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^(.+):\n\n```text\n(.+)\n```$", section, re.MULTILINE))


def sha256(data):
    return hashlib.sha256(data).digest()


def thumbprint(text):
    return to_base64(sha256(text.encode()))


def keys(printed):
    sealing = printed["Sealing key, input of the thumbprint"]
    x, y = (json.loads(sealing)[name] for name in "xy")
    point = ec.derive_private_key(integer(printed["Sealing key, `d`"]), ec.SECP256R1()).public_key().public_numbers()
    yield "Sealing key, `d`", printed["Sealing key, `d`"] if (point.x, point.y) == (integer(x), integer(y)) else "of another key"
    yield "Sealing key, input of the thumbprint", '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (x, y)
    yield "Sealing key, SHA-256 of that", sha256(sealing.encode()).hex()
    yield "Sealing key, `kid`: the same in base64url", thumbprint(sealing)
    portal = printed["Portal's key, input of the thumbprint"]
    yield "Portal's key, input of the thumbprint", json.dumps(json.loads(portal), separators=(",", ":"), sort_keys=True)
    yield "Portal's key, `kid`", thumbprint(portal)


def sealing(printed):
    claims = json.loads(unbase64(printed["Request token"].split(".")[1]))
    entry = claims["sealed"][printed["Sealing key, `kid`: the same in base64url"]]
    first, _, nonce, ciphertext, tag = entry.split(".")
    header = unbase64(first)
    private = ec.derive_private_key(integer(printed["Sealing key, `d`"]), ec.SECP256R1())
    z = private.exchange(ec.ECDH(), ec_public(json.loads(header)["epk"]))
    kdf = bytes.fromhex("00000001") + z + bytes.fromhex("00000007") + b"A256GCM" + bytes(8) + bytes.fromhex("00000100")
    padded = AESGCM(sha256(kdf)).decrypt(unbase64(nonce), unbase64(ciphertext) + unbase64(tag), first.encode())
    text = padded.rstrip(b" ")
    yield "Plaintext, without the padding", text.decode()
    yield "Its length in bytes", str(len(text))
    yield "Number of spaces to append", str((512 - len(text) % 512) % 512)
    yield "SHA-256 of the padded plaintext", sha256(text + b" " * (-len(text) % 512)).hex()
    yield "JWE header", header.decode()
    yield "JWE header, encoded: the additional data of AES-GCM", first
    yield "Z, the x coordinate of the shared point", z.hex()
    yield "Input of SHA-256: counter, Z, OtherInfo", kdf.hex()
    yield "Content key", sha256(kdf).hex()
    yield "Nonce", unbase64(nonce).hex()
    yield "First 32 bytes of the ciphertext", unbase64(ciphertext)[:32].hex()
    yield "SHA-256 of the ciphertext", sha256(unbase64(ciphertext)).hex()
    yield "Tag", unbase64(tag).hex()
    yield "Length of the compact JWE in characters", str(len(entry))


def signed(token, key, jwk):
    """Returns header and claims of a token whose signature is good, the hash of its signing input and the signature."""
    header, claims, signature = token.split(".")
    check_signature({**json.loads(jwk), "alg": "ES256"}, unbase64(signature), f"{header}.{claims}".encode())
    if json.loads(unbase64(header))["kid"] != key:
        raise ValueError("another key")
    return unbase64(header).decode(), unbase64(claims).decode(), sha256(f"{header}.{claims}".encode()), unbase64(signature)


def signing(printed):
    token = printed["Request token"]
    header, claims, digest, signature = signed(token, printed["Portal's key, `kid`"], printed["Portal's key, input of the thumbprint"])
    entry, = json.loads(claims)["sealed"].values()
    yield "JWS header", header
    yield "Claims, with `...` in the place of the compact JWE", claims.replace(entry, "...")
    yield "SHA-256 of the signing input", digest.hex()
    yield "The same in base64url: what the result must carry as `req_sha256`", to_base64(digest)
    yield "Signature, r", signature[:32].hex()
    yield "Signature, s", signature[32:].hex()
    yield "Request token", token


def answer(printed):
    kid = next(label for label in printed if label.startswith("Agent's signing key, `kid`"))
    key = printed["Agent's signing key, input of the thumbprint"]
    header, claims, digest, _ = signed(printed["Result token"], thumbprint(key), key)
    if json.loads(claims)["req_sha256"] != printed["The same in base64url: what the result must carry as `req_sha256`"]:
        raise ValueError("the answer to another request")
    yield "Agent's signing key, input of the thumbprint", json.dumps(json.loads(key), separators=(",", ":"), sort_keys=True)
    yield kid, thumbprint(key)
    yield "Result header", header
    yield "Result claims", claims
    yield "SHA-256 of the result's signing input", digest.hex()
    yield "Result token", printed["Result token"]


def main(path):
    printed = read_example(path)
    computed = [pair for part in (keys, sealing, signing, answer) for pair in part(printed)]
    for number, (label, value) in enumerate(computed, 1):
        print("ok" if printed.get(label) == value else "not ok", number, "-", label)
        if printed.get(label) != value:
            print("# computed", value)
    print(f"1..{len(computed)}")
    if [label for label, _ in computed] != list(printed):
        raise SystemExit("the document prints other values than are computed here")


if __name__ == "__main__":
    main(sys.argv[1])
