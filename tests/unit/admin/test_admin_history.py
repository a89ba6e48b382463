"""The charts' past."""

from __future__ import annotations

import pytest

from gateway.admin.history import Gauges, Sample, SampleHistory
from gateway.observe.histogram import Histogram


class Gateway:
    """Counts by hand."""

    def __init__(self, kept: int = 900) -> None:
        self.now = 100.0
        self.connections = self.deliveries = self.posts = self.outbox = 0
        self.logins = self.failed_logins = 0
        self.latency = Histogram((0.1, 1.0))
        self.history = SampleHistory(
            Gauges(
                connections=lambda: self.connections,
                deliveries=lambda: self.deliveries,
                posts=lambda: self.posts,
                outbox=lambda: self.outbox,
                logins=lambda: self.logins,
                failed_logins=lambda: self.failed_logins,
                latency=self.latency,
            ),
            clock=lambda: self.now,
            kept=kept,
        )

    def after(self, seconds: float, **changes: int) -> Sample:
        self.now += seconds
        for name, value in changes.items():
            setattr(self, name, value)
        return self.history.take()


def test_rates_are_of_the_time_since_the_sample_before() -> None:
    gateway = Gateway()
    first = gateway.after(1, connections=3, deliveries=50, posts=5, outbox=1, logins=8)
    assert first == (101, 3, 50.0, 5.0, None, None, 1, 8.0, 0.0)
    second = gateway.after(2, deliveries=70, posts=5, outbox=0, logins=9, failed_logins=4)
    assert second == (103, 3, 10.0, 0.0, None, None, 0, 0.5, 2.0)


def test_the_latency_is_that_of_what_was_delivered_since() -> None:
    gateway = Gateway()
    gateway.latency.observe(0.5)
    assert gateway.after(1).p50 == pytest.approx(0.55)
    for _ in range(10):
        gateway.latency.observe(0.01)
    sample = gateway.after(1)
    assert sample.p50 == pytest.approx(0.05)
    assert sample.p99 == pytest.approx(0.099)
    assert gateway.after(1).p99 is None


def test_the_past_is_bounded_and_thinned_without_hiding_a_bad_moment() -> None:
    gateway = Gateway(kept=10)
    for second in range(20):
        if second == 12:
            gateway.latency.observe(5.0)
        gateway.after(1, connections=second)
    past = gateway.history.every(5)
    assert [sample.at for sample in past] == [110, 115, 120]
    assert [sample.connections for sample in past] == [11.5, 16.0, 19.0]
    assert [sample.p99 for sample in past] == [1.0, None, None]


def test_hours_are_minutes_of_averages_that_outlive_the_seconds_in_few_points() -> None:
    gateway = Gateway(kept=10)
    gateway.now = 0.0
    for second in range(1, 2 * 3600 + 1):
        gateway.after(1, connections=second // 60)
    hour = gateway.history.hours(1)
    assert [sample.at for sample in hour] == [60 * minute for minute in range(60, 120)]
    assert [sample.connections for sample in hour] == [float(minute) for minute in range(60, 120)]
    assert len(gateway.history.hours(24)) == 20
    for _ in range(25 * 60):
        gateway.after(60)
    day = gateway.history.hours(24)
    assert len(day) <= 240
    assert day[0].at >= gateway.now - 24 * 3600 - 360
