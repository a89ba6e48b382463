"""One stream live: numbered messages in order and without a hole, all others once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broker.stomp import Frame
from broker.tasks import Tasks
from broker.topology import Stream
from gateway.domain.message import Message
from gateway.errors import GatewayError, Internal, Invalid, NotKept, StoreUnavailable
from gateway.live.delivery import Delivery, from_broker, from_history, number_of
from gateway.live.fanout import Batch, FanOut, Outlet, Subscriber
from gateway.live.pages import PAGE, History, Pages
from gateway.live.recent import Recent
from gateway.messages.once import Once
from gateway.messages.sequencer import Sequencer

logger = logging.getLogger(__name__)

#: Seconds that a hole is left to the other feed, which is late by milliseconds, before the history
#: is asked.
_PATIENCE: Final = 0.05
#: Seconds between two tries to read a history that is not available.
_RETRY: Final = 1.0
#: Beyond the end of any stream: where the history tells its head and nothing else.
_BEYOND: Final = 2**62
#: A larger body is not held when it comes early, but read from the history when its turn comes.
_HELD_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Shared:
    """What all topics use. ``reading`` bounds how many fill holes at once, ``resuming`` how many
    clients are served from the past in one turn of the loop. ``clock``: seconds, never back."""

    history: History
    pages: Pages
    fan_out: FanOut
    reading: asyncio.Semaphore
    resuming: asyncio.Semaphore
    clock: Callable[[], float]
    tasks: Tasks


class Topic:
    """Delivers to its :attr:`outlet`."""

    def __init__(self, stream: Stream, destination: str, shared: Shared) -> None:
        self.stream = stream
        self.outlet = Outlet(shared.fan_out)
        #: Those who are subscribed or about to be.
        self.users = 0
        #: Set when a feed has stood for the first time.
        self.stood = asyncio.Event()
        self._standing: set[int] = set()
        self._destination = destination
        self._shared = shared
        self._recent = Recent()
        self._once = Once(clock=shared.clock)
        self._sequencer: Sequencer[Delivery] | None = None
        self._early = 0
        self._catching_up = asyncio.Lock()
        self._filling: asyncio.Task[None] | None = None
        self._doubt = False
        self._dropping = False

    # What the feeds tell

    def feed_standing(self, feed: int) -> None:
        self._once.joined(feed)
        if not self._standing:
            self.doubt(0.0)
        self._standing.add(feed)
        self.stood.set()

    def feed_lost(self, feed: int) -> None:
        if feed in self._standing:
            self._standing.discard(feed)
            # It may have hung, and the other may have begun only after that.
            self.doubt()

    def arrived(self, feed: int, message: Frame) -> None:
        seq = number_of(message, self.stream)
        if seq is None:
            self._pass_once(feed, message)
        elif self._sequencer is None:
            self._early = max(self._early, seq)
        elif seq > self._sequencer.last:
            early = seq > self._sequencer.last + 1
            if not self.outlet.flowing.is_set() or (early and len(message.body) > _HELD_BYTES):
                self._sequencer.expect(seq)
            else:
                self._take(
                    self._sequencer, from_broker(message, self.stream, seq, self._destination)
                )
            if self._sequencer.missing:
                self._fill_soon(_PATIENCE)

    def stored(self, message: Message) -> None:
        """It was posted here: if its turn has come, nobody needs to wait until it has been to the
        broker and back. If not, the feeds bring it like all others."""
        sequencer = self._sequencer
        if sequencer and message.seq == sequencer.last + 1 and self.outlet.flowing.is_set():
            self._take(sequencer, from_history(message, self._destination))

    def grown(self, seq: int) -> None:
        """It stands in the history up to this seq, and the feeds are late with it."""
        if self._sequencer is not None and seq > self._sequencer.last:
            self._sequencer.expect(seq)
            self._fill_soon(0.0)

    def doubt(self, delay: float = _PATIENCE) -> None:
        """Something may have been missed at the stream's end, where no hole tells of it."""
        self._doubt = True
        self._fill_soon(delay)

    # Who wants to hear

    async def join(self, subscriber: Subscriber, resume_after: int | None) -> None:
        """Deliver to the subscriber, from now on or after a seq, whatever is in between first.

        Raises :class:`Invalid` for a seq beyond the end, :class:`NotKept`,
        :class:`StoreUnavailable`, and what the client's writer raises.
        """
        sequencer = await self._begun()
        if resume_after is None:
            self._attach(subscriber)
            return
        if resume_after > sequencer.last:
            await self._catch_up(resume_after)
        if resume_after > (last := self._last):
            raise Invalid(f"resume-after:{resume_after} is beyond the last seq, {last}")
        position = resume_after
        while not await self._attach_after(subscriber, position):
            position = await self._pass_page(subscriber, position)

    def _attach(self, subscriber: Subscriber) -> None:
        # One who has left meanwhile is not to come back.
        if subscriber.active:
            self.outlet.add(subscriber)

    async def _attach_after(self, subscriber: Subscriber, position: int) -> bool:
        """False while more is missed than the recent messages."""
        async with self._shared.resuming:
            missed = self._recent.after(position, last=self._last)
            if missed is None:
                return not subscriber.active
            if missed and subscriber.active:
                subscriber.send(Batch(missed))
            self._attach(subscriber)
            await asyncio.sleep(0)
        return True

    async def _pass_page(self, subscriber: Subscriber, position: int) -> int:
        """Send what follows ``position`` in the history; up to where that is."""
        page = await self._shared.pages.after(self.stream, position, destination=self._destination)
        # What is beyond the last one comes live.
        page = [each for each in page if each.seq is not None and each.seq <= self._last]
        if not page:
            raise StoreUnavailable("the history ends before the live stream", retry_after=1.0)
        async with self._shared.resuming:
            if subscriber.active:
                subscriber.send(Batch(page))
            await asyncio.sleep(0)
        await subscriber.client.writer.drained()
        return page[-1].seq or position

    @property
    def _last(self) -> int:
        if self._sequencer is None:
            raise StoreUnavailable("the stream was broken off, and begins anew", retry_after=1.0)
        return self._sequencer.last

    def close(self) -> None:
        if self._filling is not None:
            self._filling.cancel()

    # What comes

    def _pass_once(self, feed: int, message: Frame) -> None:
        # An empty id is no id.
        id = message.get("amqp-message-id") or None
        if not self._once.passes(feed, id=id, content=message.body):
            return
        if self.outlet.flowing.is_set():
            self._dropping = False
            self.outlet.deliver(from_broker(message, self.stream, None, self._destination))
        elif not self._dropping:
            self._dropping = True
            logger.warning("%s: more comes than goes out; dropping what has no seq", self.stream)

    def _take(self, sequencer: Sequencer[Delivery], delivery: Delivery) -> None:
        if delivery.seq is not None:
            for given in sequencer.offer(delivery.seq, delivery):
                self._recent.add(given)
                self.outlet.deliver(given)

    # Filling holes

    async def _begun(self) -> Sequencer[Delivery]:
        """Where the stream stands once a feed does is where it begins here."""
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
                    logger.warning("%s: a hole is left open: %s", self.stream, error)
                    self._doubt, delay = True, _RETRY
                if self._incomplete:
                    await asyncio.sleep(delay)
        except GatewayError as error:
            self._break(error)
        except Exception:
            logger.exception("%s: a hole could not be filled", self.stream)
            self._break(Internal("the gateway failed; its log says why"))
        finally:
            self._filling = None

    async def _catch_up(self, wanted: int | None) -> None:
        """Take what the history has: all, or at least up to the ``wanted`` seq if there is one."""
        async with self._catching_up:
            while (sequencer := self._sequencer) and (wanted is None or sequencer.last < wanted):
                await self.outlet.flowing.wait()
                after, questioned = sequencer.last, sequencer.question()
                page = await self._shared.history.read(self.stream, after=after, limit=PAGE)
                if self._sequencer is not sequencer:
                    return
                for message in page.messages:
                    if message.seq is not None and message.seq > sequencer.last:
                        self._take(sequencer, from_history(message, self._destination))
                if sequencer.last >= page.head:
                    # A message is stored before it is published: beyond the head there was none.
                    if beyond := sequencer.distrust(page.head, questioned):
                        logger.warning("%s: %d messages with a false seq", self.stream, beyond)
                    return
                if sequencer.last == after:
                    error = NotKept(f"{self.stream}: the history is kept from {page.first} on")
                    self._break(error)
                    raise error

    def _break(self, error: GatewayError) -> None:
        """A hole that nothing can fill: nobody is left with it unknowing."""
        self.outlet.end(error)
        self._sequencer = None
        self._recent = Recent()
