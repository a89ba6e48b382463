"""One stream live: numbered messages in order and without a hole, all others once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from broker.stomp import Frame
from broker.topology import Stream
from gateway.errors import GatewayError, Invalid, NotKept, StoreUnavailable
from gateway.live.delivery import Delivery, from_broker, from_history
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


class Topic:
    """Delivers to its :attr:`outlet`. ``reading`` bounds what all topics read at once."""

    def __init__(
        self,
        stream: Stream,
        destination: str,
        *,
        history: History,
        fan_out: FanOut,
        reading: asyncio.Semaphore,
        clock: Callable[[], float],
    ) -> None:
        self.stream = stream
        self.outlet = Outlet(fan_out)
        #: Those who are subscribed or about to be.
        self.users = 0
        #: Set when a feed has stood for the first time.
        self.stood = asyncio.Event()
        self._standing: set[int] = set()
        self._destination = destination
        self._history = history
        self._pages = Pages(history, stream, destination)
        self._reading = reading
        self._recent = Recent()
        self._once = Once(clock=clock)
        self._sequencer: Sequencer[Delivery] | None = None
        self._early = 0
        self._catching_up = asyncio.Lock()
        self._filling: asyncio.Task[None] | None = None
        self._doubt = False

    # What the feeds tell

    def feed_standing(self, feed: int) -> None:
        self._once.joined(feed)
        if not self._standing:
            self._look(0.0)
        self._standing.add(feed)
        self.stood.set()

    def feed_lost(self, feed: int) -> None:
        if feed in self._standing:
            self._standing.discard(feed)
            # It may have hung, and the other may have begun only after that.
            self._look(_PATIENCE)

    def arrived(self, feed: int, message: Frame) -> None:
        seq = _seq(message)
        if seq is None:
            if self._once.passes(feed, id=message.get("amqp-message-id"), content=message.body):
                self.outlet.deliver(from_broker(message, None, self._destination))
        elif self._sequencer is None:
            self._early = max(self._early, seq)
        elif seq > self._sequencer.last:
            self._take(self._sequencer, from_broker(message, seq, self._destination))
            if self._sequencer.missing and self._filling is None:
                self._look(_PATIENCE)

    # Who wants to hear

    async def join(self, subscriber: Subscriber, resume_after: int | None) -> None:
        """Deliver to the subscriber, from now on or after a seq, whatever is in between first.

        Raises :class:`Invalid` for a seq beyond the end, :class:`NotKept`,
        :class:`StoreUnavailable`, and what the client's writer raises.
        """
        sequencer = await self._begun()
        if resume_after is None:
            resume_after = sequencer.last
        if resume_after > sequencer.last:
            await self._catch_up(sequencer, resume_after)
        if resume_after > sequencer.last:
            raise Invalid(f"resume-after:{resume_after} is beyond the last seq, {sequencer.last}")
        position, fruitless = resume_after, 0
        while not self._attach(subscriber, sequencer, position):
            page = await self._pages.after(position)
            if page:
                position, fruitless = page[-1].seq or position, 0
                subscriber.client.writer.write(Batch(page).whole(subscriber.head))
                await subscriber.client.writer.drained()
            elif (fruitless := fruitless + 1) > 1:
                # Once it may have been read for somebody else, before this was stored.
                raise StoreUnavailable("the history ends before the live stream", retry_after=1.0)

    def _attach(
        self, subscriber: Subscriber, sequencer: Sequencer[Delivery], position: int
    ) -> bool:
        """False while more is missed than the recent messages; who has left is done with."""
        if not subscriber.active:
            return True
        missed = self._recent.after(position, last=sequencer.last)
        if missed is None:
            return False
        if missed:
            subscriber.client.writer.write(Batch(missed).whole(subscriber.head))
        self.outlet.add(subscriber)
        return True

    def close(self) -> None:
        if self._filling is not None:
            self._filling.cancel()

    # Filling holes

    async def _begun(self) -> Sequencer[Delivery]:
        """Where the stream stands once a feed does is where it begins here."""
        async with self._catching_up:
            if self._sequencer is None:
                page = await self._history.read(self.stream, after=_BEYOND, limit=1)
                self._sequencer = Sequencer(page.head)
                self._sequencer.expect(self._early)
                if self._sequencer.missing:
                    self._look(0.0)
            return self._sequencer

    def _look(self, delay: float) -> None:
        """Read what may have been missed, soon."""
        if self._sequencer is not None:
            self._doubt = True
            if self._filling is None:
                self._filling = asyncio.create_task(self._fill(self._sequencer, delay))

    async def _fill(self, sequencer: Sequencer[Delivery], delay: float) -> None:
        try:
            await asyncio.sleep(delay)
            while self._doubt or sequencer.missing:
                self._doubt = False
                try:
                    async with self._reading:
                        await self._catch_up(sequencer, None)
                except StoreUnavailable as error:
                    logger.warning("%s: a hole is left open: %s", self.stream, error)
                    self._doubt = True
                    await asyncio.sleep(_RETRY)
                except NotKept as error:
                    self._break(error)
                    return
        finally:
            self._filling = None

    async def _catch_up(self, sequencer: Sequencer[Delivery], wanted: int | None) -> None:
        """Take what the history has: all, or at least up to the ``wanted`` seq if there is one."""
        async with self._catching_up:
            while wanted is None or sequencer.last < wanted:
                page = await self._history.read(self.stream, after=sequencer.last, limit=PAGE)
                if sequencer.last + 1 < page.first:
                    raise NotKept(f"{self.stream}: the history is kept from {page.first} on")
                for message in page.messages:
                    self._take(sequencer, from_history(message, self._destination))
                if sequencer.last >= page.head:
                    # A message is stored before it is published: beyond the head there is none.
                    if beyond := sequencer.distrust(page.head):
                        logger.warning("%s: %d messages with a false seq", self.stream, beyond)
                    return

    def _take(self, sequencer: Sequencer[Delivery], delivery: Delivery) -> None:
        if delivery.seq is not None:
            for given in sequencer.offer(delivery.seq, delivery):
                self._recent.add(given)
                self.outlet.deliver(given)

    def _break(self, error: GatewayError) -> None:
        """A hole that nothing can fill: nobody is left with it unknowing."""
        for subscriber in self.outlet:
            self.outlet.remove(subscriber)
            subscriber.client.end(error)
        self._sequencer = None
        self._recent = Recent()


def _seq(message: Frame) -> int | None:
    """The number that the pipeline gave it; other producers' messages have none."""
    text = message.get("seq") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
