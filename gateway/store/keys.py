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

#: The part of an entry's body that says until when messages may depend on it.
UNTIL: Final = "until"

#: Whose entries are counted together.
Owner = tuple[Stream, str | None]


def _nothing_refused(of_room: int | None, of_author: int | None) -> None:
    del of_room, of_author


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """The bounds of the kept state; by default there are none. They are asked in a thread of the
    database.

    ``number``: the error for one more entry that stands, by how many stand of the room's own, or
    else of its author; the other number is None. ``size``: the error for an author's entries if
    they grew so far: by the bytes of all authors' entries in the stream, and of that one's.
    """

    number: Callable[[int | None, int | None], GatewayError | None] = _nothing_refused
    size: Callable[[int, int], GatewayError | None] = _nothing_refused


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
    many stand by owner, of each owner that may get a new one; ``sizes``: the bytes of those that
    stand; ``bytes``: the sums by author, and of all authors of a stream, whose author is None."""

    stands: dict[Entry, bool] = field(default_factory=dict)
    ends: dict[Entry, datetime] = field(default_factory=dict)
    counts: Counter[Owner] = field(default_factory=Counter)
    sizes: dict[Entry, int] = field(default_factory=dict)
    bytes: Counter[Owner] = field(default_factory=Counter)
    bounds: KeyBounds = field(default_factory=KeyBounds)

    def refusal(self, draft: Draft, size: int = 0) -> GatewayError | None:
        """The error for a draft, whose body has ``size`` bytes, that may not be stored now."""
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
        if entry is None or draft.body is None:
            return None
        return self._one_too_many(entry) or self._too_large(entry, size)

    def _one_too_many(self, entry: Entry) -> GatewayError | None:
        if self.stands.get(entry):
            return None
        count, number = self.counts[owner_of(entry)], self.bounds.number
        return number(count, None) if entry.author is None else number(None, count)

    def _too_large(self, entry: Entry, size: int) -> GatewayError | None:
        more = size - self.sizes.get(entry, 0)
        if entry.author is None or more <= 0:
            return None
        of_all, of_author = self.bytes[entry.stream, None], self.bytes[owner_of(entry)]
        return self.bounds.size(of_all + more, of_author + more)

    def take(self, draft: Draft, size: int = 0) -> None:
        """Note a draft that is stored, whose body has ``size`` bytes."""
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
        if entry.author is not None:
            now = size if stands else 0
            more = now - self.sizes.get(entry, 0)
            self.sizes[entry] = now
            self.bytes[owner_of(entry)] += more
            self.bytes[entry.stream, None] += more
