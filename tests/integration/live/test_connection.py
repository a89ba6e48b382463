"""A connection that is ended while something is being found out."""

import asyncio
import socket
from random import SystemRandom
from typing import Any, cast

import pytest
from tornado.iostream import IOStream

from broker.stomp import serialise
from broker.ticker import Ticker
from broker.topology import Topology
from broker.wsframes import Close, Data, Event, MessageReader, Opcode, build
from gateway.auth.origins import Origins
from gateway.domain.identity import Identity
from gateway.errors import Draining, Unavailable
from gateway.events import Events
from gateway.live.connection import Connection, Services
from gateway.live.registry import Registry
from gateway.live.virtual_host import VirtualHost
from tests.integration.live.test_dialler import WHO

_UNUSED = cast("Any", None)


class SlowTokens:
    """``error``: what a token is refused for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def verify(self, token: str) -> Identity:
        self.asked.set()
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return WHO


async def _said_and_closed(theirs: socket.socket) -> tuple[bytes, int]:
    """What the gateway says first, and the code with which it closes."""
    loop = asyncio.get_running_loop()
    reader = MessageReader(10_000, masked=False)
    heard: list[Event] = []
    async with asyncio.timeout(10):
        while not any(isinstance(event, Close) for event in heard):
            heard += reader.feed(await loop.sock_recv(theirs, 65_536))
    said, close = heard[0], heard[-1]
    assert isinstance(said, Data)
    assert isinstance(close, Close)
    return bytes(said.payload), close.code


@pytest.mark.gen_test
async def test_a_token_whose_key_cannot_be_judged_now_is_told_to_come_again() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    tokens = SlowTokens(Unavailable("the key is unknown; try again later", retry_after=20.0))
    tokens.answer.set()
    registry = Registry(limit=1, per_user=1, unknown=1, unknown_per_address=1)
    connection = Connection(
        IOStream(ours), services(tokens, registry), id="c", address="", host="", identity=None
    )
    registry.serve(connection, address="", user=None)
    connect = serialise("CONNECT", [("accept-version", "1.2"), ("passcode", "token")])
    await loop.sock_sendall(theirs, build(Opcode.TEXT, connect, mask=b"mask"))
    said, code = await _said_and_closed(theirs)
    headers = dict(line.split(":", 1) for line in said.decode().split("\n\n")[0].split("\n")[1:])
    assert headers["message"] == "unavailable"
    assert 20_000 < int(headers["retry-after"]) <= 25_000
    assert code == 1013
    await loop.sock_sendall(theirs, build(Opcode.CLOSE, b"", mask=b"mask"))
    while await loop.sock_recv(theirs, 65_536):
        pass
    theirs.close()


@pytest.mark.parametrize("proof", ["cookie", "token"])
@pytest.mark.gen_test
async def test_a_page_that_believes_to_be_somebody_else_is_told_and_closed(proof: str) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    tokens, registry = SlowTokens(), Registry(limit=1, per_user=1, unknown=1, unknown_per_address=1)
    tokens.answer.set()
    connection = Connection(
        IOStream(ours),
        services(tokens, registry),
        id="c",
        address="",
        host="",
        identity=WHO if proof == "cookie" else None,
    )
    registry.serve(connection, address="", user=None)
    headers = [("accept-version", "1.2"), ("passcode", "token"), ("interact-user", "a:b")]
    connect = serialise("CONNECT", headers)
    await loop.sock_sendall(theirs, build(Opcode.TEXT, connect, mask=b"mask"))
    said, code = await _said_and_closed(theirs)
    assert said.startswith(b"ERROR\nmessage:user_changed\n")
    assert code == 4001
    await loop.sock_sendall(theirs, build(Opcode.CLOSE, b"", mask=b"mask"))
    while await loop.sock_recv(theirs, 65_536):
        pass
    theirs.close()


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
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    registry = Registry(limit=1, per_user=1, unknown=1, unknown_per_address=1)
    made = services(BrokenOffTokens(fault), registry)
    connection = Connection(IOStream(ours), made, id="c", address="", host="", identity=None)
    registry.serve(connection, address="", user=None)
    connect = serialise("CONNECT", [("accept-version", "1.2"), ("passcode", "token")])
    await loop.sock_sendall(theirs, build(Opcode.TEXT, connect, mask=b"mask"))
    said, code = await _said_and_closed(theirs)
    assert said.startswith(b"ERROR\nmessage:internal_error\n")
    assert code == 1011
    await loop.sock_sendall(theirs, build(Opcode.CLOSE, b"", mask=b"mask"))
    while await loop.sock_recv(theirs, 65_536):
        pass
    theirs.close()


def services(tokens: SlowTokens, registry: Registry) -> Services:
    return Services(
        topology=Topology(),
        tokens=tokens,
        judge=_UNUSED,
        intake=_UNUSED,
        virtual_host=VirtualHost("/", Origins([])),
        ways=_UNUSED,
        hub=_UNUSED,
        ticker=Ticker(),
        registry=registry,
        attendance=_UNUSED,
        events=Events(clock=lambda: 0.0),
        frame_bytes=10_000,
        frames_per_second=1000,
        frames_burst=1000,
        subscriptions=1,
        connect_timeout=10,
        stall_timeout=10,
        clock=lambda: 0.0,
        rng=SystemRandom(),
    )


@pytest.mark.gen_test
async def test_nothing_is_said_after_close_to_one_whose_token_was_still_looked_at() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    tokens, registry = SlowTokens(), Registry(limit=1, per_user=1, unknown=1, unknown_per_address=1)
    connection = Connection(
        IOStream(ours), services(tokens, registry), id="c", address="", host="", identity=None
    )
    registry.serve(connection, address="", user=None)
    connect = serialise("CONNECT", [("accept-version", "1.2"), ("passcode", "token")])
    await loop.sock_sendall(theirs, build(Opcode.TEXT, connect, mask=b"mask"))
    await tokens.asked.wait()
    connection.end(Draining("leaving"))
    tokens.answer.set()
    await loop.sock_sendall(theirs, build(Opcode.CLOSE, b"", mask=b"mask"))
    heard = b""
    while data := await loop.sock_recv(theirs, 65_536):
        heard += data
    theirs.close()
    said, close = MessageReader(10_000, masked=False).feed(heard)
    assert isinstance(said, Data)
    assert said.payload.startswith(b"ERROR\n")
    assert isinstance(close, Close)
    assert b"CONNECTED" not in heard
    assert len(registry) == 0
