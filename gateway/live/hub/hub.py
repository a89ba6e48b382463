"""The hub: one subscription per topic and feed, and a fan-out to all local subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import uuid4

from broker.feeds.feeds import Feeds
from broker.nodes.node import Node
from broker.timing.clock import Clock
from broker.timing.tasks import Tasks
from broker.topology import Stream, Topology
from gateway.budget.budgets import RateBudget
from gateway.domain.erasure import DELETED
from gateway.domain.message import Message
from gateway.errors import BrokerUnavailable, StoreUnavailable
from gateway.live.hub.fanout import FanOut, Subscriber
from gateway.live.hub.history_follower import HistoryFollower
from gateway.live.hub.pages import HistoryReader, Pages
from gateway.live.hub.state_pages import StatePages, StateReader
from gateway.live.hub.topic import SOON, Shared, Topic

#: Seconds that a topic stays subscribed when its last subscriber has left: a class that reloads
#: its page then comes back to a topic that stands.
LINGER: Final = 30.0
#: Seconds for which the history is followed after the list of nodes was changed, and after another
#: gateway was heard for the first time. It says so before the last of its streams has come over.
CHANGEOVER: Final = 60.0
ARRIVAL: Final = 10.0
#: Topics that may read the history at the same time, e.g. when a node is lost.
_READERS: Final = 8
#: Clients that may get a portion of the past in one turn of the event loop.
_RESUMING: Final = 8


class StreamReader(HistoryReader, StateReader, Protocol):
    """The reader of what is stored of a stream: its messages and its kept state."""


class Hub:
    """The topics that clients of this gateway follow, each subscribed once on every feed.

    ``budget`` gives the number of bytes that may wait for one client. ``linger`` is for how many
    seconds a topic stays subscribed when its last subscriber has left. ``reads`` is the budget of
    what resuming clients read, ``state_reads`` of what is read of the kept state.
    """

    def __init__(  # noqa: PLR0913 - the surroundings of all topics
        self,
        topology: Topology,
        history: StreamReader,
        feeds: Feeds,
        *,
        budget: Callable[[], int],
        clock: Clock,
        tasks: Tasks,
        linger: float = LINGER,
        reads: RateBudget | None = None,
        state_reads: RateBudget | None = None,
    ) -> None:
        self.fan_out = FanOut(budget=budget, clock=clock)
        self._loop = asyncio.get_running_loop()
        self._topology = topology
        self._feeds = feeds
        self._linger = linger
        self._time_of_day = clock.unix
        self._topics: dict[str, Topic] = {}
        self._history_follower = HistoryFollower(
            history, self._topics.values, clock=self._loop.time, tasks=tasks
        )
        self._shared = Shared(
            history=history,
            pages=Pages(history, budget=reads),
            state=StatePages(history, clock=self._loop.time, budget=state_reads),
            fan_out=self.fan_out,
            reading=asyncio.Semaphore(_READERS),
            resuming=asyncio.Semaphore(_RESUMING),
            unsettled=self._history_follower.begin,
            doubted=self._history_follower.doubt,
            clock=self._loop.time,
            tasks=tasks,
        )
        self._lingering: dict[str, asyncio.TimerHandle] = {}

    @property
    def unfed(self) -> int:
        """The number of topics that follow the history because no feed has brought them lately."""
        since = self._loop.time() - SOON
        return sum(topic.unfed_since < since for topic in self._history_follower.unfed)

    @property
    def problems(self) -> dict[str, str]:
        """Why messages may not arrive from the broker now, by part, for people."""
        found = dict(self._feeds.problems)
        if unfed := self.unfed:
            found["topics without a feed"] = f"{unfed}, which follow the history"
        return found

    def __len__(self) -> int:
        """The number of subscribed topics."""
        return len(self._topics)

    def __iter__(self) -> Iterator[Topic]:
        return iter(tuple(self._topics.values()))

    async def join(
        self,
        stream: Stream,
        subscriber: Subscriber,
        *,
        resume_after: int | None,
        state: bool = False,
    ) -> int:
        """Add a subscriber; returns the seq after which it gets everything. ``state``: it gets the
        kept state before.

        Returns when the subscriber can miss nothing any more, whether a feed or the history brings
        the topic; see :meth:`Topic.join`. The caller must call :meth:`leave` afterwards, also when
        this fails. Raises :class:`BrokerUnavailable` when neither brings the topic, and the errors
        of :meth:`Topic.join`.
        """
        topic = self._enter(stream)
        try:
            return await topic.join(subscriber, resume_after, state=state)
        except StoreUnavailable as error:
            if topic.fed:
                raise
            raise BrokerUnavailable(
                f"no broker node feeds this topic, and {error.detail}"
            ) from error

    def leave(self, stream: Stream, subscriber: Subscriber) -> None:
        """Stop delivering to a subscriber for which :meth:`join` was called before."""
        key = self._topology.routing_key(stream)
        topic = self._topics[key]
        topic.broadcaster.remove(subscriber)
        topic.users -= 1
        if not topic.users:
            self._lingering[key] = self._loop.call_later(self._linger, self._release, key)

    def close(self) -> None:
        for timer in self._lingering.values():
            timer.cancel()
        self._history_follower.close()
        for topic in self:
            topic.close()
        self._shared.pages.close()
        self._shared.state.close()

    def stored(self, messages: Iterable[Message]) -> None:
        """Deliver messages that this gateway has just stored, in order per stream."""
        for message in messages:
            if topic := self._topics.get(self._topology.routing_key(message.stream)):
                topic.stored(message)

    def grown(self, stream: Stream, seq: int) -> None:
        """Read the stream from the history up to this seq: the broker is late with it."""
        if topic := self._topics.get(self._topology.routing_key(stream)):
            topic.grown(seq)

    def replace(self, nodes: Sequence[Node]) -> None:
        """Follow the history beside the feeds for a while, because the nodes have been changed: if
        they are another cluster's, some gateways may still publish on the old one."""
        del nodes
        self._history_follower.doubt_for(CHANGEOVER)

    def gateway_arrived(self) -> None:
        """Follow the history beside the feeds for a moment: a gateway that was not heard may have
        published where no feed of this one was."""
        self._history_follower.doubt_for(ARRIVAL)

    def forget(self) -> None:
        """Forget all messages that are in memory: some of the history were deleted."""
        self._shared.pages.forget()
        self._shared.state.forget()
        for topic in self:
            topic.forget()

    def given_out(self, stream: Stream) -> tuple[int, int] | None:
        """The seq up to which the topic's subscribers have been given everything, and how many they
        are; None: nobody follows it here, or it has not begun."""
        topic = self._topics.get(self._topology.routing_key(stream))
        if topic is None or topic.last is None:
            return None
        return topic.last, len(topic.broadcaster)

    @property
    def rooms(self) -> set[int]:
        """The rooms that somebody follows here."""
        return {topic.stream.room for topic in self}

    def tell_deleted(self, rooms: Collection[int]) -> None:
        """Tell those who follow one of the rooms that messages were deleted, which they may still
        show. Which ones the history says; an instant message may be lost."""
        sent_at = datetime.fromtimestamp(self._time_of_day(), UTC)
        for topic in self:
            if topic.stream.room in rooms:
                topic.tell(Message(uuid4(), topic.stream, None, "", sent_at, DELETED, None))

    def doubt_for(self, seconds: float) -> None:
        """Check every topic in the history again and again: the feeds may bring nothing."""
        self._history_follower.doubt_for(seconds)

    def doubt(self) -> None:
        """Check every topic in the history: the feeds may have missed the newest messages."""
        self._history_follower.doubt()

    def _enter(self, stream: Stream) -> Topic:
        key = self._topology.routing_key(stream)
        if timer := self._lingering.pop(key, None):
            timer.cancel()
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic(stream, f"/topic/{key}", self._shared)
            self._feeds.subscribe(key, topic)
        topic.users += 1
        if not topic.settled:
            self._history_follower.begin()
        return topic

    def _release(self, key: str) -> None:
        del self._lingering[key]
        self._feeds.unsubscribe(key)
        self._topics.pop(key).close()
