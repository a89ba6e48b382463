"""Nodes are reached under any kind of address, by AMQP and by WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.dialling import DialError
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.link import Link, LinkFailed
from broker.timing.tasks import Tasks
from broker.webstomp.session import dial

_NOBODY = Credentials("nobody", "secret", "/")


async def _by_amqp(node: Node) -> None:
    with pytest.raises(LinkFailed):
        await Link.open(node, _NOBODY, ssl_context=None, timeout=5.0, tasks=Tasks())


async def _by_web_stomp(node: Node) -> None:
    with pytest.raises(DialError):
        await dial(node, timeout=5.0, ssl_options=None)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("call", "greeting"), [(_by_amqp, b"AMQP\0\0\x09\x01"), (_by_web_stomp, b"GET /ws ")]
)
@pytest.mark.gen_test
async def test_a_node_is_reached_under_an_address_of_either_family(
    host: str, call: Callable[[Node], Awaitable[None]], greeting: bytes
) -> None:
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(8))
        writer.close()

    server = await asyncio.start_server(hang_up, host, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        await call(Node("r1", f"ws://{place}/ws", f"amqp://{place}"))
    assert heard == [greeting]
