"""Token buckets."""

from __future__ import annotations

import pytest

from gateway.errors import RateLimited
from gateway.rates import Rate, RateLimiter
from tests.fake_clock import FakeClock


def limiter(
    clock: FakeClock, *, rate: float = 4, burst: int = 3, capacity: int = 10
) -> RateLimiter:
    return RateLimiter(lambda: Rate(rate, burst), clock=clock, capacity=capacity)


def wait(limits: RateLimiter, key: str = "kim") -> float:
    """Seconds that the next one is told to wait, 0 if it passes."""
    try:
        limits.check(key)
    except RateLimited as error:
        return error.retry_after or 0.0
    return 0.0


def test_a_burst_passes_and_the_next_is_told_how_long_to_wait() -> None:
    limits = limiter(FakeClock())
    assert [wait(limits) for _ in range(5)] == [0, 0, 0, 0.25, 0.25]


def test_waiting_as_told_is_enough_for_one() -> None:
    clock = FakeClock()
    limits = limiter(clock)
    for _ in range(3):
        limits.check("kim")
    clock.now += wait(limits)
    assert [wait(limits), wait(limits)] == [0, 0.25]


def test_a_refusal_costs_nothing() -> None:
    clock = FakeClock()
    limits = limiter(clock)
    for _ in range(100):
        wait(limits)
    clock.now += 0.5
    assert [wait(limits) for _ in range(3)] == [0, 0, 0.25]


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    clock = FakeClock()
    limits = limiter(clock)
    limits.check("kim")
    clock.now += 3600
    assert [wait(limits) for _ in range(4)] == [0, 0, 0, 0.25]


def test_a_look_takes_nothing_and_is_refused_where_nothing_is_left() -> None:
    limits = limiter(FakeClock(), burst=1)
    limits.peek("kim")
    assert wait(limits) == 0
    with pytest.raises(RateLimited) as caught:
        limits.peek("kim")
    assert caught.value.retry_after == 0.25


def test_what_is_taken_in_any_case_counts_though_nothing_was_left() -> None:
    limits = limiter(FakeClock(), burst=1)
    for _ in range(3):
        limits.take("kim")
    assert wait(limits) == 0.75


def test_keys_do_not_share_a_bucket() -> None:
    limits = limiter(FakeClock(), burst=1)
    assert [wait(limits, "kim"), wait(limits, "lee"), wait(limits, "kim")] == [0, 0, 0.25]


def test_a_slow_rate_of_one_at_a_time() -> None:
    clock = FakeClock()
    limits = limiter(clock, rate=0.5, burst=1)
    limits.check("kim")
    clock.now += 0.5
    assert wait(limits) == 1.5


def test_beyond_its_capacity_it_forgets_who_was_longest_away() -> None:
    limits = limiter(FakeClock(), burst=2, capacity=2)
    for key in ("kim", "lee", "kim", "park"):
        limits.check(key)
    assert len(limits._full_at) == 2
    assert wait(limits, "kim") > 0
    limits.check("lee")
    limits.check("lee")
