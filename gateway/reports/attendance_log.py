"""The record of who was in which room, written in batches beside the live connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from broker.timing.readings import Monotonic, UtcTime
from broker.timing.tasks import Tasks
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.errors import StoreUnavailable
from gateway.live.attendance import Attendance

logger = logging.getLogger(__name__)

#: Seconds between two writes.
TICK: Final = 5.0
#: Seconds between two notes that the stays last: so much of a stay may be missing after a kill.
SEEN: Final = 60.0
#: Seconds after which somebody who comes back begins a new stay: a page that is loaded again, or
#: changes its network, is the same one.
RETURN: Final = 60.0
#: The number of stays of one member in one room after which a new one begins only …
MANY: Final = 20
#: … so many seconds after the end of the last one: whoever comes and goes all the time fills
#: neither the memory nor the table.
LONG_RETURN: Final = 3600.0
#: Members of rooms that are remembered, from their first coming until :data:`LONG_RETURN` after
#: their last leaving. Those beyond it are not recorded, which the log tells.
MOST: Final = 50_000
#: Stays in one transaction.
PORTION: Final = 100


class StayStore(Protocol):
    """The stays in the database. Both methods raise :class:`StoreUnavailable`."""

    async def note_stays(self, stays: Sequence[Stay]) -> None:
        """Store new stays, and the changes of stored ones."""

    async def see_stays(self, at: datetime) -> None:
        """Note that the stays that this gateway has noted last."""


@dataclass(slots=True)
class _Presence:
    """A member of a room, and the last stay. ``left_at``: on the clock, seconds. ``name``: to show,
    by the member's login."""

    role: MemberRole
    since: datetime
    until: datetime | None
    left_at: float | None
    stays: int = 1
    name: str | None = None


class AttendanceLog:
    """The stays of members in rooms at this gateway. Nothing here is on the way of a message: the
    attendance tells of first and last subscriptions only, and a batch is written now and then."""

    def __init__(
        self,
        attendance: Attendance,
        store: StayStore,
        *,
        utc: UtcTime,
        clock: Monotonic,
        tasks: Tasks,
    ) -> None:
        self._attendance = attendance
        self._store = store
        self._utc = utc
        self._clock = clock
        self._tasks = tasks
        self._known: dict[tuple[int, str], _Presence] = {}
        #: Those whose row in the database is older than they are.
        self._changed: dict[tuple[int, str], None] = {}
        self._seen_at = clock()
        self._is_full = False
        self._away = False
        attendance.observe(self._noticed)

    def __len__(self) -> int:
        """The number of members that are remembered."""
        return len(self._known)

    def start(self) -> None:
        self._tasks.forever(self._write_on, "attendance")

    async def close(self) -> None:
        """Stop, and write the end of all stays: who is here goes to another gateway."""
        await self._tasks.close()
        now = self._utc()
        for key, member in self._known.items():
            if member.until is None:
                member.until = now
                self._changed[key] = None
        try:
            await self._write()
        except StoreUnavailable as error:
            logger.warning(
                "the end of %d stays is not recorded, because the database is away; the record has "
                "when they were last seen: %s",
                len(self._changed),
                error,
            )

    def _noticed(self, room: int, user: str, role: MemberRole | None) -> None:
        key = (room, user)
        member = self._known.get(key)
        if role is None:
            if member is not None and member.until is None:
                member.until, member.left_at = self._utc(), self._clock()
                self._changed[key] = None
            return
        if member is None:
            if len(self._known) >= MOST:
                self._tell_full()
            else:
                self._begin(key, role, stays=1)
        elif self._is_over(member) and key not in self._changed:
            self._begin(key, role, stays=member.stays + 1)
        else:
            # As long as the end of the last stay is not written, the row is still its own.
            self._go_on(key, role, member)

    def _begin(self, key: tuple[int, str], role: MemberRole, *, stays: int) -> None:
        name = self._attendance.name_of(*key)
        self._known[key] = _Presence(role, self._utc(), None, None, stays, name)
        self._changed[key] = None

    def _is_over(self, member: _Presence) -> bool:
        if member.left_at is None:
            return False
        gap = RETURN if member.stays < MANY else LONG_RETURN
        return self._clock() - member.left_at > gap

    def _go_on(self, key: tuple[int, str], role: MemberRole, member: _Presence) -> None:
        if (member.role, member.until) != (role, None):
            member.role, member.until, member.left_at = role, None, None
            self._changed[key] = None

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            logger.warning(
                "the attendance of further members is not recorded: %d members of rooms are "
                "remembered already; spread them over more gateways",
                MOST,
            )

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._write()
                if self._clock() - self._seen_at >= SEEN:
                    self._seen_at = self._clock()
                    await self._store.see_stays(self._utc())
            except StoreUnavailable as error:
                if not self._away:
                    logger.warning(
                        "the attendance is not recorded until the database is back: %s", error
                    )
                self._away = True
            else:
                self._away = False
            self._forget()

    async def _write(self) -> None:
        while self._changed:
            keys = list(self._changed)[:PORTION]
            now = self._utc()
            batch = [_stay(key, self._known[key], now) for key in keys]
            for key in keys:
                del self._changed[key]
            try:
                await self._store.note_stays(batch)
            except BaseException:
                # Before those that have changed meanwhile: their order does not matter.
                self._changed |= dict.fromkeys(keys)
                raise

    def _forget(self) -> None:
        now = self._clock()
        gone = [
            key
            for key, member in self._known.items()
            if member.left_at is not None
            and now - member.left_at > LONG_RETURN
            and key not in self._changed
        ]
        for key in gone:
            del self._known[key]
        if gone:
            self._is_full = False


def _stay(key: tuple[int, str], member: _Presence, now: datetime) -> Stay:
    seen = member.until or now
    return Stay(*key, member.role, member.since, member.until, seen, member.name)
