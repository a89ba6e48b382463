"""The private attributes of aiormq that channels.py relies on. If an upgrade moves one, these tests
say what moved."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Returning
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from broker.publishing import channels
from broker.publishing.publication import Publication
from tests.unit.broker.amqp_node import AmqpNode, Published, Session, amqp_node, eventually

#: Every attribute of aiormq's Channel that channels.py uses, and why.
USED = {
    "_close_exception": "RabbitMQ's reason for the end; set before the end is acknowledged",
    "close": "public: closes the channel",
    "closing": "public: done when the channel has ended",
    "confirmations": "delivery tag -> future; an answer takes the future out and resolves it",
    "connection": "its `closing` is done when the connection has ended",
    "delivery_tag": "the number of the last message published on the channel",
    "is_closed": "public: true as soon as nothing may be sent",
    "max_content_size": "bytes of a frame without its overhead",
    "message_id_delivery_tag": "message id -> delivery tag, for messages that come back",
    "number": "public: the channel's number",
    "write_queue": "frames on their way to the socket, shared by the connection's channels",
}


def play(scenario: Callable[[aiormq.Channel, AmqpNode], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(10), amqp_node() as node, channel_to(node) as channel:
            await scenario(channel, node)

    asyncio.run(whole())


@asynccontextmanager
async def channel_to(node: AmqpNode) -> AsyncIterator[Any]:
    connection = aiormq.Connection(f"amqp://user:secret@127.0.0.1:{node.port}/")
    await connection.connect()
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def enter(channel: aiormq.Channel, id: str) -> asyncio.Future[Any]:
    """A publication, written and entered into aiormq's records as ConfirmChannel does it."""
    channel.delivery_tag += 1
    confirmation = asyncio.get_running_loop().create_future()
    channel.confirmations[channel.delivery_tag] = confirmation
    channel.message_id_delivery_tag[id] = channel.delivery_tag
    message = Publication("key", b"body", id).frames(channel.number, frame_max=131_072)
    channel.write_queue.put_nowait(ChannelFrame(message, should_close=False))
    return confirmation


def test_channels_uses_these_attributes_of_aiormq_and_no_others() -> None:
    tree = ast.parse(Path(channels.__file__).read_text(encoding="utf-8"))
    found = set()
    for function in (
        each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ):
        names = {"self._channel"}
        for node in ast.walk(function):
            # `channel = self._channel`, also as one of several.
            if isinstance(node, ast.Assign) and "self._channel" in ast.unparse(node.value):
                targets, values = node.targets[0], node.value
                pairs = (
                    zip(targets.elts, values.elts, strict=True)
                    if isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
                    else [(targets, values)]
                )
                names |= {
                    ast.unparse(target)
                    for target, value in pairs
                    if ast.unparse(value) == "self._channel"
                }
        found |= {
            node.attr
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in names
        }
    assert found == set(USED)


def test_the_version_is_the_one_that_setup_cfg_pins() -> None:
    assert version("aiormq").split(".")[:2] == ["7", "2"]


@pytest.mark.parametrize("name", sorted(USED))
def test_a_channel_has_it(name: str) -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        assert hasattr(channel, name), USED[name]

    play(scenario)


def test_the_numbers_are_those_of_the_protocol() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        assert isinstance(channel.number, int)
        assert channel.delivery_tag == 0
        assert channel.max_content_size == node.frame_max - 8
        assert (channel.confirmations, channel.message_id_delivery_tag) == ({}, {})
        assert not channel.is_closed

    play(scenario)


def test_an_ack_takes_the_confirmation_out_and_resolves_it() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        await enter(channel, "a")
        assert node.published == [Published(channel.number, 1, "a", "key", b"body", "amq.topic")]
        assert channel.confirmations == {}

    play(scenario)


def test_one_ack_may_confirm_several() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        def answer(session: Session, published: Published) -> None:
            if published.tag == 3:
                session.send(spec.Basic.Ack(3, multiple=True), published.channel)

        node.on_publish = answer
        await asyncio.gather(*(enter(channel, id) for id in "abc"))
        assert channel.confirmations == {}

    play(scenario)


def test_a_nack_is_a_delivery_error() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        node.on_publish = lambda session, published: session.send(
            spec.Basic.Nack(published.tag), published.channel
        )
        with pytest.raises(aiormq.DeliveryError) as caught:
            await enter(channel, "a")
        assert not isinstance(caught.value, aiormq.PublishError)

    play(scenario)


def give_back(session: Session, published: Published) -> None:
    """As RabbitMQ does if no queue takes it: the message, then an ack."""
    channel = published.channel
    session.send(spec.Basic.Return(312, "NO_ROUTE", "amq.topic", published.routing_key), channel)
    header = ContentHeader(
        body_size=4, properties=spec.Basic.Properties(message_id=published.message_id)
    )
    session.send(header, channel)
    session.send(ContentBody(b"body"), channel)
    session.send(spec.Basic.Ack(published.tag), channel)


def test_a_message_that_comes_back_is_found_by_its_id_and_its_ack_passes() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        node.on_publish = give_back
        with pytest.raises(aiormq.PublishError):
            await enter(channel, "a")
        # The Returning that stands for it is taken out by the ack.
        await eventually(lambda: channel.confirmations == {})

    play(scenario)


def test_an_answer_to_a_returning_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """So ConfirmChannel.fail puts one in the place of what nobody waits for any more."""

    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        node.on_publish = lambda session, published: None
        enter(channel, "a")
        await eventually(lambda: bool(node.published))
        channel.confirmations[1] = Returning()
        node.sessions[0].send(spec.Basic.Ack(1), channel.number)
        await eventually(lambda: channel.confirmations == {})

    play(scenario)
    assert caplog.messages == []


def test_the_queue_of_frames_is_bounded_and_shared_with_aiormq_s_own_requests() -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        assert channel.write_queue is channel.connection.write_queue
        assert channel.write_queue.maxsize == aiormq.Connection.FRAME_BUFFER_SIZE == 10
        assert tuple(each.name for each in fields(ChannelFrame)) == (
            "payload",
            "should_close",
            "drain_future",
        )

    play(scenario)


def test_the_reason_is_there_before_the_end_of_a_channel_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the channel counts as open then, which is why the reason has to be looked at."""
    seen: list[tuple[bool, BaseException | None]] = []

    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        put = channel.write_queue.put_nowait

        def look(item: Any) -> None:
            seen.append((channel.is_closed, channel._close_exception))
            put(item)

        monkeypatch.setattr(channel.write_queue, "put_nowait", look)
        node.sessions[0].close_channel(channel.number, 406, "PRECONDITION_FAILED - no")
        await asyncio.wait({channel.closing})
        [(closed, reason)] = seen
        assert not closed
        assert isinstance(reason, aiormq.ChannelPreconditionFailed)

    play(scenario)


@pytest.mark.parametrize("end", ["channel", "connection"])
def test_the_end_of_a_channel_and_of_its_connection_can_be_observed(end: str) -> None:
    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        observers = channel.closing, channel.connection.closing
        assert not any(each.done() for each in observers)
        if end == "channel":
            node.sessions[0].close_channel(channel.number, 406, "PRECONDITION_FAILED - no")
            with pytest.raises(aiormq.ChannelPreconditionFailed):
                await observers[0]
            assert not observers[1].done()
        else:
            node.sessions[0].close()
            await asyncio.wait(observers)
        assert channel.is_closed

    play(scenario)


def test_connection_ready_waits_in_an_event_while_an_alarm_blocks() -> None:
    """Link.blocked asks it without a turn of the event loop."""

    async def scenario(channel: aiormq.Channel, node: AmqpNode) -> None:
        connection = channel.connection
        assert _ends_at_once(connection)
        node.sessions[0].send(spec.Connection.Blocked("memory"))
        await eventually(lambda: not _ends_at_once(connection))
        waiting = asyncio.ensure_future(connection.ready())
        node.sessions[0].send(spec.Connection.Unblocked())
        await waiting
        assert _ends_at_once(connection)

    play(scenario)


def _ends_at_once(connection: Any) -> bool:
    asked = connection.ready()
    try:
        asked.send(None)
    except StopIteration:
        return True
    asked.close()
    return False
