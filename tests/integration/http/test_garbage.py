"""What is left of a connection when it is gone: nothing that waits for the collector of garbage.

A ring of objects that point at each other is freed by the collector only. It frees those of
thousands of connections in one go, and stops the loop for as long: up to two tenths of a second.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build, client_handshake
from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http.listeners import Listener
from tests.fake_feeds import FakeFeeds
from tests.integration.http.conftest import token
from tests.integration.http.edge.clients import until

#: Connections of one kind.
_MANY = 20
_UPGRADE = client_handshake("x", "/ws", "AAAAAAAAAAAAAAAAAAAAAA==", ["v12.stomp"])


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No collection of garbage by itself."""
    gc.collect()
    # What is there already need not be looked through each time.
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def _requests(settings: Config, room: str) -> dict[str, list[bytes]]:
    """What clients say, part by part; to each part something is answered, but to halves."""
    bearer = f"Authorization: Bearer {token(settings, 'anna', 'host')}\r\n"
    post = f"POST {room}/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{bearer}"
    connect = {"accept-version": "1.2", "host": "/", "passcode": token(settings, "anna", "host")}
    subscribe = {"destination": f"/topic/room.{room.rpartition('/')[2]}.public", "id": "s"}
    return {
        "nothing": [],
        "half a head": [b"GET / HTT"],
        "half a body": [f'{post}Content-Length: 12\r\n\r\n{{"bo'.encode()],
        "a body that is too large": [f"{post}Content-Length: 99999999\r\n\r\n".encode()],
        "too many chunks": [
            f"{post}Transfer-Encoding: chunked\r\n\r\n".encode() + b"1\r\n \r\n" * 60
        ],
        "a path without a resource": [b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"],
        "a page": [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
        "no credentials": [b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"],
        "a post": [f'{post}Content-Length: 12\r\n\r\n{{"body":"x"}}'.encode()],
        "a refused handshake": [b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"],
        "a WebSocket": [_UPGRADE],
        "a session": [_UPGRADE, _frame("CONNECT", connect)],
        "a follower": [
            _UPGRADE,
            _frame("CONNECT", connect),
            _frame("SUBSCRIBE", subscribe | {"receipt": "r"}),
        ],
        "a speaker": [
            _UPGRADE,
            _frame("CONNECT", connect),
            _frame("SEND", {"destination": subscribe["destination"], "receipt": "r"}),
        ],
        "an event stream": [f"GET {room}/events HTTP/1.1\r\nHost: x\r\n{bearer}\r\n".encode()],
        "an event stream that nobody may follow": [
            f"GET {room}7/events HTTP/1.1\r\nHost: x\r\n{bearer}\r\n".encode()
        ],
        "a wrong password": [_UPGRADE, _frame("CONNECT", connect | {"passcode": "x.y.z"})],
        "a refused frame": [
            _UPGRADE,
            _frame("CONNECT", connect),
            _frame("SUBSCRIBE", subscribe | {"destination": "/topic/elsewhere"}),
        ],
    }


_KINDS = [
    "nothing",
    "half a head",
    "half a body",
    "a body that is too large",
    "too many chunks",
    "a path without a resource",
    "a page",
    "no credentials",
    "a post",
    "a refused handshake",
    "a WebSocket",
    "a session",
    "a follower",
    "a speaker",
    "an event stream",
    "an event stream that nobody may follow",
    "a wrong password",
    "a refused frame",
]


def _frame(command: str, headers: dict[str, str]) -> bytes:
    return build(Opcode.TEXT, serialise(command, list(headers.items())), mask=bytes(4))


@asynccontextmanager
async def _client(public: Listener, *, resets: bool) -> AsyncIterator[socket.socket]:
    """A client whose own objects are no rings. ``resets``: it leaves as one that crashes does."""
    with socket.create_connection(("127.0.0.1", public.port)) as client:
        client.setblocking(False)
        if resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield client


@pytest.mark.parametrize(
    ("kind", "resets"),
    [
        *((kind, False) for kind in _KINDS),
        ("nothing", True),
        ("half a body", True),
        ("a page", True),
        ("a WebSocket", True),
        ("a session", True),
        ("an event stream", True),
    ],
)
@pytest.mark.gen_test
async def test_nothing_of_a_connection_waits_for_the_collector(
    kind: str,
    resets: bool,
    gateway: Gateway,
    public: Listener,
    settings: Config,
    room: str,
    uncollected: None,
) -> None:
    loop, server = asyncio.get_running_loop(), public._server
    parts = _requests(settings, room)[kind]
    # Nothing has to be read for a client that follows.
    cast("FakeFeeds", gateway.live.hub._feeds).at_once = True

    async def come_and_go() -> None:
        async with _client(public, resets=resets) as client:
            for part in parts:
                client.send(part)
                if kind.startswith("half"):
                    await until(lambda: any(each._has_spoken for each in server._places._addresses))
                else:
                    assert await loop.sock_recv(client, 65_536)
            if not parts:
                await until(lambda: bool(server._connections))
        await until(lambda: not server._connections and not len(server.lingering))
        await until(lambda: not len(gateway.live.registry))

    # Once for what is made once.
    await come_and_go()
    gc.collect()
    for _ in range(_MANY):
        await come_and_go()
    assert gc.collect() < _MANY
