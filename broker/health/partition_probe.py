"""Finds nodes that have lost the rest of the cluster, and has connections leave them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from broker.feeds.feeds import Feeds
from broker.health.partition import MISSED, PartitionDetector
from broker.nodes.balancer import Balancer
from broker.nodes.node import PARTITIONED
from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.numerals import natural
from broker.protocol.stomp import Frame
from broker.publishing.publication import Publication, ScatteringPublisher
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Seconds between two rounds.
ROUND: Final = 1.0
#: Milliseconds after which the broker drops an echo that nobody takes.
_EXPIRES_MS: Final = 10_000


class PartitionProbe:
    """A sender of echoes through every node, which judges by those that the feeds bring.

    ``key`` is the routing key of this gateway's echoes. ``doubt`` is called when a node was found
    partitioned, and in the next rounds: until the other gateways have found it too, they publish
    messages through it that reach nobody.
    """

    def __init__(
        self,
        key: str,
        *,
        publisher: ScatteringPublisher,
        balancer: Balancer,
        feeds: Feeds,
        doubt: Callable[[], None],
        tasks: Tasks,
    ) -> None:
        self.key = key
        self._publisher = publisher
        self._balancer = balancer
        self._feeds = feeds
        self._doubt = doubt
        self._detector = PartitionDetector()
        self._partitioned: frozenset[str] = frozenset()
        self._doubtful = 0
        self._tasks = tasks

    def start(self) -> None:
        self._feeds.subscribe(self.key, self)
        self._tasks.forever(self._run, "partition probe")

    async def close(self) -> None:
        self._feeds.unsubscribe(self.key)
        await self._tasks.close()

    # The listener of the key

    def subscribed(self, feed: int) -> None:
        self._detector.stands(feed)

    def knows(self, message: Delivery) -> bool:
        """Nothing: by which feed an echo comes is what it is for."""
        return False

    def message(self, feed: int, message: Frame) -> None:
        round, _, node = message.body.decode(errors="replace").partition(" ")
        # Only gateways may publish with this key; anything else is ignored.
        if (number := natural(round)) is not None:
            self._detector.heard(feed, node, number)

    def left_out(self, feed: int) -> None:
        """Nothing to do: it was no echo."""

    def dropped(self, feed: int) -> None:
        """Nothing to do: the echoes of other rounds tell enough."""

    def lost(self, feed: int) -> None:
        """A feed that hears nothing cannot judge which node is silent."""
        self._detector.gone(feed)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND)
            self._judge()
            self._send()

    def _judge(self) -> None:
        partitioned = self._detector.partitioned(len(self._balancer.states()))
        for node in partitioned - self._partitioned:
            log.warning("avoiding node %s; restart it if this persists: %s", node, PARTITIONED)
        for node in self._partitioned - partitioned:
            log.info("node %s reaches the other nodes again, and is used again", node)
        if partitioned - self._partitioned:
            self._doubtful = MISSED + 1
        self._partitioned = partitioned
        self._balancer.mark_partitioned(partitioned)
        if self._doubtful:
            self._doubtful -= 1
            self._doubt()

    def _send(self) -> None:
        round = self._detector.begin()

        def echo(node: str) -> Publication:
            return Publication(
                self.key,
                f"{round} {node}".encode(),
                message_id=f"{round} {node}",
                persistent=False,
                expiration_ms=_EXPIRES_MS,
                content_type="text/plain",
            )

        self._detector.sent(self._publisher.scatter(echo))
