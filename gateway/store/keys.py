"""The keys of a batch of drafts: which entries of the kept state stand, and whether one more may.
The decision of ``Store.append`` about them, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft
from gateway.errors import GatewayError, NotOpen

#: The error for one more entry that stands, by how many stand of the room's own, or else of its
#: author; the other number is None. It is called in a thread of the database.
KeyBound = Callable[[int | None, int | None], GatewayError | None]

#: The part of an entry's body that says until when messages may depend on it.
UNTIL: Final = "until"

#: Whose entries are counted together.
Owner = tuple[Stream, str | None]


def nothing_refused(of_room: int | None, of_author: int | None) -> None:
    """The refusal where there are no bounds."""
    del of_room, of_author


def condition_of(draft: Draft) -> Entry | None:
    """The entry that must stand for the draft to be stored: the room's own, which all can see."""
    if draft.only_while is None:
        return None
    return Entry(Stream(Audience.PUBLIC, draft.stream.room), None, draft.only_while)


def end_of(body: Any) -> datetime | None:
    """The time after which an entry with this body opens nothing any more: its ``until`` (RFC
    3339). None: it has none, or something else under that name."""
    until = body.get(UNTIL) if isinstance(body, dict) else None
    if not isinstance(until, str):
        return None
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        return None
    # Without an offset it is no moment.
    return None if end.tzinfo is None else end


def owner_of(entry: Entry) -> Owner:
    """The owner whose number of entries is bounded: an author in a stream, or the room itself."""
    return entry.stream, entry.author


@dataclass(slots=True)
class Keys:
    """The entries that a batch names. ``stands``: by entry that has a row, whether it stands or is
    cleared; ``ends``: until when those stand that say so, of the rooms' own ones; ``counts``: how
    many stand by owner, of each owner that may get a new one."""

    stands: dict[Entry, bool] = field(default_factory=dict)
    ends: dict[Entry, datetime] = field(default_factory=dict)
    counts: Counter[Owner] = field(default_factory=Counter)
    bound: KeyBound = nothing_refused

    def refusal(self, draft: Draft) -> GatewayError | None:
        """The error for a draft that may not be stored now."""
        condition = condition_of(draft)
        if condition is not None and not self.stands.get(condition):
            return NotOpen(f"nothing stands under the key {condition.key!r} of the room's state")
        entry = draft.entry
        end = None if condition is None else self.ends.get(condition)
        # The entry itself may be changed: that is how a host gives more time.
        if condition is not None and end is not None and end < draft.sent_at and entry != condition:
            return NotOpen(
                f"what stands under the key {condition.key!r} was open until {end.isoformat()}"
            )
        if entry is None or draft.body is None or self.stands.get(entry):
            return None
        count = self.counts[owner_of(entry)]
        return self.bound(count, None) if entry.author is None else self.bound(None, count)

    def take(self, draft: Draft) -> None:
        """Note a draft that is stored."""
        if (entry := draft.entry) is None:
            return
        stood, stands = self.stands.get(entry), draft.body is not None
        if stood is None and not stands:
            # Nobody has ever seen it: there is nothing to clear.
            return
        self.stands[entry] = stands
        if entry.author is None and (end := end_of(draft.body)) is not None:
            self.ends[entry] = end
        else:
            self.ends.pop(entry, None)
        self.counts[owner_of(entry)] += stands - bool(stood)
