"""The entries of the journal that wait to be written, so that nobody who adds one waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.domain.journal import Entry, EntryKind, Visit
from gateway.observe.events import Event

#: Entries that wait at most: a few megabytes. More come only in a flood, or while the database is
#: away for long.
WAITING: Final = 10_000
#: Rooms of a connection that its end is found by.
_ROOMS: Final = 8


class Journal:
    """The entries of this gateway on their way to the database. What does not fit is dropped, and
    counted. ``is_kept``: false drops all of them, uncounted."""

    def __init__(self, *, is_kept: bool = True, most: int = WAITING) -> None:
        self._waiting: deque[Entry] = deque()
        #: Entries that wait at most.
        self.most = most if is_kept else 0
        self.is_kept = is_kept
        #: Entries that were dropped since the start.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> None:
        """Have an entry written soon. It takes a microsecond."""
        if len(self._waiting) < self.most:
            self._waiting.append(entry)
        elif self.is_kept:
            self.dropped += 1

    def take(self, most: int) -> list[Entry]:
        """The oldest entries, which are the caller's now."""
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Keep entries that could not be written; the youngest of all make room."""
        self._waiting.extendleft(reversed(entries))
        while len(self._waiting) > self.most:
            self._waiting.pop()
            self.dropped += 1

    def note(self, event: Event, visit: Visit | None) -> None:
        """Have an event written, and with the end of a connection that was in several rooms one
        entry for each, so that each room's search finds it."""
        entry = Entry(
            at=event.at,
            kind=EntryKind(event.kind),
            code=event.code,
            detail=event.detail,
            status=event.status,
            user=event.user,
            by=event.by,
            room=event.room,
            address=event.address,
            node=event.node,
            connection=event.connection,
        )
        if visit is None:
            self.add(entry)
            return
        entry = replace(
            entry,
            client_status=visit.client_status,
            browser=visit.browser,
            since=visit.since,
            bytes_in=visit.bytes_in,
            bytes_out=visit.bytes_out,
        )
        for room in visit.rooms[:_ROOMS] or (None,):
            self.add(replace(entry, room=room))
