"""Counts what is left out again and again, and says when it is time to log it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from broker.timing.readings import Monotonic

#: Seconds in which one cause is logged once.
PERIOD: Final = 60.0


class Complaints:
    """A count of each cause, and the time of its last report.

    ``causes``: all that there are, few. ``period``: the seconds in which one cause is reported
    once.
    """

    def __init__(self, causes: Iterable[str], *, clock: Monotonic, period: float = PERIOD) -> None:
        #: Occurrences of each cause since the start.
        self.counts = Counter(dict.fromkeys(causes, 0))
        self._clock = clock
        self._period = period
        self._reported: dict[str, tuple[float, int]] = {}

    def note(self, cause: str) -> int:
        """Count an occurrence. Returns the occurrences since the last report, this one included, if
        it is time for the next report; otherwise 0."""
        self.counts[cause] += 1
        now = self._clock()
        reported_at, count = self._reported.get(cause, (now - self._period, 0))
        if now - reported_at < self._period:
            return 0
        self._reported[cause] = (now, self.counts[cause])
        return self.counts[cause] - count
