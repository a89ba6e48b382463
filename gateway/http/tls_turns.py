"""Turns for the handshakes of TLS, of which many come at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from broker.timing.readings import Monotonic

#: Seconds of handshakes in one turn of the loop. A step costs up to a millisecond.
TURN: Final = 0.001


class TlsTurns:
    """The steps of handshakes that are due, in the order in which they came."""

    def __init__(self, *, clock: Monotonic = time.monotonic) -> None:
        # The loop's own clock stands still during a turn.
        self._clock = clock
        self._due: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._due)

    def due(self, step: Callable[[], None]) -> None:
        """Call ``step`` soon: in this turn of the loop or a later one."""
        self._due.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if self._due and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        ends = self._clock() + TURN
        try:
            while self._due:
                self._due.popleft()()
                if self._clock() >= ends:
                    break
        finally:
            self._schedule()
