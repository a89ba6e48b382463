"""Dialling a node for a feed: it stands, or there is a reason, and never a socket left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pamqp import commands

from broker.dialling import (
    ConnectFailed,
    ConnectionLost,
    DialError,
    DialTimeout,
    LoginRefused,
    SetUpRefused,
)
from broker.feeds.connection import Connection, open_connection
from broker.feeds.trial import try_feed
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from tests.integration.broker.feeds.feed_node import FeedNode, FeedSession, serving

ACCOUNT = Credentials("gateway", "secret", "/")


async def dial(node: Node, account: Credentials = ACCOUNT) -> Connection:
    return await open_connection(node, account, timeout=0.5, name="feed 0", message_bytes=65_536)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Node]:
    """A server that answers the protocol header with these bytes, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.writelines(answers)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Node("a", "ws://127.0.0.1/ws", f"amqp://127.0.0.1:{port}")


def test_a_connection_is_named_and_has_both_channels() -> None:
    async def scenario() -> None:
        async with serving(FeedNode("a")) as node:
            connection = await dial(node.node)
            assert node.session.client["connection_name"] == "feed 0"
            assert node.received.count("Channel.Open") == 2
            connection.close()
            connection.close()
            async with asyncio.timeout(20):
                while node.sessions:  # noqa: ASYNC110 - of the other end
                    await asyncio.sleep(0.01)
            assert node.received[-1] == "Connection.Close"

    asyncio.run(scenario())


def test_the_smaller_frame_counts() -> None:
    async def scenario() -> None:
        async with serving(FeedNode("a", frame_max=4096)) as node:
            connection = await dial(node.node)
            node.session.write(b"\1\0\1" + (4090).to_bytes(4, "big") + b"x")
            with pytest.raises(Exception, match="a frame of 4098 bytes, over 4096"):
                await connection.read()
            connection.close()

    asyncio.run(scenario())


def test_a_login_that_is_refused_has_rabbitmqs_reason_and_not_our_secret() -> None:
    async def scenario() -> None:
        async with serving(FeedNode("a")) as node:
            wrong = Credentials("gateway", "wr0ng", "/")
            with pytest.raises(LoginRefused, match="403 ACCESS_REFUSED") as caught:
                await dial(node.node, wrong)
            assert "wr0ng" not in str(caught.value)

    asyncio.run(scenario())


def test_a_node_that_says_nothing_is_given_up() -> None:
    async def scenario() -> None:
        async with serving(FeedNode("a", deaf=True)) as node:
            with pytest.raises(DialTimeout, match=r"no AMQP session within 0\.5 s"):
                await dial(node.node)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not AMQP"),
        # As RabbitMQ answers another version of the protocol.
        (b"AMQP\0\0\x09\x01", "not AMQP"),
        (b"\1\0\0\0\0\0\4\0\x0a\0\x29\xce", "not AMQP"),
    ],
)
def test_what_is_no_amqp_server_is_named(answer: bytes, why: str) -> None:
    async def scenario() -> None:
        async with answering(answer) as node:
            with pytest.raises(ConnectionLost, match=why):
                await dial(node)

    asyncio.run(scenario())


def test_nobody_there() -> None:
    async def scenario() -> None:
        with pytest.raises(ConnectFailed):
            await dial(Node("a", "ws://127.0.0.1/ws", "amqp://127.0.0.1:1"))

    asyncio.run(scenario())


def test_without_a_context_nothing_is_dialled_by_tls() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="needs a context"):
            await dial(Node("a", "ws://127.0.0.1/ws", "amqps://127.0.0.1:1"))

    asyncio.run(scenario())


async def trial(node: FeedNode) -> None:
    await try_feed(node.node, ACCOUNT, queue="q", key="k", timeout=0.5, tls=None)


def test_a_trial_declares_consumes_and_binds() -> None:
    async def scenario() -> None:
        async with serving(FeedNode("a")) as node:
            await trial(node)
            assert {"Queue.Declare", "Queue.Bind", "Basic.Consume"} <= set(node.received)

    asyncio.run(scenario())


def test_a_trial_tells_what_is_refused_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: FeedSession, value: Any, channel: int) -> None:
        self.send(commands.Channel.Close(403, "ACCESS_REFUSED - access to queue 'q'", 50, 10), 2)

    async def scenario() -> None:
        async with serving(FeedNode("a", answers=False)) as node:
            with pytest.raises(DialTimeout, match="no queue with a binding"):
                await trial(node)
            monkeypatch.setattr(FeedSession, "_answer", refuse)
            with pytest.raises(SetUpRefused, match="403 ACCESS_REFUSED - access to queue 'q'"):
                await trial(node)
            monkeypatch.setattr(FeedSession, "_answer", lambda self, *_: self.drop())
            with pytest.raises(DialError, match=r"closed|reset"):
                await trial(node)

    asyncio.run(scenario())
