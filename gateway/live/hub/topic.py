"""One stream, live: numbered messages in order and without a hole, all others once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from broker.protocol.amqp_deliveries import Delivery as FeedDelivery
from broker.protocol.stomp import Frame
from broker.timing.readings import Monotonic
from broker.timing.tasks import Tasks
from broker.topology import Stream
from gateway.domain.message import Message
from gateway.errors import GatewayError, Internal, Invalid, NotKept, StoreUnavailable
from gateway.live.hub.deduplicator import Deduplicator
from gateway.live.hub.delivery import (
    Claim,
    Delivery,
    from_broker,
    from_gateway,
    from_history,
    number_of,
)
from gateway.live.hub.fanout import Batch, Broadcaster, FanOut, Subscriber
from gateway.live.hub.page_cache import PAGE
from gateway.live.hub.pages import HistoryReader, Pages
from gateway.live.hub.recent import Recent
from gateway.live.hub.sequencer import Sequencer
from gateway.live.hub.state_pages import StatePages, StatePart

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a hole is left to the other feed, which is late by milliseconds, before the history
#: is read.
_PATIENCE: Final = 0.05
#: Seconds between two attempts to read a history that is not available, and for how long a waiting
#: subscriber's read is attempted.
_RETRY: Final = 1.0
_STORE_WITHIN: Final = 10.0
#: Seconds within which a topic without a feed gets one, if the broker is well.
SOON: Final = 2.0
#: Seconds that a subscription may take to be known by every node: RabbitMQ 4 with Khepri confirms a
#: binding that a majority has stored, and a node that is behind routes without it.
SETTLING: Final = 2.0
#: A seq beyond the end of any stream: a read after it gives the head and no messages.
_BEYOND: Final = 2**62
#: A larger body that comes early is not held, but read from the history when its turn comes.
_HELD_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Shared:
    """The services that all topics of a hub share.

    ``reading`` bounds how many topics fill holes at once, ``resuming`` how many clients get a
    portion of the past in one turn of the event loop. ``unsettled`` is called when a topic with
    users is no longer settled (:attr:`Topic.settled`), ``doubted`` when any topic may have missed
    its newest messages.
    """

    history: HistoryReader
    pages: Pages
    state: StatePages
    fan_out: FanOut
    reading: asyncio.Semaphore
    resuming: asyncio.Semaphore
    unsettled: Callable[[], None]
    doubted: Callable[[], None]
    clock: Monotonic
    tasks: Tasks


class Topic:
    """One stream's state: what feeds and history bring is put in order for :attr:`broadcaster`.

    It is the listener of its routing key.
    """

    def __init__(self, stream: Stream, destination: str, shared: Shared) -> None:
        self.stream = stream
        self.broadcaster = Broadcaster(shared.fan_out)
        #: How many subscribers it has, including those that are about to join.
        self.users = 0
        #: The feeds that bring the topic, and since when, in this order.
        self._standing: dict[int, float] = {}
        #: Set while a feed brings the topic.
        self._fed = asyncio.Event()
        #: Since when no feed brings it, on the clock.
        self.unfed_since = shared.clock()
        #: When the history was last asked because of that.
        self.followed_at = -math.inf
        self._destination = destination
        self._claim = Claim(stream)
        self._shared = shared
        self._recent = Recent()
        self._deduplicator = Deduplicator(clock=shared.clock)
        self._sequencer: Sequencer[Delivery] | None = None
        self._early = 0
        self._catching_up = asyncio.Lock()
        #: The number of reads of the history so far, and of the last one that reached its end.
        self._reads = 0
        self._complete = 0
        self._filling: asyncio.Task[None] | None = None
        self._doubt = False
        self._dropping = False

    @property
    def last(self) -> int | None:
        """The seq that was given out last; None: the topic has not begun."""
        return None if self._sequencer is None else self._sequencer.last

    # The listener of the topic's key

    @property
    def fed(self) -> bool:
        """Whether a feed brings the topic now."""
        return self._fed.is_set()

    @property
    def settled(self) -> bool:
        """Whether a feed has brought the topic for so long that no message passes it by. Until then
        the history must be asked."""
        began = next(iter(self._standing.values()), math.inf)
        return self._shared.clock() - began > SETTLING

    def subscribed(self, feed: int) -> None:
        self._deduplicator.joined(feed)
        if not self.fed:
            self.doubt(0.0)
        self._standing.setdefault(feed, self._shared.clock())
        self._fed.set()

    def lost(self, feed: int) -> None:
        if feed in self._standing:
            del self._standing[feed]
            if not self._standing:
                self._fed.clear()
                self.unfed_since = self._shared.clock()
            if self.users and not self.settled:
                self._shared.unsettled()
            # The feed may have hung, and the other one may have begun only after that.
            self.doubt()

    def knows(self, message: FeedDelivery) -> bool:
        sequencer = self._sequencer
        if sequencer is None:
            return False
        seq = self._claim.seq(message)
        return seq is not None and seq <= sequencer.last

    def message(self, feed: int, message: Frame) -> None:
        seq = number_of(message, self.stream)
        if seq is None:
            self._pass_once(feed, message)
        elif self._sequencer is None:
            self._early = max(self._early, seq)
        elif seq > self._sequencer.last:
            early = seq > self._sequencer.last + 1
            if not self.broadcaster.flowing.is_set() or (early and len(message.body) > _HELD_BYTES):
                self._sequencer.expect(seq)
            else:
                self._take(
                    self._sequencer, from_broker(message, self.stream, seq, self._destination)
                )
            if self._sequencer.missing:
                self._fill_soon(_PATIENCE)

    def left_out(self, feed: int) -> None:
        """Ask the history, which has the message if a member sent it."""
        del feed
        self.doubt()

    def dropped(self, feed: int) -> None:
        """Have the history asked, by one question for all topics."""
        del feed
        self._shared.doubted()

    def stored(self, message: Message) -> None:
        """Deliver a message that was posted here, if its turn has come, without waiting for its way
        to the broker and back. Otherwise the feeds bring it like all others."""
        sequencer = self._sequencer
        if sequencer and message.seq == sequencer.last + 1 and self.broadcaster.flowing.is_set():
            self._take(sequencer, from_history(message, self._destination))

    def grown(self, seq: int) -> None:
        """Read the history up to this seq: it is stored, and the feeds are late with it."""
        if self._sequencer is None:
            self._early = max(self._early, seq)
        elif seq > self._sequencer.last:
            self._sequencer.expect(seq)
            self._fill_soon(0.0)

    def forget(self) -> None:
        """Forget the recent messages, of which some were deleted: the history has the others."""
        self._recent = Recent()

    def tell(self, message: Message) -> None:
        """Deliver an unnumbered message of the gateway's own."""
        self.broadcaster.deliver(from_gateway(message, self._destination))

    def doubt(self, delay: float = _PATIENCE) -> None:
        """Read the history after ``delay`` seconds: messages may be missing at the stream's end,
        where no hole shows it."""
        self._doubt = True
        self._fill_soon(delay)

    # Subscribers

    async def join(
        self, subscriber: Subscriber, resume_after: int | None, *, state: bool = False
    ) -> int:
        """Add a subscriber, from now on or after the seq ``resume_after``; or, with ``state``, give
        it the kept state, and then what came after the seq at which that stood.

        Returns the seq after which the subscriber gets everything. When this returns, everything
        that existed when it was called has been handed over. A topic that no feed brings, now or
        within a moment, gives what the history has and goes on as the history grows.

        Raises :class:`Invalid` for a seq beyond the end, :class:`NotKept`,
        :class:`StoreUnavailable` if the history stays unavailable, and the errors of the client's
        writer.
        """
        await self._await_feed()
        sequencer = await self._from_store(self._begun)
        if state:
            resume_after = await self._pass_state(subscriber)
        if not self.fed or (resume_after is not None and self._incomplete):
            # Messages that no feed has brought are wanted too.
            await self._from_store(partial(self._catch_up, None, asked=self._reads))
        elif resume_after is not None and resume_after > sequencer.last:
            await self._from_store(partial(self._catch_up, resume_after))
        last = self._last
        if resume_after is None:
            self._attach(subscriber)
            return last
        if resume_after > last:
            raise Invalid(f"resume-after:{resume_after} is beyond the last seq, {last}")
        position = resume_after
        while not await self._attach_after(subscriber, position):
            position = await self._pass_page(subscriber, position)
        return resume_after

    async def _await_feed(self) -> None:
        """Wait a moment for a feed: a topic that is new, or has lost its feeds, mostly gets one
        soon, and then no unnumbered message is missed either."""
        left = self.unfed_since + SOON - self._shared.clock()
        if not self.fed and left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._fed.wait()

    async def _from_store(self, read: Callable[[], Awaitable[T]]) -> T:
        """The result of ``read``, which is repeated for a while if the store is unavailable."""
        until = self._shared.clock() + _STORE_WITHIN
        while True:
            try:
                return await read()
            except StoreUnavailable:
                if self._shared.clock() >= until:
                    raise
            await asyncio.sleep(_RETRY)

    def _attach(self, subscriber: Subscriber) -> None:
        # A subscriber that has left meanwhile must not come back.
        if subscriber.active:
            self.broadcaster.add(subscriber)

    async def _attach_after(self, subscriber: Subscriber, position: int) -> bool:
        """Add a subscriber with the recent messages after ``position``; False if they do not reach
        back that far."""
        async with self._shared.resuming:
            missed = self._recent.after(position, last=self._last)
            if missed is None:
                return not subscriber.active
            if missed and subscriber.active:
                subscriber.send_past(missed)
            self._attach(subscriber)
            await asyncio.sleep(0)
        return True

    async def _pass_state(self, subscriber: Subscriber) -> int:
        """Send the kept state; returns the seq at which it stood."""
        part = await self._from_store(partial(self._state_part, subscriber, None))
        while True:
            async with self._shared.resuming:
                if part.deliveries and subscriber.active:
                    subscriber.send(Batch(part.deliveries))
                await asyncio.sleep(0)
            if part.is_last or not subscriber.active:
                return part.at
            await subscriber.client.writer.drained()
            part = await self._from_store(partial(self._state_part, subscriber, part))

    async def _state_part(self, subscriber: Subscriber, before: StatePart | None) -> StatePart:
        return await self._shared.state.part(
            self.stream,
            before,
            destination=self._destination,
            owner=subscriber.client.user,
            veiled=not subscriber.sees_hidden(),
        )

    async def _pass_page(self, subscriber: Subscriber, position: int) -> int:
        """Send some of the history after ``position``; returns the seq up to which that is."""
        page = await self._from_store(
            partial(
                self._shared.pages.after,
                self.stream,
                position,
                destination=self._destination,
                owner=subscriber.client.user,
            )
        )
        # Messages beyond the last one come live.
        page = [each for each in page if each.seq is not None and each.seq <= self._last]
        if not page:
            raise StoreUnavailable("the history ends before the live stream", retry_after=1.0)
        async with self._shared.resuming:
            if subscriber.active:
                subscriber.send_past(page)
            await asyncio.sleep(0)
        await subscriber.client.writer.drained()
        return page[-1].seq or position

    @property
    def _last(self) -> int:
        if self._sequencer is None:
            raise StoreUnavailable("the stream was broken off, and begins anew", retry_after=1.0)
        return self._sequencer.last

    def end(self, error: GatewayError) -> None:
        """End all subscriptions with an error, because nothing brings the topic; it begins anew."""
        self._break(error)

    def close(self) -> None:
        if self._filling is not None:
            self._filling.cancel()

    # Messages

    def _pass_once(self, feed: int, message: Frame) -> None:
        # An empty header is no id.
        id = message.get("amqp-message-id") or None
        if not self._deduplicator.passes(feed, id=id, content=message.body):
            return
        if self.broadcaster.flowing.is_set():
            self._dropping = False
            self.broadcaster.deliver(from_broker(message, self.stream, None, self._destination))
        elif not self._dropping:
            self._dropping = True
            logger.warning(
                "%s: dropping messages without a seq until the subscribers keep up", self.stream
            )

    def _take(self, sequencer: Sequencer[Delivery], delivery: Delivery) -> None:
        if delivery.seq is not None:
            for given in sequencer.offer(delivery.seq, delivery):
                if given.hides:
                    # At once, also while the database is away from here; and what came late, or was
                    # read before it was hidden, came after the hub's forget().
                    self._shared.pages.forget()
                    self._shared.state.forget()
                    self.forget()
                self._recent.add(given)
                # A message that comes late may be hidden already; hosts see it when they read on.
                self.broadcaster.deliver(given.veiled or given)
                if logger.isEnabledFor(logging.DEBUG):
                    logger.debug(
                        "message %s/%s is delivered to %d subscribers; its id is %s",
                        self.stream,
                        given.seq,
                        len(self.broadcaster),
                        given.id,
                    )

    # Filling holes

    async def _begun(self) -> Sequencer[Delivery]:
        """The sequencer, which begins where the stream ends when this is called first."""
        if self._sequencer is not None:
            return self._sequencer
        async with self._catching_up:
            if self._sequencer is None:
                self._doubt = False
                page = await self._shared.history.read(self.stream, after=_BEYOND, limit=1)
                self._sequencer = Sequencer(page.head)
                self._sequencer.expect(self._early)
                self._early = 0
                if self._doubt or self._sequencer.missing:
                    self._fill_soon(0.0)
            return self._sequencer

    def _fill_soon(self, delay: float) -> None:
        if self._sequencer is not None and self._filling is None:
            self._filling = self._shared.tasks.spawn(self._fill(delay), "hub: filling")

    @property
    def _incomplete(self) -> bool:
        return self._sequencer is not None and (self._doubt or bool(self._sequencer.missing))

    async def _fill(self, delay: float) -> None:
        try:
            await asyncio.sleep(delay)
            while self._incomplete:
                self._doubt = False
                try:
                    async with self._shared.reading:
                        await self._catch_up(None)
                    delay = _PATIENCE
                except StoreUnavailable as error:
                    logger.warning(
                        "%s: a hole cannot be filled yet, trying again: %s", self.stream, error
                    )
                    self._doubt, delay = True, _RETRY
                if self._incomplete:
                    await asyncio.sleep(delay)
        except GatewayError as error:
            self._break(error)
        except Exception:
            logger.exception(
                "%s: a hole could not be filled; ending its subscriptions", self.stream
            )
            self._break(Internal("the gateway failed; its log says why"))
        finally:
            self._filling = None

    async def _catch_up(self, wanted: int | None, *, asked: int | None = None) -> None:
        """Deliver what the history has: everything, or at least up to the ``wanted`` seq.

        ``asked``: a read that began after that many others is enough, whoever needed it.
        """
        async with self._catching_up:
            if asked is not None and self._complete > asked:
                return
            while (sequencer := self._sequencer) and (wanted is None or sequencer.last < wanted):
                await self.broadcaster.flowing.wait()
                after, questioned = sequencer.last, sequencer.question()
                self._reads += 1
                page = await self._shared.history.read(self.stream, after=after, limit=PAGE)
                if self._sequencer is not sequencer:
                    return
                for message in page.messages:
                    if message.seq is not None and message.seq > sequencer.last:
                        self._take(sequencer, from_history(message, self._destination))
                if sequencer.last >= page.head:
                    self._complete = self._reads
                    # Messages are stored before they are published: there was none beyond the head.
                    if beyond := sequencer.distrust(page.head, questioned):
                        logger.warning(
                            "%s: dropped %d messages whose seq the history does not have",
                            self.stream,
                            beyond,
                        )
                    return
                if sequencer.last == after:
                    error = NotKept(f"{self.stream}: the history is kept from {page.first} on")
                    self._break(error)
                    raise error

    def _break(self, error: GatewayError) -> None:
        """End all subscriptions: nothing can fill a hole, and no client may miss it unknowingly."""
        self.broadcaster.end(error)
        self._sequencer = None
        self._recent = Recent()
