"""Feeds together: each on a node of its own, and moved off a node that drains, without a gap."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import pytest

from broker.feeds.connection import Connection, open_connection
from broker.feeds.feed import FeedContext
from broker.feeds.feeds import Feeds
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import LEFT_OUT
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import Frame
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from tests.integration.broker.feeds.feed_node import DECLARATIONS, FeedNode, serving

_TIMEOUT = 20
#: No feed was lost yet.
_NEVER = 99
KEYS = ("k.1", "k.2")


class Listener:
    """Which feeds stand for its key; at no moment none."""

    def __init__(self) -> None:
        self.standing: set[int] = set()
        self.fewest = _NEVER
        self.heard: list[tuple[int, str]] = []

    def subscribed(self, feed: int) -> None:
        self.standing.add(feed)

    def knows(self, message: Delivery) -> bool:
        return False

    def message(self, feed: int, message: Frame) -> None:
        self.heard.append((feed, message.body.decode()))

    def dropped(self, feed: int) -> None:
        raise AssertionError("no queue was full")

    def left_out(self, feed: int) -> None:
        raise AssertionError(feed)

    def lost(self, feed: int) -> None:
        self.standing.discard(feed)
        self.fewest = min(self.fewest, len(self.standing))


class Stage:
    """Two feeds with scripted nodes and a listener that records."""

    def __init__(
        self,
        nodes: list[FeedNode],
        balancer: Balancer,
        feeds: Feeds,
        listeners: dict[str, Listener],
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.balancer = balancer
        self.feeds = feeds
        self.listeners = listeners

    @property
    def fewest(self) -> int:
        return min(listener.fewest for listener in self.listeners.values())

    def on(self) -> set[str | None]:
        return {feed.node for feed in self.feeds}

    async def stand_on(self, *names: str) -> None:
        """Feeds on these nodes, with everything subscribed."""
        await until(
            lambda: self.on() == set(names) and all(feed.stood.is_set() for feed in self.feeds)
        )

    async def has_left(self) -> None:
        """A feed that was replaced is closed, which comes a moment later."""
        await until(lambda: self.fewest != _NEVER)

    async def stand_on_the_only(self, name: str) -> None:
        """One of them on this node, and the other one nowhere."""
        await until(
            lambda: (
                self.on() == {name, None}
                and any(feed.node and feed.stood.is_set() for feed in self.feeds)
                and not any(feed.problem for feed in self.feeds)
            )
        )


@asynccontextmanager
async def stage(*names: str) -> AsyncIterator[Stage]:
    tasks = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(serving(FeedNode(name))) for name in names]
        loop = asyncio.get_running_loop()
        rng = Random(1)  # noqa: S311 - the same course every time
        balancer = Balancer([node.node for node in nodes], clock=loop.time, rng=rng)
        context = FeedContext(
            dial=_dial,
            queue=lambda number: f"feed.{number}.{rng.random()}",
            witness=lambda *_: None,
            complaints=Complaints(LEFT_OUT, clock=loop.time),
            leftovers=Leftovers(),
            ticker=Ticker(),
            rng=rng,
        )
        feeds = Feeds(2, balancer=balancer, context=context, tasks=Tasks())
        listeners = {key: Listener() for key in KEYS}
        for key, listener in listeners.items():
            feeds.subscribe(key, listener)
        feeds.start()
        try:
            yield Stage(nodes, balancer, feeds, listeners)
        finally:
            await feeds.close()
    assert asyncio.all_tasks() == tasks


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(_TIMEOUT):
        while True:
            if what():
                return
            await asyncio.sleep(0.01)


async def _dial(number: int, node: Node) -> Connection:
    account = Credentials("gateway", "secret", "/")
    return await open_connection(
        node, account, timeout=2, name=f"feed {number}", message_bytes=65_536
    )


def test_a_feed_leaves_a_draining_node_only_when_its_replacement_stands() -> None:
    async def scenario() -> None:
        async with stage("a", "b", "c") as here:
            await until(lambda: len(here.on() - {None}) == 2)
            first, second = sorted(name for name in here.on() if name)
            (other,) = here.nodes.keys() - {first, second}
            await here.stand_on(first, second)
            # New nodes answer late: until then nothing may be given up.
            here.nodes[other].answers = False
            here.balancer.drain(first)
            await until(lambda: len(here.nodes[other].bound()) == len(KEYS))
            assert here.on() == {first, second, other}
            here.nodes[other].session.answer(DECLARATIONS + len(KEYS))
            await here.stand_on(second, other)
            await here.has_left()
            assert here.fewest == 2
            assert not here.nodes[first].bound()
            # What is subscribed later reaches the feeds that are there now, and nobody else.
            here.nodes[other].answers = True
            late = Listener()
            here.feeds.subscribe("k.3", late)
            await until(lambda: len(late.standing) == 2)
            assert late.standing == {feed.number for feed in here.feeds}
            assert all(len(here.nodes[name].bound()) == 3 for name in (second, other))

    asyncio.run(scenario())


def test_without_another_node_a_feed_stays_and_moves_when_there_is_one() -> None:
    async def scenario() -> None:
        async with stage("a", "b") as here:
            await here.stand_on("a", "b")
            here.balancer.drain("a")
            async with serving(FeedNode("c")) as third:
                here.balancer.replace([here.nodes["b"].node, third.node])
                await here.stand_on("b", "c")
                await here.has_left()
                assert here.fewest == 2
                await here.feeds.close()

    asyncio.run(scenario())


def test_a_feed_without_a_node_of_its_own_finds_the_one_that_returns() -> None:
    async def scenario() -> None:
        async with stage("a", "b") as here:
            await here.stand_on("a", "b")
            here.balancer.drain("b")
            here.nodes["b"].session.drop()
            await until(lambda: here.on() == {"a", None})
            here.balancer.resume("b")
            await here.stand_on("a", "b")

    asyncio.run(scenario())


def test_a_feed_for_which_there_is_no_further_node_lacks_nothing() -> None:
    async def scenario() -> None:
        async with stage("a") as here:
            await here.stand_on_the_only("a")
            assert [feed.problem for feed in here.feeds] == [None, None]
            here.balancer.drain("a")
            here.nodes["a"].session.drop()
            await until(lambda: all(feed.problem for feed in here.feeds))

    asyncio.run(scenario())


def test_each_key_is_its_listener_s_alone_by_every_feed_until_it_is_unsubscribed() -> None:
    async def scenario() -> None:
        async with stage("a", "b") as here:
            await here.stand_on("a", "b")
            one, other = (here.listeners[key] for key in KEYS)
            assert one.standing == other.standing == {0, 1}
            with pytest.raises(ValueError, match=r"k\.1 is subscribed already"):
                here.feeds.subscribe("k.1", other)
            for node in here.nodes.values():
                node.session.publish("k.1", b"first")
                node.session.publish("k.2", b"second")
            await until(lambda: len(one.heard) == len(other.heard) == 2)
            assert sorted(one.heard) == [(0, "first"), (1, "first")]
            assert sorted(other.heard) == [(0, "second"), (1, "second")]
            here.feeds.unsubscribe("k.1")
            here.feeds.unsubscribe("k.1")
            await until(lambda: all(node.bound() == ["k.2"] for node in here.nodes.values()))
            # Its listener may be another one now.
            successor = Listener()
            here.feeds.subscribe("k.1", successor)
            await until(lambda: successor.standing == {0, 1})
            for node in here.nodes.values():
                node.session.publish("k.1", b"third")
            await until(lambda: len(successor.heard) == 2)
            assert len(one.heard) == 2

    asyncio.run(scenario())
