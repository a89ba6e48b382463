"""A cache of memberships, kept for as short a time as G7 allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from broker.timing.readings import Monotonic
from broker.timing.tasks import shared
from gateway.domain.room import Membership, Roster
from gateway.expiring import Expiring

#: Seconds. A removed member's access ends within a second (G7), even if another gateway removed
#: them and no invalidation reaches this one.
LIFETIME: Final = 0.5
#: Seconds for which a roster is believed after a poll began that found it unchanged: longer than
#: from one poll to the next, so that a room where much is said is not read twice a second beside
#: the poll; and no longer than G7 allows.
CONFIRMED: Final = 0.95
#: Seconds after which it is read again, whatever the polls say: shown names have no revision.
LONGEST: Final = 10.0


class RosterSource(Protocol):
    """The store of rooms' members."""

    async def roster(self, room: int) -> Roster | None:
        """The room's members. None: there is no such room."""


@dataclass(eq=False, slots=True)
class _Known:
    """A roster that was read. ``until``: when it is believed no longer."""

    roster: Roster | None
    read_at: float
    until: float


@dataclass(eq=False, slots=True)
class _Read:
    """A read of a room's roster that is under way."""

    task: asyncio.Task[Roster | None]
    outdated: bool = False


class Memberships:
    """A bounded cache of rosters by room: when five hundred members come at once, one read serves
    them all."""

    def __init__(self, source: RosterSource, *, clock: Monotonic, capacity: int = 1_000) -> None:
        self._source = source
        self._clock = clock
        self._known: Expiring[int, _Known] = Expiring(capacity, LONGEST, clock=clock)
        self._reads: dict[int, _Read] = {}

    async def membership(self, room: int, user: str) -> Membership | None:
        """The user's membership. None: there is no such room. Raises the errors of the source."""
        roster = await self.roster(room)
        return None if roster is None else roster.of(user)

    async def roster(self, room: int) -> Roster | None:
        """The room's members. None: there is no such room. Raises the errors of the source.

        Never older than the last :meth:`invalidate`, not even for a caller from before it.
        """
        # Looked up once in each round: an entry may expire between two lookups.
        while (known := self._known.get(room)) is None or known.until <= self._clock():
            read = self._read(room)
            roster = await shared(read.task)
            if not read.outdated:
                return roster
        return known.roster

    @property
    def now(self) -> float:
        """The time at which something is asked that is to be confirmed."""
        return self._clock()

    def confirm(self, room: int, revision: int, *, asked_at: float) -> None:
        """Believe what was read a little longer, if it has the revision that the database had after
        ``asked_at``."""
        known = self._known.get(room)
        if known is None or known.roster is None or known.roster.revision != revision:
            return
        known.until = max(known.until, min(asked_at + CONFIRMED, known.read_at + LONGEST))

    def invalidate(self, room: int) -> None:
        """Drop what was read, and what is being read."""
        self._known.discard(room)
        if read := self._reads.pop(room, None):
            read.outdated = True

    def _read(self, room: int) -> _Read:
        """The read under way, or a new one."""
        read = self._reads.get(room)
        if read is None:
            read = self._reads[room] = _Read(asyncio.create_task(self._source.roster(room)))
            read.task.add_done_callback(lambda _: self._done(room, read))
        return read

    def _done(self, room: int, read: _Read) -> None:
        # Take the exception in any case: every caller may have left.
        failed = read.task.cancelled() or read.task.exception() is not None
        if read.outdated:
            # A newer read of the room may have finished already; this one's result is older.
            return
        del self._reads[room]
        if not failed:
            now = self._clock()
            self._known.put(room, _Known(read.task.result(), now, now + LIFETIME))
