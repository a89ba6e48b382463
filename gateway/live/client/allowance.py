"""The work that one client may cause: so much in a turn of the loop, and so much a second.

What a client sends is not cheap or dear by its bytes: an empty WebSocket frame has six, and costs
as much as a long one. So work is counted in units, each some microseconds: a WebSocket frame, a
STOMP frame, eight of its headers, a chunk that comes by itself. No I/O and no clock.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from gateway.budget.rate import Rate
from gateway.budget.table import BYTES_IN, FRAMES

#: Units after which it is the others' turn: a fraction of a millisecond.
TURN: Final = 32
#: Units of a Ping beyond its frame: it is answered by a write.
PING: Final = 2
#: Headers of a STOMP frame that make a unit.
HEADERS_A_UNIT: Final = 8
#: Units of a command beyond its frame: a task, tables of the room and the hub.
DEAR: Final = {"SUBSCRIBE": 16, "UNSUBSCRIBE": 16}


#: The names of what makes a client wait.
_FRAMES: Final = FRAMES.met(FRAMES.limits[0])
_BYTES: Final = BYTES_IN.met(BYTES_IN.limits[0])


class Allowance:
    """One client's allowance: ``burst`` units at once, then ``rate`` of them a second; and so many
    bytes.

    Nothing is refused: who has none left is not read until there is some again, and TCP tells the
    client so.
    """

    __slots__ = (
        "_allowance",
        "_byte_allowance",
        "_byte_interval",
        "_bytes_full_at",
        "_full_at",
        "_interval",
        "_met",
        "_received",
        "_spent",
    )

    def __init__(self, *, rate: float, burst: float) -> None:
        self._full_at = self._bytes_full_at = 0.0
        self._spent = self._received = 0
        self.replace(rate=rate, burst=burst)

    def replace(
        self,
        *,
        rate: float,
        burst: float,
        bytes_in: Rate | None = None,
        met: Counter[str] | None = None,
    ) -> None:
        """Let these count from now on, and count waits in ``met``. Without ``bytes_in`` any number
        of bytes may come."""
        self._interval = 1 / rate
        self._allowance = burst / rate
        self._byte_interval = 1 / bytes_in.per_second if bytes_in else 0.0
        self._byte_allowance = bytes_in.burst / bytes_in.per_second if bytes_in else math.inf
        self._met = met

    def spend(self, units: int) -> None:
        """It has been done already; the turn is the shorter."""
        self._spent += units

    @property
    def turn_is_over(self) -> bool:
        """Whether what is left has to wait for another turn of the loop."""
        return self._spent >= TURN

    def end_turn(self, now: float, received: int = 0) -> float:
        """Seconds that the client has to wait for its next turn. ``received``: bytes since it has
        come. ``now`` never goes back."""
        spent, self._spent = self._spent, 0
        self._full_at = max(now, self._full_at) + spent * self._interval
        wait = self._full_at - self._allowance - now
        if received != self._received:
            came, self._received = received - self._received, received
            self._bytes_full_at = max(now, self._bytes_full_at) + came * self._byte_interval
        bytes_wait = self._bytes_full_at - self._byte_allowance - now
        if wait <= 0 and bytes_wait <= 0:
            return 0.0
        if self._met is not None:
            self._met[_FRAMES if wait > bytes_wait else _BYTES] += 1
        return max(wait, bytes_wait)


def units_of(command: str, headers: int) -> int:
    """The cost of a STOMP frame."""
    return 1 + headers // HEADERS_A_UNIT + DEAR.get(command, 0)
