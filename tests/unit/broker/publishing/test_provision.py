"""Private queues are declared with today's arguments, and used as an earlier version left them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pamqp import commands as spec

from broker.nodes.credentials import Credentials
from broker.nodes.rendezvous import LinkState
from broker.publishing.provision import (
    EARLIER,
    MISSING,
    Check,
    QueueDiffers,
    QueueFailed,
    apply,
    verify,
)
from broker.publishing.publication import Publication
from broker.topology import Topology
from tests.unit.broker.amqp_node import AmqpNode, Session, amqp_node, eventually
from tests.unit.broker.publishing.test_links import KEY, publisher_to

TOPOLOGY = Topology()
QUEUE, BEFORE, *_ = TOPOLOGY.private_queue(1).variants
LOGIN = Credentials("gateway", "secret", "/")


class Node(AmqpNode):
    """A node that compares the arguments of a declared queue with those of the queue that stands.

    ``queues`` are those that stand, with their arguments.
    """

    queues: dict[str, Any]
    bound: list[str]

    def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        match frame:
            case spec.Queue.Declare():
                stands = self.queues.get(frame.queue)
                if frame.passive and stands is None:
                    session.close_channel(channel, 404, f"NOT_FOUND - no queue '{frame.queue}'")
                    return
                if not frame.passive and stands not in (None, frame.arguments):
                    session.close_channel(channel, 406, "PRECONDITION_FAILED - inequivalent arg")
                    return
                if not frame.passive:
                    self.queues[frame.queue] = frame.arguments
            case spec.Queue.Bind():
                self.bound.append(frame.queue)
        yield from super().replies(session, channel, frame)


async def declare(node: Node) -> None:
    async with publisher_to(node.node) as publisher:
        await publisher.publish(Publication(KEY, b"", "first"), 5)
        await publisher.declare_private_queue(1)


async def applied(node: Node) -> list[Check]:
    return await apply(node.node, LOGIN, TOPOLOGY, rooms=[1], timeout=5)


async def verified(node: Node) -> Check:
    return (await verify(node.node, LOGIN, TOPOLOGY, rooms=[1], timeout=5))[-1]


def on_node(queues: dict[str, Any], *work: Any) -> tuple[Node, list[Any]]:
    """The node with these queues after the work, and the results."""

    async def whole() -> tuple[Node, list[Any]]:
        async with asyncio.timeout(20), amqp_node(kind=Node) as node:
            node.queues, node.bound = queues, []
            return node, [await each(node) for each in work]

    return asyncio.run(whole())


def test_a_node_that_is_lost_in_the_middle_of_a_question_is_not_the_last_to_be_asked() -> None:
    class Lost(Node):
        """It breaks off when a queue is declared."""

        def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
            if isinstance(frame, spec.Queue.Declare):
                session.cut()
                return
            yield from super().replies(session, channel, frame)

    async def whole() -> None:
        async with (
            asyncio.timeout(20),
            amqp_node("r1", kind=Node) as other,
            amqp_node("r2", kind=Lost) as lost,
            publisher_to(other.node, lost.node) as publisher,
        ):
            other.queues, other.bound = {}, []
            await eventually(lambda: all(each.state is LinkState.UP for each in publisher.links))
            # Some of them have their home on the node that is lost.
            for room in range(1, 9):
                await publisher.declare_private_queue(room)
            assert "Queue.Declare" in lost.heard
            assert len(other.queues) == 8

    asyncio.run(whole())


def test_a_new_queue_has_a_limit_of_deliveries_that_is_never_reached() -> None:
    for work in (declare, applied):
        node, _ = on_node({}, work)
        assert node.queues == {QUEUE.name: QUEUE.arguments}
        assert node.queues[QUEUE.name]["x-delivery-limit"] == 1_000_000
        assert node.bound == [QUEUE.name]


def test_a_queue_of_an_earlier_version_goes_on_as_it_is() -> None:
    standing = {QUEUE.name: dict(BEFORE.arguments)}
    node, results = on_node(dict(standing), verified, declare, applied, verified)
    assert node.queues == standing
    assert node.bound == [QUEUE.name] * 2
    note = Check(f"queue {QUEUE.name}", remark=EARLIER)
    assert results == [note, None, [note], note]


def test_a_queue_with_other_arguments_is_no_queue_of_an_earlier_version() -> None:
    other = {QUEUE.name: {"x-queue-type": "classic"}}
    node, [check, [same]] = on_node(dict(other), verified, applied)
    assert "inequivalent arg" in check.problem
    assert same == check
    with pytest.raises(QueueDiffers, match="inequivalent arg"):
        on_node(dict(other), declare)
    assert (node.queues, node.bound) == (other, [])


def test_looking_declares_nothing() -> None:
    node, [check] = on_node({}, verified)
    assert check == Check(f"queue {QUEUE.name}", MISSING)
    assert node.queues == {}


async def counted(node: Node) -> int:
    async with publisher_to(node.node) as publisher:
        return await publisher.parked_messages()


async def parks(node: Node) -> bool:
    async with publisher_to(node.node) as publisher:
        return await publisher.parks_rejected(1)


def test_the_queue_for_what_is_rejected_is_made_if_it_is_missing_and_then_left_alone() -> None:
    parking = TOPOLOGY.parking
    node, results = on_node({}, counted, counted)
    assert results == [0, 0]
    assert node.queues == {parking.queue: parking.arguments}
    assert node.bound == [parking.queue]
    by_hand = {parking.queue: {"x-queue-type": "classic"}}
    node, results = on_node(dict(by_hand), counted)
    assert (results, node.queues, node.bound) == ([0], by_hand, [])


def test_whether_a_queue_parks_what_is_rejected_is_seen_by_its_arguments() -> None:
    assert on_node({QUEUE.name: QUEUE.arguments}, parks)[1] == [True]
    earlier = {QUEUE.name: BEFORE.arguments}
    node, results = on_node(dict(earlier), parks)
    assert (results, node.queues) == ([False], earlier)
    with pytest.raises(QueueFailed, match="no queue"):
        on_node({}, parks)
