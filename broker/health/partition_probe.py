"""Finds nodes that have lost the rest of the cluster, and has them left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from broker.health.partition import MISSED, Hearing
from broker.nodes.balancer import Balancer
from broker.nodes.node import PARTITIONED
from broker.protocol.numerals import natural
from broker.protocol.stomp import Frame
from broker.publishing.publication import Publication
from broker.timing.tasks import Tasks
from broker.webstomp.feeds import Feeds

log = logging.getLogger(__name__)

#: Seconds between two rounds.
ROUND: Final = 1.0
#: Milliseconds for which the broker keeps an echo that nobody takes.
_EXPIRES_MS: Final = 10_000


class Publisher(Protocol):
    """See :class:`broker.publishing.publisher.Publisher`."""

    def scatter(self, through: Callable[[str], Publication]) -> list[str]: ...


class Echoes:
    """``key`` is the routing key of this gateway's echoes. ``doubt`` is called when a node was
    found apart, and in the next rounds: until the other gateways have found it too, they publish
    through it what comes to nobody."""

    def __init__(
        self,
        key: str,
        *,
        publisher: Publisher,
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
        self._hearing = Hearing()
        #: The feeds that bring the echoes, if not at once.
        self._standing: set[int] = set()
        self._apart: frozenset[str] = frozenset()
        self._doubtful = 0
        self._tasks = tasks

    def start(self) -> None:
        self._feeds.subscribe(self.key, self)
        self._tasks.forever(self._run, "echoes")

    async def close(self) -> None:
        self._feeds.unsubscribe(self.key)
        await self._tasks.close()

    # The listener of the key

    def subscribed(self, feed: int) -> None:
        self._standing.add(feed)
        self._hearing.stands(feed)

    def message(self, feed: int, message: Frame) -> None:
        round, _, node = message.body.decode(errors="replace").partition(" ")
        # Only a gateway may publish with this key; what is no echo is none.
        if (number := natural(round)) is not None:
            self._hearing.heard(feed, node, number)

    def left_out(self, feed: int) -> None:
        """Nothing to do: it was no echo."""

    def stalled(self, feed: int) -> None:
        """A feed that hears nothing is no judge of who says nothing."""
        self._hearing.gone(feed)

    def resumed(self, feed: int) -> None:
        if feed in self._standing:
            self._hearing.stands(feed)

    def lost(self, feed: int) -> None:
        self._standing.discard(feed)
        self._hearing.gone(feed)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND)
            self._judge()
            self._send()

    def _judge(self) -> None:
        apart = self._hearing.apart(len(self._balancer.states()))
        for node in apart - self._apart:
            log.warning("%s is left, and to be restarted if it stays so: %s", node, PARTITIONED)
        for node in self._apart - apart:
            log.info("%s is not apart from the others any more", node)
        if apart - self._apart:
            self._doubtful = MISSED + 1
        self._apart = apart
        self._balancer.mark_partitioned(apart)
        if self._doubtful:
            self._doubtful -= 1
            self._doubt()

    def _send(self) -> None:
        round = self._hearing.begin()

        def echo(node: str) -> Publication:
            return Publication(
                self.key,
                f"{round} {node}".encode(),
                message_id=f"{round} {node}",
                persistent=False,
                expiration_ms=_EXPIRES_MS,
                content_type="text/plain",
            )

        self._hearing.sent(self._publisher.scatter(echo))
