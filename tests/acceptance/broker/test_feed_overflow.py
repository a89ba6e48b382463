"""A feed's queue that drops messages shows it, although no later message of their topic comes."""

import asyncio
from random import SystemRandom
from typing import Any

import pytest

from broker import topology
from broker.feeds.connection import Connection, open_connection
from broker.feeds.feed import FeedContext
from broker.feeds.feeds import Feeds
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import LEFT_OUT
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol.amqp_deliveries import Delivery, Event
from broker.protocol.stomp import Frame
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import DEFAULT_PREFIX, EXCHANGE, Topology
from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp

pytestmark = pytest.mark.cluster

_TIMEOUT = 30
_WANTED, _NOISE = (f"{DEFAULT_PREFIX}.public.{room}" for room in (1, 2))
_BODY = b"x" * 100_000


class Record:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.last = asyncio.Event()
        self.dropped_some = asyncio.Event()

    def subscribed(self, feed: int) -> None: ...

    def knows(self, message: Delivery) -> bool:
        return False

    def message(self, feed: int, message: Frame) -> None:
        self.heard.append(len(message.body))
        if message.body == b"last":
            self.last.set()

    def left_out(self, feed: int) -> None: ...

    def dropped(self, feed: int) -> None:
        self.dropped_some.set()

    def lost(self, feed: int) -> None: ...


def publish(cluster: Cluster, *messages: tuple[str, bytes]) -> None:
    with amqp(cluster) as channel:
        channel.confirm_delivery()
        for key, body in messages:
            channel.basic_publish(EXCHANGE, key, body)


def test_a_feed_that_reads_too_late_hears_that_messages_were_dropped(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(topology.FEED_QUEUE_ARGUMENTS, "x-max-length", 3)
    may_read = asyncio.Event()
    read = Connection.read

    async def read_when_it_may(self: Connection) -> list[Event]:
        await may_read.wait()
        return await read(self)

    account = Credentials(cluster.gateway.name, cluster.gateway.password)

    async def dial(number: int, node: Node) -> Connection:
        return await open_connection(
            node, account, timeout=30, name=f"test feed {number}", message_bytes=1_000_000
        )

    def queue(number: int) -> str:
        return Topology().feed_queue("test", number, "overflow")

    async def scenario() -> None:
        clock, rng = asyncio.get_running_loop().time, SystemRandom()
        at = cluster.node(1)
        balancer = Balancer([Node("r1", at.web_stomp_url, at.amqp_url)], clock=clock, rng=rng)
        context = FeedContext(
            dial=dial,
            queue=queue,
            witness=lambda *_: None,
            leftovers=Leftovers(),
            complaints=Complaints(LEFT_OUT, clock=clock),
            ticker=Ticker(),
            rng=rng,
        )
        feeds = Feeds(1, balancer=balancer, context=context, tasks=Tasks())
        listeners: dict[str, Any] = {_WANTED: Record(), _NOISE: Record()}
        for key, listener in listeners.items():
            feeds.subscribe(key, listener)
        may_read.set()
        monkeypatch.setattr(Connection, "read", read_when_it_may)
        feeds.start()
        try:
            (feed,) = feeds
            await feed.stood.wait()
            may_read.clear()
            # More than the sockets hold, so that the rest waits in the queue.
            noise = [(_NOISE, _BODY)] * 400
            await asyncio.to_thread(
                publish, cluster, *noise, (_WANTED, b"wanted"), *noise[:10], (_NOISE, b"last")
            )
            may_read.set()
            await listeners[_NOISE].last.wait()
            await listeners[_WANTED].dropped_some.wait()
            assert listeners[_WANTED].heard == []
            assert len(listeners[_NOISE].heard) < len(noise)
        finally:
            await feeds.close()

    asyncio.run(asyncio.wait_for(scenario(), _TIMEOUT))
