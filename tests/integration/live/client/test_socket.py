"""A client's socket, as far as the client could misuse it."""

import socket

import pytest
from tornado.iostream import IOStream

from broker.protocol.websocket import Opcode, build
from gateway.live.client.socket import PAUSE, ClientSocket
from tests.rotations import in_rotation

_PING = build(Opcode.PING, b"", mask=b"mask")


@pytest.mark.gen_test
async def test_a_client_that_pings_and_reads_nothing_is_refused_some_time() -> None:
    ours, theirs = socket.socketpair()
    client = ClientSocket(IOStream(ours), frame_bytes=1000, stall_timeout=1, **in_rotation())
    client.introduced(rate=1000, burst=1000)
    try:
        for _ in range(1000):
            assert set(client.frames(_PING * 1000)) == {PAUSE}
            if client.asks_too_much:
                break
        assert 0 < client.transport.backlog < 1_000_000
        assert client.asks_too_much
    finally:
        client.close()
        theirs.close()
