"""The feeds together: each on a node of its own, and moved off a node that is to be left.

A move takes no message away: the replacement stands on another node before the old feed goes.
Where there is no other node, a feed stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final

from broker.nodes.balancer import Balancer, Lease
from broker.timing.tasks import Tasks
from broker.webstomp.feed import Feed

logger = logging.getLogger(__name__)

#: Seconds between two looks whether a feed is to move.
_LOOK: Final = 1.0
#: Seconds within which a replacement must have more topics standing than before. A slow broker
#: takes long for hundreds of them, and so must not begin anew.
STAND: Final = 30.0


class Feeds:
    """``make`` gives a feed of that number, which finds its node by that function."""

    def __init__(
        self,
        count: int,
        *,
        balancer: Balancer,
        make: Callable[[int, Callable[[], Lease]], Feed],
        tasks: Tasks,
    ) -> None:
        self._balancer = balancer
        self._make = make
        self._feeds = [make(number, self._acquire) for number in range(count)]
        self._tasks = tasks

    def __iter__(self) -> Iterator[Feed]:
        """Those that bring messages now; one that moves is there twice."""
        return iter(tuple(self._feeds))

    def start(self) -> None:
        for feed in self._feeds:
            feed.start()
        self._tasks.forever(self._tend, "feeds")

    async def close(self) -> None:
        await self._tasks.close()
        await asyncio.gather(*(feed.close() for feed in self._feeds))

    def _acquire(self) -> Lease:
        """A node that no feed is on. Raises :class:`broker.nodes.balancer.NoNodeAvailable`."""
        return self._balancer.acquire({feed.node for feed in self._feeds if feed.node is not None})

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            leaving = next((feed for feed in self._feeds if feed.leaving), None)
            if leaving is not None and self._has_room():
                await self._move(leaving)

    def _has_room(self) -> bool:
        taken = {feed.node for feed in self._feeds}
        return any(
            state.available and state.node.name not in taken for state in self._balancer.states()
        )

    async def _move(self, old: Feed) -> None:
        numbers = {feed.number for feed in self._feeds}
        new = self._make(min(set(range(len(numbers) + 1)) - numbers), self._acquire)
        for key in old.keys:
            new.subscribe(key)
        self._feeds.append(new)
        new.start()
        if await comes_to_stand(new):
            logger.info("feed %d leaves %s to feed %d", old.number, old.node, new.number)
            gone = old
        else:
            logger.warning("feed %d stays on %s: no other node takes it", old.number, old.node)
            gone = new
        self._feeds.remove(gone)
        await gone.close()


async def comes_to_stand(feed: Feed) -> bool:
    """Whether all of it comes to stand, however long, as long as it goes on."""
    best = 0
    while True:
        try:
            async with asyncio.timeout(STAND):
                await feed.stood.wait()
        except TimeoutError:
            if feed.standing <= best:
                return False
            best = feed.standing
        else:
            return True
