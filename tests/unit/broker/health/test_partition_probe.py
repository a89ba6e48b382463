"""A node whose echoes come to nobody is left, until they come again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import cast

from broker.feeds.feeds import Feeds
from broker.health.partition import MISSED
from broker.health.partition_probe import ROUND, PartitionProbe
from broker.nodes.balancer import Balancer
from broker.nodes.node import PARTITIONED, Node
from broker.protocol.stomp import Frame
from broker.publishing.publication import Publication
from broker.timing.tasks import Tasks
from tests.fake_feeds import FakeFeeds
from tests.virtual_time import run

KEY = "acdm.mo.interact.gateways.echo-0"
NODES = ["r1", "r2", "r3"]


class Cluster:
    """A publisher and two feeds on nodes of which one may be partitioned."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        rng = Random(1)  # noqa: S311 - the same course every time
        self.balancer = Balancer(
            [Node(name, "ws://x/ws", "amqp://x") for name in NODES], clock=loop.time, rng=rng
        )
        self.feeds = FakeFeeds()
        self.partitioned = ""
        self.doubts = 0
        self.probe = PartitionProbe(
            KEY,
            publisher=self,
            balancer=self.balancer,
            feeds=cast("Feeds", self.feeds),
            doubt=self.doubt,
            tasks=Tasks(),
        )

    def doubt(self) -> None:
        self.doubts += 1

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        for node in NODES:
            publication = through(node)
            assert publication.routing_key == KEY
            assert not publication.persistent
            if node != self.partitioned:
                self.arrive(Frame("MESSAGE", (), publication.body))
        return NODES

    def arrive(self, message: Frame) -> None:
        # Never before the publisher has returned.
        loop = asyncio.get_running_loop()
        for feed in (0, 1):
            loop.call_soon(self.feeds.bring, feed, KEY, message)

    @property
    def left(self) -> set[str]:
        return {name for name in NODES if self.balancer.is_to_be_left(name)}


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    made.probe.start()
    made.feeds.stand(0, KEY)
    made.feeds.stand(1, KEY)
    await asyncio.sleep(10 * ROUND)
    yield made
    await made.probe.close()
    assert made.feeds.calls == [f"+{KEY}", f"-{KEY}"]


def test_a_partitioned_node_is_left_and_what_came_last_is_doubted() -> None:
    async def scenario() -> None:
        async with cluster() as of:
            assert of.left == set()
            of.partitioned = "r2"
            await asyncio.sleep((MISSED + 2) * ROUND)
            assert of.left == {"r2"}
            assert [state.unavailable_because for state in of.balancer.states()] == [
                None,
                PARTITIONED,
                None,
            ]
            assert of.doubts >= 1
            await asyncio.sleep(10 * MISSED * ROUND)
            # Not for ever: by then every gateway has left it.
            assert of.doubts == MISSED + 1

    run(scenario())


def test_one_that_is_back_is_used_again() -> None:
    async def scenario() -> None:
        async with cluster() as of:
            of.partitioned = "r2"
            await asyncio.sleep(10 * ROUND)
            of.partitioned = ""
            await asyncio.sleep(2 * ROUND)
            assert of.left == set()
            assert of.balancer.acquire(frozenset({"r1", "r3"})).node.name == "r2"

    run(scenario())


def test_a_message_that_is_no_echo_tells_nothing() -> None:
    async def scenario() -> None:
        async with cluster() as of:
            of.partitioned = "r2"
            for body in (b"", b"x", b"\xff 1", b"7", b"-1 r1", b"9" * 5000 + b" r2", b"99999 r2"):
                of.feeds.bring(0, KEY, Frame("MESSAGE", (), body))
            await asyncio.sleep((MISSED + 2) * ROUND)
            assert of.left == {"r2"}

    run(scenario())


def test_without_feeds_nothing_is_known() -> None:
    async def scenario() -> None:
        async with cluster() as of:
            of.partitioned = "r2"
            of.feeds.lose(0)
            of.feeds.lose(1)
            await asyncio.sleep(10 * ROUND)
            assert of.left == set()

    run(scenario())


def test_a_feed_that_is_lost_is_no_judge_and_one_that_returns_is_again() -> None:
    async def scenario() -> None:
        async with cluster() as of:
            of.partitioned = "r2"
            for feed in (0, 1):
                of.feeds.lose(feed)
            await asyncio.sleep(10 * ROUND)
            assert of.left == set()
            of.feeds.stand(1, KEY)
            await asyncio.sleep((MISSED + 2) * ROUND)
            assert of.left == {"r2"}

    run(scenario())
