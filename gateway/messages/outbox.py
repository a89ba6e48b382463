"""The outbox: every stored message is published until the broker confirms it, in order.

There is one mechanism for the first publication, its repetition after a failure, and the messages
of a dead gateway: a message leaves the store's outbox only after the broker's confirm. So a message
may be published twice, with the same ``message_id`` and ``seq``, and is never lost. Each message in
the outbox belongs to one living gateway: see :mod:`gateway.messages.outbox_lease`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from broker.publishing.publication import ConfirmedPublisher, NotConfirmed, Refused, Returned
from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Message
from gateway.errors import StoreUnavailable
from gateway.messages.lane import Entry, Lane, Publish, Read, Rest
from gateway.messages.open_rooms import OpenRooms
from gateway.messages.outbox_fill import OutboxFill
from gateway.messages.outbox_lease import OutboxLease
from gateway.messages.parking import Parking
from gateway.messages.ports import RoomQueues, StoredOutbox
from gateway.messages.publication import publication
from gateway.messages.published_marks import PublishedMarks
from gateway.messages.waiters import Waiters
from gateway.store.records import Unpublished

#: Seconds between attempts. Each delay is drawn between half of it and all of it, so that lanes
#: that failed together do not come back together.
BACK_OFF: Final = BackOff(first=0.05, longest=2.0)
#: Seconds between two questions whether another gateway's message has been published.
QUESTION_INTERVAL: Final = 0.2

_log = logging.getLogger(__name__)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _level(failures: int) -> int:
    """The log level of a failure: one warning a row, the rest for debugging."""
    return logging.WARNING if failures == 1 else logging.DEBUG


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """The limits of what the outbox holds in memory; the rest stays in the store.

    ``window``: messages of one stream that may be unconfirmed at once. ``memory``: bytes of bodies,
    shared evenly by the streams that have something to publish. ``patience``: seconds until a
    publication without an answer counts as failed; longer than RabbitMQ needs to notice a dead node
    (``net_ticktime``) and to answer by itself.
    """

    window: int = 256
    memory: int = 64 * 1024 * 1024
    patience: float = 15.0


@dataclass(slots=True)
class OutboxCounts:
    """Counts since the start: ``confirmed`` messages; ``failed`` and ``returned`` publications."""

    confirmed: int = 0
    failed: int = 0
    returned: int = 0


class Outbox:
    """The lanes of all streams with something to publish; each is made on demand and dropped when
    done."""

    def __init__(
        self,
        store: StoredOutbox,
        publisher: ConfirmedPublisher,
        topology: Topology,
        *,
        queues: RoomQueues,
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
        #: The fill level of the store's outbox, where most messages wait if RabbitMQ is away.
        self.fill = OutboxFill(store)
        self._marks = PublishedMarks(
            store, delay=self._delay, written=self.fill.removed, tasks=tasks.part()
        )
        self._lease = OutboxLease(
            store,
            lapsed=self._read_everything_anew,
            taken=self.read_anew,
            look_into_store=self._look_into_store,
            tasks=tasks.part(),
        )
        self._rooms = OpenRooms(store, queues, clock=_now)
        #: Messages that RabbitMQ refuses as they are.
        self.parking = Parking(clock=_now)
        self._lanes: dict[Stream, Lane] = {}
        #: Why the last publication was not confirmed.
        self._why: str | None = None
        #: When each lane was opened, or had its last confirm.
        self._moved_at: dict[Stream, float] = {}
        #: Rooms whose queues are being replaced.
        self._held_back: set[int] = set()
        #: Set when something that was published has its answer.
        self._landed = asyncio.Event()
        self._waiters = Waiters()
        self._one_read = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def depth(self) -> int:
        """The number of messages in memory that are unconfirmed or not yet marked in the store."""
        return sum(lane.depth for lane in self._lanes.values()) + self._marks.depth

    async def start(self) -> None:
        """Take a lease and the messages that dead gateways left; messages added now line up behind
        them.

        Raises :class:`StoreUnavailable`.
        """
        await self._lease.start()

    def hand_over_while(self, deaf: Callable[[], bool]) -> None:
        """Leave what is stored here to other gateways while this one is deaf: they hear RabbitMQ,
        and it does not."""
        self._lease.deaf = deaf

    def add(self, messages: Sequence[Message]) -> None:
        """Publish messages that have just been stored; those of a stream come in ``seq`` order."""
        for message in messages:
            entry = self._entry(message)
            self.fill.add(message.id, entry.size)
            lane = self._lanes.get(message.stream) or self._open(message.stream, entry.seq - 1)
            lane.add(entry, memory=self._share)
            self._advance(lane)

    def read_on(self, stream: Stream) -> None:
        """Read on in this stream: the store may have messages that were not added. Publish them
        too."""
        lane = self._lanes.get(stream) or self._open(stream, 0)
        lane.read_on()
        self._advance(lane)

    def read_anew(self, stream: Stream) -> None:
        """Read this stream anew: messages that were added may be another gateway's by now, and
        missing ones may come before them."""
        lane = self._lanes.get(stream) or self._open(stream, 0)
        lane.read_anew()
        self._advance(lane)

    def awaits(self, stream: Stream, seq: int) -> bool:
        """Whether the broker's confirm of this message is still missing."""
        lane = self._lanes.get(stream)
        return (lane is not None and lane.awaits(seq)) or self.parking.awaits(stream, seq)

    async def confirmed(self, message: Message, *, within: float) -> bool:
        """Whether the broker has confirmed a stored message; waits for at most ``within`` seconds.

        If this outbox does not hold the message, the store is asked: the message may have been
        confirmed before, or belong to another gateway.
        """
        if message.id in self._marks or message.seq is None:
            return True
        ends, has_looked = _now() + within, False
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
            elif lane is None and not has_looked:
                # Without waiting for the next search for strays.
                has_looked = True
                self.read_on(message.stream)
            elif not left:
                return False
            else:
                await asyncio.sleep(min(left, QUESTION_INTERVAL))

    def stuck(self, seconds: float) -> list[Entry]:
        """The oldest message of each stream that has had no confirm for so long, whatever the
        reason."""
        since = _now() - seconds
        lanes = (lane for lane in self._lanes.values() if self._moved_at[lane.stream] <= since)
        return [oldest for lane in lanes if (oldest := lane.oldest)]

    def unconfirmed(self, seconds: float) -> str | None:
        """The streams without a confirm for so long, in a sentence with RabbitMQ's last word; None:
        there are none."""
        late = self.stuck(seconds)
        if not late:
            return None
        first = late[0]
        why = self._why or "RabbitMQ does not answer"
        return (
            f"{len(late)} streams have had no confirm for {seconds:g} s, among them message"
            f" {first.seq} of {first.message.stream}: {why}"
        )

    @asynccontextmanager
    async def held_back(self, room: int) -> AsyncIterator[None]:
        """A block in which nothing of the room is published: its queue is being replaced."""
        self._held_back.add(room)
        for lane in self._lanes_of(room):
            lane.held_back = True
        try:
            yield
        finally:
            self._held_back.discard(room)
            for lane in self._lanes_of(room):
                lane.held_back = False
                self._advance(lane)

    async def landed(self, room: int) -> None:
        """Wait until everything of a room that is held back has its answer, and the store knows
        what was confirmed. Bound it: RabbitMQ may be slow to answer, and the store away."""
        while any(lane.on_wire for lane in self._lanes_of(room)):
            self._landed.clear()
            await self._landed.wait()
        await self._marks.caught_up()

    async def close(self, *, within: float) -> None:
        """Publish what is left, for at most ``within`` seconds; the rest is left to the other
        gateways."""
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
                await self._marks.flush()
        except TimeoutError:
            _log.warning(
                "the outbox still has messages of %d streams; another gateway or the next start "
                "publishes them",
                len(self._lanes),
            )
        self._closed = True
        await self._tasks.close()
        await self._marks.close()
        await self._lease.close()

    def _read_everything_anew(self) -> None:
        self.parking.keep_only(())
        for stream in list(self._lanes):
            self.read_anew(stream)

    async def _look_into_store(self) -> None:
        """Find messages that were stored without being added: their commit was given up and
        succeeded all the same. Read how much there is in all.

        Where a lane is busy, the search after it has finished is early enough.
        """
        streams = await self._store.unpublished_streams()
        self.parking.keep_only(frozenset(streams))
        for stream in streams:
            if stream not in self._lanes and self.parking.may_read(stream):
                self.read_on(stream)
        await self.fill.read()

    def _lanes_of(self, room: int) -> list[Lane]:
        streams = (Stream(audience, room) for audience in Audience)
        return [lane for stream in streams if (lane := self._lanes.get(stream))]

    def _open(self, stream: Stream, after: int) -> Lane:
        self._idle.clear()
        known = self._rooms.has_queue(stream.room)
        lane = Lane(stream, after=after, window=self._limits.window, resting=not known)
        lane.held_back = stream.room in self._held_back
        self._lanes[stream] = lane
        self._moved_at[stream] = _now()
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
            del self._lanes[lane.stream], self._moved_at[lane.stream]
            self._waiters.answer_all(lane.stream)
            if not self._lanes:
                self._idle.set()

    async def _publish(self, lane: Lane, entry: Entry) -> None:
        if lane.is_resting:
            # A message before it failed after this task was made.
            lane.failed(entry.seq)
            self._landed.set()
            return
        confirmed = unroutable = False
        refused: str | None = None
        try:
            await self._publisher.publish(entry.publication, self._limits.patience)
            confirmed = True
        except Returned as error:
            self.counts.returned += 1
            self._why = error.reason
            # The room is closed: nobody is left to receive it, and the history has it.
            confirmed = await self._rooms.is_closed(lane.stream.room)
            unroutable = not confirmed
        except Refused as error:
            refused = error.reason
        except NotConfirmed as error:
            self._why = error.reason
            _log.debug(
                "%s: publishing message %d again, because: %s", lane.stream, entry.seq, error
            )
        finally:
            # Also after an unforeseen error, or the lane would wait for ever.
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
            self._landed.set()
            self._advance(lane)

    def _confirm(self, lane: Lane, entry: Entry) -> None:
        self.counts.confirmed += 1
        _log.debug(
            "message %s/%d is published: RabbitMQ has confirmed it; its id is %s",
            *(lane.stream, entry.seq, entry.message.id),
        )
        lane.confirmed(entry.seq)
        if lane.stream in self._moved_at:
            self._moved_at[lane.stream] = _now()
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
        # The waiters for messages that turned out not to be there ask the store.
        self._waiters.answer_those(lane.stream, lambda seq: not lane.awaits(seq))
        self._advance(lane)

    async def _page(self, stream: Stream, after: int, limit: int) -> tuple[Unpublished, set[UUID]]:
        """A page of the store's messages, and the ids of those that are confirmed or parked."""
        failures = 0
        while True:
            try:
                # One at a time: after a restart, thousands of streams must not hold a page each.
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
                _log.log(
                    _level(failures),
                    "%s: the outbox cannot be read, trying again: %s",
                    stream,
                    error,
                )
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
            raise ValueError("an instant message was added to the outbox")
        return Entry(message.seq, message, publication(message, self._topology))

    def _delay(self, failures: int) -> float:
        return BACK_OFF.delay(failures) * self._rng.uniform(0.5, 1.0)
