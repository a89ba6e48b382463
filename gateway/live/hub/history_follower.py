"""The loop by which topics without a feed, or with a new one, follow the history."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from broker.timing.readings import Monotonic
from broker.timing.tasks import Job, Tasks
from gateway.errors import BrokerUnavailable, StoreUnavailable
from gateway.live.hub.pages import HistoryReader
from gateway.live.hub.topic import Topic

logger = logging.getLogger(__name__)

#: Seconds between two questions to the history.
LOOK: Final = 1.0
#: Streams in one question.
_STREAMS: Final = 512
#: Seconds after which a topic with neither a feed nor the history is given up.
HOPELESS: Final = 30.0


class HistoryFollower:
    """A loop that runs only while it is needed, and asks one question a second.

    The answer tells where all of the streams end; only those that have grown are read.
    """

    def __init__(
        self,
        history: HistoryReader,
        topics: Callable[[], Iterable[Topic]],
        *,
        clock: Monotonic,
        tasks: Tasks,
    ) -> None:
        self._history = history
        self._topics = topics
        self._clock = clock
        self._tasks = tasks
        self._job: Job | None = None
        self._doubtful = False
        #: Until when every topic is doubtful, on the clock.
        self._doubtful_until = -math.inf
        self._away = False

    @property
    def unfed(self) -> list[Topic]:
        """The topics that have users and no feed."""
        return [topic for topic in self._topics() if topic.users and not topic.fed]

    def begin(self) -> None:
        """Begin, unless it runs: a topic is not settled, or there is a doubt."""
        if self._job is None or self._job.done:
            self._job = self._tasks.until_done(self._run, "hub: topics without a feed")

    def doubt(self) -> None:
        """Check every topic once: each may have missed the newest messages."""
        self._doubtful = True
        self.begin()

    def doubt_for(self, seconds: float) -> None:
        """Check every topic again and again for so long."""
        self._doubtful_until = max(self._doubtful_until, self._clock() + seconds)
        self.doubt()

    def close(self) -> None:
        if self._job is not None:
            self._job.cancel()

    async def _run(self) -> None:
        if not self._doubtful:
            await asyncio.sleep(LOOK)
        told = False
        while topics := self._due():
            if not told and (unfed := len(self.unfed)):
                told = True
                logger.warning(
                    "no feed brings %d topics, which follow the history meanwhile", unfed
                )
            for start in range(0, len(topics), _STREAMS):
                await self._look(topics[start : start + _STREAMS])
            await asyncio.sleep(LOOK)
        if told:
            logger.info("every topic has a feed again")

    def _due(self) -> list[Topic]:
        doubtful = self._doubtful or self._clock() < self._doubtful_until
        self._doubtful = False
        return [
            topic for topic in self._topics() if topic.users and (doubtful or not topic.settled)
        ]

    async def _look(self, topics: Sequence[Topic]) -> None:
        now = self._clock()
        try:
            heads = await self._history.heads([topic.stream for topic in topics])
        except StoreUnavailable as error:
            if not self._away:
                self._away = True
                logger.warning(
                    "topics without a feed cannot follow the history, trying again: %s", error
                )
            self._give_up(topics)
            # Again in a second, and also for topics with a feed: if a feed missed the newest
            # messages, no hole shows it.
            self._doubtful = True
            return
        self._away = False
        for topic in topics:
            topic.followed_at = now
            if head := heads.get(topic.stream):
                topic.grown(head)

    def _give_up(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            since = max(topic.unfed_since, topic.followed_at)
            if not topic.fed and self._clock() - since > HOPELESS:
                topic.end(BrokerUnavailable("neither the broker nor the history brings this topic"))
