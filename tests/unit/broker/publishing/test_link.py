"""The end of a link, and the end of only one of its channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiormq
import pytest
from pamqp import commands as spec
from pamqp import frame

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol.amqp_methods import HEART_BEAT
from broker.publishing.channels import Channels, ConfirmChannel, SendChannel, Traffic
from broker.publishing.link import Link, LinkFailed, _Reader
from broker.timing.tasks import Tasks
from tests.unit.broker.amqp_node import Session, amqp_node
from tests.unit.broker.publishing.test_channels import FakeChannel, FakeConnection, retired


class OpenConnection(FakeConnection):
    """A connection that is open until the test ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()


def link_over(connection: OpenConnection) -> Link:
    node = Node("r1", "ws://x/ws", "amqp://x")
    home, aside = (cast("Any", FakeChannel(number)) for number in (1, 2))
    traffic, tasks, opened = Traffic(), Tasks(), cast("Any", connection)
    channels = Channels(opened, ConfirmChannel(home, traffic), traffic, tasks)
    return Link(node, cast("Any", None), opened, channels, SendChannel(aside), tasks)


def test_a_channel_that_is_replaced_ends_no_link() -> None:
    async def scenario() -> None:
        link = link_over(OpenConnection())
        ended = asyncio.create_task(link.ended(within=0.1))
        await asyncio.sleep(0)
        worn = await link.channels.take("a", home=True)
        worn._nacked = True
        assert await link.channels.take("a", home=True) is not worn
        await retired(link.channels)
        assert worn.closing.done()
        assert await ended is None
        assert await link.ended(within=0.01) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "which",
    [
        lambda link, connection: connection.closing,
        lambda link, connection: link.aside.closing,
    ],
)
def test_the_end_of_what_every_stream_needs_ends_the_link(
    which: Callable[[Link, OpenConnection], asyncio.Future[None]],
) -> None:
    async def scenario() -> None:
        connection = OpenConnection()
        link = link_over(connection)
        ended = asyncio.create_task(link.ended(within=5.0))
        await asyncio.sleep(0)
        which(link, connection).set_exception(aiormq.AMQPError("gone"))
        assert await ended == "gone"

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["lose", "close"])
def test_a_link_ends_though_its_question_is_broken_off(how: str) -> None:
    """This ended the task that watched the link, and nothing was published through its node until
    a restart."""

    class BreakingOff(OpenConnection):
        """A connection whose call is cancelled when it closes."""

        def __init__(self) -> None:
            super().__init__()
            self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def channel(self, **_: Any) -> FakeChannel:
            await self.answer
            raise AssertionError("it never comes")

        async def close(self) -> None:
            self.answer.cancel()
            await asyncio.sleep(0)
            raise asyncio.CancelledError

    class Socket:
        """A socket whose cutting does nothing."""

        def cut(self) -> None:
            return

    async def scenario() -> None:
        link = link_over(BreakingOff())
        link._socket = cast("Any", Socket())
        link.ask()
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(getattr(link, how)("it hangs"))
        await asyncio.wait({ending}, timeout=5)
        assert ending.done()
        assert not ending.cancelled()
        assert ending.exception() is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("instead_of", "close", "why"),
    [
        (
            spec.Connection.StartOk,
            (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."),
            "r1: ACCESS_REFUSED: user 'gateway' is unknown, or the password is wrong",
        ),
        (
            spec.Connection.Open,
            (530, "NOT_ALLOWED - vhost elsewhere not found"),
            "r1: user 'gateway' may not enter vhost 'elsewhere', or a limit of its connections is"
            " reached; RabbitMQ's log says which",
        ),
    ],
)
def test_a_login_that_is_refused_says_why_and_keeps_the_secret(
    instead_of: type, close: tuple[int, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Session.take

    def refuse(self: Session, channel: int, frame: Any) -> None:
        if isinstance(frame, instead_of):
            self.close(*close)
        else:
            take(self, channel, frame)

    monkeypatch.setattr(Session, "take", refuse)

    async def scenario() -> None:
        async with asyncio.timeout(10), amqp_node() as node:
            who = Credentials("gateway", "very-secret", "elsewhere")
            with pytest.raises(LinkFailed) as caught:
                await Link.open(node.node, who, ssl_context=None, timeout=5, tasks=Tasks())
            assert str(caught.value) == why
            assert "very-secret" not in repr(caught.value)

    asyncio.run(scenario())


def test_a_node_that_is_away_refuses_the_connection() -> None:
    async def scenario() -> None:
        away = Node("r9", "ws://127.0.0.1:1/ws", "amqp://127.0.0.1:1")
        with pytest.raises(LinkFailed, match=r"^r9: connection refused$"):
            await Link.open(away, Credentials("a", "b"), ssl_context=None, timeout=5, tasks=Tasks())

    asyncio.run(scenario())


def test_aiormq_reads_everything_but_the_answers_to_publications_and_no_silence_instead() -> None:
    async def scenario() -> None:
        traffic = Traffic()
        channel = ConfirmChannel(cast("Any", FakeChannel(1)), traffic)
        waiting = channel._waiting[1] = asyncio.get_running_loop().create_future()
        reader = _Reader(traffic)
        ack = frame.marshal(spec.Basic.Ack(1), 1)
        reader.feed_data(ack[:5])
        assert not waiting.done()
        reader.feed_data(ack[5:])
        assert await waiting is None
        assert await reader.read(100) == HEART_BEAT
        ok = frame.marshal(spec.Channel.OpenOk(), 2)
        reader.feed_data(ack + ok + ack + ok[:3])
        assert await reader.read(100) == ok, "another sign of life was not due"
        reader.feed_eof()
        assert await reader.read() == ok[:3]
        assert reader.heard == 3

    asyncio.run(scenario())
