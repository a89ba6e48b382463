"""Memberships as the store has them, remembered for the blink that G7 allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

from broker.timing.tasks import shared
from gateway.domain.room import Membership, Roster
from gateway.expiring import Expiring

#: Seconds. A removed member's access ends within a second (G7), also where another gateway
#: removed them and no invalidation reaches this one.
LIFETIME: Final = 0.5


class _Unknown(Enum):
    """A room that was not read lately; None is what is known of one that does not exist."""

    UNKNOWN = auto()


class RosterSource(Protocol):
    async def roster(self, room: int) -> Roster | None:
        """None: there is no such room."""


@dataclass(eq=False, slots=True)
class _Read:
    task: asyncio.Task[Roster | None]
    outdated: bool = False


class Memberships:
    """Read by the room: when a class of five hundred comes in at once, one read serves them all.

    A bounded cache. ``clock`` gives seconds and never goes back.
    """

    def __init__(
        self, source: RosterSource, *, clock: Callable[[], float], capacity: int = 1_000
    ) -> None:
        self._source = source
        self._known: Expiring[int, Roster | None] = Expiring(capacity, LIFETIME, clock=clock)
        self._reads: dict[int, _Read] = {}

    async def membership(self, room: int, user: str) -> Membership | None:
        """None: there is no such room. Raises what the source raises."""
        roster = await self.roster(room)
        return None if roster is None else roster.of(user)

    async def roster(self, room: int) -> Roster | None:
        """None: there is no such room. Raises what the source raises.

        Never older than the last :meth:`invalidate`, not even for who has asked before it.
        """
        # One look each time round: an entry may end between two.
        while (known := self._known.get(room, _Unknown.UNKNOWN)) is _Unknown.UNKNOWN:
            read = self._read(room)
            roster = await shared(read.task)
            if not read.outdated:
                return roster
        return known

    def invalidate(self, room: int) -> None:
        """Whatever was read or is being read is not used any more."""
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
        # Looked at in any case: all who asked may be gone.
        failed = read.task.cancelled() or read.task.exception() is not None
        if read.outdated:
            # A newer read of the room may be done already; what this one found is from before.
            return
        del self._reads[room]
        if not failed:
            self._known.put(room, read.task.result())
