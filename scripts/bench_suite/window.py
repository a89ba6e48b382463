"""A measured stretch of time, with the cost of each process in it."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench_suite.proc import cpu_seconds


@dataclass(frozen=True)
class Cost:
    """CPU seconds of each group of processes, and the seconds that went by."""

    seconds: float
    cpu: Mapping[str, float]

    def per(self, count: float) -> dict[str, float]:
        """Microseconds of each group per item."""
        return {group: 1e6 * cpu / count if count else 0.0 for group, cpu in self.cpu.items()}

    def share(self, group: str) -> float:
        """The share of one core."""
        return self.cpu[group] / self.seconds


class Stopwatch:
    """A stopwatch that starts when it is made."""

    def __init__(self, groups: Mapping[str, Sequence[int]]) -> None:
        self._groups = groups
        self._cpu = self._now()
        self._started = time.perf_counter()

    def stop(self) -> Cost:
        seconds = time.perf_counter() - self._started
        now = self._now()
        return Cost(seconds, {group: now[group] - self._cpu[group] for group in now})

    def _now(self) -> dict[str, float]:
        return {group: cpu_seconds(pids) for group, pids in self._groups.items()}


def groups(
    system: Sequence[int], brokers: Sequence[int], load: Sequence[int]
) -> dict[str, Sequence[int]]:
    """The processes that every scenario looks at; the last is the bench itself, which publishes."""
    return {"system": system, "rabbitmq": brokers, "load": load, "publisher": [os.getpid()]}
