"""Memberships as the store has them, remembered for the blink that G7 allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from cachetools import TTLCache

from gateway.domain.room import Membership, Roster

#: Seconds. A removed member's access ends within a second (G7), also where another gateway
#: removed them and no invalidation reaches this one.
LIFETIME: Final = 0.5


class RosterSource(Protocol):
    async def roster(self, room: int) -> Roster | None:
        """None: there is no such room."""


class Memberships:
    """Read by the room: when a class of five hundred comes in at once, one read serves them all.

    A bounded cache. ``clock`` gives seconds and never goes back.
    """

    def __init__(
        self, source: RosterSource, *, clock: Callable[[], float], capacity: int = 1_000
    ) -> None:
        self._source = source
        self._known: TTLCache[int, Roster | None] = TTLCache(capacity, LIFETIME, timer=clock)
        self._reads: dict[int, asyncio.Task[Roster | None]] = {}

    async def membership(self, room: int, user: str) -> Membership | None:
        """None: there is no such room. Raises what the source raises."""
        try:
            roster = self._known[room]
        except KeyError:
            roster = await asyncio.shield(self._read(room))
        return None if roster is None else roster.of(user)

    def invalidate(self, room: int) -> None:
        """Whatever was read or is being read is not used by those who ask from now on."""
        self._known.pop(room, None)
        self._reads.pop(room, None)

    def _read(self, room: int) -> asyncio.Task[Roster | None]:
        """The read under way, or a new one."""
        read = self._reads.get(room)
        if read is None:
            read = self._reads[room] = asyncio.create_task(self._source.roster(room))
            read.add_done_callback(lambda task: self._done(room, task))
        return read

    def _done(self, room: int, read: asyncio.Task[Roster | None]) -> None:
        current = self._reads.get(room) is read
        if current:
            del self._reads[room]
        # Looked at here too: all who asked may be gone.
        if not read.cancelled() and read.exception() is None and current:
            self._known[room] = read.result()
