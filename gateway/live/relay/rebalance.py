"""The rebalancer: it moves relays off a node that is to be left, and off crowded nodes when another
has come back. Its rate is bounded, so that clients and nodes notice no more than they must."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from random import Random
from typing import Final, Protocol

from broker.nodes.balancer import Balancer
from broker.timing.readings import Monotonic
from broker.timing.tasks import Tasks
from gateway.errors import BrokerUnavailable

logger = logging.getLogger(__name__)

#: Moves a second, at most.
RATE: Final = 20.0
#: Seconds between two checks of the nodes.
LOOK: Final = 1.0
#: Seconds after an attempt in which a relay is not moved again.
REST: Final = 60.0
#: Seconds after which a relay that cannot move ends with its node's removal.
GRACE: Final = 30.0
#: A node is crowded when it has so many connections more than its share, and that part of it:
#: a move costs its client a pause, so a slight imbalance is left alone.
_MORE: Final = 5
_PART: Final = 0.25


class Movable(Protocol):
    """An uplink, as far as the rebalancer knows it."""

    @property
    def node(self) -> str | None: ...

    @property
    def to_be_left(self) -> bool:
        """Whether its node drains, or is not configured any more."""

    @property
    def free(self) -> bool:
        """Whether nothing is under way that a move would leave in doubt."""

    async def relocate(self, why: str) -> bool:
        """Go on at another node; False if nothing has changed."""

    def give_up(self, error: BrokerUnavailable) -> None:
        """End, with the reason for the client."""


class Rebalancer:
    """The loop that moves uplinks on purpose, between their :meth:`add` and :meth:`remove`."""

    def __init__(self, balancer: Balancer, *, clock: Monotonic, rng: Random, tasks: Tasks) -> None:
        self._balancer = balancer
        self._clock = clock
        self._rng = rng
        self._uplinks: dict[Movable, None] = {}
        self._tried: dict[Movable, float] = {}
        self._removed: dict[Movable, float] = {}
        self._tasks = tasks

    def add(self, uplink: Movable) -> None:
        self._uplinks[uplink] = None

    def remove(self, uplink: Movable) -> None:
        self._uplinks.pop(uplink, None)
        self._tried.pop(uplink, None)
        self._removed.pop(uplink, None)

    def start(self) -> None:
        self._tasks.forever(self._run, "rebalancer")

    async def close(self) -> None:
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK * self._rng.uniform(0.5, 1.5))
            self.end_overdue()
            moved = 0
            for uplink, why in self.due():
                try:
                    moved += await uplink.relocate(why)
                except Exception as error:
                    # The others are moved all the same; this one rests.
                    self._tasks.failures.note("rebalancer: a move", error)
                await asyncio.sleep(self._rng.uniform(0.5, 1.5) / RATE)
            if moved:
                logger.info("%d relays were moved to other nodes", moved)

    def due(self) -> Iterator[tuple[Movable, str]]:
        """The uplinks that have to move now, and why.

        Each is examined when its turn comes, and then counts as tried.
        """
        uplinks = list(self._uplinks)
        self._rng.shuffle(uplinks)
        crowded = self._crowded()
        for uplink in uplinks:
            why = self._reason(uplink, crowded)
            if why is not None:
                self._tried[uplink] = self._clock()
                yield uplink, why
                crowded = self._crowded()

    def end_overdue(self) -> None:
        """A node that is not configured any more is not waited for without end."""
        now = self._clock()
        for uplink in tuple(self._uplinks):
            if not uplink.to_be_left or self._balancer.is_to_be_left(uplink.node or ""):
                self._removed.pop(uplink, None)
            elif now - self._removed.setdefault(uplink, now) >= GRACE:
                uplink.give_up(BrokerUnavailable("the broker node was taken out of service"))

    def _reason(self, uplink: Movable, crowded: AbstractSet[str]) -> str | None:
        # One that has gone meanwhile must not come back into the books.
        if uplink not in self._uplinks or not uplink.free:
            return None
        if self._clock() - self._tried.get(uplink, -math.inf) < REST:
            return None
        if uplink.to_be_left:
            return "the node is to be left"
        return "another node has room" if uplink.node in crowded else None

    def _crowded(self) -> AbstractSet[str]:
        """Nodes with too many connections, while others could take them."""
        states = [state for state in self._balancer.states() if state.available]
        share = sum(state.connections for state in states) / max(1, len(states))
        limit = share + max(_MORE, _PART * share)
        return {state.node.name for state in states if state.connections > limit}
