"""Writes keys.json, with which the servers verify, and ../tokens.json, which the test sends. Run by hand to add a token:

    PYTHONPATH=.tools/spellings/python .tools/venv/bin/python tests/spellings/servers/sign.py

The private keys are discarded; nothing here expires.
"""

import base64
import json
import os

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import TimestampSigner, URLSafeSerializer

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "a secret of tests only, known to all of these servers"
# The order of the curve P-256 (SEC 2, 2.4.2).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def public(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def twin(token):
    """The other signature that ECDSA accepts for the same text: (r, n - s) for (r, s)."""
    head, _, signature = token.rpartition(".")
    raw = decode(signature)
    s = ORDER - int.from_bytes(raw[32:], "big")
    return head + "." + encode(raw[:32] + s.to_bytes(32, "big"))


def main():
    rs256 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    es256 = ec.generate_private_key(ec.SECP256R1())
    app = Flask("sign")
    app.secret_key = SECRET
    flask = SecureCookieSessionInterface().get_signing_serializer(app)

    def signature_fits(token):
        # Spellings in the other alphabet need a signature with both of its characters.
        signature = token.rpartition(".")[2]
        return "-" in signature and "_" in signature

    def tokens(who):
        for attempt in range(10000):
            claims = {"sub": "anyone", "jti": f"{who}-{attempt}"}
            hs = jwt.encode(claims, SECRET, "HS256")
            rs = jwt.encode(claims, rs256, "RS256")
            es = jwt.encode(claims, es256, "ES256")
            if all(map(signature_fits, (hs, rs, es))):
                break
        session = {"id": who}
        return {
            "hs256": hs,
            "rs256": rs,
            "es256": es,
            "es256_twin": twin(es),
            "flask": flask.dumps(session),
            "serializer": URLSafeSerializer(SECRET).dumps(session),
            "starlette": TimestampSigner(SECRET)
            .sign(base64.b64encode(json.dumps(session).encode()))
            .decode(),
        }

    with open(os.path.join(HERE, "keys.json"), "w") as file:
        json.dump(
            {"hs256": SECRET, "rs256_public": public(rs256), "es256_public": public(es256)},
            file,
            indent=2,
        )
        file.write("\n")
    with open(os.path.join(HERE, "..", "tokens.json"), "w") as file:
        json.dump({who: tokens(who) for who in ("listed", "innocent")}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
