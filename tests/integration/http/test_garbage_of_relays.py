"""What is left of a connection with a relay when it is gone: nothing that waits for the collector.

The node is in this process, and its own streams are rings; so objects of the gateway are counted.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build, client_handshake
from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.live.client.connection import Connection
from gateway.live.client.executor import Executor
from gateway.live.relay.conversation import Conversation
from gateway.live.relay.relay import Relay
from gateway.live.relay.uplink import Uplink
from gateway.live.transport import Transport
from tests.integration.http.conftest import token
from tests.integration.http.edge.clients import until
from tests.integration.live.fake_node import FakeNode, serving

_OURS = (Connection, Executor, Uplink, Conversation, Relay, Transport)


@pytest.fixture
def node(io_loop: IOLoop) -> Iterator[FakeNode]:
    made = serving(FakeNode("r1"))
    fake: FakeNode = io_loop.run_sync(made.__aenter__)
    yield fake
    io_loop.run_sync(lambda: made.__aexit__(None, None, None))


@pytest.fixture
def tables(tables: dict[str, Any], node: FakeNode) -> dict[str, Any]:
    tables["broker"]["nodes"][0]["web_stomp"] = node.node.web_stomp
    tables["access"] = [{"roles": ["host"], "subscribe": ["/queue/*"]}]
    return tables


def _left() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, _OURS)]


def _frame(command: str, headers: dict[str, str]) -> bytes:
    return build(Opcode.TEXT, serialise(command, list(headers.items())), mask=bytes(4))


@pytest.mark.parametrize("end", ["good-bye", "one half", "reset"])
@pytest.mark.gen_test
async def test_nothing_of_a_relay_waits_for_the_collector(
    end: str, gateway: Gateway, public: Listener, settings: Config, node: FakeNode
) -> None:
    loop = asyncio.get_running_loop()
    connect = {"accept-version": "1.2", "host": "/", "passcode": token(settings, "anna", "host")}
    subscribe = {"destination": "/queue/x", "id": "s", "receipt": "r"}
    upgrade = client_handshake("x", "/ws", "AAAAAAAAAAAAAAAAAAAAAA==", ["v12.stomp"])
    gc.collect()
    gc.disable()
    try:
        with socket.create_connection(("127.0.0.1", public.port)) as client:
            client.setblocking(False)
            parts = [upgrade, _frame("CONNECT", connect), _frame("SUBSCRIBE", subscribe)]
            for part in parts:
                client.send(part)
                assert await loop.sock_recv(client, 65_536)
            assert any(isinstance(each, Relay) for each in _left())
            if end == "good-bye":
                client.send(_frame("DISCONNECT", {"receipt": "d"}))
            elif end == "one half":
                client.shutdown(socket.SHUT_WR)
            while end != "reset" and await loop.sock_recv(client, 65_536):
                pass
        await until(lambda: not _left())
    finally:
        gc.enable()
