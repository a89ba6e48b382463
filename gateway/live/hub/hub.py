"""One subscription upstream per topic, every local subscriber served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from broker.protocol.stomp import Frame
from broker.timing.complaints import Complaints
from broker.timing.tasks import Tasks
from broker.topology import Stream, Topology
from broker.webstomp.feed import LEFT_OUT, Feed
from gateway.domain.message import Message
from gateway.errors import BrokerUnavailable, StoreUnavailable
from gateway.live.hub.fanout import FanOut, Subscriber
from gateway.live.hub.following import Following
from gateway.live.hub.pages import History, Pages
from gateway.live.hub.topic import SOON, Shared, Topic

#: Seconds that a topic stays subscribed upstream when its last subscriber has left: a class that
#: reloads its page comes back to a topic that stands.
LINGER: Final = 30.0
#: Topics that read the history at the same time, e.g. when a node is lost.
_READERS: Final = 8
#: Clients that get a portion of the past in one turn of the loop.
_RESUMING: Final = 8


class Hub:
    """Made before its feeds, which it listens to; :meth:`attach` gives them to it."""

    def __init__(
        self,
        topology: Topology,
        history: History,
        *,
        budget: int,
        tasks: Tasks,
        linger: float = LINGER,
    ) -> None:
        self.fan_out = FanOut(budget=budget)
        self._loop = asyncio.get_running_loop()
        #: What the feeds have brought that could be given to nobody.
        self.complaints = Complaints(LEFT_OUT, clock=self._loop.time)
        self._topology = topology
        self._linger = linger
        self._shared = Shared(
            history=history,
            pages=Pages(history),
            fan_out=self.fan_out,
            reading=asyncio.Semaphore(_READERS),
            resuming=asyncio.Semaphore(_RESUMING),
            clock=self._loop.time,
            tasks=tasks,
        )
        self._feeds: Iterable[Feed] = ()
        self._topics: dict[str, Topic] = {}
        self._following = Following(
            history, self._topics.values, clock=self._loop.time, tasks=tasks
        )
        self._lingering: dict[str, asyncio.TimerHandle] = {}

    def attach(self, feeds: Iterable[Feed]) -> None:
        self._feeds = feeds

    @property
    def feeds(self) -> list[str | None]:
        """The node that each feed is on; None: it looks for one."""
        return [feed.node for feed in self._feeds]

    @property
    def unfed(self) -> int:
        """How many topics follow the history, because no feed has brought them for a while."""
        since = self._loop.time() - SOON
        return sum(topic.unfed_since < since for topic in self._following.topics)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with the way from the broker, by part."""
        found = {
            f"feed {feed.number}": feed.problem for feed in self._feeds if feed.problem is not None
        }
        if unfed := self.unfed:
            found["topics without a feed"] = f"{unfed}, which follow the history"
        return found

    def __len__(self) -> int:
        """How many topics are subscribed upstream."""
        return len(self._topics)

    def __iter__(self) -> Iterator[Topic]:
        return iter(tuple(self._topics.values()))

    async def join(
        self, stream: Stream, subscriber: Subscriber, *, resume_after: int | None
    ) -> int:
        """Returns when the subscriber can miss nothing any more, whether a feed brings the topic or
        the history does: the seq after which everything comes; see :meth:`Topic.join`.

        Whatever comes of it, the caller leaves with :meth:`leave`. Raises
        :class:`BrokerUnavailable` when neither brings it, and what :meth:`Topic.join` raises.
        """
        topic = self._enter(stream)
        try:
            return await topic.join(subscriber, resume_after)
        except StoreUnavailable as error:
            if topic.fed:
                raise
            raise BrokerUnavailable(
                f"no broker node feeds this topic, and {error.detail}"
            ) from error

    def leave(self, stream: Stream, subscriber: Subscriber) -> None:
        """Nothing more is delivered to the subscriber, which has called :meth:`join` before."""
        key = self._topology.routing_key(stream)
        topic = self._topics[key]
        topic.outlet.remove(subscriber)
        topic.users -= 1
        if not topic.users:
            self._lingering[key] = self._loop.call_later(self._linger, self._release, key)

    def close(self) -> None:
        for timer in self._lingering.values():
            timer.cancel()
        self._following.close()
        for topic in self:
            topic.close()
        self._shared.pages.close()

    def stored(self, messages: Iterable[Message]) -> None:
        """What was posted to this gateway and stands in the history now, in order per stream."""
        for message in messages:
            if topic := self._topics.get(self._topology.routing_key(message.stream)):
                topic.stored(message)

    def grown(self, stream: Stream, seq: int) -> None:
        """The history has the stream up to this seq, and the broker is late with it."""
        if topic := self._topics.get(self._topology.routing_key(stream)):
            topic.grown(seq)

    def doubt(self) -> None:
        """The feeds may have missed what was published last."""
        self._following.doubt()

    # What the feeds tell

    def standing(self, feed: int, key: str) -> None:
        if topic := self._topics.get(key):
            topic.feed_standing(feed)

    def arrived(self, feed: int, key: str, message: Frame) -> None:
        if topic := self._topics.get(key):
            topic.arrived(feed, message)

    def left_out(self, feed: int, key: str) -> None:
        """If it was a member's, the history has it."""
        del feed
        if topic := self._topics.get(key):
            topic.doubt()

    def stalled(self, feed: int) -> None:
        for topic in self:
            topic.feed_stalled(feed)
        self._following.begin()

    def resumed(self, feed: int) -> None:
        for topic in self:
            topic.feed_resumed(feed)

    def lost(self, feed: int) -> None:
        for topic in self:
            topic.feed_lost(feed)
        self._following.begin()

    def _enter(self, stream: Stream) -> Topic:
        key = self._topology.routing_key(stream)
        if timer := self._lingering.pop(key, None):
            timer.cancel()
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic(stream, f"/topic/{key}", self._shared)
            for feed in self._feeds:
                feed.subscribe(key)
        topic.users += 1
        if not topic.fed:
            self._following.begin()
        return topic

    def _release(self, key: str) -> None:
        del self._lingering[key]
        self._topics.pop(key).close()
        for feed in self._feeds:
            feed.unsubscribe(key)
