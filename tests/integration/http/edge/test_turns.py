"""Turns: how much of the loop's time connections and requests have, and who is served first."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack, ExitStack

import pytest

from gateway import rotation as rotation_of_clients
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.http import base
from gateway.http import server as http_server
from gateway.http import streams as http_streams
from gateway.http.api import ApiHandler
from gateway.http.listeners import Listener
from gateway.http.server import ACCEPTING, SPARE, Capacity, FixedCapacity, Server
from gateway.http.streams import _CHUNK, PIECES
from gateway.limits import LiveLimits
from gateway.rotation import HELD, REQUEST, Line, Rotation, Share, Turn, Waiting, share_key
from tests.integration.http.conftest import LOOPBACK, Call, token
from tests.integration.http.edge.clients import ASK, OTHER, Open, answer, until, until_closed


class Full(Rotation):
    """A rotation with no room left: whatever comes waits in ``turns``, but for one share."""

    def __init__(self, *, open_to: Share | None = None) -> None:
        super().__init__(clock=time.monotonic)
        self.turns: list[Turn] = []
        self.lines: list[Line | None] = []
        self.charged: list[float] = []
        self._open_to = open_to

    def may_work(self, share: Share) -> bool:
        return share is self._open_to

    def charge(self, seconds: float, share: Share, line: Line | None = None) -> None:
        self.charged.append(seconds)
        super().charge(seconds, share, line)

    def wait(self, turn: Turn, _: Share, line: Line | None = None) -> Waiting:
        self.turns.append(turn)
        self.lines.append(line)
        return Waiting(turn)


@pytest.mark.gen_test
async def test_a_probe_is_answered_while_others_wait_for_their_turns(
    dial: Open, public: Listener
) -> None:
    rotation = Full()
    async with dial() as (reader, writer), dial() as (other_reader, other):
        await until(lambda: len(public._server._places) == 2)
        for stream, client in zip(public._server._places._addresses, (writer, other), strict=True):
            # The share counts from the second request on.
            client.write(ASK)
            stream.take_turns(rotation, Share())
        assert (await answer(reader))[0] == (await answer(other_reader))[0] == 200
        other.write(OTHER)
        await until(lambda: len(rotation.turns) == 1)
        for path in ("/healthz", "/readyz"):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await answer(reader))[0] == 200
        rotation.turns[0]()
        assert (await answer(other_reader))[0] == 404


@pytest.mark.gen_test
async def test_a_probe_among_many_waits_beside_what_its_connection_has_had_for_requests(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation_of_clients, "PROBING", 0.0)
    rotation = Full()
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        writer.write(ASK)
        stream.take_turns(rotation, Share())
        assert (await answer(reader))[0] == 200
        for path in (b"/healthz", b"/nothing"):
            waiting = len(rotation.turns)
            writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            await until(lambda: len(rotation.turns) > waiting)  # noqa: B023
            rotation.turns[-1]()
            await answer(reader)
    assert rotation.lines == [None, stream]


@pytest.mark.parametrize(
    ("beside", "status", "code"), [(23, 503, "no_capacity"), (25, 429, "rate_limited")]
)
@pytest.mark.gen_test
async def test_a_request_whose_turn_does_not_come_in_time_is_refused_and_never_served(
    beside: int,
    status: int,
    code: str,
    dial: Open,
    public: Listener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside many of the same client it is that client's doing."""
    monkeypatch.setattr(http_streams, "TURN_SECONDS", 0.1)
    rotation, share = Full(), Share()
    for number in range(beside):
        share.add(Waiting(lambda: None), None, number)
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        # The share counts from the second request on.
        stream.take_turns(rotation, share)
        writer.write(ASK + OTHER)
        assert (await answer(reader))[0] == 200
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"\r\nRetry-After: 5\r\n" in head
        assert json.loads(await until_closed(reader))["code"] == code
        await until(lambda: not public._server._places)
    # What was read of it counts, and its turn, should it come yet, is over.
    assert share.lately >= REQUEST
    (turn,) = rotation.turns
    turn()
    assert len(rotation.turns) == 1


@pytest.mark.gen_test
async def test_requests_without_a_place_wait_for_no_turn_and_keep_no_probe_out(
    limit: Callable[..., None], dial: Open, busy: Open, public: Listener
) -> None:
    limit(http_connections=1)
    async with busy(), AsyncExitStack() as others:
        capacity = public._server._capacity
        assert isinstance(capacity, Capacity)
        capacity._rotation = Full(open_to=capacity._accepting)
        for _ in range(SPARE):
            reader, writer = await others.enter_async_context(dial())
            writer.write(OTHER)
            assert (await answer(reader))[0] == 503
        async with dial() as (reader, writer):
            writer.write(ASK)
            assert await answer(reader) == (200, b"ok")


@pytest.mark.gen_test
async def test_who_gets_a_place_later_takes_turns_from_then_on(
    limit: Callable[..., None], dial: Open, busy: Open, public: Listener
) -> None:
    limit(http_connections=1)
    async with busy(), dial() as (reader, writer):
        capacity, rotation = public._server._capacity, Full()
        assert isinstance(capacity, Capacity)
        capacity._rotation = rotation
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        limit(http_connections=2)
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        writer.write(OTHER)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        assert (await answer(reader))[0] == 404


class Asked(Rotation):
    """A rotation that remembers the keys of those whose requests have come."""

    def __init__(self) -> None:
        super().__init__(clock=time.monotonic)
        self.whose: list[Hashable] = []

    def may_work(self, share: Share) -> bool:
        self.whose += (key for key, one in self._shares.items() if one is share)
        return True


@pytest.mark.gen_test
async def test_behind_a_proxy_each_request_takes_a_turn_of_its_own_client(
    budgets: Budgets, dial: Open, gateway: Gateway, public: Listener, settings: Config
) -> None:
    """Otherwise one client would have as many shares as the proxy has connections, and others would
    wait for what it has had on theirs."""
    rotation = Asked()
    known = gateway.services.credentials.claimed
    proxies = frozenset({"127.0.0.1", "192.0.2.1"})
    public._server._capacity = Capacity(budgets, proxies, rotation=rotation, known=known)
    anna = f"Authorization: Bearer {token(settings, 'anna', 'host')}"
    async with dial() as (reader, writer):
        rotation.whose.clear()
        for header in (
            "X-Forwarded-For: 198.51.100.9, 203.0.113.7",
            "X-Forwarded-For: 203.0.113.8, 192.0.2.1",
            anna,
            # Who that is was found out by the one before.
            anna,
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-For: nobody",
        ):
            writer.write(f"GET /api/rooms HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
            assert (await answer(reader))[0] in (200, 401)
    assert rotation.whose == [
        ("address", "203.0.113.7"),
        ("address", "203.0.113.8"),
        ("address", "127.0.0.1"),
        ("user", "anna"),
        ("address", "203.0.113.7"),
        ("address", "127.0.0.1"),
    ]


@pytest.mark.gen_test
async def test_a_first_request_takes_a_turn_of_its_user_where_nobody_has_to_be_asked(
    budgets: Budgets, call: Call, dial: Open, gateway: Gateway, public: Listener, settings: Config
) -> None:
    """A whole school may have one address: one machine there must not keep the others waiting."""
    rotation, credentials = Asked(), gateway.services.credentials
    proof = {"token": token(settings, "anna")}
    cookie = (await call("POST", "/api/session", json=proof)).headers["Set-Cookie"].split(";")[0]
    # As on another gateway, or after a start.
    credentials.forget_sessions()
    public._server._capacity = Capacity(budgets, rotation=rotation, known=credentials.claimed)
    address = ("address", "127.0.0.1")
    for header, whose in (
        (f"Cookie: {cookie}", ("user", "anna")),
        (f"Cookie: {cookie[:-2]}xx", address),
        (f"Authorization: Bearer {token(settings, 'bob')}", address),
        (f"Authorization: Bearer none\r\nCookie: {cookie}", address),
        ("Cookie", address),
    ):
        async with dial() as (reader, writer):
            rotation.whose.clear()
            writer.write(f"GET /api/session HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            assert rotation.whose[-1] == whose, header


@pytest.mark.gen_test
async def test_a_flood_of_probes_takes_turns(dial: Open, public: Listener) -> None:
    class Flooded(Full):
        """A rotation in which more probes than it has room for come in every turn of the loop."""

        def may_probe(self, share: Share) -> bool:
            while super().may_probe(Share()):
                pass
            return super().may_probe(share)

    rotation = Flooded()
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, Share())
        writer.write(ASK)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        assert (await answer(reader))[0] == 200


@pytest.mark.gen_test
async def test_a_head_that_comes_in_many_pieces_is_read_in_turns(
    dial: Open, public: Listener
) -> None:
    rotation = Full()
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, Share())
        for number in range(PIECES):
            writer.write(ASK[number : number + 1])
            await until(lambda: stream._read_buffer_size == number + 1)  # noqa: B023
        assert not rotation.turns
        writer.write(ASK[PIECES : PIECES + 1])
        await until(lambda: len(rotation.turns) == 1)
        # It stays in the socket, with what comes behind it, until it is its turn.
        writer.write(ASK[PIECES + 1 :])
        assert stream._read_buffer_size == PIECES
        rotation.turns[0]()
        assert (await answer(reader))[0] == 200
        # The next head begins anew.
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        assert len(rotation.turns) == 1


@pytest.mark.gen_test
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
    listener.open(LOOPBACK)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    for path in ("/broker/auth/user?username=x&password=y", "/readyz"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await answer(reader))[0] == 200
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: len(rotation.turns) == 1)
    rotation.turns[0]()
    assert (await answer(reader))[0] == 200
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    await listener.close()


@pytest.mark.gen_test
async def test_a_request_that_is_answered_at_once_counts_for_the_time_that_it_takes(
    dial: Open, public: Listener
) -> None:
    rotation, share = Rotation(clock=time.monotonic), Share()
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, share)
        for path in ("/", "/ws", "/nothing/here"):
            share.request = REQUEST
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert (await answer(reader))[0] in (200, 404, 426)
            assert share.request > REQUEST


@pytest.mark.gen_test
async def test_what_a_connection_takes_before_it_has_a_whole_request_counts(
    dial: Open, public: Listener
) -> None:
    rotation = Full()
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, Share())
        writer.write(ASK[:-4])
        await until(lambda: sum(rotation.charged) > 0)


@pytest.mark.gen_test
async def test_each_chunk_of_a_body_counts(dial: Open, public: Listener) -> None:
    rotation, share = Full(), Share()
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, share)
        head = b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"1\r\nx\r\n" * 5)
        await until(lambda: len(rotation.turns) == 1)
        rotation.turns[0]()
        # The sixth is waited for.
        await until(lambda: rotation.charged.count(_CHUNK) == 6)


@pytest.mark.gen_test
async def test_accepting_has_a_part_of_a_turn_however_many_come_at_once(
    public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, (listening,) = public._server, public._sockets.opened
    reading = itertools.count()
    with monkeypatch.context() as patched, ExitStack() as stack:
        # Each look at the clock finds it a third of that later.
        patched.setattr(http_server, "_now", lambda: next(reading) * ACCEPTING / 3)
        for _ in range(20):
            # The kernel connects them.
            stack.enter_context(socket.create_connection(("127.0.0.1", public.port)))
        assert isinstance(server._capacity, Capacity)
        server._capacity._rotation = Rotation(clock=time.monotonic)
        server._accept(listening)
        assert len(server._places) == 3
        # While others have all of a turn, accepting waits for one of its own; until then the
        # listener is not asked again.
        server._capacity._rotation = rotation = Full()
        server._accept(listening)
        assert (len(server._places), len(rotation.turns)) == (3, 1)
        assert not asyncio.get_running_loop().remove_reader(listening.fileno())
        server._capacity._rotation = Rotation(clock=time.monotonic)
        rotation.turns[0]()
        assert len(server._places) == 6
        await until(lambda: len(server._places) == 20)


@pytest.mark.gen_test
async def test_a_listener_accepts_on_after_a_turn_that_failed(
    dial: Open, public: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, (listening,) = public._server, public._sockets.opened
    assert isinstance(server._capacity, Capacity)
    server._capacity._rotation = rotation = Full()
    server._accept(listening)
    with monkeypatch.context() as patched:
        patched.setattr(Server, "_has_descriptors", property(_no_memory))
        with pytest.raises(OSError, match="no memory"):
            rotation.turns[0]()
    server._capacity._rotation = None
    async with dial() as (reader, writer):
        writer.write(ASK)
        assert (await answer(reader))[0] == 200


def _no_memory(_: Server) -> bool:
    raise OSError("no memory")


@pytest.mark.gen_test(timeout=20)
async def test_what_an_unknown_client_has_had_counts_for_the_user_that_it_is(
    dial: Open, public: Listener, settings: Config
) -> None:
    rotation, unknown = Rotation(clock=time.monotonic), Share()
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        stream.take_turns(rotation, unknown)
        bearer = token(settings, "kim").encode()
        writer.write(
            b"GET /api/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % bearer
        )
        assert (await answer(reader))[0] == 200
    assert unknown.lately >= REQUEST
    assert rotation.share(share_key("kim", "127.0.0.1")).lately >= REQUEST


class Asking(Rotation):
    """A rotation in which everybody asks for much, or nobody."""

    much = True

    def asks_for_much(self, share: Share) -> bool:
        return self.much

    def may_work(self, share: Share) -> bool:
        return True


@pytest.mark.gen_test
async def test_who_asks_for_much_hears_of_a_refusal_by_a_rate_later(
    dial: Open,
    limits: LiveLimits,
    monkeypatch: pytest.MonkeyPatch,
    public: Listener,
    settings: Config,
) -> None:
    limits.now = settings.limits.model_copy(update={"rooms_per_minute": 1.0, "rooms_burst": 1})
    held, let_go = asyncio.Event(), asyncio.Event()

    async def pause(_: object, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncio.wait's own
        assert timeout == pytest.approx(HELD)
        held.set()
        await let_go.wait()

    # Only what this module waits for.
    monkeypatch.setattr(base, "wait", pause)
    rotation = Asking(clock=time.monotonic)
    body = b'{"title": "Biology"}'
    create = (
        b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + token(settings, "anna", "host").encode() + b"\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    async with dial() as (reader, writer), dial() as (other_reader, other):
        await until(lambda: len(public._server._places) == 2)
        for stream in public._server._places._addresses:
            stream.take_turns(rotation, Share())
        writer.write(create)
        assert (await answer(reader))[0] == 201
        writer.write(create + OTHER)
        async with asyncio.timeout(10):
            await held.wait()
        # Others are served meanwhile, and what asks for little hears at once.
        rotation.much = False
        other.write(create)
        assert (await answer(other_reader))[0] == 429
        let_go.set()
        status, refusal = await answer(reader)
        assert (status, json.loads(refusal)["code"]) == (429, "too_many_rooms")
        assert (await answer(reader))[0] == 404


@pytest.mark.gen_test
async def test_no_body_is_kept_of_a_request_whose_refusal_is_kept_back(
    dial: Open,
    limits: LiveLimits,
    monkeypatch: pytest.MonkeyPatch,
    public: Listener,
    settings: Config,
) -> None:
    limits.now = settings.limits.model_copy(update={"body_bytes_per_user": 1})
    refuse, kept = ApiHandler._refuse, []

    async def refuse_later(handler: ApiHandler, held: GatewayError) -> None:
        kept.append(bytes(handler._received))
        await refuse(handler, held)

    monkeypatch.setattr(ApiHandler, "_refuse", refuse_later)
    body = b'{"title": "Biology"}'
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        stream.take_turns(Asking(clock=time.monotonic), Share())
        writer.write(
            b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + token(settings, "anna", "host").encode() + b"\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        status, refusal = await answer(reader)
    assert (status, json.loads(refusal)["code"]) == (429, "too_many_posts")
    assert kept == [b""]


@pytest.mark.gen_test
async def test_who_waits_for_a_refusal_makes_room_for_others(
    limit: Callable[..., None],
    dial: Open,
    limits: LiveLimits,
    monkeypatch: pytest.MonkeyPatch,
    public: Listener,
    settings: Config,
) -> None:
    monkeypatch.setattr(rotation_of_clients, "HELD", 60.0)
    monkeypatch.setattr(rotation_of_clients, "LONGEST_HELD", 60.0)
    limit(http_connections=1)
    limits.now = settings.limits.model_copy(update={"body_bytes_per_user": 1})
    async with dial() as (reader, writer):
        await until(lambda: len(public._server._places) == 1)
        (stream,) = public._server._places._addresses
        stream.take_turns(Asking(clock=time.monotonic), Share())
        bearer = token(settings, "anna", "host").encode()
        writer.write(
            b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: 2\r\n\r\n{}" % bearer
        )
        # It is refused, and has come as a whole.
        await until(lambda: stream._is_dispensable and stream._close_callback is not None)
        async with dial() as (other_reader, other):
            other.write(OTHER)
            assert (await answer(other_reader))[0] == 404
        assert await until_closed(reader) == b""
