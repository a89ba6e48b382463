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
MOST_TASKS = 20
#: The same of descriptors and of tasks beside a crowd: some dozen of its sockets are on their way
#: in or out at any time, or have a relay. In half an hour thirty thousand have come and gone, so
#: that a leak of one in five hundred is more than this.
MOST_OF_A_CROWD = 60
_HOUR = 3600.0


class Sample(NamedTuple):
    """A look at a process: Unix time, bytes of resident memory, open file descriptors other than
    those of WebSockets, tasks of its event loop other than one for each WebSocket."""

    t: float
    memory: int
    descriptors: int
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """What was added between the medians of the second and the last quarter, and the slope an hour
    of everything but the first quarter, which is the warm-up."""

    seconds: float
    memory: float
    descriptors: float
    tasks: float
    memory_an_hour: float
    descriptors_an_hour: float

    @property
    def excessive(self) -> bool:
        """Whether the process has a leak; a short run cannot tell."""
        return self._exceeds(MOST_DESCRIPTORS, MOST_TASKS)

    @property
    def excessive_for_a_crowd(self) -> bool:
        """The same beside sockets that come and go all the time."""
        return self._exceeds(MOST_OF_A_CROWD, MOST_OF_A_CROWD)

    def _exceeds(self, descriptors: float, tasks: float) -> bool:
        return self.seconds >= LONG_ENOUGH and (
            self.memory > MOST_BYTES or self.descriptors > descriptors or self.tasks > tasks
        )

    def __str__(self) -> str:
        return (
            f"memory {self.memory / 1e6:+.1f} MB ({self.memory_an_hour / 1e6:+.1f} MB an hour), "
            f"descriptors {self.descriptors:+.0f} ({self.descriptors_an_hour:+.1f} an hour), "
            f"tasks {self.tasks:+.0f} in {self.seconds / 60:.0f} minutes"
        )


def growth(samples: Sequence[Sample]) -> Growth | None:
    """The growth of one process, or None: there are too few samples to tell."""
    quarter = len(samples) // 4
    if quarter < 2:
        return None
    warm = samples[quarter:]
    times = [sample.t for sample in warm]
    return Growth(
        seconds=samples[-1].t - samples[0].t,
        memory=added([each.memory for each in samples]),
        descriptors=added([each.descriptors for each in samples]),
        tasks=added([each.tasks for each in samples]),
        memory_an_hour=_HOUR * linear_regression(times, [each.memory for each in warm]).slope,
        descriptors_an_hour=_HOUR
        * linear_regression(times, [each.descriptors for each in warm]).slope,
    )


def added(values: Sequence[float]) -> float:
    """The difference between the medians of the last and the second quarter; 0 of a few values."""
    quarter = len(values) // 4
    if quarter < 2:
        return 0.0
    return float(median(values[-quarter:]) - median(values[quarter : 2 * quarter]))
