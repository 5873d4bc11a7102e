"""How programs read credentials from the header values that their framework passes to them. Every Python server uses these.

A reading has a name and a value; `lines` gives the body of a response, one line for each reading that found something.
"""

import base64
import binascii
import json
import os
import re
import unicodedata
import warnings

import itsdangerous
import jwt
from jose import jwt as jose_jwt

with warnings.catch_warnings():
    # Authlib warns about its successor of this module.
    warnings.simplefilter("ignore")
    from authlib.jose import jwt as authlib_jwt

COOKIES = ("S", "T", "E", "app.sid", "JSESSIONID", "token")

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "keys.json")) as file:
    KEYS = json.load(file)
SECRET = KEYS["hs256"]
VERIFIERS = {"HS256": SECRET, "RS256": KEYS["rs256_public"], "ES256": KEYS["es256_public"]}


def lines(readings):
    """The body of a response, from pairs of a reading's name and what it found."""
    return "".join(f"{name} {json.dumps(value)}\n" for name, value in readings if value).encode()


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def authorization(value):
    """Every reading of an Authorization value."""
    if not value:
        return
    words = value.split()
    yield "auth.split_last", words[-1] if words else None
    yield "auth.split_1", words[1] if len(words) > 1 else None
    yield "auth.split_once", value.split(None, 1)[1] if len(words) > 1 else None
    parts = value.split(" ")
    yield "auth.split_space_1", parts[1] if len(parts) > 1 else None
    yield "auth.partition", value.partition(" ")[2]
    yield "auth.replace", value.replace("Bearer ", "").strip()
    behind = re.search(r"bearer:?\s+(\S+)", value, re.IGNORECASE)
    yield "auth.search", behind and behind.group(1)
    # As flask-jwt-extended does: the first of several fields that starts with the scheme.
    for field in re.split(r",\s*", value):
        if field.split()[:1] == ["Bearer"]:
            yield "auth.field", field.split()[-1]
            break
    for candidate in words[-1:]:
        yield from jwts(candidate)
    yield "basic.tolerant", basic(value, validate=False)
    yield "basic.strict", basic(value, validate=True)
    yield "basic.urlsafe", basic(value, urlsafe=True)
    digest = re.search(r'^Digest\s+(?:.*,\s*)?username\s*=\s*"?([^",]*)', value, re.IGNORECASE)
    yield "digest.search", digest and digest.group(1)


def basic(value, validate=False, urlsafe=False):
    """The user of Basic credentials, UTF-8 or else Latin-1, normalised as Django's login form does."""
    words = value.split(None, 1)
    if len(words) != 2 or words[0].lower() != "basic":
        return None
    try:
        encoded = words[1].encode("latin-1")
        encoded += b"=" * (-len(encoded.rstrip(b"=")) % 4) if urlsafe else b""
        decoded = (
            base64.urlsafe_b64decode(encoded)
            if urlsafe
            else base64.b64decode(encoded, validate=validate)
        )
    except (binascii.Error, ValueError):
        return None
    try:
        decoded = decoded.decode()
    except UnicodeDecodeError:
        decoded = decoded.decode("latin-1")
    return unicodedata.normalize("NFC", decoded.partition(":")[0])


def jwts(token):
    """The claim jti of a token, by each JWT library that accepts the token."""

    def pyjwt():
        algorithm = jwt.get_unverified_header(token)["alg"]
        return jwt.decode(token, VERIFIERS[algorithm], algorithms=[algorithm])

    def python_jose():
        algorithm = jose_jwt.get_unverified_header(token)["alg"]
        return jose_jwt.decode(token, VERIFIERS[algorithm], algorithms=[algorithm])

    def authlib():
        return authlib_jwt.decode(token, lambda header, _: VERIFIERS[header["alg"]])

    if token.count(".") != 2:
        return
    for name, decode in (("pyjwt", pyjwt), ("python-jose", python_jose), ("authlib", authlib)):
        try:
            yield f"jwt.{name}", decode()["jti"]
        except Exception:  # for the library the token is invalid
            pass


def serializer(value):
    """The session in a cookie that itsdangerous signed."""
    if not value:
        return None
    try:
        return itsdangerous.URLSafeSerializer(SECRET).loads(value)["id"]
    except Exception:  # as above
        return None
