"""What is left out again and again: counted each time, told now and then. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

#: Seconds in which one cause is told once.
PERIOD: Final = 60.0


class Complaints:
    """``causes`` are the few that there are; ``clock`` gives seconds that never go back."""

    def __init__(
        self, causes: Iterable[str], *, clock: Callable[[], float], period: float = PERIOD
    ) -> None:
        #: How often each cause was noted since the start.
        self.counts = Counter(dict.fromkeys(causes, 0))
        self._clock = clock
        self._period = period
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, cause: str) -> int:
        """Count one more. How many there were since it was told last, this one included, if it is
        time to tell it again; else 0."""
        self.counts[cause] += 1
        now = self._clock()
        told_at, count = self._told.get(cause, (now - self._period, 0))
        if now - told_at < self._period:
            return 0
        self._told[cause] = (now, self.counts[cause])
        return self.counts[cause] - count
