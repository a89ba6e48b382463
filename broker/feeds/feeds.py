"""The gateway's feeds, and the table of the keys that they subscribe.

Each feed is on a node of its own, and is moved off a node that is to be left. A move loses no
message: the replacement stands on another node before the old feed goes. Where there is no other
node, a feed stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from broker.feeds.feed import Feed, FeedContext
from broker.feeds.listener import Listener, Pattern, PatternListener
from broker.nodes.balancer import Balancer, Lease
from broker.timing.tasks import Tasks

logger = logging.getLogger(__name__)

#: Seconds between two checks whether a feed is to move.
_CHECK: Final = 1.0
#: Seconds within which a replacement must have more topics standing than before. A slow broker
#: takes long for hundreds of them, and must not have to begin again.
STAND: Final = 30.0
#: The first version with Khepri, and the time that its nodes have to learn of a binding: a message
#: by another node was seen to miss one that had been confirmed some milliseconds before.
_KHEPRI: Final = 4
_SETTLING: Final = 0.2


class Feeds:
    """A fixed number of feeds that all bring every subscribed key.

    ``count`` is how many there are while none moves; more nodes than one are needed for more feeds
    than one. Keys may be subscribed before :meth:`start` and at any time after it.
    """

    def __init__(
        self, count: int, *, balancer: Balancer, context: FeedContext, tasks: Tasks
    ) -> None:
        self._balancer = balancer
        self._context = context
        self._tasks = tasks
        self._listeners: dict[str, Listener] = {}
        self._pattern_listeners: dict[Pattern, PatternListener] = {}
        self._feeds = [self._make(number) for number in range(count)]

    def __iter__(self) -> Iterator[Feed]:
        """The feeds that bring messages now; while one moves, there is one more."""
        return iter(tuple(self._feeds))

    @property
    def nodes(self) -> list[str | None]:
        """The node that each feed is on; None: it looks for one."""
        return [feed.node for feed in self._feeds]

    @property
    def settling(self) -> float:
        """Seconds from the confirm of a new binding until all nodes route by it. With Khepri, since
        4.0, a node answers as soon as it knows itself; the others follow a moment later.
        https://www.rabbitmq.com/docs/metadata-store
        """
        return _SETTLING if any(feed.major_version >= _KHEPRI for feed in self._feeds) else 0.0

    @property
    def entrances(self) -> list[str]:
        """The exchanges that the feeds' topics and patterns are bound to now."""
        return [entrance for feed in self._feeds for entrance in feed.entrances]

    @property
    def problems(self) -> dict[str, str]:
        """Why feeds do not bring everything now, by the feed, for people."""
        return {
            f"feed {feed.number}": feed.problem for feed in self._feeds if feed.problem is not None
        }

    @property
    def left_out(self) -> Counter[str]:
        """The number of messages that were left out since the start, by reason."""
        return self._context.complaints.counts

    def start(self) -> None:
        for feed in self._feeds:
            feed.start()
        self._tasks.forever(self._tend, "feeds")

    async def close(self) -> None:
        await self._tasks.close()
        await asyncio.gather(*(feed.close() for feed in self._feeds))

    def subscribe(self, key: str, listener: Listener) -> None:
        """Have every feed bring what is published with this routing key to the listener.

        A key has one listener: raises ValueError for a key that has one already.
        """
        if key in self._listeners:
            raise ValueError(f"{key} is subscribed already")
        self._listeners[key] = listener
        for feed in self._feeds:
            feed.subscribe(key, listener)

    def unsubscribe(self, key: str) -> None:
        """Give the key up, if it is subscribed: its listener is not called any more."""
        self._listeners.pop(key, None)
        for feed in self._feeds:
            feed.unsubscribe(key)

    def subscribe_pattern(self, pattern: Pattern, listener: PatternListener) -> None:
        """Have every feed bring what an exchange routes by this key.

        A pattern has one listener: raises ValueError for one that has a listener already.
        """
        if pattern in self._pattern_listeners:
            raise ValueError(f"{pattern} is subscribed already")
        self._pattern_listeners[pattern] = listener
        for feed in self._feeds:
            feed.subscribe_pattern(pattern, listener)

    def confirm_pattern(self, pattern: Pattern) -> None:
        """Have RabbitMQ say once more, to each feed, whether the pattern is bound."""
        for feed in self._feeds:
            feed.confirm_pattern(pattern)

    def unsubscribe_pattern(self, pattern: Pattern) -> None:
        """Give the pattern up, if it is subscribed: its listener is not called any more."""
        self._pattern_listeners.pop(pattern, None)
        for feed in self._feeds:
            feed.unsubscribe_pattern(pattern)

    def sweep(self, entrances: Iterable[str]) -> None:
        """Delete the entrances of another gateway's feeds, which ended without closing them."""
        self._context.leftovers.add(entrances)

    def _make(self, number: int) -> Feed:
        return Feed(number, acquire=self._acquire, context=self._context, tasks=self._tasks.part())

    def _acquire(self) -> Lease:
        """A node that no feed is on. Raises :class:`broker.nodes.balancer.NoNodeAvailable`."""
        return self._balancer.acquire({feed.node for feed in self._feeds if feed.node is not None})

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_CHECK)
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
        new = self._make(min(set(range(len(numbers) + 1)) - numbers))
        for key, listener in self._listeners.items():
            new.subscribe(key, listener)
        for pattern, pattern_listener in self._pattern_listeners.items():
            new.subscribe_pattern(pattern, pattern_listener)
        self._feeds.append(new)
        new.start()
        if await comes_to_stand(new):
            logger.info("feed %d leaves %s to feed %d", old.number, old.node, new.number)
            gone = old
        else:
            logger.warning(
                "feed %d stays on %s, which is to be left: on no other node did everything come to "
                "stand; trying again",
                old.number,
                old.node,
            )
            gone = new
        self._feeds.remove(gone)
        await gone.close()


async def comes_to_stand(feed: Feed) -> bool:
    """Whether everything comes to stand, however long it takes, as long as there is progress."""
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
