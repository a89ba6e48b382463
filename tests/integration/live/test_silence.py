"""A client's silence counts only while we listen."""

import asyncio
import socket

import pytest
from tornado.iostream import IOStream

from broker.protocol.websocket import Opcode, build
from gateway.live.client.socket import ClientSocket
from tests.rotations import in_rotation

_LATER = 1000.0


@pytest.mark.gen_test
async def test_a_client_is_dead_when_we_listen_and_nothing_comes_and_not_before() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        client = ClientSocket(IOStream(ours), frame_bytes=1000, stall_timeout=1, **in_rotation())
        client.keep_alive(sends=1.0, wants=0.0)
        loop = asyncio.get_running_loop()
        assert client.check(loop.time() + _LATER) is not None, "nobody listens yet"
        received: asyncio.Queue[bytes] = asyncio.Queue()
        client.transport.attach(received=received.put_nowait, lost=lambda: None)
        assert client.check(loop.time()) is not None
        assert client.check(loop.time() + _LATER) is not None, "it is pinged before"
        assert client.check(loop.time() + 2 * _LATER) is None
        client.transport.hold()
        assert client.check(loop.time() + 2 * _LATER) is not None, "a frame is being carried out"
        theirs.send(b"x")
        client.transport.listen()
        assert await received.get() == b"x"
        assert client.check(loop.time()) is not None
        client.close()


@pytest.mark.gen_test
async def test_a_pong_is_life_and_a_client_that_owes_a_heart_beat_is_pinged_once() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        client = ClientSocket(IOStream(ours), frame_bytes=1000, stall_timeout=1, **in_rotation())
        client.keep_alive(sends=1.0, wants=0.0)
        received: asyncio.Queue[bytes] = asyncio.Queue()
        client.transport.attach(received=received.put_nowait, lost=lambda: None)
        now = asyncio.get_running_loop().time()
        assert client.check(now + 2.4) == pytest.approx(now + 2.5, abs=0.1)
        again = client.check(now + 2.6)
        assert again == pytest.approx(now + 7.6, abs=0.1)
        assert client.check(now + 7.5) == again
        assert theirs.recv(100) == build(Opcode.PING, b"")
        assert client.check(now + 7.7) is None
        theirs.send(build(Opcode.PONG, b"", mask=b"mask"))
        await received.get()
        now = asyncio.get_running_loop().time()
        assert client.check(now) == pytest.approx(now + 2.5, abs=0.1)
        client.close()
