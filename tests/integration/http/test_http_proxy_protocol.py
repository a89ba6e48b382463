"""Connections that begin with a header of the PROXY protocol: whose they are, what follows it, and
what ends them."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from devenv.tls import Pair, ensure
from gateway import tls
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.budget.table import HTTP_CONNECTIONS, Scope
from gateway.config import Limits, Tls
from gateway.http import proxy_headers
from gateway.http.listeners import Listener
from gateway.http.proxy_header import UNKNOWN
from gateway.http.server import SPARE
from gateway.limits import LiveLimits
from gateway.observe.events import Kind
from tests.integration.http.edge.clients import ASK, answer, until, until_closed

CLIENT = "198.51.100.7"
V1 = f"PROXY TCP4 {CLIENT} 10.0.0.1 12345 443\r\n".encode()
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = (
    SIGNATURE
    + struct.pack(">BBH", 0x21, 0x11, 12)
    + ip_address(CLIENT).packed
    + ip_address("10.0.0.1").packed
    + struct.pack(">HH", 12345, 443)
)
LOCAL = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)
WHO = b"GET /api/session HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def _announced(tables: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    # Of this machine's loopback network one half are proxies.
    tables["server"] |= {"trusted_proxies": ["127.0.0.0/9"], "proxy_protocol": True}
    caplog.set_level(logging.DEBUG, "gateway.access")


@asynccontextmanager
async def connected(
    public: Listener, *parts: bytes, source: str = "127.0.0.1"
) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port, local_addr=(source, 0))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            # The gateway's turn; whether it reads the parts together makes no difference to it.
            await asyncio.sleep(0)
        yield reader
    finally:
        writer.close()


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("cuts", [0, 1, 7, 15, 20])
@pytest.mark.gen_test
async def test_a_connection_is_the_client_s_that_the_header_names(
    public: Listener, header: bytes, cuts: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = header + WHO
    async with connected(public, whole[:cuts], whole[cuts:]) as reader:
        assert (await answer(reader))[0] == 401
    assert f"from {CLIENT}" in caplog.text


@pytest.mark.gen_test
async def test_a_second_header_and_forwarded_addresses_are_the_client_s_own_words(
    public: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    claimed = WHO.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
    async with connected(public, V2 + claimed) as reader:
        assert (await answer(reader))[0] == 401
    assert f"from {CLIENT}" in caplog.text
    async with connected(public, V1 + V1 + WHO) as reader:
        assert (await answer(reader))[0] == 400


@pytest.mark.gen_test
async def test_behind_a_balancer_that_passes_on_bytes_may_be_a_proxy_that_reads_them(
    public: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    nearer = V1.replace(CLIENT.encode(), b"127.0.0.9")
    forwarded = WHO.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
    async with connected(public, nearer + forwarded) as reader:
        assert (await answer(reader))[0] == 401
    assert "from 203.0.113.9" in caplog.text


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
@pytest.mark.gen_test
async def test_a_health_check_is_the_proxy_s_own(public: Listener, header: bytes) -> None:
    async with connected(public, header + ASK) as reader:
        assert await answer(reader) == (200, b"ok")


@pytest.mark.parametrize(
    ("header", "where"),
    [
        # The proxy's own words are believed.
        (LOCAL, "203.0.113.9"),
        # A client's are not, of whom it knows nothing.
        (b"PROXY UNKNOWN\r\n", UNKNOWN),
        (SIGNATURE + struct.pack(">BBH", 0x21, 0, 0), UNKNOWN),
    ],
)
@pytest.mark.gen_test
async def test_whom_the_proxy_does_not_know_nobody_believes(
    public: Listener, budgets: Budgets, header: bytes, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    forwarded = WHO.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
    async with connected(public, header + forwarded) as reader:
        assert (await answer(reader))[0] == 401
        # Such clients share the limits of one address.
        counted = budgets.cap(HTTP_CONNECTIONS).taken(Scope.ADDRESS, UNKNOWN)
        assert counted == (where == UNKNOWN)
    assert f"from {where}" in caplog.text


@pytest.mark.parametrize("sent", [ASK, b"PROXY TCP4 nowhere\r\n" + ASK, V2[:5] + ASK, b"\x16\x03"])
@pytest.mark.gen_test
async def test_a_wrong_header_ends_the_connection_without_a_word(
    public: Listener, gateway: Gateway, sent: bytes
) -> None:
    async with connected(public, sent) as reader:
        # What it had sent was not read.
        with suppress(ConnectionResetError):
            assert await until_closed(reader) == b""
    (noted,) = [
        each for each in gateway.services.events.after(0, limit=100) if each.kind is Kind.REFUSAL
    ]
    assert "no header of the PROXY protocol" in noted.detail


@pytest.mark.parametrize("sent", [b"", V1[:20], V2[:20]])
@pytest.mark.gen_test
async def test_a_header_that_does_not_come_ends_the_connection(
    public: Listener, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_headers, "SECONDS", 0.05)
    async with connected(public, sent) as reader:
        assert await until_closed(reader) == b""


@pytest.mark.gen_test
async def test_who_waits_longest_makes_room(
    public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_headers, "MOST", 1)
    async with connected(public) as first, connected(public, V1[:9]) as second:
        assert await until_closed(first) == b""
        async with connected(public, V2 + ASK) as third:
            assert await answer(third) == (200, b"ok")
            assert await until_closed(second) == b""


@pytest.mark.gen_test
async def test_who_waits_has_a_place_like_any_other(
    public: Listener,
    budgets: Budgets,
    limits: LiveLimits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy_headers, "SECONDS", 600)

    async def has(count: int) -> None:
        await until(lambda: budgets.cap(HTTP_CONNECTIONS).taken(Scope.ALL) == count)

    limits.now = Limits(http_connections=SPARE + 2)
    async with AsyncExitStack() as stack:
        idle = await stack.enter_async_context(connected(public, V2 + WHO))
        assert (await answer(idle))[0] == 401
        first = await stack.enter_async_context(connected(public))
        await has(2)
        for number in range(SPARE):
            second = await stack.enter_async_context(connected(public, V1[:9]))
            await has(3 + number)
        # All places are taken, and more than a few wait: who has waited longest makes room, before
        # a client that only sends nothing now.
        async with connected(public, V2 + WHO) as reader:
            assert (await answer(reader))[0] == 401
            assert await until_closed(first) == b""
            await has(SPARE + 2)
        assert not second.at_eof()
        assert not idle.at_eof()
    await has(0)


@pytest.mark.gen_test
async def test_whoever_is_no_trusted_proxy_has_no_header(
    public: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = "127.128.0.1"
    async with connected(public, WHO, source=elsewhere) as reader:
        assert (await answer(reader))[0] == 401
    assert f"from {elsewhere}" in caplog.text
    async with connected(public, V1 + WHO, source=elsewhere) as reader:
        assert (await answer(reader))[0] == 400
    assert CLIENT not in caplog.text


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.mark.gen_test
async def test_tls_begins_behind_the_header(
    public: Listener, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    public.use(tls.for_clients(Tls(certificate=pair.certificate, key=pair.key)))
    context = ssl.create_default_context(cafile=Path(pair.authority))
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    # The first part of the handshake comes with the header.
    writer.write(V2)
    await writer.start_tls(context, server_hostname="localhost")
    writer.write(WHO)
    assert (await answer(reader))[0] == 401
    assert f"from {CLIENT}" in caplog.text
    writer.close()
