"""Several issuers: each speaks for its own users, and for nobody else's."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from gateway.auth.issuer import Issuer
from gateway.auth.keys import OneKey
from gateway.auth.tokens import Tokens
from gateway.config import Jwt as Settings
from gateway.domain.identity import Identity
from gateway.errors import TokenInvalid, Unavailable

KEYS = {name: name[0] * 32 for name in ("anna", "berta", "carla")}
RSA = rsa.generate_private_key(65537, 2048)


def issuer(name: str, prefix: str = "", **more: Any) -> Issuer:
    settings = Settings(
        algorithms=("HS256",),
        secret=SecretStr(KEYS[name]),
        issuer=f"https://{name}",
        audience=("interact",),
        user_prefix=prefix,
        **more,
    )
    return Issuer(settings, OneKey(KEYS[name].encode(), "HS256"), known_roles=frozenset({"host"}))


def token(name: str, sub: str, *, key: str | None = None, **more: Any) -> str:
    claims = {"iss": f"https://{name}", "aud": "interact", "sub": sub, "exp": time.time() + 60}
    return jwt.encode({**claims, **more}, key or KEYS[name], algorithm="HS256")


def verify(tokens: Tokens, text: str) -> Identity:
    return asyncio.run(tokens.verify(text))


def test_the_same_subject_of_two_issuers_is_two_people() -> None:
    tokens = Tokens([issuer("anna", "a:"), issuer("berta", "b:")])
    assert verify(tokens, token("anna", "42")).user == "a:42"
    assert verify(tokens, token("berta", "42")).user == "b:42"


def test_an_issuer_cannot_sign_in_the_name_of_another() -> None:
    tokens = Tokens([issuer("anna", "a:"), issuer("berta", "b:")])
    with pytest.raises(TokenInvalid, match="signature is not its issuer's"):
        verify(tokens, token("anna", "42", key=KEYS["berta"]))


@pytest.mark.parametrize(
    ("name", "sub", "owned"),
    [
        ("anna", "kim", True),
        ("anna", "b:kim", False),
        ("anna", "b:x:kim", False),
        ("anna", "b", True),
        # Its own prefix comes before whatever it says.
        ("berta", "b:kim", True),
        # The names of the third begin with "b:x:".
        ("berta", "x:kim", False),
        ("berta", "x", True),
        ("carla", "kim", True),
    ],
)
def test_a_name_belongs_to_the_issuer_whose_prefix_is_the_longest(
    name: str, sub: str, owned: bool
) -> None:
    tokens = Tokens([issuer("anna"), issuer("berta", "b:"), issuer("carla", "b:x:")])
    text = token(name, sub)
    if owned:
        assert verify(tokens, text).user.endswith(sub)
    else:
        with pytest.raises(TokenInvalid, match="belongs to another issuer's users"):
            verify(tokens, text)


def test_issuers_that_share_their_users_name_the_same_people() -> None:
    shared = [issuer(name, "s:", shared_users=True) for name in ("anna", "berta")]
    tokens = Tokens([*shared, issuer("carla")])
    assert verify(tokens, token("anna", "42")) == verify(
        tokens, token("berta", "42", exp=verify(tokens, token("anna", "42")).expires_at)
    )
    with pytest.raises(TokenInvalid, match="another issuer's users"):
        verify(tokens, token("carla", "s:42"))


@pytest.mark.parametrize(
    "text",
    [
        token("anna", "42", iss="https://dora"),
        token("anna", "42", iss="https://anna/"),
        token("anna", "42", iss=""),
        jwt.encode({"sub": "42", "aud": "interact"}, KEYS["anna"], algorithm="HS256"),
    ],
)
def test_a_token_of_nobody_that_is_known_is_refused(text: str) -> None:
    tokens = Tokens([issuer("anna", "a:"), issuer("berta", "b:")])
    with pytest.raises(TokenInvalid, match="none of those that this gateway knows"):
        verify(tokens, text)


def raw(payload: bytes) -> str:
    head, _, signature = token("anna", "42").split(".")
    return f"{head}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a JSON Web Token"),
        ("a.b", "not a JSON Web Token"),
        ("a.b.c", "not a JSON Web Token"),
        ("a." + "é" + ".c", "ASCII"),
        ("a" * 16_385, "at most 16384 bytes"),
        (raw(b"[]"), "not a JSON Web Token"),
        (raw(b"[" * 5000), "not a JSON Web Token"),
        (raw(b'{"iss": "https://anna", "iss": "https://berta"}'), "not a JSON Web Token"),
        (raw(b'{"iss": ["https://anna"]}'), "none of those"),
        (raw(b'{"iss": {}}'), "none of those"),
        (raw(b'{"iss": "https://anna"}'), "signature"),
    ],
)
def test_a_text_that_only_looks_like_a_token_is_refused(text: str, told: str) -> None:
    with pytest.raises(TokenInvalid, match=told):
        verify(Tokens([issuer("anna", "a:"), issuer("berta", "b:")]), text)


def test_the_longest_token_of_each_issuer_is_its_own() -> None:
    tokens = Tokens([issuer("anna", "a:", max_bytes=2000), issuer("berta", "b:")])
    assert tokens.max_bytes == 16 * 1024
    filler = {"filler": "x" * 3000}
    assert verify(tokens, token("berta", "42", **filler)).user == "b:42"
    with pytest.raises(TokenInvalid, match="at most 2000 bytes"):
        verify(tokens, token("anna", "42", **filler))


class Hanging:
    """The keys of an issuer that does not answer."""

    algorithms = ("HS256",)

    async def key(self, algorithm: str, kid: str | None) -> bytes:
        await asyncio.Event().wait()
        raise Unavailable("never", retry_after=1.0)

    async def close(self) -> None:
        """Nothing to end."""


def test_an_issuer_that_hangs_delays_no_other() -> None:
    async def run() -> None:
        hangs = issuer("anna", "a:")
        hangs.keys = Hanging()
        tokens = Tokens([hangs, issuer("berta", "b:")])
        waiting = [asyncio.create_task(tokens.verify(token("anna", str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        for number in range(50):
            # In one turn of the loop: it never waits.
            task = asyncio.create_task(tokens.verify(token("berta", str(number))))
            await asyncio.sleep(0)
            assert task.done()
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    asyncio.run(run())


def test_a_public_key_of_one_issuer_is_no_secret_of_another() -> None:
    settings = Settings(
        algorithms=("RS256",),
        jwks_url="https://berta/jwks",
        issuer="https://berta",
        audience=("interact",),
        user_prefix="b:",
    )
    public = Issuer(settings, OneKey(RSA.public_key(), "RS256"), known_roles=frozenset())
    tokens = Tokens([issuer("anna", "a:"), public])
    claims = {"iss": "https://berta", "aud": "interact", "sub": "42", "exp": time.time() + 60}
    good = jwt.encode(claims, RSA, algorithm="RS256")
    assert verify(tokens, good).user == "b:42"
    # HS256 is an algorithm of the other one.
    for key in (KEYS["anna"], "x" * 32):
        forged = jwt.api_jws.encode(json.dumps(claims).encode(), key, algorithm="HS256")
        with pytest.raises(TokenInvalid, match="must be signed by RS256"):
            verify(tokens, forged)
