"""The outbox: everything stored is published until the broker confirms it, in order.

First publishing, publishing again after a failure, and publishing what a dead gateway left are
the same thing: a message leaves the store's outbox only after the broker's confirm. So a message
may be published twice, with the same ``message_id`` and ``seq``, and is never lost. Each message
in there is one living gateway's to publish: see :mod:`gateway.messages.outbox_lease`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from broker.publishing.publisher import NotConfirmed, Refused, Returned
from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks
from broker.topology import Stream, Topology
from gateway.domain.message import Message
from gateway.errors import StoreUnavailable
from gateway.messages.lane import Entry, Lane, Publish, Read, Rest
from gateway.messages.open_rooms import OpenRooms
from gateway.messages.outbox_lease import OutboxLease
from gateway.messages.parking import Parking
from gateway.messages.ports import Publisher, StoredOutbox
from gateway.messages.publication import publication
from gateway.messages.published_marks import PublishedMarks
from gateway.messages.waiters import Waiters
from gateway.store.records import Unpublished

#: Between attempts, in seconds; each delay is drawn between half of it and all of it, so that
#: lanes that failed together do not come back together.
BACK_OFF: Final = BackOff(first=0.05, longest=2.0)
#: Seconds between two looks whether another gateway's message is published by now.
LOOK: Final = 0.2

_log = logging.getLogger(__name__)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _level(failures: int) -> int:
    """What fails again and again is worth one warning."""
    return logging.WARNING if failures == 1 else logging.DEBUG


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """What the outbox may hold in memory; the rest waits in the store.

    ``window``: messages of one stream that may be unconfirmed at once. ``memory``: bytes of
    bodies, shared evenly by the streams that have something to publish.
    ``patience``: seconds until a publication without an answer counts as failed; longer than
    RabbitMQ needs to notice a dead node (``net_ticktime``) and to answer by itself.
    """

    window: int = 256
    memory: int = 64 * 1024 * 1024
    patience: float = 15.0


@dataclass(slots=True)
class OutboxCounts:
    """Since the start: ``confirmed`` messages; ``failed`` and ``returned`` publications."""

    confirmed: int = 0
    failed: int = 0
    returned: int = 0


class Outbox:
    """A lane per stream with something to publish, made on demand and dropped when done."""

    def __init__(
        self,
        store: StoredOutbox,
        publisher: Publisher,
        topology: Topology,
        *,
        rng: Random,
        limits: OutboxLimits | None = None,
        tasks: Tasks,
    ) -> None:
        self.counts = OutboxCounts()
        self._store = store
        self._publisher = publisher
        self._topology = topology
        self._rng = rng
        self._limits = limits or OutboxLimits()
        self._tasks = tasks
        self._marks = PublishedMarks(store, delay=self._delay, tasks=tasks.part())
        self._lease = OutboxLease(
            store,
            lapsed=self._look_everywhere,
            taken=self.look_again,
            look=self._look_for_strays,
            tasks=tasks.part(),
        )
        self._rooms = OpenRooms(store, publisher, clock=_now)
        #: What RabbitMQ will not take as it is.
        self.parking = Parking(clock=_now)
        self._lanes: dict[Stream, Lane] = {}
        self._waiters = Waiters()
        self._one_read = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def depth(self) -> int:
        """How many messages are held in memory, unconfirmed or not yet marked in the store."""
        return sum(lane.depth for lane in self._lanes.values()) + self._marks.depth

    async def start(self) -> None:
        """Live, and take on what dead gateways left; what is added now lines up behind it.

        Raises :class:`StoreUnavailable`.
        """
        await self._lease.start()

    def add(self, messages: Sequence[Message]) -> None:
        """Publish messages that have just been stored; those of a stream come in ``seq`` order."""
        for message in messages:
            entry = self._entry(message)
            lane = self._lanes.get(message.stream) or self._open(message.stream, entry.seq - 1)
            lane.add(entry, memory=self._share)
            self._advance(lane)

    def look_for(self, stream: Stream) -> None:
        """The store may have messages of this stream that were not added: publish them too."""
        lane = self._lanes.get(stream) or self._open(stream, 0)
        lane.look_further()
        self._advance(lane)

    def look_again(self, stream: Stream) -> None:
        """As :meth:`look_for`, where also what was added may be another gateway's by now, and
        what is missing may come before it."""
        lane = self._lanes.get(stream) or self._open(stream, 0)
        lane.look_again()
        self._advance(lane)

    def awaits(self, stream: Stream, seq: int) -> bool:
        """Whether the broker's confirm of this message is still to come."""
        lane = self._lanes.get(stream)
        return (lane is not None and lane.awaits(seq)) or self.parking.awaits(stream, seq)

    async def confirmed(self, message: Message, *, within: float) -> bool:
        """Whether the broker has confirmed a stored message; waits for at most ``within`` seconds.

        A message that this outbox does not hold is asked for in the store's: it may have been
        confirmed before, or be another gateway's.
        """
        if message.id in self._marks or message.seq is None:
            return True
        ends = _now() + within
        while True:
            if message.id in self.parking:
                return False
            left = max(0.0, ends - _now())
            if (lane := self._lanes.get(message.stream)) and lane.awaits(message.seq):
                if not await self._waiters.wait(message.stream, message.seq, within=left):
                    return False
                if message.id in self._marks:
                    return True
            elif await self._is_published(message):
                return True
            elif lane is None:
                # Without waiting for the next look for strays.
                self.look_for(message.stream)
            elif not left:
                return False
            else:
                await asyncio.sleep(min(left, LOOK))

    async def close(self, *, within: float) -> None:
        """Publish what is left, for at most ``within`` seconds; the rest is left to others."""
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
                await self._marks.flush()
        except TimeoutError:
            _log.warning("%d streams still have messages in the outbox", len(self._lanes))
        self._closed = True
        await self._tasks.close()
        await self._marks.close()
        await self._lease.close()

    def _look_everywhere(self) -> None:
        self.parking.keep_only(())
        for stream in list(self._lanes):
            self.look_again(stream)

    async def _look_for_strays(self) -> None:
        """A commit that was given up and succeeded all the same has stored what nobody added.

        Where a lane is busy, the look after it has finished is early enough.
        """
        streams = await self._store.unpublished_streams()
        self.parking.keep_only(frozenset(streams))
        for stream in streams:
            if stream not in self._lanes and self.parking.lets_look(stream):
                self.look_for(stream)

    def _open(self, stream: Stream, after: int) -> Lane:
        self._idle.clear()
        known = self._rooms.has_queue(stream.room)
        lane = Lane(stream, after=after, window=self._limits.window, resting=not known)
        self._lanes[stream] = lane
        if not known:
            self._tasks.until_done(partial(self._prepare, lane), "outbox: a room's queue")
        return lane

    async def _prepare(self, lane: Lane) -> None:
        await self._rooms.ensure_queue(lane.stream.room)
        lane.rested()
        self._advance(lane)

    def _advance(self, lane: Lane) -> None:
        if self._closed:
            return
        for command in lane.commands(memory=self._share):
            match command:
                case Publish(entry):
                    self._tasks.spawn(self._publish(lane, entry), "outbox: publishing")
                case Read(after, limit):
                    work = partial(self._read, lane, after, limit)
                    self._tasks.until_done(work, "outbox: reading")
                case Rest(failures):
                    self._tasks.until_done(partial(self._rest, lane, failures), "outbox: resting")
        if lane.is_done and self._lanes.get(lane.stream) is lane:
            del self._lanes[lane.stream]
            self._waiters.answer_all(lane.stream)
            if not self._lanes:
                self._idle.set()

    async def _publish(self, lane: Lane, entry: Entry) -> None:
        if lane.is_resting:
            # Something before it failed after this task was made.
            lane.failed(entry.seq)
            return
        confirmed = unroutable = False
        refused: str | None = None
        try:
            await self._publisher.publish(entry.publication, self._limits.patience)
            confirmed = True
        except Returned:
            self.counts.returned += 1
            # Nobody is left to deliver it to; the history has it.
            confirmed = await self._rooms.is_closed(lane.stream.room)
            unroutable = not confirmed
        except Refused as error:
            refused = error.reason
        except NotConfirmed as error:
            _log.debug("%s: %d goes out again: %s", lane.stream, entry.seq, error)
        finally:
            # Also after an error that nobody foresaw, or the lane would wait for ever.
            if confirmed:
                self._confirm(lane, entry)
            elif refused is not None:
                self.counts.failed += 1
                lane.parked(entry.seq)
                self.parking.park(entry.message, entry.seq, refused)
                self._waiters.answer(lane.stream, entry.seq)
            else:
                self.counts.failed += 1
                lane.failed(entry.seq, unroutable=unroutable)
            self._advance(lane)

    def _confirm(self, lane: Lane, entry: Entry) -> None:
        self.counts.confirmed += 1
        lane.confirmed(entry.seq)
        self._marks.add(entry.message.id)
        self.parking.forget(entry.message.id)
        self._waiters.answer(lane.stream, entry.seq)

    async def _read(self, lane: Lane, after: int, limit: int) -> None:
        page, done = await self._page(lane.stream, after, limit)
        lane.read(
            [self._entry(message) for message in page.messages],
            complete=not page.more,
            memory=self._share,
            done=done,
        )
        # Who waits for what turned out not to be there looks in the store.
        self._waiters.answer_those(lane.stream, lambda seq: not lane.awaits(seq))
        self._advance(lane)

    async def _page(self, stream: Stream, after: int, limit: int) -> tuple[Unpublished, set[UUID]]:
        """What the store has, and the ids of those among it that are confirmed or parked."""
        failures = 0
        while True:
            try:
                # One at a time: a restart with thousands of streams must not hold a page of each.
                async with self._one_read:
                    with self._marks.reading():
                        page = await self._store.unpublished_in(stream, after=after, limit=limit)
                        return page, {
                            each.id
                            for each in page.messages
                            if each.id in self._marks or each.id in self.parking
                        }
            except StoreUnavailable as error:
                failures += 1
                _log.log(_level(failures), "%s: cannot be read on: %s", stream, error.detail)
                await asyncio.sleep(self._delay(failures))

    async def _rest(self, lane: Lane, failures: int) -> None:
        await asyncio.sleep(self._delay(failures))
        if lane.unroutable:
            await self._rooms.ensure_queue(lane.stream.room)
        lane.rested()
        self._advance(lane)

    async def _is_published(self, message: Message) -> bool:
        try:
            return await self._store.is_published(message.id)
        except StoreUnavailable:
            return False

    @property
    def _share(self) -> int:
        return max(1, self._limits.memory // max(1, len(self._lanes)))

    def _entry(self, message: Message) -> Entry:
        if message.seq is None:
            raise ValueError("an instant message has no place in the outbox")
        return Entry(message.seq, message, publication(message, self._topology))

    def _delay(self, failures: int) -> float:
        return BACK_OFF.delay(failures) * self._rng.uniform(0.5, 1.0)
