"""The last quarter of an hour, second by second, and the last day, minute by minute, for the
charts. In memory: a day is 1,440 rows, and a gateway that starts anew begins with none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Final, NamedTuple

from broker.timing.readings import UnixTime
from gateway.observe.histogram import Histogram, quantile

#: Seconds that are kept.
KEPT: Final = 900
#: Minutes that are kept.
MINUTES: Final = 1440
#: Points of a chart over hours at most.
_POINTS: Final = 240


class Sample(NamedTuple):
    """The values of one second: ``at`` (Unix time), current numbers, events per second since the
    sample before, and the delivery's latency in seconds (None: nothing was delivered)."""

    at: int
    connections: float
    deliveries: float
    posts: float
    p50: float | None
    p99: float | None
    outbox: float
    logins: float
    failed_logins: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The sources of a sample; ``deliveries``, ``posts`` and both kinds of logins count since the
    start."""

    connections: Callable[[], int]
    deliveries: Callable[[], int]
    posts: Callable[[], int]
    outbox: Callable[[], int]
    logins: Callable[[], int]
    failed_logins: Callable[[], int]
    latency: Histogram


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counters of a moment; those of the latency by its bounds."""

    deliveries: int
    posts: int
    logins: int
    failed_logins: int
    latency: tuple[int, ...]


class SampleHistory:
    """The samples of the last minutes. Taking one reads half a dozen numbers."""

    def __init__(self, gauges: Gauges, *, clock: UnixTime, kept: int = KEPT) -> None:
        self._gauges = gauges
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=kept)
        self._minutes: deque[Sample] = deque(maxlen=MINUTES)
        #: The samples of the minute that goes on.
        self._minute: list[Sample] = []
        self._seen = self._counters()
        self._seen_at = clock()

    def take(self) -> Sample:
        """Take this second's sample."""
        now, gauges = self._clock(), self._gauges
        counts = self._counters()
        before, self._seen = self._seen, counts
        seconds = max(now - self._seen_at, 1e-3)
        self._seen_at = now
        new = [count - old for count, old in zip(counts.latency, before.latency, strict=True)]
        bounds = gauges.latency.bounds
        sample = Sample(
            int(now),
            gauges.connections(),
            (counts.deliveries - before.deliveries) / seconds,
            (counts.posts - before.posts) / seconds,
            quantile(0.5, bounds=bounds, counts=new),
            quantile(0.99, bounds=bounds, counts=new),
            gauges.outbox(),
            (counts.logins - before.logins) / seconds,
            (counts.failed_logins - before.failed_logins) / seconds,
        )
        self._samples.append(sample)
        if self._minute and _start(self._minute[0].at, 60) != _start(sample.at, 60):
            self._minutes.append(_merged(_start(self._minute[0].at, 60), self._minute))
            self._minute = []
        self._minute.append(sample)
        return sample

    def every(self, seconds: int) -> list[Sample]:
        """All samples, averaged over ``seconds`` each, as a chart of a few hundred pixels shows
        them. Of the latency the worst value counts."""
        return _averaged(self._samples, seconds)

    def hours(self, hours: int) -> list[Sample]:
        """The last ``hours``, up to 24, in 240 points at most."""
        since = self._clock() - 3600 * hours
        recent = [sample for sample in self._minutes if sample.at >= since]
        return _averaged(recent, max(60, 3600 * hours // _POINTS))

    def _counters(self) -> _Counts:
        gauges = self._gauges
        return _Counts(
            gauges.deliveries(),
            gauges.posts(),
            gauges.logins(),
            gauges.failed_logins(),
            tuple(gauges.latency.counts),
        )


def _start(at: int, seconds: int) -> int:
    return at - at % seconds


def _averaged(samples: Iterable[Sample], seconds: int) -> list[Sample]:
    return [
        _merged(at, list(group))
        for at, group in groupby(samples, key=lambda sample: _start(sample.at, seconds))
    ]


def _merged(at: int, samples: list[Sample]) -> Sample:
    return Sample(
        at,
        fmean(sample.connections for sample in samples),
        fmean(sample.deliveries for sample in samples),
        fmean(sample.posts for sample in samples),
        max((s.p50 for s in samples if s.p50 is not None), default=None),
        max((s.p99 for s in samples if s.p99 is not None), default=None),
        fmean(sample.outbox for sample in samples),
        fmean(sample.logins for sample in samples),
        fmean(sample.failed_logins for sample in samples),
    )
