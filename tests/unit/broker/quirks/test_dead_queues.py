"""A private queue that will never have a leader again is replaced, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiormq
import pytest
from pamqp import commands as spec

from broker.publishing.publication import Publication
from broker.publishing.publisher import Publisher
from broker.quirks import dead_queues
from broker.quirks.dead_queues import DeadQueues
from broker.timing.tasks import Tasks
from broker.topology import Topology
from tests.unit.broker.amqp_node import AmqpNode, Published, Session, amqp_node, eventually
from tests.unit.broker.publishing.test_links import KEY, publisher_to

QUEUE = Topology().private_queue(1).name


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_queues, "INTERVAL", 0.01)
    monkeypatch.setattr(dead_queues, "STUCK", 0.02)
    monkeypatch.setattr(dead_queues, "SETTLED", 0.05)
    monkeypatch.setattr(dead_queues, "ANSWER", 0.1)


class Cluster(AmqpNode):
    """An AMQP node with queues that have no leader.

    ``dead`` queues have no leader: nothing that goes to them is answered.
    """

    dead: set[str]
    asked: list[str]
    deleted: list[str]
    locked = False

    def answer(self, session: Session, published: Published) -> None:
        if QUEUE not in self.dead:
            session.send(spec.Basic.Ack(published.tag), published.channel)

    def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        match frame:
            case spec.Basic.Get():
                self.asked.append(frame.queue)
                if frame.queue in self.dead or "everything" in self.dead:
                    return
            case spec.Queue.Declare() if frame.exclusive and self.locked:
                session.close_channel(channel, 405, "RESOURCE_LOCKED - cannot obtain access")
                return
            case spec.Queue.Delete():
                self.deleted.append(frame.queue)
                self.dead.discard(frame.queue)
        yield from super().replies(session, channel, frame)


def play(scenario: Callable[[Cluster, Publisher], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), amqp_node(kind=Cluster) as node:
            node.dead, node.asked, node.deleted = set(), [], []
            node.on_publish = node.answer
            async with publisher_to(node.node) as publisher:
                examining = DeadQueues(publisher, Topology(), tasks=Tasks())
                examining.start()
                try:
                    await publisher.publish(Publication(KEY, b"", "first"), 5)
                    await scenario(node, publisher)
                finally:
                    await examining.close()

    asyncio.run(whole())


@asynccontextmanager
async def stuck(publisher: Publisher) -> AsyncIterator[None]:
    """Meanwhile a message gets no confirm, or one only from a queue that was replaced."""
    waiting = asyncio.create_task(publisher.publish(Publication(KEY, b"", "stuck"), 60))
    yield
    waiting.cancel()
    await asyncio.wait({waiting})


def test_a_queue_without_a_leader_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(node: Cluster, publisher: Publisher) -> None:
        node.dead.add(QUEUE)
        async with stuck(publisher):
            await eventually(lambda: node.deleted == [QUEUE])
        await publisher.publish(Publication(KEY, b"", "later"), 5)
        # The links that it took are closed again.
        await eventually(lambda: len(node.sessions) == 1)

    play(scenario)
    assert f"{QUEUE} is replaced" in caplog.text


def test_one_whose_leader_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_queues, "ANSWER", 5.0)

    async def scenario(node: Cluster, publisher: Publisher) -> None:
        node.on_publish = lambda session, published: None
        async with stuck(publisher):
            await eventually(lambda: node.asked.count(QUEUE) == 2)
        assert node.deleted == []

    play(scenario)


def test_a_cluster_that_stands_still_as_a_whole_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_queues, "REPLACEMENT", 0.5)

    async def scenario(node: Cluster, publisher: Publisher) -> None:
        node.dead.update({QUEUE, "everything"})
        async with stuck(publisher):
            await eventually(lambda: node.asked.count(QUEUE) == 2)
        assert node.deleted == []

    play(scenario)


def test_one_gateway_at_a_time_mends_a_queue() -> None:
    async def scenario(node: Cluster, publisher: Publisher) -> None:
        node.dead.add(QUEUE)
        node.locked = True
        declared = node.heard.count("Queue.Declare")
        async with stuck(publisher):
            await eventually(lambda: node.heard.count("Queue.Declare") >= declared + 2)
            assert node.asked == []
            node.locked = False
            await eventually(lambda: node.deleted == [QUEUE])

    play(scenario)


@pytest.mark.parametrize("method", ["queue_declare", "basic_get", "queue_delete"])
@pytest.mark.parametrize("fault", [asyncio.CancelledError, Exception])
def test_a_call_that_aiormq_breaks_off_ends_nothing_and_the_queue_is_looked_into_again(
    method: str, fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    working, faults = getattr(aiormq.Channel, method), [fault]

    async def break_off(self: aiormq.Channel, *args: Any, **kwargs: Any) -> Any:
        if faults:
            raise faults.pop()
        return await working(self, *args, **kwargs)

    async def scenario(node: Cluster, publisher: Publisher) -> None:
        monkeypatch.setattr(aiormq.Channel, method, break_off)
        node.dead.add(QUEUE)
        async with stuck(publisher):
            await eventually(lambda: node.deleted == [QUEUE])
        assert not faults

    play(scenario)
