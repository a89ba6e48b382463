"""A connection that is ended while something is being found out."""

import asyncio
import logging
import math
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import SystemRandom
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import ANY

import pytest
from tornado.iostream import IOStream

from broker.protocol.stomp import serialise
from broker.protocol.websocket import Close, Data, Event, MessageReader, Opcode, build
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import Topology
from gateway.auth.ended import EndedSessions
from gateway.auth.origins import Origins
from gateway.auth.revocations import AccessEnded
from gateway.budget.table import BACKLOG, HALF_READ, SUBSCRIPTIONS, UPGRADES, Budget
from gateway.config import Limits
from gateway.domain.identity import Identity
from gateway.errors import (
    Draining,
    GatewayError,
    Kicked,
    Removed,
    SessionEnded,
    TokenExpired,
    Unavailable,
)
from gateway.limits import LiveLimits
from gateway.live.bytes_in_hand import BytesInHand
from gateway.live.client.connection import Connection
from gateway.live.client.registry import Registry
from gateway.live.client.services import Admission, ConnectionServices, Routes
from gateway.live.client.virtual_host import VirtualHosts
from gateway.live.relay.uplink import UplinkContext
from gateway.observe.events import Events
from gateway.observe.journal import Journal
from gateway.poller import Poller
from gateway.rotation import Rotation
from tests.budgets import budgets_of
from tests.integration.live.relay.test_dialler import WHO
from tests.rotations import rotation
from tests.unit.broker.amqp_node import eventually

_UNUSED = cast("Any", None)


class SlowTokens:
    """A checker of tokens that answers when the test wants it.

    ``error``: what a token is refused for.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.who = WHO
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def verify(self, token: str) -> Identity:
        self.asked.set()
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return self.who


class NoEarlyDials:
    """Nobody is known to need a relay."""

    def begin(self, who: Identity, version: str, *, address: str) -> None:
        return None


def in_hand(budget: Budget, **limits: int) -> BytesInHand:
    return BytesInHand(budget, LiveLimits(Limits(**limits)), met=Counter())


def services(
    tokens: SlowTokens,
    registry: Registry,
    turns: Rotation | None = None,
    ended: AccessEnded | None = None,
) -> ConnectionServices:
    budgets = budgets_of(subscriptions=1)
    return ConnectionServices(
        admission=Admission(
            tokens=tokens,
            ended=EndedSessions(clock=lambda: 0.0) if ended is None else ended,
            rabbitmq=None,
            virtual_hosts=VirtualHosts("/", Origins([])),
            registry=registry,
            upgrades=budgets.rate(UPGRADES),
            subscriptions=budgets.cap(SUBSCRIPTIONS),
            met=budgets.met,
            connect_timeout=10,
        ),
        routes=Routes(
            topology=Topology(),
            judge=_UNUSED,
            intake=_UNUSED,
            hub=_UNUSED,
            patterns=_UNUSED,
            attendance=_UNUSED,
            copies=_UNUSED,
            uplinks=cast(UplinkContext, SimpleNamespace(early=NoEarlyDials())),
        ),
        limits=LiveLimits(
            Limits(
                frame_bytes=10_000,
                frames_per_second=1000,
                frames_burst=1000,
                stall_timeout=10,
            )
        ),
        bytes_in_hand=(
            in_hand(BACKLOG, backlog_bytes_per_user=30_000_000),
            in_hand(HALF_READ, half_read_bytes_per_user=5_000),
        ),
        poller=Poller(),
        ticker=Ticker(),
        rotation=turns or rotation(),
        events=Events(clock=lambda: 0.0),
        journal=Journal(clock=lambda: 0.0),
        clock=lambda: 0.0,
        rng=SystemRandom(),
        tasks=Tasks(),
    )


class Client:
    """A client of a connection over a socket pair; it has said CONNECT."""

    def __init__(self, connection: Connection, registry: Registry, theirs: socket.socket) -> None:
        self.connection, self.registry = connection, registry
        self._socket = theirs
        self._loop = asyncio.get_running_loop()

    async def says(self, opcode: Opcode, payload: bytes) -> None:
        await self._loop.sock_sendall(self._socket, build(opcode, payload, mask=b"mask"))

    async def hears_to_the_end(self) -> bytes:
        """All frames, those after the close included."""
        await self.says(Opcode.CLOSE, b"")
        return await self.hears_until_cut_off()

    async def hears_until_cut_off(self) -> bytes:
        heard = b""
        while data := await self._loop.sock_recv(self._socket, 65_536):
            heard += data
        return heard

    async def hears_goodbye(self) -> list[Event]:
        """All events up to our Close, which it answers."""
        reader, heard = MessageReader(100_000, masked=False), list[Event]()
        while not any(isinstance(event, Close) for event in heard):
            heard += reader.feed(await self._loop.sock_recv(self._socket, 65_536))
        assert await self.hears_to_the_end() == b""
        return heard

    async def hears(self, wanted: bytes) -> None:
        heard = b""
        while wanted not in heard:
            heard += await self._loop.sock_recv(self._socket, 65_536)

    async def takes_what_is_left(self) -> int:
        """The number of bytes that still come, once the connection is gone."""
        size = 0
        with suppress(ConnectionResetError):
            while data := await self._loop.sock_recv(self._socket, 65_536):
                size += len(data)
        return size

    async def is_refused(self) -> tuple[str, dict[str, str], int]:
        """The command and the headers of what is said first, and the code of the close."""
        reader = MessageReader(10_000, masked=False)
        heard: list[Event] = []
        async with asyncio.timeout(10):
            while not any(isinstance(event, Close) for event in heard):
                heard += reader.feed(await self._loop.sock_recv(self._socket, 65_536))
        said, close = heard[0], heard[-1]
        assert isinstance(said, Data)
        assert isinstance(close, Close)
        assert await self.hears_to_the_end() == b""
        command, *lines = bytes(said.payload).decode().split("\n\n")[0].split("\n")
        return command, dict(line.split(":", 1) for line in lines), close.code


#: Bytes that the client's own machine takes for it; Linux doubles them.
_TAKEN = 65_536


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TAKEN)
        theirs.connect(server.getsockname())
        ours, _ = server.accept()
    return ours, theirs


@asynccontextmanager
async def connecting(
    tokens: SlowTokens,
    *headers: tuple[str, str],
    identity: Identity | None = None,
    pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
    says_connect: bool = True,
    changed: Callable[[ConnectionServices], ConnectionServices] = lambda made: made,
    ended: AccessEnded | None = None,
) -> AsyncIterator[Client]:
    ours, theirs = pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    registry = Registry(budgets_of(connections=1), tasks=Tasks())
    connection = Connection(
        IOStream(ours),
        changed(services(tokens, registry, ended=ended)),
        id="c",
        address="",
        host="",
        identity=identity,
    )
    registry.serve(connection, address="", user=None if identity is None else identity.user)
    client = Client(connection, registry, theirs)
    sent = [("accept-version", "1.2"), ("passcode", "token"), *headers]
    if says_connect:
        await client.says(Opcode.TEXT, serialise("CONNECT", sent))
    try:
        yield client
    finally:
        theirs.close()


@pytest.mark.gen_test
async def test_a_token_whose_key_cannot_be_judged_now_is_told_to_come_again() -> None:
    tokens = SlowTokens(Unavailable("the key is unknown; try again later", retry_after=20.0))
    tokens.answer.set()
    async with connecting(tokens) as client:
        _, headers, code = await client.is_refused()
    assert headers["message"] == "unavailable"
    assert 20_000 < int(headers["retry-after"]) <= 25_000
    assert code == 1013


@pytest.mark.parametrize("identity", [WHO, None], ids=["cookie", "token"])
@pytest.mark.gen_test
async def test_a_page_that_believes_to_be_somebody_else_is_told_and_closed(
    identity: Identity | None,
) -> None:
    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens, ("interact-user", "a:b"), identity=identity) as client:
        command, headers, code = await client.is_refused()
    assert (command, headers["message"], code) == ("ERROR", "user_changed", 4001)


@pytest.mark.gen_test
async def test_the_journal_has_who_came_in_and_how_they_left_and_the_log_says_the_user(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    journal = Journal(clock=lambda: 0.0)

    def kept(made: ConnectionServices) -> ConnectionServices:
        made.events.observe(journal.note)
        return replace(made, journal=journal)

    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens, changed=kept) as client:
        await client.hears(b"CONNECTED")
        await client.says(Opcode.CLOSE, (1001).to_bytes(2))
        await client.hears_until_cut_off()
    came, left = journal.take(9)
    assert (came.kind, came.user, came.connection) == ("connection", WHO.user, "c")
    assert (left.kind, left.code, left.user) == ("close", "left", WHO.user)
    assert (left.status, left.client_status) == (1000, 1001)
    assert left.bytes_in
    assert f"closing with 1000, user {WHO.user}: the client has asked for it" in caplog.text


@pytest.mark.gen_test
async def test_an_order_that_comes_while_connect_is_looked_at_counts() -> None:
    """The connection has no user yet, so nothing could end it from outside."""
    tokens, ended = SlowTokens(), EndedSessions(clock=lambda: 0.0)
    tokens.who = replace(WHO, session="s")
    async with connecting(tokens, ended=ended) as client:
        await tokens.asked.wait()
        ended.add("s", until=math.inf)
        tokens.answer.set()
        command, headers, code = await client.is_refused()
    assert (command, headers["message"], code) == ("ERROR", "session_ended", 4001)


@pytest.mark.parametrize("half_a_frame", [b"", b"CONNECT\naccept-version:1.2\n\n"])
@pytest.mark.gen_test
async def test_a_socket_of_the_handshake_does_not_outlive_its_token_before_connect(
    half_a_frame: bytes,
) -> None:
    ends_soon = replace(WHO, expires_at=0.3)
    async with connecting(SlowTokens(), identity=ends_soon, says_connect=False) as client:
        if half_a_frame:
            await client.says(Opcode.TEXT, half_a_frame)
        async with asyncio.timeout(20):
            command, headers, code = await client.is_refused()
    assert (command, headers["message"], code) == ("ERROR", "token_expired", 4001)


@pytest.mark.gen_test
async def test_a_socket_of_the_handshake_is_its_users_before_connect() -> None:
    async with connecting(SlowTokens(), identity=WHO, says_connect=False) as client:
        assert client.registry.end_user(WHO.user, Kicked("by an admin")) == 1
        assert (await client.is_refused())[1:] == (ANY, 4003)
        assert client.registry.end_user(WHO.user, Kicked("by an admin")) == 0


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ((("login", "somebody else"),), "credentials_differ"),
        ((("login", "guest"),), "credentials_differ"),
        ((("login", WHO.user),), None),
        ((("login", ""),), None),
        ((), None),
    ],
)
@pytest.mark.gen_test
async def test_a_login_that_names_another_user_than_the_handshake_is_refused(
    headers: tuple[tuple[str, str], ...], told: str | None
) -> None:
    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens, *headers, identity=WHO) as client:
        if told is None:
            await client.hears(b"CONNECTED")
            await client.hears_to_the_end()
        else:
            _, heard, code = await client.is_refused()
            assert (heard["message"], code) == (told, 4003)


@pytest.mark.parametrize(
    ("token_of", "error", "told"),
    [
        ("somebody else", None, ("credentials_differ", 4003)),
        (WHO.user, TokenExpired("the token has expired"), ("token_expired", 4001)),
    ],
)
@pytest.mark.gen_test
async def test_a_passcode_that_is_not_the_handshakes_users_is_refused(
    token_of: str, error: Exception | None, told: tuple[str, int]
) -> None:
    tokens = SlowTokens(error)
    tokens.answer.set()
    async with connecting(tokens, identity=replace(WHO, user=token_of)) as client:
        _, headers, code = await client.is_refused()
    assert (headers["message"], code) == told


class BrokenOffTokens(SlowTokens):
    """Ends as aiormq ends who waits: by a cancellation that was meant for nobody; or by a fault."""

    async def verify(self, token: str) -> Identity:
        raise self.error or asyncio.CancelledError


@pytest.mark.parametrize("fault", [None, KeyError("nobody foresaw it")])
@pytest.mark.gen_test
async def test_a_frame_whose_handling_breaks_off_ends_the_connection_with_a_reason(
    fault: Exception | None,
) -> None:
    """Not even by a cancellation that was meant for nobody: what came after would wait for ever."""
    async with connecting(BrokenOffTokens(fault)) as client:
        command, headers, code = await client.is_refused()
    assert (command, headers["message"], code) == ("ERROR", "internal_error", 1011)


@pytest.mark.gen_test
async def test_nothing_is_said_after_close_to_one_whose_token_was_still_looked_at() -> None:
    tokens = SlowTokens()
    async with connecting(tokens) as client:
        await tokens.asked.wait()
        client.connection.end(Draining("leaving"))
        tokens.answer.set()
        heard = await client.hears_to_the_end()
    said, close = MessageReader(10_000, masked=False).feed(heard)
    assert isinstance(said, Data)
    assert said.payload.startswith(b"ERROR\n")
    assert isinstance(close, Close)
    assert b"CONNECTED" not in heard
    assert len(client.registry) == 0


@pytest.mark.gen_test
async def test_a_client_that_answers_our_close_is_let_go_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.client.socket._LINGER", 60.0)
    async with connecting(SlowTokens()) as client:
        client.connection.end(Draining("leaving"))
        async with asyncio.timeout(20):
            await client.hears_to_the_end()
    assert len(client.registry) == 0


@pytest.mark.gen_test
async def test_a_client_that_does_not_answer_our_close_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.client.socket._LINGER", 0.05)
    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens) as client:
        client.connection.end(Draining("leaving"))
        async with asyncio.timeout(20):
            assert b"ERROR\n" in await client.hears_until_cut_off()
    assert len(client.registry) == 0


_ENDS = [
    Removed("you are no member of the room any more"),
    Kicked("an admin has ended the connection"),
    SessionEnded("you have logged out"),
    TokenExpired("the token has ended"),
]
#: A message, and how many of them are queued: more than the kernel takes by far.
_MESSAGE, _QUEUED = build(Opcode.TEXT, bytes(10_000)), 2_000


@asynccontextmanager
async def behind() -> AsyncIterator[Client]:
    """A client for which 20 MB are queued."""
    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens, pair=tcp_pair) as client:
        await client.hears(b"CONNECTED")
        for _ in range(_QUEUED):
            client.connection.writer.write(_MESSAGE)
        assert client.connection.writer.backlog > 10_000_000
        yield client


@pytest.mark.gen_test
async def test_a_client_that_is_too_far_behind_in_all_ends_and_what_waits_is_dropped() -> None:
    """The memory is needed now, not in the fifteen seconds in which it might read."""
    async with behind() as client:
        backlog, _ = client.connection._accounts
        assert backlog.kept == client.connection.writer.backlog
        for _ in range(_QUEUED):
            client.connection.writer.write(_MESSAGE)
        assert not client.connection.ended
        await eventually(lambda: client.connection.ended)
        assert client.connection.writer.backlog < len(_MESSAGE) + 1_000
        assert backlog.kept == client.connection.writer.backlog
        *_, said, close = await client.hears_goodbye()
    assert isinstance(said, Data)
    assert b"message:too_slow" in said.payload
    assert isinstance(close, Close)
    assert close.code == 4008


@pytest.mark.gen_test
async def test_the_beginnings_of_frames_are_counted_until_they_are_whole() -> None:
    tokens = SlowTokens()
    tokens.answer.set()
    async with connecting(tokens) as client:
        await client.hears(b"CONNECTED")
        _, half_read = client.connection._accounts
        await client.says(Opcode.TEXT, b"SEND\ndestination:/gateway/ping\n\n" + b"x" * 2_000)
        await eventually(lambda: 2_000 < half_read.kept < 2_100)
        await client.says(Opcode.TEXT, b"\0")
        await eventually(lambda: half_read.kept == 0)
        await client.says(Opcode.TEXT, b"SEND\ndestination:/gateway/ping\n\n" + b"x" * 6_000)
        command, headers, code = await client.is_refused()
        assert (command, headers["message"], code) == ("ERROR", "frames_busy", 1013)
        assert half_read.kept == 0


@pytest.mark.parametrize("error", _ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.gen_test
async def test_a_slow_reader_whose_access_ends_takes_nothing_more_of_what_was_queued(
    error: GatewayError,
) -> None:
    """Of 4.5 MB that were queued, a removed member took all, in fifteen seconds."""
    async with behind() as client:
        client.connection.end(error)
        assert client.connection.writer.backlog < len(_MESSAGE) + 1_000
        async with asyncio.timeout(10):
            await eventually(lambda: not len(client.registry))
        # What its own machine had taken for it before.
        left = await client.takes_what_is_left()
    assert left <= 2 * _TAKEN


@pytest.mark.gen_test
async def test_one_that_reads_is_told_why_its_access_has_ended() -> None:
    async with behind() as client:
        client.connection.end(_ENDS[0])
        *messages, said, close = await client.hears_goodbye()
    assert len(messages) < _QUEUED / 2
    assert isinstance(said, Data)
    assert said.payload.startswith(b"ERROR\nmessage:removed\n")
    assert isinstance(close, Close)
    assert close.code == 4003


@pytest.mark.gen_test
async def test_one_that_has_to_come_again_gets_all_that_was_queued() -> None:
    async with behind() as client:
        client.connection.end(Draining("leaving"))
        *messages, said, close = await client.hears_goodbye()
    assert len(messages) == _QUEUED
    assert isinstance(said, Data)
    assert isinstance(close, Close)
    assert close.code == 1012
