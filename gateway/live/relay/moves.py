"""A limit on how often a session goes on at another node by itself. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from broker.timing.backoff import BackOff

#: Moves within so many seconds. Nodes that die one after the other cause a few; what ends session
#: after session is no node's fault, and each move makes RabbitMQ deliver everything again.
MOVES: Final = 8
SPAN: Final = 60.0
#: Seconds before the second move within the span, the third, and so on.
_BACK_OFF: Final = BackOff(first=0.05, longest=5.0)


class Moves:
    """The count of one client's moves."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=MOVES)

    def next(self, now: float) -> float | None:
        """Seconds to wait before the move that is due, ``now`` in seconds; None: too many."""
        while self._at and now - self._at[0] >= SPAN:
            self._at.popleft()
        before = len(self._at)
        if before == MOVES:
            return None
        self._at.append(now)
        return _BACK_OFF.delay(before) if before else 0.0
