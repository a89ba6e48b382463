"""The growth of one process over a run, from samples at regular intervals. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, median
from typing import NamedTuple

#: Seconds of a run from which on growth is judged: before, caches fill and the allocator settles.
LONG_ENOUGH = 1200.0
#: The most that may be added between the second and the last quarter of a run.
MOST_BYTES = 20_000_000
MOST_DESCRIPTORS = 5
_HOUR = 3600.0


class Sample(NamedTuple):
    """A look at a process: Unix time, bytes of resident memory, open file descriptors."""

    t: float
    memory: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What was added between the medians of the second and the last quarter, and the slope an hour
    of everything but the first quarter, which is the warm-up."""

    seconds: float
    memory: float
    descriptors: float
    memory_an_hour: float
    descriptors_an_hour: float

    @property
    def excessive(self) -> bool:
        """Whether the process has a leak; a short run cannot tell."""
        too_much = self.memory > MOST_BYTES or self.descriptors > MOST_DESCRIPTORS
        return self.seconds >= LONG_ENOUGH and too_much

    def __str__(self) -> str:
        return (
            f"memory {self.memory / 1e6:+.1f} MB ({self.memory_an_hour / 1e6:+.1f} MB an hour), "
            f"descriptors {self.descriptors:+.0f} ({self.descriptors_an_hour:+.1f} an hour) "
            f"in {self.seconds / 60:.0f} minutes"
        )


def growth(samples: Sequence[Sample]) -> Growth | None:
    """The growth of one process, or None: there are too few samples to tell."""
    quarter = len(samples) // 4
    if quarter < 2:
        return None
    warm = samples[quarter:]
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    times = [sample.t for sample in warm]
    return Growth(
        seconds=samples[-1].t - samples[0].t,
        memory=_median(last, "memory") - _median(second, "memory"),
        descriptors=_median(last, "descriptors") - _median(second, "descriptors"),
        memory_an_hour=_HOUR * linear_regression(times, [each.memory for each in warm]).slope,
        descriptors_an_hour=_HOUR
        * linear_regression(times, [each.descriptors for each in warm]).slope,
    )


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(median(getattr(sample, name) for sample in samples))
