"""Bodies of requests: their size, their time, and clients that end or go on sending too early."""

from __future__ import annotations

import asyncio

import pytest
from tornado.iostream import StreamClosedError

from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http import lingering
from gateway.http import streams as http_streams
from gateway.http.base import _DROPPED
from gateway.http.listeners import Listener
from gateway.http.streams import CHUNKS
from gateway.observe.events import Kind
from tests.integration.http.conftest import FakeBroker, token
from tests.integration.http.edge.clients import ASK, Open, answer, until, until_closed


@pytest.mark.parametrize(("size", "wanted"), [(1, 400), (1024, 413)])
@pytest.mark.gen_test
async def test_a_body_of_many_small_chunks_is_refused_and_one_of_large_ones_is_not(
    size: int, wanted: int, dial: Open, gateway: Gateway
) -> None:
    async with dial() as (reader, writer):
        writer.write(b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(65 if size > 1 else CHUNKS + 1):
            writer.write(b"%x\r\n%s\r\n" % (size, b"x" * size))
        writer.write(b"0\r\n\r\n")
        status, body = await answer(reader)
        # Sixty-five kilobytes are one too many for another reason.
        assert status == wanted
        assert (b"send larger ones" in body) == (wanted == 400)
    assert gateway.services.events.counts[Kind.REFUSAL, "invalid_request", 400] == (wanted == 400)


@pytest.mark.gen_test
async def test_chunks_that_are_left_of_a_closed_connection_are_refused_without_a_word(
    dial: Open, public: Listener
) -> None:
    """Tornado reads on in what it has received, though the socket lingers already."""
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream._has_answered = True
        stream._read_buffer += b"1\r\n" * 2 * CHUNKS
        stream._read_buffer_size = len(stream._read_buffer)
        stream.close()
        for _ in range(CHUNKS):
            assert await stream.read_until(b"\r\n", 64) == b"1\r\n"
        with pytest.raises(StreamClosedError):
            await stream.read_until(b"\r\n", 64)
        assert await until_closed(reader) == b""


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("GET", "/healthz", b"", 200),
        ("GET", "/", b"", 200),
        ("GET", "/ws", b"", 426),
        ("GET", "/api/session", b"", 200),
        ("POST", "/api/rooms", b'{"title":"It"}', 201),
        # Half a second passes until this answer.
        ("POST", "/api/rooms/1/messages", b'{"body":"hello"}', 202),
    ],
)
@pytest.mark.gen_test
async def test_a_client_that_has_closed_its_sending_side_gets_its_answer(  # noqa: PLR0917
    method: str,
    path: str,
    body: bytes,
    wanted: int,
    parts: int,
    dial: Open,
    settings: Config,
    room: str,
    broker: FakeBroker,
) -> None:
    assert room == "/api/rooms/1"
    broker.away = wanted == 202
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token(settings, 'anna', 'host')}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    async with dial() as (reader, writer):
        for part in (request[:-7], request[-7:]) if parts == 2 else (request,):
            writer.write(part)
            await asyncio.sleep(0)
        writer.write_eof()
        assert (await answer(reader))[0] == wanted
        assert await until_closed(reader) == b""


@pytest.mark.gen_test
async def test_half_a_request_of_a_client_that_has_closed_its_sending_side_is_over(
    dial: Open, public: Listener
) -> None:
    async with dial() as (reader, writer):
        writer.write(ASK[:-2])
        writer.write_eof()
        assert await until_closed(reader) == b""
        await until(lambda: not len(public._server._places))


@pytest.mark.parametrize("size", [60_000, 900_000])
@pytest.mark.gen_test
async def test_a_refusal_reaches_a_client_that_goes_on_sending(size: int, dial: Open) -> None:
    async with dial() as (reader, writer):
        writer.write(
            f"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        writer.write(b"x" * (size - 1))
        assert (await answer(reader))[0] == 401
        # An end, not a reset, although nobody has read what came.
        assert await until_closed(reader) == b""
        writer.write(b"x")


@pytest.mark.gen_test
async def test_who_never_stops_sending_after_a_refusal_is_cut_off(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "_SECONDS", 0.2)
    async with dial() as (reader, writer):
        writer.write(b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nx")
        assert (await answer(reader))[0] == 401
        assert len(public._server.lingering) == 1
        await until(lambda: not len(public._server.lingering))


@pytest.mark.gen_test
async def test_a_body_must_come_at_a_rate_and_one_that_does_is_waited_for(
    half_a_body: Open, public: Listener, monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr(http_streams, "BODY_RATE", 100)
    monkeypatch.setattr(http_streams, "BODY_SECONDS", 0.2)
    async with half_a_body() as (quick_reader, quick_writer):
        # Ten more seconds.
        quick_writer.write(b" " * 1000)
        (stream,) = public._server._places._addresses
        await until(lambda: stream._body_bytes >= 1000)
        async with half_a_body() as (reader, _):
            status, body = await answer(reader)
            assert status == 408
            assert b'"code": "body_too_slow"' in body
            assert await until_closed(reader) == b""
        quick_writer.write(b'"It"}')
        assert (await answer(quick_reader))[0] == 201
    assert gateway.services.events.counts[Kind.REFUSAL, "body_too_slow", 408] == 1


@pytest.mark.gen_test
async def test_the_time_of_a_body_is_not_that_of_the_body_before_on_its_connection(
    half_a_body: Open, public: Listener, settings: Config
) -> None:
    bearer, rest = token(settings, "kim", "host"), b" " * 1000 + b'"It"}'
    async with half_a_body() as (reader, writer):
        (stream,) = public._server._places._addresses
        first = stream._body_timer
        writer.write(rest)
        assert (await answer(reader))[0] == 201
        writer.write(
            f"POST /api/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            'Content-Type: application/json\r\nContent-Length: 1014\r\n\r\n{"title":'.encode()
        )
        await until(lambda: stream._body_timer not in (None, first))
        assert first is not None
        assert first.cancelled()
        writer.write(rest)
        assert (await answer(reader))[0] == 201


@pytest.mark.gen_test
async def test_a_body_has_a_longest_time(
    half_a_body: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "BODY_LONGEST", 0.2)
    async with half_a_body() as (reader, _):
        assert (await answer(reader))[0] == 408


@pytest.mark.parametrize(
    "start", ["POST /healthz", "GET /", "GET /nothing/here", "POST /nothing", "GET /ws"]
)
@pytest.mark.gen_test
async def test_a_large_body_is_not_waited_for_where_none_is_taken(start: str, dial: Open) -> None:
    async with dial() as (reader, writer):
        writer.write(f"{start} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n".encode())
        status, body = await answer(reader)
        assert status == 413
        assert b'"code": "too_large"' in body


@pytest.mark.gen_test
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
@pytest.mark.gen_test
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


@pytest.mark.gen_test
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
