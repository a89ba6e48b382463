"""A client's silence counts only while we listen."""

import asyncio
import socket

import pytest
from tornado.iostream import IOStream

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
        assert client.check(loop.time() + _LATER) is None
        client.transport.hold()
        assert client.check(loop.time() + _LATER) is not None, "a frame is being carried out"
        theirs.send(b"x")
        client.transport.listen()
        assert await received.get() == b"x"
        assert client.check(loop.time()) is not None
        client.close()
