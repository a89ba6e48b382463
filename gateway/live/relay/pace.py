"""The pace at which relays are opened: how many at a time. Pure.

A login costs a node milliseconds, and its answer takes the longer the more of them are under way: a
class that comes in at once would make nodes time out that are well. But few at a time leave nodes
idle that have the time: they wait for each other between two steps of a login. So as many are under
way as are answered soon: one more for each that was, fewer when one was not (TCP finds its window
in this way, RFC 5681).
"""

from __future__ import annotations

from typing import Final

#: Relays that are opened at a time, whatever the nodes do, and at most.
LEAST: Final = 32
MOST: Final = 256
#: Seconds: an answer within the first is soon, one beyond the second is late. A node has four
#: (``broker.dial_timeout``). The last of 500 that come at once through a proxy, which lets in all
#: of them, wait three.
SOON: Final = 1.0
LATE: Final = 2.0
#: What remains of the number after a late answer, or a failure.
_LESS: Final = 0.5


class Pace:
    """The number of relays that may be opened ``at_once``."""

    __slots__ = ("_until", "at_once")

    def __init__(self) -> None:
        self.at_once = LEAST
        #: Dials that began before this moment tell nothing new: they were too many together.
        self._until = float("-inf")

    def answered(self, *, began: float, now: float, full: bool) -> None:
        """A node has taken a login. ``full``: as many were under way as may be."""
        if now - began > LATE:
            self.failed(began=began, now=now)
        elif full and now - began < SOON:
            self.at_once = min(MOST, self.at_once + 1)

    def failed(self, *, began: float, now: float) -> None:
        """A node did not take one."""
        if began >= self._until:
            self.at_once = max(LEAST, int(self.at_once * _LESS))
            self._until = now
