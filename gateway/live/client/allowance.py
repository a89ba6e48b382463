"""The work that one client may cause: so much in a turn of the loop, and so much a second.

What a client sends is not cheap or dear by its bytes: an empty WebSocket frame has six, and costs
as much as a long one. So work is counted in units, each some microseconds: a WebSocket frame, a
STOMP frame, eight of its headers, a chunk that comes by itself. No I/O and no clock.
"""

from __future__ import annotations

from typing import Final

#: Units after which it is the others' turn: a fraction of a millisecond.
TURN: Final = 32
#: Units of a Ping beyond its frame: it is answered by a write.
PING: Final = 2
#: Headers of a STOMP frame that make a unit.
HEADERS_A_UNIT: Final = 8
#: Units of a command beyond its frame: a task, tables of the room and the hub.
DEAR: Final = {"SUBSCRIBE": 16, "UNSUBSCRIBE": 16}


class Allowance:
    """One client's allowance: ``burst`` units at once, then ``rate`` of them a second.

    Nothing is refused: who has none left is not read until there is some again, and TCP tells the
    client so.
    """

    __slots__ = ("_allowance", "_full_at", "_interval", "_spent")

    def __init__(self, *, rate: float, burst: float) -> None:
        self._full_at = 0.0
        self._spent = 0
        self.replace(rate=rate, burst=burst)

    def replace(self, *, rate: float, burst: float) -> None:
        """Let these count from now on."""
        self._interval = 1 / rate
        self._allowance = burst / rate

    def spend(self, units: int) -> None:
        """It has been done already; the turn is the shorter."""
        self._spent += units

    @property
    def turn_is_over(self) -> bool:
        """Whether what is left has to wait for another turn of the loop."""
        return self._spent >= TURN

    def end_turn(self, now: float) -> float:
        """Seconds that the client has to wait for its next turn. ``now`` never goes back."""
        spent, self._spent = self._spent, 0
        self._full_at = max(now, self._full_at) + spent * self._interval
        return max(0.0, self._full_at - self._allowance - now)


def units_of(command: str, headers: int) -> int:
    """The cost of a STOMP frame."""
    return 1 + headers // HEADERS_A_UNIT + DEAR.get(command, 0)
