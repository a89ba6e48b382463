"""Erasures: orders to delete a room, or what one person has left, and the record of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

#: The type of the message that stands in the place of one that was deleted.
DELETED: Final = "deleted"
#: Characters of a reason.
LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Erasure:
    """An order to delete, and what was deleted by it: numbers, no content.

    ``room`` and ``user``: the room as a whole, the user in this room, or (no room) the user
    everywhere. ``by``: who ordered it. ``done_at`` is None while it goes on. ``revision`` grows
    with everything that is deleted.
    """

    id: int
    room: int | None
    user: str | None
    by: str
    reason: str
    ordered_at: datetime
    done_at: datetime | None = None
    rooms: int = 0
    messages: int = 0
    stays: int = 0
    revision: int = 0

    @property
    def nameless(self) -> str:
        """The order, for people; the record alone says who the person is."""
        where = "all rooms" if self.room is None else f"room {self.room}"
        what = where if self.user is None else f"what a person has left in {where}"
        return f"deletion no. {self.id} of the record: {what}"
