"""Requests that never reach a handler: heads, bodies and connections that cost much and give
nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from devenv import tls as certificates
from gateway import tls
from gateway.assembly import Gateway
from gateway.config import Config, Limits, Tls
from gateway.http import streams as http_streams
from gateway.http.base import _DROPPED
from gateway.http.listeners import Capacity, Listener
from gateway.http.streams import HEAD_BYTES
from gateway.limits import LiveLimits
from gateway.observe.events import Kind
from tests.integration.http.conftest import token

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], AbstractAsyncContextManager[Stream]]

_ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def dial(public: Listener) -> Open:
    @asynccontextmanager
    async def dial() -> AsyncIterator[Stream]:
        reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with_error = await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert not any(isinstance(e, TimeoutError) for e in with_error)

    return dial


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                body = await reader.readexactly(int(line.partition(b":")[2]))
                return int(head.split()[1]), body
    return int(head.split()[1]), b""


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


@pytest.mark.gen_test(timeout=20)
async def test_a_head_that_does_not_end_is_refused_by_its_size(
    dial: Open, gateway: Gateway
) -> None:
    async with dial() as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n" + b"X-Much: " + b"x" * HEAD_BYTES)
        status, body = await answer(reader)
        assert status == 431
        assert b'"code": "head_too_large"' in body
        assert await until_closed(reader) == b""
    assert gateway.services.events.counts[Kind.REFUSAL, "head_too_large", 431] == 1


@pytest.mark.gen_test(timeout=20)
async def test_a_head_that_is_large_and_whole_is_refused_too_and_one_below_is_not(
    dial: Open,
) -> None:
    for size, wanted in ((HEAD_BYTES + 1000, 431), (HEAD_BYTES - 1000, 200)):
        async with dial() as (reader, writer):
            writer.write(_ASK[:-2] + b"X-Much: " + b"x" * size + b"\r\n\r\n")
            assert (await answer(reader))[0] == wanted


@pytest.mark.gen_test(timeout=20)
async def test_half_a_head_is_waited_for_so_long_and_no_longer(
    dial: Open, monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    async with dial() as (reader, writer):
        # Also when it is the second one of its connection, however much of it keeps coming.
        writer.write(_ASK)
        assert await answer(reader) == (200, b"ok")
        writer.write(b"GET /healthz")
        status, body = await answer(reader)
        assert status == 408
        assert b'"code": "head_too_slow"' in body
        assert await until_closed(reader) == b""
    async with dial() as (reader, _):
        # Nothing was asked: a browser had it opened for later.
        assert await until_closed(reader) == b""
    assert gateway.services.events.counts[Kind.REFUSAL, "head_too_slow", 408] == 1


@pytest.mark.gen_test(timeout=20)
async def test_a_connection_that_idles_between_two_requests_is_not_hurried(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    async with dial() as (idle_reader, idle_writer), dial() as (reader, writer):
        idle_writer.write(_ASK)
        assert (await answer(idle_reader))[0] == 200
        writer.write(b"GET")
        # Its time is the same; the other one has nothing to be late with.
        assert (await answer(reader))[0] == 408
        idle_writer.write(_ASK)
        assert (await answer(idle_reader))[0] == 200


def capacity(
    *, in_all: int = 100, per_address: int = 100, proxies: tuple[str, ...] = ()
) -> Capacity:
    limits = Limits(http_connections=in_all, http_connections_per_address=per_address)
    return Capacity(LiveLimits(limits), frozenset(proxies))


@pytest.mark.parametrize(
    ("few", "many"),
    [
        (capacity(per_address=2), capacity(per_address=3)),
        (capacity(in_all=2), capacity(in_all=3)),
        (capacity(per_address=2), capacity(per_address=2, proxies=("127.0.0.1",))),
    ],
)
@pytest.mark.gen_test(timeout=20)
async def test_connections_are_limited_and_their_places_given_back(
    few: Capacity, many: Capacity, dial: Open, public: Listener, gateway: Gateway
) -> None:
    public._server._capacity = few
    async with dial() as (one_reader, one), dial() as (two_reader, two):
        for reader, writer in ((one_reader, one), (two_reader, two)):
            writer.write(_ASK)
            assert (await answer(reader))[0] == 200
        async with dial() as (reader, _):
            status, body = await answer(reader)
            assert status == 503
            assert b'"code": "too_many_connections"' in body
        public._server._capacity = many
        async with dial() as (reader, writer):
            writer.write(_ASK)
            assert (await answer(reader))[0] == 200
        public._server._capacity = few
    # Closing takes its turn of the loop.
    async with asyncio.timeout(10):
        while public._server._open:  # noqa: ASYNC110 - they close in their own time
            await asyncio.sleep(0.01)
    assert not public._server._from
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connections", 503] == 1


@pytest.mark.parametrize(
    "start", ["POST /healthz", "GET /", "GET /nothing/here", "POST /nothing", "GET /ws"]
)
@pytest.mark.gen_test(timeout=20)
async def test_a_large_body_is_not_waited_for_where_none_is_taken(start: str, dial: Open) -> None:
    async with dial() as (reader, writer):
        writer.write(f"{start} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n".encode())
        status, body = await answer(reader)
        assert status == 413
        assert b'"code": "too_large"' in body


@pytest.mark.gen_test(timeout=20)
async def test_a_body_without_a_length_is_not_read_to_its_end_where_none_is_taken(
    dial: Open,
) -> None:
    async with dial() as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        for _ in range(_DROPPED // 0x8000 + 1):
            writer.write(chunk)
        assert (await answer(reader))[0] == 400


@pytest.mark.parametrize("authorization", ["", "Authorization: Bearer x.y.z\r\n"])
@pytest.mark.parametrize("start", ["POST /api/rooms", "PUT /api/rooms/1/members/kim"])
@pytest.mark.gen_test(timeout=20)
async def test_the_body_of_somebody_unknown_is_not_waited_for(
    start: str, authorization: str, dial: Open
) -> None:
    async with dial() as (reader, writer):
        writer.write(
            f"{start} HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: 60000\r\n\r\n".encode()
        )
        status, body = await answer(reader)
        assert status == 401
        assert b'"code": "not_authenticated"' in body or b'"code": "token_invalid"' in body


@pytest.mark.gen_test(timeout=20)
async def test_the_body_of_somebody_known_is(dial: Open, settings: Config) -> None:
    async with dial() as (reader, writer):
        bearer = token(settings, "kim", "host")
        writer.write(
            f"POST /api/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n".encode()
        )
        writer.write(b'{"title":')
        await writer.drain()
        writer.write(b' "It"}')
        assert (await answer(reader))[0] == 201


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "half a hello"])
@pytest.mark.gen_test(timeout=20)
async def test_a_handshake_of_tls_counts_among_the_head_s_time(
    said: bytes, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "HEAD_SECONDS", 0.2)
    pair = certificates.ensure(tmp_path)
    listener = Listener(
        gateway.public,
        what="server.port",
        events=gateway.services.events,
        tls=tls.for_clients(Tls(certificate=pair.certificate, key=pair.key)),
        capacity=capacity(),
    )
    listener.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(said)
    # Whatever is said to that is no HTTP.
    assert not (await until_closed(reader)).startswith(b"HTTP")
    writer.close()
    await listener.close()
    assert not listener._server._open
