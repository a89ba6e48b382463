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
from pamqp import commands as spec

from broker.publishing import channels
from tests.unit.broker.amqp_node import AmqpNode, amqp_node, eventually

#: Every attribute of aiormq's Channel that channels.py uses, and why.
USED = {
    "_close_exception": "RabbitMQ's reason for the end; set before the end is acknowledged",
    "close": "public: closes the channel",
    "closing": "public: done when the channel has ended",
    "connection": "its `closing` is done when the connection has ended",
    "is_closed": "public: true as soon as nothing may be sent",
    "max_content_size": "bytes of a frame without its overhead",
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
        assert channel.max_content_size == node.frame_max - 8
        assert not channel.is_closed

    play(scenario)


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
