"""Several buses over a broker in memory, which brings each message by two feeds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from broker.feeds.feeds import Feeds
from broker.protocol.stomp import Frame
from broker.publishing.publication import NotConfirmed, Publication
from broker.timing.tasks import Tasks
from gateway.auth.shared_secret import SharedSecret
from gateway.cluster.bus import Bus
from gateway.cluster.envelope import Seal
from tests.fake_feeds import FakeFeeds

KEY = "t.gateways"


@dataclass
class Network:
    """A network of gateways on one bus, without a broker.

    ``loses`` tells which of the deliveries never arrive; ``away``: nothing is confirmed.
    """

    buses: list[Bus] = field(default_factory=list)
    feeds: dict[str, FakeFeeds] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    away: bool = False
    latency: float = 0.01
    copies: int = 2
    scattered: int = 0
    loses: Callable[[], bool] = bool

    async def publish(self, publication: Publication, _: float) -> None:
        await asyncio.sleep(self.latency)
        if self.away:
            raise NotConfirmed("the broker is away")
        assert not publication.persistent
        self._bring(publication)

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        self.scattered += 1
        if self.away:
            return []
        asyncio.get_running_loop().call_later(self.latency, self._bring, through("r1"))
        return ["r1"]

    def _bring(self, publication: Publication) -> None:
        message = Frame("MESSAGE", (("subscription", "1"),), publication.body)
        for bus in tuple(self.buses):
            feeds = self.feeds[bus.gateway]
            hears = KEY in feeds.listeners and bus.gateway not in self.deaf
            if hears and not self.loses():
                for feed in range(self.copies):
                    feeds.bring(feed, publication.routing_key, message)

    def bus(self, name: str, secret: str = "s" * 32) -> Bus:
        loop = asyncio.get_running_loop()
        feeds = FakeFeeds()
        made = Bus(
            name,
            key=KEY,
            seal=Seal(SharedSecret(secret), clock=loop.time),
            publisher=self,
            feeds=cast("Feeds", feeds),
            tasks=Tasks(),
        )
        self.counts[name] = made.counts
        self.buses.append(made)
        self.feeds[name] = feeds
        return made

    @asynccontextmanager
    async def joined(self, *names: str) -> AsyncIterator[Any]:
        """Buses that have come to know each other."""
        made = [self.bus(name) for name in names]
        for bus in made:
            bus.start()
            self.feeds[bus.gateway].stand(0, KEY)
        await asyncio.sleep(0.1)
        try:
            yield made
        finally:
            for bus in made:
                await bus.close()
