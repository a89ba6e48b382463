"""An issuer's documents over TLS, through a proxy, and where its configuration says they are."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from devenv import tls as certificates
from gateway import tls
from gateway.auth.documents import (
    MAX_BYTES,
    DiscoveredKeys,
    HttpDocument,
    KeySetUnavailable,
    discovery_url,
)
from gateway.auth.proxy import ThroughProxy
from gateway.auth.tokens import published_keys
from gateway.config import ConfigError, Jwt

KEYS = b'{"keys": []}'


@dataclass
class Site:
    """What an issuer's server answers, and the paths that were asked for."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""


class Page(RequestHandler):
    def initialize(self, site: Site) -> None:
        self.site = site

    async def get(self) -> None:
        self.site.asked.append(self.request.path)
        await self.site.answering.wait()
        await self.finish(self.site.answers[self.request.path])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> certificates.Pair:
    return certificates.ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(pair: certificates.Pair) -> ssl.SSLContext:
    return tls.for_issuer(pair.authority, where="auth.jwt.ca_file")


@asynccontextmanager
async def serving(pair: certificates.Pair) -> AsyncIterator[Site]:
    site = Site()
    site.answering.set()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = HTTPServer(Application([("/.*", Page, {"site": site})]), ssl_options=context)
    listening, port = bind_unused_port()
    server.add_socket(listening)
    site.url = f"https://localhost:{port}"
    site.answers["/jwks"] = KEYS
    try:
        yield site
    finally:
        site.answering.set()
        server.stop()
        await server.close_all_connections()


@dataclass
class Proxy:
    """A proxy for CONNECT, and the heads of the requests to it. ``answer`` refuses, if there is
    one; ``silent``: it answers nothing."""

    answer: bytes = b""
    silent: bool = False
    heads: list[str] = field(default_factory=list)
    url: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    serving: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.silent:
            assert await reader.read() == b""
            self.gone.set()
        elif self.answer:
            writer.write(self.answer)
        else:
            host, port = head.split()[1].rsplit(":", 1)
            there = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Either side may leave in the middle of a handshake.
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def proxying(proxy: Proxy) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*proxy.serving), 3)


def settings(url: str, **more: object) -> Jwt:
    given = {"algorithms": ["RS256"], "issuer": url, "audience": "interact", **more}
    return Jwt.model_validate(given)


# Over TLS


@pytest.mark.gen_test
async def test_only_the_configured_authority_vouches_for_the_issuer(
    pair: certificates.Pair, tmp_path: Path
) -> None:
    other = certificates.ensure(tmp_path / "other")
    async with serving(pair) as site:
        url = f"{site.url}/jwks"
        fetch = published_keys(settings("i", jwks_url=url, ca_file=pair.authority), table="x")
        assert await fetch() == KEYS
        for authority in (None, other.authority):
            made = published_keys(settings("i", jwks_url=url, ca_file=authority), table="x")
            with pytest.raises(KeySetUnavailable, match=r"(?i)certificate.verify.failed"):
                await made()
        # The certificate is for localhost and the loopback addresses, not for this name.
        elsewhere = HttpDocument(
            url.replace("localhost", "127.0.0.2"),
            tls=tls.for_issuer(pair.authority, where="x"),
        )
        with pytest.raises(KeySetUnavailable):
            await elsewhere()
        assert site.asked == ["/jwks"]


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    missing = settings("i", jwks_url="https://a/j", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match=r"auth\.issuers\.3\.ca_file: .*cannot be read"):
        published_keys(missing, table="auth.issuers.3")
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"auth\.issuers\.3\.ca_file: .*no PEM certificate"):
        published_keys(missing, table="auth.issuers.3")


# Through a proxy


@pytest.mark.gen_test
async def test_keys_come_through_a_proxy_that_sees_nothing_of_them(
    pair: certificates.Pair,
) -> None:
    async with serving(pair) as site, proxying(Proxy()) as proxy:
        given = settings(
            "i",
            jwks_url=f"{site.url}/jwks",
            ca_file=pair.authority,
            proxy=proxy.url,
            proxy_user="gateway",
            proxy_password="hunter2",
        )
        assert await published_keys(given, table="x")() == KEYS
        (head,) = proxy.heads
        authority = site.url.removeprefix("https://")
        login = base64.b64encode(b"gateway:hunter2").decode()
        assert head.startswith(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n")
        assert f"\r\nProxy-Authorization: Basic {login}\r\n" in head


@pytest.mark.gen_test
async def test_a_proxy_cannot_stand_for_the_issuer(
    pair: certificates.Pair, tmp_path: Path, trusted: ssl.SSLContext
) -> None:
    other = certificates.ensure(tmp_path / "other")
    async with serving(other) as impostor, proxying(Proxy()) as proxy:
        document = HttpDocument(
            f"{impostor.url}/jwks", tls=trusted, through=ThroughProxy(proxy.url)
        )
        with pytest.raises(KeySetUnavailable, match=r"(?i)certificate.verify.failed"):
            await document()
        assert impostor.asked == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy refuses: 407 Proxy"),
        (b"HTTP/1.1 403 \x1b[31mNo\r\n\r\n", r"the proxy refuses: 403 \[31mNo"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://evil\r\n\r\n", "the proxy refuses: 302"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the proxy refuses"),
        (b"HTTP/1.1 200", "does not answer a CONNECT"),
        (b"X" * 100_000, "does not answer a CONNECT"),
    ],
)
@pytest.mark.gen_test
async def test_a_proxy_that_refuses_is_told(
    pair: certificates.Pair, trusted: ssl.SSLContext, answer: bytes, told: str
) -> None:
    async with serving(pair) as site, proxying(Proxy(answer)) as proxy:
        through = ThroughProxy(proxy.url, login=("gateway", "hunter2"))
        document = HttpDocument(f"{site.url}/jwks", tls=trusted, through=through)
        with pytest.raises(KeySetUnavailable, match=told) as caught:
            await document()
        assert "hunter2" not in str(caught.value)
        assert site.asked == []


@pytest.mark.gen_test
async def test_a_proxy_that_hangs_is_given_up_and_left(
    pair: certificates.Pair, trusted: ssl.SSLContext
) -> None:
    async with serving(pair) as site, proxying(Proxy(silent=True)) as proxy:
        document = HttpDocument(
            # Time enough to come as far as the proxy's answer on a slow machine.
            f"{site.url}/jwks",
            timeout=1.0,
            tls=trusted,
            through=ThroughProxy(proxy.url),
        )
        with pytest.raises(KeySetUnavailable, match="Timeout"):
            await document()
        async with asyncio.timeout(20):
            await proxy.gone.wait()


# Discovery


def discovered(
    site: Site, trusted: ssl.SSLContext, *, issuer: str, timeout: float = 5.0
) -> DiscoveredKeys:
    def document(url: str) -> HttpDocument:
        return HttpDocument(url, tls=trusted)

    return DiscoveredKeys(issuer, document, timeout=timeout)


@pytest.mark.parametrize("path", ["", "/", "/realms/school", "/tenant/v2.0/"])
@pytest.mark.gen_test
async def test_the_issuer_says_where_its_keys_are(
    pair: certificates.Pair, trusted: ssl.SSLContext, path: str
) -> None:
    async with serving(pair) as site:
        issuer = f"{site.url}{path}"
        where = discovery_url(issuer).removeprefix(site.url)
        configuration = {"issuer": issuer, "jwks_uri": f"{site.url}/jwks"}
        site.answers[where] = json.dumps(configuration).encode()
        fetch = discovered(site, trusted, issuer=issuer)
        assert await fetch() == KEYS
        # It may move them.
        site.answers["/moved"] = b'{"keys": [1]}'
        site.answers[where] = json.dumps(
            {**configuration, "jwks_uri": f"{site.url}/moved"}
        ).encode()
        assert await fetch() == b'{"keys": [1]}'
        assert site.asked == [where, "/jwks", where, "/moved"]


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        (lambda url: {"issuer": "https://evil.example", "jwks_uri": f"{url}/jwks"}, "not of"),
        (lambda url: {"issuer": f"{url}/", "jwks_uri": f"{url}/jwks"}, "exactly as it writes"),
        (lambda url: {"jwks_uri": f"{url}/jwks"}, "issuer 'None'"),
        (lambda url: {"issuer": [url], "jwks_uri": f"{url}/jwks"}, "not of"),
        (lambda url: {"issuer": url}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": 5}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": "/jwks"}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": url.replace("https", "http")}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": url.replace("//", "//u:p@")}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": "https://[::1/jwks"}, "jwks_uri"),
        (lambda url: {"issuer": url, "jwks_uri": f"{url}/jwks\r\nX: y"}, "jwks_uri"),
        (lambda _: [], "not an object"),
    ],
)
@pytest.mark.gen_test
async def test_a_configuration_of_somebody_else_or_without_an_address_is_refused(
    pair: certificates.Pair,
    trusted: ssl.SSLContext,
    configuration: Callable[[str], object],
    told: str,
) -> None:
    async with serving(pair) as site:
        where = discovery_url(site.url).removeprefix(site.url)
        site.answers[where] = json.dumps(configuration(site.url)).encode()
        with pytest.raises(KeySetUnavailable, match=told):
            await discovered(site, trusted, issuer=site.url)()
        assert site.asked == [where]


@pytest.mark.gen_test
async def test_a_configuration_that_is_too_large_is_not_read(
    pair: certificates.Pair, trusted: ssl.SSLContext
) -> None:
    async with serving(pair) as site:
        where = discovery_url(site.url).removeprefix(site.url)
        site.answers[where] = b" " * (MAX_BYTES + 1)
        with pytest.raises(KeySetUnavailable):
            await discovered(site, trusted, issuer=site.url)()


@pytest.mark.gen_test
async def test_both_documents_together_have_one_time(
    pair: certificates.Pair, trusted: ssl.SSLContext
) -> None:
    async with serving(pair) as site:
        site.answering.clear()
        fetch = discovered(site, trusted, issuer=site.url, timeout=0.2)
        with pytest.raises(KeySetUnavailable, match=r"took more than 0\.2 s"):
            await fetch()
