"""A client's silence counts only while we listen."""

import asyncio
import socket

import pytest
from tornado.iostream import IOStream

from gateway.live.socket import ClientSocket

_LATER = 1000.0


@pytest.mark.gen_test
async def test_a_client_is_dead_when_we_listen_and_nothing_comes_and_not_before() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        client = ClientSocket(IOStream(ours), frame_bytes=1000, stall_timeout=1)
        client.keep_alive(sends=1.0, wants=0.0)
        loop = asyncio.get_running_loop()
        client.received_at -= _LATER
        assert client.check(loop.time()) is not None, "a frame is being carried out"
        reading = asyncio.create_task(client.read())
        await asyncio.sleep(0)
        assert client.check(loop.time()) is not None
        assert client.check(loop.time() + _LATER) is None
        theirs.send(b"x")
        assert await reading == b"x"
        client.close()
