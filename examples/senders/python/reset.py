"""Sets a user's password as a portal does, in suite ec-1: python3 reset.py PROFILE UPN <new-password

PROFILE is writeback-send's, which carries the tokens. Exit code: 0 written, 1 not written, 3 unknown.
docs/protocol.md explains every step. Needs python3-cryptography."""
import base64, hashlib, json, os, subprocess, sys, time
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

CURVE, ES256 = ec.SECP256R1(), ec.ECDSA(SHA256())

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def unb64(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:  # Python's decoder passes over what it does not know
        raise ValueError("not base64url as it has to be")
    return data

def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a JSON member stands twice")
    return dict(pairs)

def public_key(jwk):
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"]))

def seal(jwk, plaintext):
    one_time = ec.generate_private_key(CURVE)
    point = one_time.public_key().public_numbers()
    epk = {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}
    header = b64(json.dumps({"alg": "ECDH-ES", "enc": "A256GCM", "cty": "json", "kid": jwk["kid"], "epk": epk}).encode())
    kdf = ConcatKDFHash(SHA256(), 32, bytes.fromhex("000000074132353647434d000000000000000000000100"))
    nonce, key = os.urandom(12), kdf.derive(one_time.exchange(ec.ECDH(), public_key(jwk)))
    sealed = AESGCM(key).encrypt(nonce, plaintext, header.encode())
    return f"{header}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"

def sign(jwk, claims):
    header = {"typ": "writeback-request+jwt", "alg": "ES256", "kid": jwk["kid"]}
    signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    private = ec.derive_private_key(int.from_bytes(unb64(jwk["d"]), "big"), CURVE)
    r, s = utils.decode_dss_signature(private.sign(signed.encode(), ES256))
    return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

def verify(result, request, claims, pinned):
    header, answer, signature = map(unb64, result.split("."))
    header = json.loads(header, object_pairs_hook=unique)
    key = pinned[header["kid"]]  # the header chooses among the pinned keys, and nothing else
    if header != {"typ": "writeback-result+jwt", "alg": "ES256", "kid": key["kid"]} or len(signature) != 64:
        raise ValueError("not a result token")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public_key(key).verify(utils.encode_dss_signature(r, s), result.rpartition(".")[0].encode(), ES256)
    answer, digest = json.loads(answer, object_pairs_hook=unique), b64(hashlib.sha256(request.rpartition(".")[0].encode()).digest())
    ours = {"iss": key["agent"], "agent": key["agent"].rpartition("/")[2], "aud": claims["iss"], "req": claims["jti"], "req_sha256": digest}
    if set(answer) - {"detail"} != {*ours, "jti", "iat", "outcome", "reason", "replayed"} or not ours.items() <= answer.items():
        raise ValueError("the answer to something else")
    return answer["outcome"], answer["reason"], answer.get("detail", {})

def ask(path, upn, password):
    read = lambda name: json.load(open(os.path.join(os.path.dirname(path), name)))
    profile = read(os.path.basename(path))
    keys = [key for name in profile["agents"] for key in read(name)["keys"] if key["agent"].rpartition("/")[0] == profile["group"]]
    same, now = {"jti": b64(os.urandom(16)), "iss": profile["issuer"], "aud": profile["group"], "op": "reset"}, int(time.time())
    plaintext = json.dumps({**same, "user": {"upn": upn}, "password": password}).encode()
    plaintext += b" " * (-len(plaintext) % 512)  # so that its length tells nothing
    claims = {**same, "iat": now, "exp": now + 60, "act": {"kind": "self"}, "auth_time": now, "amr": ["otp"], "reply": b64(os.urandom(16)),
              "sealed": {key["kid"]: seal(key, plaintext) for key in keys if (key["alg"], key["use"]) == ("ECDH-ES", "enc")}}  # others are left out
    token = sign(read(profile["key"]), claims)
    carried = subprocess.run(["writeback-send", "carry", "--profile", path], input=token, stdout=subprocess.PIPE, text=True)
    try:
        return verify(carried.stdout.strip(), token, claims, {key["kid"]: key for key in keys if (key["alg"], key["use"]) == ("ES256", "sig")})
    except Exception as fault:  # whatever is wrong with an answer, it is as if none had come
        return "unknown", repr(fault), {}

outcome, *why = ask(sys.argv[1], sys.argv[2], sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r"))
print(f"{outcome}:", *why)
sys.exit({"written": 0, "not_written": 1}.get(outcome, 3))
