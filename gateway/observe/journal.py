"""The entries of the journal that wait to be written, so that nobody who adds one waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from broker.timing.readings import Monotonic
from gateway.budget.addresses import network_of
from gateway.budget.rate import Buckets, Rate
from gateway.domain.journal import MEMBER_REMOVED, ROOM_CLOSED, Entry, EntryKind, Visit
from gateway.observe.events import Event

#: Entries that wait at most: a few megabytes. More come only in a flood, or while the database is
#: away for long.
WAITING: Final = 10_000
#: Rooms of a connection that its end is found by.
_ROOMS: Final = 8
#: What clients can cause at will, so that there could be any number of it.
_OF_CLIENTS: Final = frozenset({EntryKind.CONNECTION, EntryKind.CLOSE, EntryKind.REFUSAL})
#: Entries of one user, or of one network (an IPv6 client has a /64) of which nobody is known: what
#: one client does at most for a month is a fifth of the journal.
_OF_ONE: Final = Rate(per_second=1 / 12, burst=100)
#: Orders of one kind of one host: as many at once as a host may remove members, and close rooms.
_OF_HOST: Final = Rate(per_second=1 / 12, burst=2_000)
_ORDERS_OF_HOSTS: Final = frozenset({ROOM_CLOSED, MEMBER_REMOVED})
#: Entries of all unknown clients together, who may have any number of networks: half of it.
_OF_UNKNOWN: Final = Rate(per_second=1 / 6, burst=1_000)


class Journal:
    """The entries of this gateway on their way to the database. What does not fit is dropped, and
    counted, and so is what one client causes beyond its share: nobody pushes out what happened to
    others. ``is_kept``: false drops all of them, uncounted."""

    def __init__(self, *, clock: Monotonic, is_kept: bool = True, most: int = WAITING) -> None:
        self._clock = clock
        self._of_one = Buckets(_OF_ONE)
        self._of_host = Buckets(_OF_HOST)
        self._of_unknown = Buckets(_OF_UNKNOWN)
        self._waiting: deque[Entry] = deque()
        #: Entries that wait at most.
        self.most = most if is_kept else 0
        self.is_kept = is_kept
        #: Entries that were dropped since the start.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> None:
        """Have an entry written soon. It takes some microseconds."""
        if not self.is_kept:
            return
        if len(self._waiting) < self.most and self._has_share(entry):
            self._waiting.append(entry)
        else:
            self.dropped += 1

    def _has_share(self, entry: Entry) -> bool:
        now = self._clock()
        if entry.kind == EntryKind.ACTION and entry.code in _ORDERS_OF_HOSTS:
            return self._of_host.take((entry.code, entry.by), now)
        if entry.kind not in _OF_CLIENTS:
            return True
        if entry.user is not None:
            return self._of_one.take(("user", entry.user), now)
        network = network_of(entry.address or "")
        return self._of_one.take(("network", network), now) and self._of_unknown.take(None, now)

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
