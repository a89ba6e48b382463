"""Keeps the rooms' private queues: makes, examines and replaces them.

A queue is right if it has the mark that the database says (room, identity, number): see
:meth:`broker.topology.Topology.queue_mark`. Any other queue of that name is deleted, whoever made
it: one of another room, left by a database that was lost or was newer than now; one on the other
cluster after a switch; one that was not completed; and no queue at all. What hosts have not
acknowledged is then put into the new one from the history.

A queue that has its mark and still never confirms is found by what waits in the outbox, whatever
the reason: RabbitMQ 3.10 can lose the members of a queue that is seconds old when all nodes are
killed, and on 4.3 a queue whose deletion was asked for without a majority refuses everything.

A queue that was made while a node did not answer has no member there until that node starts anew:
RabbitMQ 4.3 takes a node back that only hung, and then delivers nothing to consumers on it, though
the queue confirms. Such a queue is replaced when every node works again.

The queue of a closed room is deleted. Both are kept in the database as work that is due, so that no
gateway's end forgets it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, Protocol

from broker.publishing.channels import describe
from broker.publishing.provision import QueueFailed
from broker.publishing.repair import FAILURES, Dials, QueueRepair
from broker.timing.backoff import BackOff
from broker.timing.readings import Monotonic, UtcTime
from broker.timing.tasks import Tasks, shared
from broker.topology import Topology
from gateway.errors import BrokerUnavailable, StoreUnavailable, UnknownRoom
from gateway.expiring import Expiring
from gateway.fair_turns import FairTurns
from gateway.live.relay.consumers import Consumers
from gateway.messages.lane import Entry
from gateway.messages.publication import publication
from gateway.observe.events import Events, Kind
from gateway.queues.acknowledged import Acknowledgements
from gateway.queues.refill import History, Refill
from gateway.store.records import QueueDue, QueueRecord

log = logging.getLogger(__name__)

#: Seconds between two looks for streams without a confirm, and for queues that were replaced.
INTERVAL: Final = 0.5
#: Seconds between two looks at the queues that are consumed here.
LOOK: Final = 5.0
#: Seconds without a confirm after which a stream's queue is examined …
STUCK: Final = 4.0
#: … if every node has worked for so long: a member that starts late, or an election when a node
#: hangs, makes no dead queue …
SETTLED: Final = 15.0
#: … or after so many seconds in any case: a node may be away for good.
STUCK_LONG: Final = 60.0
#: Seconds that a replacement may take as a whole, with thousands of messages.
REPLACEMENT: Final = 300.0
#: Seconds in which RabbitMQ must have deleted and declared the queue, bound or marked it; deleting
#: a queue without a leader was seen to take 15.
STEP: Final = 30.0
#: Seconds in which what is on the wire to the old queue has its answer.
LANDING: Final = 20.0
#: Queues that are looked at, and replaced, at the same time.
AT_ONCE: Final = 4
#: Of them, those that new rooms leave to hosts who wait for a queue, and the most for new rooms of
#: one user.
KEPT: Final = 3
OF_USER: Final = 1
#: Queues of new rooms that are made up for in one look.
OWED_AT_A_TIME: Final = 5
#: Seconds from one examination of a room's queue to the next, while it gives no confirm.
BACK_OFF: Final = BackOff(first=2.0, longest=120.0)
#: Seconds between two attempts while another gateway replaces the queue.
ELSEWHERE: Final = 0.2
#: Milliseconds for which a client that consumed a replaced queue is asked to wait.
RETRY_AFTER: Final = 0.5
#: Rooms that are remembered, for while the database is away, and seconds.
_KNOWN: Final = 10_000
#: Queues with due work that one look takes on.
_DUE: Final = 100
_KNOWN_FOR: Final = 3600.0


class QueueBroker(Dials, Protocol):
    """The publisher, as the mender uses it."""

    @property
    def sound_for(self) -> float:
        """Seconds for which every node has answered whatever was asked."""

    @property
    def problem(self) -> str | None:
        """The reason why nothing can be published, or None."""

    async def has_private_queue(self, room: int, mark: str) -> bool:
        """Whether the room's queue has this mark. Raises :class:`QueueFailed`."""
        ...

    async def missing_private_queues(self, marks: Mapping[int, str]) -> list[int]:
        """The rooms whose queues do not have these marks. Raises :class:`QueueFailed`."""
        ...

    async def delete_private_queue(self, room: int) -> None:
        """Delete the room's queue. Raises :class:`QueueFailed`."""
        ...


class QueueStore(History, Protocol):
    """The database's word on queues. All methods raise :class:`StoreUnavailable`."""

    async def private_queue(self, room: int) -> QueueRecord | None: ...

    async def renew_private_queue(self, room: int) -> int: ...

    async def queues_due(self, limit: int) -> Mapping[int, QueueDue]: ...

    async def set_queue_due(self, room: int, work: QueueDue | None) -> None: ...

    async def private_queue_numbers(self, numbers: Sequence[int]) -> Mapping[int, int]: ...


class Lanes(Protocol):
    """The outbox, as far as the mender works with it."""

    def stuck(self, seconds: float) -> list[Entry]:
        """The oldest message of each stream that has had no confirm for so long."""

    def held_back(self, room: int) -> AbstractAsyncContextManager[None]:
        """A block in which nothing of the room is published."""

    async def landed(self, room: int) -> None:
        """Wait until all that was published of a room that is held back has its answer."""


class Elsewhere(Exception):
    """Another gateway replaces the queue now."""


class QueueMender:
    """The private queues of all rooms, as far as this gateway needs them."""

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        broker: QueueBroker,
        store: QueueStore,
        topology: Topology,
        *,
        acknowledgements: Acknowledgements,
        consumers: Consumers,
        events: Events,
        clock: Monotonic,
        utc: UtcTime,
        tasks: Tasks,
    ) -> None:
        self._broker = broker
        self._store = store
        self._topology = topology
        self._acknowledgements = acknowledgements
        self._consumers = consumers
        self._events = events
        self._clock = clock
        self._utc = utc
        self._tasks = tasks
        self._lanes: Lanes | None = None
        self._closing = False
        self._records: Expiring[int, QueueRecord] = Expiring(_KNOWN, _KNOWN_FOR, clock=clock)
        #: By room: what is being done for whoever asks for its queue.
        self._jobs: dict[int, asyncio.Task[int]] = {}
        self._turns = FairTurns(AT_ONCE, of_user=OF_USER, kept=KEPT)
        self._looking = asyncio.Semaphore(AT_ONCE)
        #: By room without a confirm: examinations, and when the next one is due.
        self._examined: dict[int, tuple[int, float]] = {}
        #: Rooms that were made without a queue.
        self._owed: dict[int, None] = {}
        #: When the deletions that are due were tried last.
        self._deleted_at = -STUCK_LONG

    def start(self, lanes: Lanes) -> None:
        """Look for queues that are missing or give no confirm, until :meth:`close`."""
        self._lanes = lanes
        self._tasks.forever(self._watch_lanes, "private queues without a confirm")
        self._tasks.forever(self._watch_consumers, "private queues that were replaced")
        self._tasks.forever(self._watch_queues, "private queues that are consumed")

    async def close(self) -> None:
        """Stop; a replacement under way is broken off, and another gateway or start completes
        it."""
        self._closing = True
        await self._tasks.close()

    async def declare_private_queue(self, room: int, *, maker: str | None = None) -> int:
        """Make sure that an open room has its queue, with all that it should hold; its number.

        ``maker``: the user who has just made the room. Its queue is made after those that hosts
        wait for, and takes turns with the rooms of other makers.

        Callers at the same time share the work, which goes on when they give up waiting. Raises
        :class:`QueueFailed`.
        """
        job = self._jobs.get(room)
        if job is None:
            job = self._start(room, maker=maker)
        return await shared(job)

    async def delete_private_queue(self, room: int) -> None:
        """Delete the queue of a room that is closed. If this fails, it stays due, and is tried
        again by any gateway. Raises :class:`QueueFailed`."""
        await self._broker.delete_private_queue(room)
        try:
            await self._store.set_queue_due(room, None)
        except StoreUnavailable as error:
            # Deleting it once more does no harm.
            log.debug("that the queue of room %d is deleted is not stored: %s", room, error)

    def owe(self, room: int) -> None:
        """Make the queue of a new room as soon as it can be made."""
        if len(self._owed) < _KNOWN:
            self._owed[room] = None

    def _start(
        self,
        room: int,
        *,
        suspect: Entry | None = None,
        renew: bool = False,
        maker: str | None = None,
        urgent: bool = True,
    ) -> asyncio.Task[int]:
        """Begin to make sure of a queue, which is replaced if the message ``suspect`` shows that it
        is dead, or in any case with ``renew``. ``urgent``: somebody may wait for it."""

        turn = partial(
            self._turns.turn,
            ("room", room) if maker is None else ("maker", maker),
            urgent=urgent and maker is None,
            within=REPLACEMENT,
        )

        def failed(fault: Exception) -> None:
            self._jobs.pop(room, None)
            if not isinstance(fault, QueueFailed) and not self._closing:
                self._tasks.failures.note("a private queue", fault)

        async def work() -> int:
            try:
                return await self._ensure(room, suspect, renew=renew, turn=turn)
            finally:
                self._jobs.pop(room, None)

        job = self._jobs[room] = self._tasks.spawn(work(), "a private queue", failed=failed)
        return job

    async def _ensure(
        self,
        room: int,
        suspect: Entry | None,
        *,
        renew: bool,
        turn: Callable[[], AbstractAsyncContextManager[None]],
    ) -> int:
        queue = self._topology.private_queue(room).name
        while True:
            try:
                record = await self._record(room)
                if record is None or not record.is_open:
                    self._owed.pop(room, None)
                    return 0 if record is None else record.number
                mark = self._topology.queue_mark(room, record.identity, record.number)
                at_ease = suspect is None and not renew
                if at_ease and await self._broker.has_private_queue(room, mark):
                    self._owed.pop(room, None)
                    return record.number
                async with turn(), asyncio.timeout(REPLACEMENT):
                    number = await self._repair(room, suspect, renew=renew)
            except Elsewhere:
                await asyncio.sleep(ELSEWHERE)
                suspect, renew = None, False
            except (StoreUnavailable, UnknownRoom) as error:
                raise QueueFailed(f"cannot make sure of {queue}: {error.detail}") from error
            except FAILURES as error:
                raise QueueFailed(f"cannot make sure of {queue}: {describe(error)}") from error
            else:
                self._owed.pop(room, None)
                return number

    async def _record(self, room: int) -> QueueRecord | None:
        """The database's word, or its last one while it is away."""
        try:
            record = await self._store.private_queue(room)
        except StoreUnavailable:
            known = self._records.get(room)
            if known is None:
                raise
            return known
        if record is not None:
            self._records.put(room, record)
        return record

    async def _repair(self, room: int, suspect: Entry | None, *, renew: bool) -> int:
        """Replace the queue unless it is right after all; its number."""
        queue = self._topology.private_queue(room)
        async with QueueRepair.of(self._broker, queue) as repair:
            async with asyncio.timeout(STEP):
                if not await repair.lock():
                    raise Elsewhere
            record = await self._store.private_queue(room)
            if record is None or not record.is_open:
                return 0
            mark = self._topology.queue_mark(room, record.identity, record.number)
            stands = await repair.stands(mark)
            if not stands and record.number == 0:
                # It was declared before there were marks.
                stands = await repair.adopt(mark)
            if not stands:
                reason = _why(record)
            elif renew and record.due is QueueDue.RENEWAL:
                reason = (
                    "it was made while a node did not answer, and may have no member there; or it"
                    " may hold messages that were deleted by request"
                )
            elif suspect is not None and await self._is_dead(repair, suspect, mark):
                reason = "it confirms nothing any more"
            else:
                return record.number
            return await self._replace(room, record, repair, reason)

    async def _is_dead(self, repair: QueueRepair, suspect: Entry, mark: str) -> bool:
        answers = await repair.answers(publication(suspect.message, self._topology), mark)
        if answers.queue:
            log.warning(
                "%s: message %d has had no confirm for some time, though the room's private queue "
                "confirms: look for another queue that is bound to the room's routing key",
                suspect.message.stream,
                suspect.seq,
            )
        elif not answers.control:
            log.warning(
                "%s: message %d has had no confirm for some time, and a new queue confirms nothing "
                "either: RabbitMQ stands still; it is examined again",
                suspect.message.stream,
                suspect.seq,
            )
        return answers.dead

    async def _replace(
        self, room: int, record: QueueRecord, repair: QueueRepair, reason: str
    ) -> int:
        queue, began = self._topology.private_queue(room).name, self._clock()
        # First: whoever breaks off here leaves a queue without its mark, which is replaced again.
        number = await self._store.renew_private_queue(room)
        mark = self._topology.queue_mark(room, record.identity, number)
        if self._lanes is None:
            raise QueueFailed(f"{queue} cannot be replaced before the outbox is there")
        async with self._lanes.held_back(room):
            async with asyncio.timeout(STEP):
                await repair.begin()
            async with asyncio.timeout(LANDING):
                await self._lanes.landed(room)
            await self._acknowledgements.flush()
            streams = self._topology.queued_streams(room)
            refill, count = Refill(self._store, streams, now=self._utc()), 0
            async for page in refill.before_binding():
                count += len(page)
                await repair.fill([publication(each, self._topology) for each in page])
            if count:
                await repair.age(count)
            async with asyncio.timeout(STEP):
                await repair.open()
            async for page in refill.after_binding():
                count += len(page)
                await repair.fill([publication(each, self._topology) for each in page])
            # A node that did not answer meanwhile has no member of it.
            makeshift = self._broker.sound_for < self._clock() - began
            if makeshift:
                await self._store.set_queue_due(room, QueueDue.RENEWAL)
            elif record.due is QueueDue.RENEWAL:
                # Not otherwise: the room may be closed meanwhile, and a deletion due.
                await self._store.set_queue_due(room, None)
            async with asyncio.timeout(STEP):
                await repair.finish(mark)
        if record.number > 1 or count:
            self._events.note(Kind.FAILOVER, "queue_replaced", f"room {room}: {reason}", room=room)
            log.warning(
                "queue %s is replaced, because %s; it has %d messages from the history, from what "
                "its hosts last acknowledged",
                queue,
                reason,
                count,
            )
        made = await self._store.private_queue(room)
        if made is None or not made.is_open:
            await repair.delete()
        else:
            self._records.put(room, made)
        return number

    def _end_consumers(self, room: int, number: int) -> None:
        error = BrokerUnavailable(
            f"the private queue of room {room} was replaced: subscribe again",
            retry_after=RETRY_AFTER,
        )
        if ended := self._consumers.end_older(room, number, error):
            log.info("room %d: %d consumers of the replaced queue connect again", room, ended)

    async def _watch_lanes(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            if self._lanes is None or self._broker.problem is not None:
                continue
            settled = self._broker.sound_for >= SETTLED
            stuck = self._lanes.stuck(STUCK if settled else STUCK_LONG)
            # What the queue does not get says nothing about it, and must not get into it.
            rooms = {
                stream.room: entry
                for entry in stuck
                if self._topology.is_queued(stream := entry.message.stream)
            }
            for room in self._examined.keys() - rooms.keys():
                del self._examined[room]
            for room, entry in rooms.items():
                self._examine(room, entry)

    def _examine(self, room: int, entry: Entry) -> None:
        times, due = self._examined.get(room, (0, 0.0))
        now = self._clock()
        if now < due or room in self._jobs:
            return
        self._examined[room] = times + 1, now + BACK_OFF.delay(times + 1)
        self._start(room, suspect=entry).add_done_callback(self._log)

    async def _watch_queues(self) -> None:
        """Queues that were deleted by somebody else, or are on the other cluster."""
        while True:
            await asyncio.sleep(LOOK)
            if self._broker.problem is not None:
                continue
            consumed = self._consumers.rooms
            marks = {
                room: self._topology.queue_mark(room, record.identity, record.number)
                for room in consumed
                if (record := self._records.get(room))
            }
            try:
                missing = await self._broker.missing_private_queues(marks)
            except QueueFailed as error:
                log.debug("the private queues that are consumed are looked at later: %s", error)
                continue
            unknown = [room for room in consumed if room not in marks]
            due = await self._due()
            makeshift = [room for room, work in due.items() if work is QueueDue.RENEWAL]
            wanted = dict.fromkeys([*missing, *unknown])
            owed = [room for room in self._owed if room not in wanted][:OWED_AT_A_TIME]
            for room in owed:
                # A queue that cannot be made again and again lets the others have their turn.
                self._owed[room] = self._owed.pop(room)
            await asyncio.gather(
                *(
                    self._look(room, renew=room in makeshift, urgent=room in wanted)
                    for room in dict.fromkeys([*wanted, *owed, *makeshift])
                    if room not in self._jobs
                ),
                *(self._delete(room) for room, work in due.items() if work is QueueDue.DELETION),
            )

    async def _due(self) -> Mapping[int, QueueDue]:
        """The work that is due and may be done now: while a node does not answer, RabbitMQ may not
        be able to delete a queue, and a new one would be no better."""
        settled = self._broker.sound_for >= SETTLED
        if not settled and self._clock() - self._deleted_at < STUCK_LONG:
            return {}
        self._deleted_at = self._clock()
        try:
            due = await self._store.queues_due(_DUE)
        except StoreUnavailable:
            # Logged by those who need the database for more; asked again.
            return {}
        return {r: work for r, work in due.items() if settled or work is QueueDue.DELETION}

    async def _delete(self, room: int) -> None:
        async with self._looking:
            try:
                record = await self._store.private_queue(room)
                if record is not None and not record.is_open:
                    await self.delete_private_queue(room)
            except (QueueFailed, StoreUnavailable) as error:
                log.debug("the queue of the closed room %d is deleted later: %s", room, error)

    async def _look(self, room: int, *, renew: bool, urgent: bool) -> None:
        async with self._looking:
            job = self._start(room, renew=renew, urgent=urgent)
            await asyncio.wait({job})
            self._log(job)

    async def _watch_consumers(self) -> None:
        """Queues that another gateway has replaced."""
        while True:
            await asyncio.sleep(INTERVAL)
            rooms = self._consumers.rooms
            if not rooms:
                continue
            try:
                numbers = await self._store.private_queue_numbers(rooms)
            except StoreUnavailable:
                # Logged by those who need the database for more; asked again.
                continue
            for room, number in numbers.items():
                self._end_consumers(room, number)

    def _log(self, job: asyncio.Task[int]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            log.error("%s; messages of its room wait, and it is tried again", error)


def _why(record: QueueRecord) -> str:
    if record.number > 1:
        return "it was not there, or not complete"
    return "the room is new or older than its queue"
