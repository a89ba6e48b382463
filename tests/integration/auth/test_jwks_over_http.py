"""Keys and tokens over a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from gateway.auth.documents import HttpDocument, KeySetUnavailable
from gateway.auth.issuer import Issuer
from gateway.auth.jwks import Jwks
from gateway.auth.tokens import key_source
from gateway.config import Jwt as Settings
from gateway.errors import TokenInvalid, Unavailable

RSA = rsa.generate_private_key(65537, 2048)
MAX_BYTES = 2000


@dataclass
class Published:
    """The answers of the issuer's server, and the questions to it."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)


class KeySet(RequestHandler):
    """The handler that serves an issuer's keys."""

    def initialize(self, published: Published) -> None:
        self.published = published

    async def get(self) -> None:
        self.published.asked += 1
        self.published.reached.set()
        await self.published.answering.wait()
        self.set_status(self.published.status)
        for name, value in self.published.headers.items():
            self.set_header(name, value)
        await self.finish(self.published.body)


def document(*kids: str) -> bytes:
    jwk = RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
    return json.dumps({"keys": [{**jwk, "kid": kid} for kid in kids]}).encode()


@pytest.fixture
def published() -> Published:
    answer = Published(document("a"))
    answer.answering.set()
    return answer


@pytest.fixture
def app(published: Published) -> Application:
    return Application([("/jwks", KeySet, {"published": published})])


@pytest.fixture
def url(http_server: HTTPServer, base_url: str) -> str:
    return f"{base_url}/jwks"


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL at which a port is bound, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/jwks"


def settings(url: str) -> Settings:
    return Settings(algorithms=("RS256",), jwks_url=url, issuer="issuer", audience=("interact",))


def token(kid: str) -> str:
    claims = {"iss": "issuer", "aud": "interact", "sub": "kim", "exp": time.time() + 60}
    return jwt.encode(claims, RSA, algorithm="RS256", headers={"kid": kid})


def tokens(url: str) -> Issuer:
    given = settings(url)
    return Issuer(given, key_source(given, clock=time.monotonic), known_roles=frozenset())


@pytest.mark.gen_test
async def test_a_token_is_checked_with_the_published_key(url: str, published: Published) -> None:
    made = tokens(url)
    for _ in range(5):
        assert (await made.verify(token("a"))).user == "kim"
    # Perhaps it has been published since.
    with pytest.raises(Unavailable, match="try again") as caught:
        await made.verify(token("b"))
    assert caught.value.retry_after
    assert published.asked == 1


@pytest.mark.gen_test
async def test_a_key_that_is_not_published_makes_a_token_invalid(url: str) -> None:
    made = tokens(url)
    for _ in range(2):
        with pytest.raises(TokenInvalid, match="does not publish"):
            await made.verify(token("b"))


@pytest.mark.gen_test
async def test_an_issuer_that_is_away_makes_it_later_and_not_never(nobody: str) -> None:
    made = tokens(nobody)
    with pytest.raises(Unavailable) as caught:
        await made.verify(token("a"))
    await made.close()
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 30


@pytest.mark.gen_test
async def test_a_name_that_does_not_resolve_is_a_failure_like_any_other() -> None:
    with pytest.raises(KeySetUnavailable):
        await HttpDocument("http://issuer.invalid/jwks")()


@pytest.mark.gen_test
async def test_headers_that_are_too_long_are_a_failure_like_any_other(
    url: str, published: Published
) -> None:
    published.headers["X-Long"] = "x" * 100_000
    made = tokens(url)
    with pytest.raises(Unavailable, match="cannot be fetched"):
        await made.verify(token("a"))
    await made.close()


@pytest.mark.gen_test
async def test_an_answer_other_than_200_is_no_key_set(url: str, published: Published) -> None:
    document = HttpDocument(url)
    for published.status in (404, 500, 503):
        with pytest.raises(KeySetUnavailable, match=str(published.status)):
            await document()


@pytest.mark.gen_test
async def test_a_redirect_is_not_followed(url: str, published: Published) -> None:
    published.status, published.headers = 302, {"Location": url}
    with pytest.raises(KeySetUnavailable, match="302"):
        await HttpDocument(url)()
    assert published.asked == 1


@pytest.mark.gen_test
async def test_a_document_beyond_the_limit_is_not_read(url: str, published: Published) -> None:
    document = HttpDocument(url, max_bytes=MAX_BYTES)
    published.body = b" " * MAX_BYTES
    assert await document() == published.body
    published.body += b" "
    with pytest.raises(KeySetUnavailable):
        await document()


@pytest.mark.gen_test
async def test_a_server_that_does_not_answer_is_given_up(url: str, published: Published) -> None:
    published.answering.clear()
    with pytest.raises(KeySetUnavailable, match="Timeout"):
        await HttpDocument(url, timeout=0.1)()
    published.answering.set()


@pytest.mark.gen_test
async def test_the_loop_goes_on_while_the_keys_are_fetched(url: str, published: Published) -> None:
    published.answering.clear()
    jwks = Jwks(HttpDocument(url), ("RS256",), lifetime=60, cooldown=30, clock=time.monotonic)
    waiting = [asyncio.create_task(jwks.key("RS256", "a")) for _ in range(10)]
    await published.reached.wait()
    published.answering.set()
    assert await asyncio.gather(*waiting) == [RSA.public_key()] * 10
    assert published.asked == 1


@pytest.mark.gen_test
async def test_a_fetch_that_hangs_ends_with_the_gateway(url: str, published: Published) -> None:
    published.answering.clear()
    made = tokens(url)
    waiting = asyncio.create_task(made.verify(token("a")))
    await published.reached.wait()
    await made.close()
    with pytest.raises(Unavailable, match="was cancelled"):
        await waiting
    published.answering.set()
