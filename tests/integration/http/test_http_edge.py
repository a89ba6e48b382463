"""Requests that never reach a handler: heads, bodies and connections that cost much and give
nothing."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from broker.publishing.publication import Publication
from devenv import tls as certificates
from gateway import tls
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.config import Config, Limits, Tls
from gateway.http import lingering
from gateway.http import server as http_server
from gateway.http import streams as http_streams
from gateway.http.base import _DROPPED
from gateway.http.handlers import stomp
from gateway.http.listeners import Listener
from gateway.http.server import ACCEPTING, SPARE, Capacity, FixedCapacity
from gateway.http.streams import _CHUNK, CHUNKS, HEAD_BYTES, HEAD_LINES
from gateway.limits import LiveLimits
from gateway.live.client.connection import Connection
from gateway.observe.events import Kind
from gateway.rotation import REQUEST, Rotation, Share, Turn, Waiting, share_key
from tests.integration.http.conftest import Call, FakeBroker, token

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], AbstractAsyncContextManager[Stream]]
Clients = Callable[[], AbstractAsyncContextManager[socket.socket]]

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
async def test_a_head_of_many_lines_is_refused_and_one_below_is_not(dial: Open) -> None:
    for lines, wanted in ((HEAD_LINES, 431), (HEAD_LINES - 3, 200)):
        async with dial() as (reader, writer):
            writer.write(_ASK[:-2] + b"a:b\r\n" * lines + b"\r\n")
            assert (await answer(reader))[0] == wanted


@pytest.mark.parametrize(("size", "wanted"), [(1, 400), (1024, 413)])
@pytest.mark.gen_test(timeout=20)
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


@pytest.mark.gen_test(timeout=20)
async def test_a_connection_that_idles_too_long_is_closed_without_a_word(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "IDLE_SECONDS", 0.3)
    loop = asyncio.get_running_loop()
    async with dial() as (reader, writer):
        for _ in range(2):
            writer.write(_ASK)
            assert (await answer(reader))[0] == 200
        answered = loop.time()
        assert await until_closed(reader) == b""
        assert 0.2 < loop.time() - answered < 5


@pytest.fixture
def limit(public: Listener) -> Callable[..., None]:
    """A function that changes the limits of HTTP connections."""
    live = LiveLimits(Limits())
    capacity = public._server._capacity = Capacity(Budgets(live, clock=time.monotonic))

    def limit(*, proxies: tuple[str, ...] = (), **limits: int) -> None:
        live.now = Limits.model_validate(limits)
        capacity._trusted_proxies = frozenset(proxies)

    return limit


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.005)


@pytest.fixture
def half_a_body(dial: Open, public: Listener, settings: Config) -> Open:
    """A connection with a request whose body's rest is missing: a thousand spaces, and
    ``"It"}``."""

    @asynccontextmanager
    async def half_a_body() -> AsyncIterator[Stream]:
        bearer = token(settings, "kim", "host")
        before = len(public._server._places)
        async with dial() as (reader, writer):
            writer.write(
                f"POST /api/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
                'Content-Type: application/json\r\nContent-Length: 1014\r\n\r\n{"title":'.encode()
            )
            await until(lambda: len(public._server._places) > before)
            *_, stream = public._server._places._addresses
            await until(lambda: stream._body_timer is not None)
            yield reader, writer

    return half_a_body


@pytest.fixture
def confirms(tables: dict[str, Any], broker: FakeBroker) -> Iterator[asyncio.Event]:
    """The moment at which the broker confirms what was posted; until then posts have no answer.

    A test must ask for it before anything that needs the gateway.
    """
    tables["broker"]["confirm_timeout"] = 10.0
    confirms, publish = asyncio.Event(), broker.publish

    async def late(publication: Publication, timeout: float) -> None:  # noqa: ASYNC109 - the port's own
        await confirms.wait()
        await publish(publication, timeout)

    broker.publish = late  # type: ignore[method-assign]
    yield confirms
    confirms.set()


@pytest.fixture
def busy(
    confirms: asyncio.Event, dial: Open, public: Listener, settings: Config, room: str
) -> Open:
    """A connection with a whole request in hand, which is answered once the broker confirms."""

    @asynccontextmanager
    async def busy() -> AsyncIterator[Stream]:
        bearer, places = token(settings, "anna", "host"), public._server._places
        before = len(places)
        async with dial() as (reader, writer):
            writer.write(
                f"POST {room}/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
                "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
                '{"body":"x"}'.encode()
            )
            await until(lambda: len(places) > before)
            *_, stream = places._addresses
            await until(lambda: stream not in places._waiting)
            yield reader, writer

    return busy


_OTHER = b"GET /nothing/here HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("few", "many"),
    [
        ({"http_connections_per_address": 2}, {"http_connections_per_address": 3}),
        ({"http_connections": 2}, {"http_connections": 3}),
        (
            {"http_connections_per_address": 2},
            {"http_connections_per_address": 2, "proxies": ("127.0.0.1",)},
        ),
    ],
)
@pytest.mark.gen_test(timeout=20)
async def test_connections_are_limited_and_their_places_given_back(  # noqa: PLR0917
    few: dict[str, Any],
    many: dict[str, Any],
    confirms: asyncio.Event,
    limit: Callable[..., None],
    dial: Open,
    busy: Open,
    public: Listener,
    gateway: Gateway,
) -> None:
    limit(**few)
    async with busy() as (one_reader, _), busy() as (two_reader, _):
        async with dial() as (reader, writer):
            writer.write(_OTHER)
            status, body = await answer(reader)
            assert status == 503
            assert b'"code": "too_many_connections"' in body
            assert await until_closed(reader) == b""
        limit(**many)
        async with dial() as (reader, writer):
            writer.write(_OTHER)
            assert (await answer(reader))[0] == 404
        limit(**few)
        # Those that were there are not disturbed.
        confirms.set()
        for reader in (one_reader, two_reader):
            assert (await answer(reader))[0] == 201
    # Closing takes its turn of the loop.
    await until(lambda: not len(public._server._places))
    assert not public._server._leases
    async with dial() as (reader, writer):
        writer.write(_OTHER)
        assert (await answer(reader))[0] == 404
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connections", 503] == 1


@pytest.mark.parametrize("key", ["http_connections_per_address", "http_connections"])
@pytest.mark.gen_test(timeout=20)
async def test_without_a_place_a_probe_is_answered_and_whoever_comes_once_there_is_one(
    key: str,
    confirms: asyncio.Event,
    limit: Callable[..., None],
    dial: Open,
    busy: Open,
    public: Listener,
) -> None:
    limit(**{key: 1})
    async with busy() as (busy_reader, _), AsyncExitStack() as silent:
        # Many that say nothing do not take the places of those that do.
        for _ in range(4 * SPARE):
            await silent.enter_async_context(dial())
        async with dial() as (late_reader, late_writer):
            late_writer.write(_ASK)
            assert await answer(late_reader) == (200, b"ok")
            late_writer.write(_OTHER)
            assert (await answer(late_reader))[0] == 503
            confirms.set()
            assert (await answer(busy_reader))[0] == 201
            # The one that is done waits now, and makes room.
            await until(lambda: public._server._places.longest_waiting() is not None)
            async with dial() as (other_reader, other_writer):
                other_writer.write(_OTHER)
                assert (await answer(other_reader))[0] == 404
            assert await until_closed(busy_reader) == b""


@pytest.mark.parametrize("key", ["http_connections_per_address", "http_connections"])
@pytest.mark.gen_test(timeout=20)
async def test_of_those_that_wait_the_first_makes_room(
    key: str, limit: Callable[..., None], dial: Open, gateway: Gateway
) -> None:
    limit(**{key: 2})
    async with dial() as (first_reader, first), dial() as (second_reader, second):
        for reader, writer in ((first_reader, first), (second_reader, second)):
            writer.write(_ASK)
            assert (await answer(reader))[0] == 200
        # The second has waited for longer now.
        first.write(_ASK)
        assert (await answer(first_reader))[0] == 200
        async with dial() as (reader, writer):
            writer.write(_OTHER)
            assert (await answer(reader))[0] == 404
            assert await until_closed(second_reader) == b""
            first.write(_ASK)
            assert (await answer(first_reader))[0] == 200
    assert gateway.services.events.counts[Kind.REFUSAL, "made_room", 503] == 1


@pytest.mark.gen_test(timeout=20)
async def test_too_many_new_connections_from_one_address_are_refused_and_probes_answered(
    limit: Callable[..., None], dial: Open, gateway: Gateway
) -> None:
    limit(http_connects_per_second=0.01, http_connects_burst=1)
    async with dial() as (first_reader, first), dial() as (reader, writer):
        writer.write(_ASK)
        assert await answer(reader) == (200, b"ok")
        writer.write(_OTHER)
        status, body = await answer(reader)
        assert (status, b'"code": "too_many_connects"' in body) == (429, True)
        first.write(_OTHER)
        assert (await answer(first_reader))[0] == 404
        limit(http_connects_per_second=0.01, http_connects_burst=1, proxies=("127.0.0.1",))
        async with dial() as (other_reader, other):
            other.write(_OTHER)
            assert (await answer(other_reader))[0] == 404
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connects", 429] == 1


@pytest.mark.gen_test(timeout=20)
async def test_half_a_body_makes_room_too(
    half_a_body: Open, dial: Open, limit: Callable[..., None]
) -> None:
    limit(http_connections=1)
    async with half_a_body() as (half_reader, _), dial() as (reader, writer):
        writer.write(_OTHER)
        assert (await answer(reader))[0] == 404
        assert await until_closed(half_reader) == b""


@pytest.mark.gen_test(timeout=20)
async def test_whoever_makes_room_does_so_at_once_even_if_something_was_said_to_it(
    dial: Open, limit: Callable[..., None], public: Listener
) -> None:
    limit(http_connections=1)
    async with dial() as (half_reader, half):
        half.write(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert (await answer(half_reader))[0] == 100
        async with dial() as (other_reader, other):
            other.write(_OTHER)
            assert (await answer(other_reader))[0] == 404
        assert await until_closed(half_reader) == b""
        assert not len(public._server.lingering)


@pytest.mark.gen_test(timeout=20)
async def test_a_new_websocket_makes_no_room(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[object] = []

    def connected(*args: Any, **kwargs: Any) -> Connection:
        connection = Connection(*args, **kwargs)
        waiting.append(public._server._places.longest_waiting())
        return connection

    monkeypatch.setattr(stomp, "Connection", connected)
    async with dial() as (reader, writer):
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        )
        assert (await answer(reader))[0] == 101
    # Its socket is somebody else's, who would not know that it is closed.
    assert waiting == [None]


class Full(Rotation):
    """A rotation with no room left: whatever comes waits in ``turns``."""

    has_room = False

    def __init__(self) -> None:
        super().__init__(clock=time.monotonic)
        self.turns: list[Turn] = []
        self.charged: list[float] = []

    def charge(self, seconds: float, share: Share) -> None:
        self.charged.append(seconds)
        super().charge(seconds, share)

    def wait(self, turn: Turn, _: Share) -> Waiting:
        self.turns.append(turn)
        return Waiting(turn)


@pytest.mark.gen_test(timeout=20)
async def test_a_probe_is_answered_while_others_wait_for_their_turns(
    dial: Open, public: Listener
) -> None:
    rotation = Full()
    async with dial() as (reader, writer), dial() as (other_reader, other):
        await until(lambda: len(public._server._places) == 2)
        for stream, client in zip(public._server._places._addresses, (writer, other), strict=True):
            # The share counts from the second request on.
            client.write(_ASK)
            stream.take_turns(rotation, Share())
        assert (await answer(reader))[0] == (await answer(other_reader))[0] == 200
        other.write(_OTHER)
        await until(lambda: len(rotation.turns) == 1)
        for path in ("/healthz", "/readyz"):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await answer(reader))[0] == 200
        rotation.turns[0]()
        assert (await answer(other_reader))[0] == 404


@pytest.mark.gen_test(timeout=30)
async def test_requests_without_a_place_wait_for_no_turn_and_keep_no_probe_out(
    limit: Callable[..., None], dial: Open, busy: Open, public: Listener
) -> None:
    limit(http_connections=1)
    async with busy(), AsyncExitStack() as others:
        capacity = public._server._capacity
        assert isinstance(capacity, Capacity)
        capacity._rotation = Full()
        for _ in range(SPARE):
            reader, writer = await others.enter_async_context(dial())
            writer.write(_OTHER)
            assert (await answer(reader))[0] == 503
        async with dial() as (reader, writer):
            writer.write(_ASK)
            assert await answer(reader) == (200, b"ok")


@pytest.mark.gen_test(timeout=20)
async def test_who_gets_a_place_later_takes_turns_from_then_on(
    limit: Callable[..., None], dial: Open, busy: Open, public: Listener
) -> None:
    limit(http_connections=1)
    async with busy(), dial() as (reader, writer):
        capacity, rotation = public._server._capacity, Full()
        assert isinstance(capacity, Capacity)
        capacity._rotation = rotation
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        limit(http_connections=2)
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        writer.write(_OTHER)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        assert (await answer(reader))[0] == 404


@pytest.mark.gen_test(timeout=20)
async def test_nobody_behind_a_proxy_waits_behind_whom_it_served_before(
    budgets: Budgets, dial: Open, public: Listener, settings: Config
) -> None:
    rotation = Rotation(clock=time.monotonic)
    public._server._capacity = Capacity(budgets, frozenset({"127.0.0.1"}), rotation=rotation)
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        *_, stream = public._server._places._addresses
        own = stream._share
        writer.write(
            b"GET /api/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + token(settings, "anna", "host").encode()
            + b"\r\n\r\n"
        )
        assert (await answer(reader))[0] == 200
        assert stream._share is own
        assert own is not rotation.share(share_key("anna", "127.0.0.1"))


@pytest.mark.gen_test(timeout=20)
async def test_a_flood_of_probes_takes_turns(dial: Open, public: Listener) -> None:
    class Flooded(Full):
        """A rotation in which more probes than it has room for come in every turn of the loop."""

        def may_probe(self) -> bool:
            while super().may_probe():
                pass
            return False

    rotation = Flooded()
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, Share())
        writer.write(_ASK)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        assert (await answer(reader))[0] == 200


@pytest.mark.gen_test(timeout=20)
async def test_on_the_internal_listener_everything_but_rabbitmq_s_questions_takes_turns(
    gateway: Gateway,
) -> None:
    rotation = Full()
    listener = Listener(
        gateway.internal,
        what="server.internal_port",
        events=gateway.services.events,
        capacity=FixedCapacity(100, rotation=rotation),
    )
    listener.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    for path in ("/broker/auth/user?username=x&password=y", "/readyz"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await answer(reader))[0] == 200
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: len(rotation.turns) == 1)
    rotation.turns[0]()
    assert (await answer(reader))[0] == 200
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    await listener.close()


@pytest.mark.gen_test(timeout=20)
async def test_a_request_that_is_answered_at_once_counts_for_the_time_that_it_takes(
    dial: Open, public: Listener
) -> None:
    rotation, share = Rotation(clock=time.monotonic), Share()
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, share)
        for path in ("/", "/ws", "/nothing/here"):
            share.request = REQUEST
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await answer(reader))[0] in (200, 404, 426)
            assert share.request > REQUEST


@pytest.mark.gen_test(timeout=20)
async def test_what_a_connection_takes_before_it_has_a_whole_request_counts(
    dial: Open, public: Listener
) -> None:
    rotation = Full()
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, Share())
        writer.write(_ASK[:-4])
        await until(lambda: sum(rotation.charged) > 0)


@pytest.mark.gen_test(timeout=20)
async def test_each_chunk_of_a_body_counts(dial: Open, public: Listener) -> None:
    rotation, share = Full(), Share()
    async with dial() as (reader, writer):
        writer.write(_ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, share)
        head = b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"1\r\nx\r\n" * 5)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        # The sixth is waited for.
        await until(lambda: rotation.charged.count(_CHUNK) == 6)


@pytest.mark.gen_test(timeout=20)
async def test_accepting_has_a_part_of_a_turn_however_many_come_at_once(
    public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, (listening,) = public._server, public._sockets
    reading = itertools.count()
    with monkeypatch.context() as patched, ExitStack() as stack:
        # Each look at the clock finds it a third of that later.
        patched.setattr(http_server, "_now", lambda: next(reading) * ACCEPTING / 3)
        for _ in range(20):
            # The kernel connects them.
            stack.enter_context(socket.create_connection(("127.0.0.1", public.port)))
        # What the first three have taken leaves room for one at a time in this turn of the loop.
        for accepted in (3, 4, 5):
            server._accept(listening)
            assert len(server._places) == accepted
        assert isinstance(server._capacity, Capacity)
        server._capacity._rotation = Rotation(clock=time.monotonic)
        server._accept(listening)
        assert len(server._places) == 8
        await until(lambda: len(server._places) == 20)


@pytest.mark.gen_test(timeout=20)
async def test_an_answer_that_nobody_reads_makes_room_too(
    reading_nothing: Clients, dial: Open, limit: Callable[..., None]
) -> None:
    limit(http_connections=1)
    async with reading_nothing() as client, dial() as (reader, writer):
        writer.write(_OTHER)
        assert (await answer(reader))[0] == 404
        with pytest.raises(ConnectionResetError):
            await all_of(client)


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
@pytest.mark.gen_test(timeout=20)
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


@pytest.mark.gen_test(timeout=20)
async def test_half_a_request_of_a_client_that_has_closed_its_sending_side_is_over(
    dial: Open, public: Listener
) -> None:
    async with dial() as (reader, writer):
        writer.write(_ASK[:-2])
        writer.write_eof()
        assert await until_closed(reader) == b""
        await until(lambda: not len(public._server._places))


@pytest.mark.parametrize("size", [60_000, 900_000])
@pytest.mark.gen_test(timeout=20)
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


@pytest.mark.gen_test(timeout=20)
async def test_who_never_stops_sending_after_a_refusal_is_cut_off(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "_SECONDS", 0.2)
    async with dial() as (reader, writer):
        writer.write(b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nx")
        assert (await answer(reader))[0] == 401
        assert len(public._server.lingering) == 1
        await until(lambda: not len(public._server.lingering))


@pytest.mark.gen_test(timeout=20)
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


@pytest.mark.gen_test(timeout=20)
async def test_a_body_has_a_longest_time(
    half_a_body: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "BODY_LONGEST", 0.2)
    async with half_a_body() as (reader, _):
        assert (await answer(reader))[0] == 408


@pytest.fixture
def reading_nothing(
    public: Listener, settings: Config, room: str, call: Call, io_loop: IOLoop
) -> Clients:
    """A client that asks for a large page and takes none of it; little waits in the kernel."""

    async def fill() -> None:
        for _ in range(5):
            body = {"body": "x" * 60_000}
            assert (await call("POST", f"{room}/messages", user="anna", json=body)).status == 201

    io_loop.run_sync(fill)
    public._sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    @asynccontextmanager
    async def reading_nothing() -> AsyncIterator[socket.socket]:
        loop, before = asyncio.get_running_loop(), set(public._server._unsent)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", public.port))
            request = (
                f"GET {room}/messages HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {token(settings, 'anna')}\r\n\r\n"
            )
            await loop.sock_sendall(client, request.encode())
            await until(lambda: bool(public._server._unsent.keys() - before))
            yield client

    return reading_nothing


async def all_of(client: socket.socket) -> bytes:
    loop, got = asyncio.get_running_loop(), b""
    async with asyncio.timeout(10):
        while part := await loop.sock_recv(client, 65_536):
            got += part
    return got


@pytest.mark.gen_test(timeout=20)
async def test_who_does_not_read_an_answer_is_cut_off_and_who_does_is_not(
    reading_nothing: Clients, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_streams, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(http_streams, "ANSWER_BYTES", 100)
    async with reading_nothing() as slow, reading_nothing() as client:
        of_slow, of_client = public._server._unsent

        def is_cut_off() -> bool:
            # The other one reads little by little meanwhile.
            with suppress(BlockingIOError):
                client.recv(1024)
            return of_slow.closed()

        await until(is_cut_off)
        with pytest.raises(ConnectionResetError):
            await all_of(slow)
        assert list(public._server._unsent) == [of_client]


@pytest.mark.gen_test(timeout=20)
async def test_the_answers_that_nobody_takes_are_limited_in_all(
    reading_nothing: Clients, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = public._server
    async with reading_nothing() as first, reading_nothing():
        monkeypatch.setattr(http_server, "_UNSENT", server._unsent_bytes)
        of_first, of_second = server._unsent
        async with reading_nothing():
            assert of_first.closed()
            assert not of_second.closed()
        with pytest.raises(ConnectionResetError):
            await all_of(first)
    await until(lambda: not server._unsent)
    assert server._unsent_bytes == 0


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
        capacity=Capacity(Budgets(LiveLimits(Limits()), clock=time.monotonic)),
    )
    listener.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(said)
    # Whatever is said to that is no HTTP.
    assert not (await until_closed(reader)).startswith(b"HTTP")
    writer.close()
    await listener.close()
    assert not len(listener._server._places)


@pytest.mark.gen_test(timeout=20)
async def test_a_handshake_of_tls_beyond_the_rate_of_new_connections_is_not_begun(
    gateway: Gateway, tmp_path: Path
) -> None:
    pair = certificates.ensure(tmp_path)
    limits = Limits(http_connects_per_second=0.01, http_connects_burst=1)
    listener = Listener(
        gateway.public,
        what="server.port",
        events=gateway.services.events,
        tls=tls.for_clients(Tls(certificate=pair.certificate, key=pair.key)),
        capacity=Capacity(Budgets(LiveLimits(limits), clock=time.monotonic)),
    )
    listener.open("127.0.0.1", 0)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    where = ("localhost", listener.port)
    reader, writer = await asyncio.open_connection(*where, ssl=trusting, family=socket.AF_INET)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(*where, ssl=trusting, family=socket.AF_INET)
    writer.write(_ASK)
    assert await answer(reader) == (200, b"ok")
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    await listener.close()
    assert gateway.services.events.counts[Kind.REFUSAL, "too_many_connects", 429] == 1
