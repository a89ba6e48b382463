"""Over real AMQP connections to scripted nodes: whatever ends one, publishing goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiormq
import pytest
from pamqp import commands as spec

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing import channels, provision, supervisor
from broker.publishing.provision import QueueFailed
from broker.publishing.publication import NotConfirmed, Publication
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Topology
from tests.unit.broker.amqp_node import AmqpNode, Published, Session, amqp_node, eventually

KEY = "acdm.mo.interact.public.1"


def message(id: str, key: str = KEY) -> Publication:
    return Publication(key, b'{"n":1}', id)


@asynccontextmanager
async def publisher_to(*nodes: Node) -> AsyncIterator[Publisher]:
    publisher = Publisher(
        nodes,
        Credentials("gateway", "secret", "/"),
        Topology(),
        timeout=5,
        rng=Random(1),  # noqa: S311 - spreads the dials
        tasks=Tasks(),
    )
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


def play(scenario: Callable[[AmqpNode, Publisher], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), amqp_node() as node, publisher_to(node.node) as publisher:
            await publisher.publish(message("first"), 5)
            await scenario(node, publisher)

    asyncio.run(whole())


async def heard(node: AmqpNode, method: str, times: int) -> None:
    await eventually(lambda: node.heard.count(method) >= times)


async def published(publisher: Publisher, id: str) -> None:
    """Goes out sooner or later."""
    for _ in range(100):
        try:
            await publisher.publish(message(id), 1)
        except NotConfirmed:
            await asyncio.sleep(0.02)
        else:
            return
    raise AssertionError("nothing is published through this node any more")


def fall_silent(session: Session) -> None:
    """Until it is given up: then the gateway closes the connection itself, which aiormq tells
    whoever waits by ``CancelledError``."""
    session.node.hangs.add("Channel.Open")


ENDINGS = pytest.mark.parametrize(
    "end",
    [Session.close, Session.cut, fall_silent],
    ids=["the node says goodbye", "the socket breaks", "the node falls silent"],
)


@ENDINGS
def test_a_connection_that_ends_while_the_node_is_asked_for_a_sign_of_life_is_replaced(
    end: Callable[[Session], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question's waiter is ended by aiormq as if the watch itself were cancelled."""
    monkeypatch.setattr(supervisor, "INTERVAL", 0.02)

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        opened = node.heard.count("Channel.Open")
        with node.hanging("Channel.Open"):
            await heard(node, "Channel.Open", opened + 1)
            before = node.sessions[0]
            end(before)
            await eventually(lambda: before not in node.sessions)
        await published(publisher, "later")

    play(scenario)


async def publish(publisher: Publisher) -> None:
    await publisher.publish(message("lost"), 5)


async def publish_as_a_guest(publisher: Publisher) -> None:
    """On a channel that is made for it."""
    await publisher.publish(message("lost", "acdm.mo.interact.public.2"), 5)


async def declare(publisher: Publisher) -> None:
    await publisher.declare_private_queue(1)


async def delete(publisher: Publisher) -> None:
    await publisher.delete_private_queue(1)


@ENDINGS
@pytest.mark.parametrize(
    ("call", "hangs"),
    [
        (publish, "Basic.Publish"),
        (publish_as_a_guest, "Channel.Open"),
        (publish_as_a_guest, "Confirm.Select"),
        (declare, "Channel.Open"),
        (declare, "Queue.Declare"),
        (declare, "Queue.Bind"),
        (delete, "Queue.Delete"),
    ],
)
def test_a_connection_that_ends_fails_what_waits_and_cancels_nobody(
    call: Callable[[Publisher], Awaitable[None]],
    hangs: str,
    end: Callable[[Session], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "INTERVAL", 0.02)
    # Here there is no other node that could be asked instead.
    monkeypatch.setattr(provision, "_LINKS_LOST", 0)
    monkeypatch.setattr(
        "broker.publishing.links.home", lambda key, names: "r1" if key == KEY else "r2"
    )

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        before = node.heard.count(hangs)
        answer = node.on_publish
        node.on_publish = lambda session, published: None
        with node.hanging(hangs):
            waiting = asyncio.ensure_future(call(publisher))
            await heard(node, hangs, before + 1)
            end(node.sessions[0])
            with pytest.raises((NotConfirmed, QueueFailed)):
                await waiting
        node.hangs.clear()
        node.on_publish = answer
        await published(publisher, "later")

    play(scenario)


@pytest.mark.parametrize("end", [Session.close, Session.cut])
def test_a_caller_that_publishes_again_at_once_when_the_connection_ends_waits_for_the_next(
    end: Callable[[Session], None],
) -> None:
    """A caller that waits for a confirm hears of the end before the supervisor does. Refused
    without a turn of the loop, it would ask for ever, and nobody else would hear anything."""

    async def insist(publisher: Publisher) -> None:
        for _ in range(50):
            try:
                await publisher.publish(message("again"), 5)
            except NotConfirmed:
                continue
            return
        raise AssertionError("refused again and again without waiting for a link")

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        answer, before = node.on_publish, node.heard.count("Basic.Publish")
        node.on_publish = lambda session, published: None
        waiting = asyncio.ensure_future(insist(publisher))
        await heard(node, "Basic.Publish", before + 1)
        node.on_publish = answer
        end(node.sessions[0])
        await waiting

    play(scenario)


@pytest.mark.parametrize(
    ("call", "kind", "method"),
    [
        (publish_as_a_guest, aiormq.Connection, "channel"),
        (declare, aiormq.Connection, "channel"),
        (declare, aiormq.Channel, "queue_declare"),
        (declare, aiormq.Channel, "queue_bind"),
        (delete, aiormq.Channel, "queue_delete"),
        (delete, aiormq.Channel, "close"),
    ],
)
@pytest.mark.parametrize("fault", [asyncio.CancelledError, Exception, KeyError])
def test_a_call_that_aiormq_breaks_off_is_a_failure_and_cancels_nobody(
    call: Callable[[Publisher], Awaitable[None]],
    kind: type,
    method: str,
    fault: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def break_off(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(
        "broker.publishing.links.home", lambda key, names: "r1" if key == KEY else "r2"
    )

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(kind, method, break_off)
            calling = asyncio.ensure_future(call(publisher))
            await asyncio.wait({calling})
        assert not calling.cancelled()
        assert isinstance(calling.exception(), (NotConfirmed, QueueFailed))
        await call(publisher)

    play(scenario)


@pytest.mark.parametrize("fault", [asyncio.CancelledError, Exception])
def test_a_login_that_aiormq_breaks_off_is_tried_again(
    fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, faults = aiormq.Connection.connect, [fault, fault]

    async def break_off(self: aiormq.Connection, *_: Any) -> Any:
        if faults:
            raise faults.pop()
        return await connect(self)

    monkeypatch.setattr(aiormq.Connection, "connect", break_off)

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        assert not faults

    play(scenario)


def test_a_caller_that_waits_for_an_alarm_to_end_fails_with_the_connection() -> None:
    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        node.sessions[0].send(spec.Connection.Blocked("memory"))
        await eventually(lambda: publisher.problem is not None)
        waiting = asyncio.create_task(publisher.publish(message("lost"), 5))
        await asyncio.sleep(0.05)
        node.sessions[0].cut()
        with pytest.raises(NotConfirmed):
            await waiting
        await published(publisher, "later")

    play(scenario)


def test_a_node_that_closes_the_connection_during_the_login_is_dialled_again() -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), amqp_node() as node:
            with node.hanging("Channel.Open"):
                async with publisher_to(node.node) as publisher:
                    for _ in range(3):
                        await heard(node, "Channel.Open", 1)
                        node.heard.clear()
                        node.sessions[-1].close()
                    node.hangs.clear()
                    await published(publisher, "later")

    asyncio.run(whole())


def test_a_channel_whose_messages_are_refused_is_replaced_and_the_link_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A nack wears a channel out; also a loop of nacks ends nothing else, nor opens a channel for
    each."""
    monkeypatch.setattr(channels, "RETIREMENT", 0.05)

    def refuse(session: Session, published: Published) -> None:
        session.send(spec.Basic.Nack(published.tag), published.channel)

    async def scenario(node: AmqpNode, publisher: Publisher) -> None:
        answer, node.on_publish = node.on_publish, refuse
        for number in range(20):
            with pytest.raises(NotConfirmed, match="nack"):
                await publisher.publish(message(f"refused {number}"), 5)
        node.on_publish = answer
        await publisher.publish(message("later"), 5)
        assert node.heard.count("StartOk") == 1
        assert len({each.channel for each in node.published}) in range(2, 6)

    play(scenario)


def test_a_node_that_is_taken_off_the_list_has_its_answers_first() -> None:
    held: list[tuple[Session, Published]] = []

    async def whole() -> None:
        async with (
            asyncio.timeout(20),
            amqp_node("r1") as first,
            amqp_node("r2") as second,
            publisher_to(first.node) as publisher,
        ):
            await publisher.publish(message("first"), 5)
            first.on_publish = lambda *what: held.append(what)
            waiting = asyncio.create_task(publisher.publish(message("held"), 5))
            await heard(first, "Basic.Publish", 2)
            publisher.replace([second.node])
            await publisher.publish(message("else", "acdm.mo.interact.public.2"), 5)
            [(session, what)] = held
            session.send(spec.Basic.Ack(what.tag), what.channel)
            await waiting
            await heard(first, "Close", 1)
            assert [link.node for link in publisher.links] == ["r2"]

    asyncio.run(whole())


def test_one_that_cannot_be_left_is_shown(
    monkeypatch: pytest.MonkeyPatch, failures: list[str]
) -> None:
    async def break_down(self: supervisor.Supervisor) -> None:
        raise KeyError

    async def whole() -> None:
        async with (
            asyncio.timeout(20),
            amqp_node("r1") as first,
            amqp_node("r2") as second,
            publisher_to(first.node) as publisher,
        ):
            await publisher.publish(message("first"), 5)
            old = publisher._links._supervisors["r1"]
            with monkeypatch.context() as patch:
                patch.setattr(supervisor.Supervisor, "leave", break_down)
                publisher.replace([second.node])
                await asyncio.sleep(0)
            await published(publisher, "later")
            await old.close()

    asyncio.run(whole())
    assert failures == ["AMQP link that is left has failed"]
    failures.clear()
