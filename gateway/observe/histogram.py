"""A histogram of durations; an observation costs a third of a microsecond."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Upper bounds in seconds, as for delivery: from one turn of the loop to a delay that nobody would
#: call live.
BOUNDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


class Histogram:
    """Durations counted into buckets.

    ``counts[i]``: how many were at most ``bounds[i]`` and more than the bound before; the last one
    counts all larger ones. ``sum`` is in seconds.
    """

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration. A negative one, from two clocks that differ, counts as zero."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


def quantile(q: float, *, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The ``q`` quantile (0..1), assuming values spread evenly within each bucket as Prometheus'
    ``histogram_quantile`` does. None if there are no values, the last bound for larger values."""
    rank = q * sum(counts)
    if not rank:
        return None
    below = 0
    for index, count in enumerate(counts[:-1]):
        if below + count >= rank:
            start = bounds[index - 1] if index else 0.0
            return start + (bounds[index] - start) * (rank - below) / count
        below += count
    return bounds[-1]
