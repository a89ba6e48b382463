"""Tokens of the surrounding system: accepted, or refused with a reason."""

import asyncio
import json
import time

import jwt
from pydantic import SecretStr

from gateway.auth.issuer import Issuer
from gateway.auth.tokens import key_source
from gateway.config import Jwt
from gateway.domain.identity import Identity
from gateway.errors import TokenExpired, TokenInvalid

_SECRET = "k" * 32
_SETTINGS = Jwt(
    algorithms=("HS256",),
    secret=SecretStr(_SECRET),
    issuer="https://issuer",
    audience=("interact",),
)
_CLAIMS = {"iss": "https://issuer", "aud": "interact", "sub": "mina", "roles": ["host"]}

SEEDS = (
    b"\0" + jwt.encode({**_CLAIMS, "exp": 4_000_000_000}, _SECRET, algorithm="HS256").encode(),
    b"\x01" + json.dumps({**_CLAIMS, "exp": 4_000_000_000}).encode(),
    b"\x01" + json.dumps({**_CLAIMS, "exp": 1e400, "nbf": "x", "iat": None}).encode(),
    b"\x02" + json.dumps({"alg": "HS256", "kid": 7, "typ": None, "crit": ["b64"]}).encode(),
)


def check(data: bytes) -> None:
    """The first byte says what the rest is: a token, the claims of a signed one, or its header."""
    kind, rest = data[:1], data[1:]
    if kind == b"\x01":
        text = jwt.api_jws.encode(rest, _SECRET, algorithm="HS256")
    elif kind == b"\x02":
        text = _with_header(rest)
    else:
        text = rest.decode(errors="replace")
    try:
        identity = asyncio.run(_verify(text))
    except (TokenInvalid, TokenExpired) as error:
        assert _SECRET not in str(error)  # of any token
        return
    assert identity.user
    assert identity.expires_at > time.time() - 60  # the leeway


def _with_header(header: bytes) -> str:
    head = jwt.utils.base64url_encode(header)
    _, claims, signature = jwt.encode(_CLAIMS, _SECRET, algorithm="HS256").encode().split(b".")
    return b".".join((head, claims, signature)).decode()


async def _verify(text: str) -> Identity:
    keys = key_source(_SETTINGS, clock=time.monotonic)
    return await Issuer(_SETTINGS, keys, known_roles=frozenset({"host"})).verify(text)
