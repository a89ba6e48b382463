"""Durations in buckets."""

from __future__ import annotations

import pytest

from gateway.observe.histogram import Histogram, quantile


def test_a_duration_belongs_to_the_first_bound_that_it_does_not_exceed() -> None:
    durations = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        durations.observe(seconds)
    assert durations.counts == [2, 1, 1]
    assert durations.sum == pytest.approx(7.65)


def test_a_clock_that_is_behind_makes_it_nothing() -> None:
    durations = Histogram((0.1, 1.0))
    durations.observe(-3.0)
    assert (durations.counts, durations.sum) == ([1, 0, 0], 0.0)


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, (0, 0, 0), None),
        (0.5, (10, 0, 0), 0.05),
        (0.5, (0, 10, 0), 0.55),
        (0.99, (90, 10, 0), 0.91),
        (1.0, (0, 0, 10), 1.0),
    ],
)
def test_a_quantile_is_read_from_the_buckets(
    q: float, counts: tuple[int, ...], expected: float | None
) -> None:
    found = quantile(q, bounds=(0.1, 1.0), counts=counts)
    assert found == (None if expected is None else pytest.approx(expected))
