"""Attendance as a table: who came when and left when, several sockets as one stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.reports.cells import Row, Word

COLUMNS: Final = ("user", "name", "role", "came", "left", "minutes", "note")

#: Stays with less between them are one: a page that is loaded again, a change of networks, another
#: gateway.
GAP: Final = timedelta(seconds=60)
#: A stay that was not seen for so long has ended without a word, with its gateway.
STALE: Final = timedelta(seconds=150)


class AttendanceSheet:
    """The rows of the stays, which come by user, then by their beginning. ``now``: stays that last
    are counted until then."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._open: Stay | None = None

    def take(self, stays: Iterable[Stay]) -> list[Row]:
        """The rows that are complete with these stays."""
        rows: list[Row] = []
        for stay in stays:
            before = self._open
            if before is not None and self._is_one(before, stay):
                self._open = _joined(before, stay, self._end(before), self._end(stay))
            else:
                if before is not None:
                    rows.append(self._row(before))
                self._open = stay
        return rows

    def rest(self) -> Sequence[Row]:
        """The rows of what is left at the end."""
        left, self._open = self._open, None
        return [] if left is None else [self._row(left)]

    def _lasts(self, stay: Stay) -> bool:
        return stay.until is None and self._now - stay.seen < STALE

    def _end(self, stay: Stay) -> datetime:
        if stay.until is not None:
            return stay.until
        return self._now if self._lasts(stay) else stay.seen

    def _is_one(self, before: Stay, stay: Stay) -> bool:
        return before.user == stay.user and stay.since <= self._end(before) + GAP

    def _row(self, stay: Stay) -> Row:
        end = self._end(stay)
        lasts = self._lasts(stay)
        note = Word("here") if lasts else Word("cut off") if stay.until is None else None
        return (
            stay.user,
            stay.name,
            Word(stay.role),
            stay.since,
            None if lasts else end,
            round((end - stay.since) / timedelta(minutes=1)),
            note,
        )


def _joined(before: Stay, stay: Stay, end: datetime, other: datetime) -> Stay:
    """Two stays as one, which ends as the one that ends later."""
    last = before if end > other else stay
    role = MemberRole.HOST if MemberRole.HOST in (before.role, stay.role) else stay.role
    return replace(
        last, since=before.since, role=role, name=stay.name or before.name, user=before.user
    )
