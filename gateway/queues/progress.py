"""The progress of acknowledgement of one stream in its room's private queue. Pure."""

from __future__ import annotations

from typing import Final

#: Acknowledged messages above a gap, beyond which a gap is skipped.
KEPT: Final = 1_024
#: The most messages of one kind that are remembered. What is forgotten may be delivered again.
MOST: Final = 10_000
#: Seconds after which a message that never came is taken for one that never will: it was too large
#: for the queue, or was acknowledged before this gateway looked.
PATIENCE: Final = 30.0


class Progress:
    """The acknowledged seqs of one stream, as this gateway's sessions have seen them.

    The result is a lower bound: a message above it may have been acknowledged, none below it is
    still to be handled. Messages may come in any order, because several gateways publish them.
    """

    __slots__ = ("_acknowledged", "_gap", "_outstanding", "place")

    def __init__(self) -> None:
        #: Everything up to here is acknowledged; None until the database was asked.
        self.place: int | None = None
        self._acknowledged: set[int] = set()
        self._outstanding: set[int] = set()
        #: After which seq one is missing, and since when.
        self._gap: tuple[int, float] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing more is known than :attr:`place`."""
        return not (self._acknowledged or self._outstanding)

    @property
    def asks(self) -> bool:
        """Whether the database may know of a place that matters."""
        return self.place is None or bool(self._acknowledged)

    def has(self, seq: int) -> bool:
        """Whether a message above the place is acknowledged."""
        return seq in self._acknowledged

    def delivered(self, seq: int) -> None:
        """Note that a session has a message. Beyond :data:`MOST` messages nothing is noted."""
        if len(self._outstanding) < MOST:
            self._outstanding.add(seq)

    def acknowledged(self, seq: int) -> None:
        """Note that a session has acknowledged a message, as :meth:`delivered`."""
        self._outstanding.discard(seq)
        if len(self._acknowledged) < MOST:
            self._acknowledged.add(seq)

    def advance(self, stored: int, now: float) -> int:
        """The place, given what the database has; ``now``: seconds."""
        place = max(self.place or 0, stored)
        above = {seq for seq in self._acknowledged if seq > place}
        while above:
            if place + 1 in above:
                place += 1
                above.discard(place)
            elif self._may_skip(place, min(above), len(above), now):
                place = min(above) - 1
            else:
                break
        self.place, self._acknowledged = place, above
        self._outstanding = {seq for seq in self._outstanding if seq > place}
        return place

    def _may_skip(self, place: int, lowest: int, above: int, now: float) -> bool:
        """Whether the messages between the place and the lowest one above it will not come."""
        if self._gap is None or self._gap[0] != place:
            self._gap = (place, now)
        if any(place < seq < lowest for seq in self._outstanding):
            return False
        return above > KEPT or now - self._gap[1] >= PATIENCE
