"""The share of one client: a limit in each turn of the loop, and a limit a second."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace

import pytest
from tornado.iostream import IOStream

from broker.protocol.stomp import Frame, serialise
from broker.protocol.websocket import Close, Data, Event, MessageReader, Opcode, build
from broker.timing.tasks import Tasks
from gateway import rotation
from gateway.config import Limits
from gateway.domain.identity import Identity
from gateway.errors import Draining
from gateway.live.client.allowance import TURN, Allowance
from gateway.live.client.connection import Connection
from gateway.live.client.registry import Registry
from gateway.live.client.socket import FRAMES_BEFORE_CONNECT, PAUSE, ClientSocket
from tests.budgets import budgets_of
from tests.integration.live.client.test_connection import SlowTokens, services
from tests.integration.live.relay.test_dialler import WHO
from tests.rotations import in_rotation
from tests.unit.broker.amqp_node import eventually

_MASK = b"mask"
_CONNECT = build(Opcode.TEXT, serialise("CONNECT", [("accept-version", "1.2")]), mask=_MASK)


def message(payload: bytes) -> bytes:
    return build(Opcode.TEXT, payload, mask=_MASK)


def repeated(frame: bytes, size: int = 60_000) -> bytes:
    return frame * (size // len(frame))


def many_in_one(stomp: bytes, size: int = 60_000) -> bytes:
    return message(repeated(stomp, size))


#: What costs the gateway more than it costs its sender.
FLOODS = {
    "empty text": repeated(message(b"")),
    "empty binary": repeated(build(Opcode.BINARY, b"", mask=_MASK)),
    "fragments of nothing": build(Opcode.TEXT, b"", fin=False, mask=_MASK)
    + repeated(build(Opcode.CONTINUATION, b"", fin=False, mask=_MASK)),
    "fragments of a byte": build(Opcode.TEXT, b"", fin=False, mask=_MASK)
    + repeated(build(Opcode.CONTINUATION, b"\n", fin=False, mask=_MASK)),
    "pings": repeated(build(Opcode.PING, b"", mask=_MASK)),
    "pongs": repeated(build(Opcode.PONG, b"", mask=_MASK)),
    "heart-beats": repeated(message(b"\n")),
}
#: The same, of STOMP; the gateway reads them only from those it knows.
STOMP_FLOODS = {
    "tiny frames in one message": many_in_one(b"ACK\nid:1\n\n\0"),
    "frames between line feeds": many_in_one(b"\nACK\nid:1\n\n\0\r\n"),
    "many headers": many_in_one(b"SEND\n" + b"a:b\n" * 99 + b"\n\0"),
    "subscribing and leaving": many_in_one(
        b"SUBSCRIBE\nid:1\ndestination:/topic/x\n\n\0UNSUBSCRIBE\nid:1\n\n\0"
    ),
}


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("flood", (FLOODS | STOMP_FLOODS).values(), ids=(FLOODS | STOMP_FLOODS))
@pytest.mark.gen_test
async def test_a_turn_of_one_client_is_short_whatever_it_sends(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Counter[str]()
    feed = MessageReader.feed

    def counted(self: MessageReader, data: bytes) -> Iterator[Event]:
        for event in feed(self, data):
            taken["events"] += 1
            yield event

    monkeypatch.setattr(MessageReader, "feed", counted)
    with pair() as (ours, _):
        client = ClientSocket(IOStream(ours), frame_bytes=65_536, stall_timeout=1, **in_rotation())
        client.introduced(rate=1e9, burst=1_000_000_000)
        turns = 0
        for frame in client.frames(flood):
            if isinstance(frame, Frame):
                taken["frames"] += 1
                taken["headers"] += len(frame.headers)
            assert taken["events"] <= TURN
            assert taken["frames"] <= TURN
            assert taken["headers"] <= TURN * 8 + 100
            if frame is PAUSE:
                client.allowance.end_turn(0.0)
                taken.clear()
                turns += 1
        assert turns >= 20
        client.close()


@asynccontextmanager
async def connected(
    registry: Registry,
    *,
    rate: float,
    burst: int,
    introduced: bool = True,
    user: str = WHO.user,
    turns: rotation.Rotation | None = None,
    tokens: SlowTokens | None = None,
) -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A client that has sent CONNECT, if it is ``introduced``, and read the answer."""
    given = services(tokens or SlowTokens(), registry, turns)
    given.limits.now = Limits(frame_bytes=10_000, frames_per_second=rate, frames_burst=burst)
    loop = asyncio.get_running_loop()
    with pair() as (ours, theirs):
        who = replace(WHO, user=user)
        connection = Connection(IOStream(ours), given, id="c", address="", host="", identity=who)
        registry.serve(connection, address="", user=who.user)
        if introduced:
            await loop.sock_sendall(theirs, _CONNECT)
            assert b"CONNECTED" in await loop.sock_recv(theirs, 65_536)
        yield connection, theirs
        await registry.close(Draining("the test is over"), within=0.01)


def fill(client: socket.socket, flood: bytes) -> int:
    """Send until nothing more is taken; the bytes that were."""
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += client.send(flood)
    return sent


def roomy() -> Registry:
    return Registry(budgets_of(), tasks=Tasks())


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.gen_test
async def test_a_flooding_client_has_no_more_than_its_share_of_each_turn_and_others_are_answered(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = Counter[Allowance]()
    most = Counter[Allowance]()
    spend = Allowance.spend

    def counted(self: Allowance, units: int) -> None:
        spent[self] += units
        spend(self, units)

    loop = asyncio.get_running_loop()
    watching = True

    def turn() -> None:
        for allowance, units in spent.items():
            most[allowance] = max(most[allowance], units)
        spent.clear()
        if watching:
            loop.call_soon(turn)

    registry = roomy()
    async with (
        connected(registry, rate=1.0, burst=1000) as (_, flooder),
        connected(registry, rate=1.0, burst=1000) as (_, neighbour),
    ):
        monkeypatch.setattr(Allowance, "spend", counted)
        turn()
        await loop.sock_sendall(flooder, flood)
        # What TCP takes beyond it stays where it is.
        fill(flooder, flood)
        for _ in range(20):
            await loop.sock_sendall(neighbour, build(Opcode.PING, b"here", mask=_MASK))
            async with asyncio.timeout(10):
                assert await loop.sock_recv(neighbour, 100) == build(Opcode.PONG, b"here")
        watching = False
        flooding = max(most, key=lambda allowance: most[allowance])
        # A turn, and what its last frame may take beyond it; a reader and a timer may meet in one.
        assert most[flooding] <= 2 * (TURN + 4)


@pytest.mark.gen_test
async def test_many_flooding_clients_together_have_no_more_of_a_turn_and_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock that only the work of clients advances."""
    cost = rotation.TURN / 100
    now = 0.0
    spent = Counter[int]()
    number = 0
    spend = Allowance.spend

    def counted(self: Allowance, units: int) -> None:
        nonlocal now
        now += units * cost
        spent[number] += units
        spend(self, units)

    loop = asyncio.get_running_loop()
    watching = True

    def turn() -> None:
        nonlocal number
        number += 1
        if watching:
            loop.call_soon(turn)

    monkeypatch.setattr(Allowance, "spend", counted)
    turns = rotation.Rotation(clock=lambda: now, cpu=lambda: now)
    registry = roomy()
    async with AsyncExitStack() as stack:
        flooders = [
            (
                await stack.enter_async_context(
                    connected(registry, rate=1.0, burst=100_000, user=f"flooder {n}", turns=turns)
                )
            )[1]
            for n in range(60)
        ]
        _, good = await stack.enter_async_context(
            connected(registry, rate=1.0, burst=1000, user="good", turns=turns)
        )
        spent.clear()
        turn()
        for flooder in flooders:
            fill(flooder, FLOODS["heart-beats"])
        waited = []
        for _ in range(20):
            before = number
            await loop.sock_sendall(good, build(Opcode.PING, b"here", mask=_MASK))
            async with asyncio.timeout(10):
                assert await loop.sock_recv(good, 100) == build(Opcode.PONG, b"here")
            waited.append(number - before)
        watching = False
        # What is read at once, and what has waited; the last client of each finishes its turn.
        assert max(spent.values()) <= 2 * (100 + TURN + 4)
        # While all of them flood: a round of theirs takes twenty turns of the loop.
        assert sorted(waited)[10] <= 5


@pytest.mark.gen_test
async def test_beyond_its_rate_a_client_is_not_read_and_not_closed() -> None:
    registry = roomy()
    loop = asyncio.get_running_loop()
    async with connected(registry, rate=0.001, burst=500) as (connection, client):
        sent = 0
        # Whatever has been read since would make room for more.
        while more := fill(client, FLOODS["pings"]):
            sent += more
            for _ in range(50):
                await asyncio.sleep(0)
        # What was taken into the process is one read, and of that 500 units were carried out.
        assert connection.snapshot().bytes_in <= len(_CONNECT) + 65_536 < sent
        assert not connection.writer.listening
        answered = await loop.sock_recv(client, 65_536)
        assert len(answered) // len(build(Opcode.PONG, b"")) <= (500 + TURN) // 3
        assert connection in registry


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.gen_test
async def test_before_connect_a_client_has_a_small_budget_and_is_told_so(flood: bytes) -> None:
    registry = roomy()
    loop = asyncio.get_running_loop()
    async with connected(registry, rate=1.0, burst=1, introduced=False) as (_, client):
        await loop.sock_sendall(client, flood)
        heard = b""
        async with asyncio.timeout(10):
            while b"connect_first" not in heard or not heard.endswith(b"\x03\xea"):
                heard += await loop.sock_recv(client, 65_536)
        *pongs, error, close = MessageReader(65_536, masked=False).feed(heard)
        assert len(pongs) <= FRAMES_BEFORE_CONNECT
        assert isinstance(error, Data)
        assert error.payload.startswith(b"ERROR\nmessage:connect_first\n")
        assert close == Close(1002, "")


@pytest.mark.gen_test
async def test_a_connect_in_many_pieces_is_taken_all_the_same() -> None:
    registry = roomy()
    loop = asyncio.get_running_loop()
    connect = serialise("CONNECT", [("accept-version", "1.2")])
    pieces = [connect[at : at + 1] for at in range(len(connect))]
    async with connected(registry, rate=1.0, burst=1, introduced=False) as (_, client):
        for number, piece in enumerate(pieces):
            opcode = Opcode.CONTINUATION if number else Opcode.TEXT
            last = number == len(pieces) - 1
            await loop.sock_sendall(client, build(opcode, piece, fin=last, mask=_MASK))
        async with asyncio.timeout(10):
            assert b"CONNECTED" in await loop.sock_recv(client, 65_536)


@pytest.mark.gen_test
async def test_more_bytes_than_a_frame_may_have_do_not_pass_before_connect() -> None:
    registry = roomy()
    loop = asyncio.get_running_loop()
    async with connected(registry, rate=1.0, burst=1, introduced=False) as (_, client):
        # services() allows 10,000 bytes a frame.
        for _ in range(2):
            await loop.sock_sendall(client, message(b"\n" * 6_000))
        async with asyncio.timeout(10):
            assert b"connect_first" in await loop.sock_recv(client, 65_536)


class Counting(SlowTokens):
    """A checker that counts the tokens."""

    checked = 0

    async def verify(self, token: str) -> Identity:
        self.checked += 1
        return self.who


class Full(rotation.Rotation):
    """A rotation in which so many turns are ``left``, and others wait in ``turns``."""

    def __init__(self, left: int) -> None:
        super().__init__(clock=time.monotonic)
        self.left = left
        self.turns: list[rotation.Turn] = []

    def may_work(self, share: rotation.Share) -> bool:
        self.left -= 1
        return self.left >= 0

    def wait(
        self, turn: rotation.Turn, share: rotation.Share, line: rotation.Line | None = None
    ) -> rotation.Waiting:
        self.turns.append(turn)
        return rotation.Waiting(turn)


@pytest.mark.gen_test
async def test_frames_that_have_to_wait_are_no_way_past_the_turns_of_others() -> None:
    tokens, turns = Counting(), Full(left=1_000)
    renewal = serialise("SEND", [("destination", "/gateway/token")], b"a token")
    async with connected(roomy(), rate=1e9, burst=1_000_000, turns=turns, tokens=tokens) as (
        _,
        client,
    ):
        turns.left = 1
        await asyncio.get_running_loop().sock_sendall(client, message(renewal * 3))
        for checked in (1, 2, 3):
            await eventually(lambda: len(turns.turns) == checked)  # noqa: B023
            assert tokens.checked == checked
            turns.turns[-1]()
