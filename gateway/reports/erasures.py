"""Deletion by request: of a room, or of what a person has left in it or everywhere.

The order is a row of the database, and so is what was deleted by it (numbers, no content). Any
gateway carries it out: the one that has got it, or, when that has stopped, another one. Every
gateway asks the database every 0.7 s whether something was deleted, and forgets what it has in
memory; so nothing depends on a message, and a command on the command line counts as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import Context
from datetime import datetime
from typing import Final, Protocol

from broker.timing.readings import Monotonic, UtcTime
from broker.timing.tasks import Tasks, shared
from gateway.auth.permissions import Action, Permissions
from gateway.cluster.database_poll import DatabasePoll
from gateway.domain.erasure import Erasure
from gateway.domain.identity import Identity
from gateway.domain.journal import ERASURE
from gateway.errors import StoreUnavailable
from gateway.observe.events import Events, Kind

logger = logging.getLogger(__name__)

#: Seconds that an answer waits for the end of a deletion.
PATIENCE: Final = 10.0
#: Seconds without progress after which another gateway goes on with a deletion.
STALLED: Final = 30.0


class ErasureStore(Protocol):
    """The database. All methods raise :class:`StoreUnavailable`."""

    async def order_erasure(
        self, *, room: int | None, user: str | None, by: str, reason: str, at: datetime
    ) -> Erasure: ...

    async def carry_out_erasure(self, erasure: Erasure) -> Erasure: ...

    async def erasure(self, id: int) -> Erasure | None: ...

    async def erasures(self) -> list[Erasure]: ...

    async def erasures_since(self, revision: int) -> tuple[int, list[Erasure]]: ...

    async def with_deleted(self, rooms: Sequence[int]) -> list[int]: ...


class RoomChanges(Protocol):
    """The end of access to a room, on all gateways."""

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None: ...


class Erasures:
    """The service for deletion by request, for admins. ``forget`` drops all messages that are in
    this gateway's memory; ``tell`` lets those who follow one of the rooms here, which are
    ``followed``, know that messages in it were deleted."""

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        store: ErasureStore,
        permissions: Permissions,
        changes: RoomChanges,
        *,
        events: Events,
        forget: Callable[[], None],
        followed: Callable[[], Collection[int]],
        tell: Callable[[Collection[int]], None],
        utc: UtcTime,
        clock: Monotonic,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._changes = changes
        self._events = events
        self._forget = forget
        self._followed = followed
        self._tell = tell
        self._utc = utc
        self._clock = clock
        self._tasks = tasks
        #: One after the other: each keeps the database busy for a while.
        self._one = asyncio.Lock()
        self._jobs: dict[int, asyncio.Task[Erasure]] = {}
        #: The revision that is known, from the first poll on.
        self._revision: int | None = None
        #: Of those that go on: their revision, and since when it has been that, on the clock.
        self._progress: dict[int, tuple[int, float]] = {}
        self._closing = False
        self._polling = DatabasePoll(self.poll, "erasures", of="deletions by request", tasks=tasks)

    def start(self) -> None:
        self._polling.start()

    async def close(self) -> None:
        """Stop; what is not done another gateway goes on with."""
        self._closing = True
        await self._polling.close()

    async def order(
        self, who: Identity, *, room: int | None, user: str | None, reason: str
    ) -> Erasure:
        """Delete a room, or what ``user`` has left in it or (no room) everywhere. After
        :data:`PATIENCE` seconds it goes on without the caller.

        Raises :class:`Refused`, :class:`UnknownRoom`, :class:`Invalid`, :class:`StoreUnavailable`.
        """
        await self._permissions.require(who, Action.ADMINISTER)
        ordered = await self._store.order_erasure(
            room=room, user=user, by=who.user, reason=reason, at=self._utc()
        )
        logger.info(
            "admin %s orders the deletion of %s (no. %d)", who.user, _what(ordered), ordered.id
        )
        self._events.note(Kind.ACTION, ERASURE, ordered.nameless, by=who.user, room=room)
        if room is not None and user is None:
            await self._changes.changed(room, ended=True)
        job = self._begin(ordered)
        try:
            async with asyncio.timeout(PATIENCE):
                return await shared(job)
        except TimeoutError:
            return await self._store.erasure(ordered.id) or ordered

    async def listed(self, who: Identity) -> list[Erasure]:
        """The newest entries of the record, the last one first. Raises :class:`Refused`,
        :class:`StoreUnavailable`."""
        await self._permissions.require(who, Action.OBSERVE)
        return await self._store.erasures()

    async def poll(self) -> None:
        """Learn what was deleted since the last poll, and go on with what nobody goes on with.
        Raises :class:`StoreUnavailable`."""
        before = self._revision
        newest, found = await self._store.erasures_since(before or 0)
        # At the start nothing is in memory.
        if before is not None and newest != before:
            self._forget()
            concerned = await self._concerned(found)
            self._tell(concerned)
        self._revision = newest
        now = self._clock()
        going_on = {each.id: each for each in found if each.done_at is None}
        self._progress = {
            id: known
            if (known := self._progress.get(id)) and known[0] == each.revision
            else (each.revision, now)
            for id, each in going_on.items()
        }
        for id, (_, since) in self._progress.items():
            if now - since > STALLED and id not in self._jobs:
                logger.warning("going on with the deletion no. %d, which stood still", id)
                self._begin(going_on[id])

    async def _concerned(self, found: Iterable[Erasure]) -> set[int]:
        """The rooms followed here that have lost messages by what is done. Raises
        :class:`StoreUnavailable`."""
        # Who was in a room that was deleted has been sent away.
        done = {each.room for each in found if each.user is not None and each.done_at is not None}
        rooms = {room for room in done if room is not None}
        if None in done:
            # Each page that is told asks for what was deleted, so not those of all rooms are.
            rooms.update(await self._store.with_deleted(sorted(self._followed())))
        return rooms

    def _begin(self, ordered: Erasure) -> asyncio.Task[Erasure]:
        def failed(fault: Exception) -> None:
            if isinstance(fault, StoreUnavailable):
                logger.warning("the deletion no. %d goes on later: %s", ordered.id, fault.detail)
            elif not self._closing:
                self._tasks.failures.note("a deletion by request", fault)

        async def work() -> Erasure:
            try:
                async with self._one:
                    made = await self._store.carry_out_erasure(ordered)
            finally:
                self._jobs.pop(ordered.id, None)
            self._forget()
            if made.room is not None and made.user is None:
                # Its members are gone.
                await self._changes.changed(made.room, ended=True)
            logger.info(
                "deletion no. %d is done: %s; %d messages and %d stays in %d rooms",
                *(made.id, _what(made), made.messages, made.stays, made.rooms),
            )
            return made

        # It is the database's work, not a part of the request that has begun it: it pays for none.
        job = self._jobs[ordered.id] = Context().run(
            self._tasks.spawn, work(), "a deletion by request", failed=failed
        )
        return job


def _what(ordered: Erasure) -> str:
    """The target of an order, for people."""
    if ordered.user is None:
        return f"room {ordered.room}"
    where = "all rooms" if ordered.room is None else f"room {ordered.room}"
    return f"what {ordered.user} has left in {where}"
