"""Token buckets."""

from __future__ import annotations

import pytest

from gateway.budget.budgets import Budgets, RateBudget
from gateway.budget.rank import Rank
from gateway.budget.table import POSTS, Budget, Form, Limit, Scope
from gateway.config import Limits
from gateway.errors import NoCapacity, RateLimited
from gateway.limits import LiveLimits
from tests.fake_clock import FakeClock

USER = Limit(Scope.USER, ("posts_per_second", "posts_burst"), RateLimited, "of you")
ALL = Limit(
    Scope.ALL, ("frames_per_second", "frames_burst"), NoCapacity, "of all", hosts_first=True
)
#: So much of one user, and so much of all together.
SHARED = Budget("shared", "things", Form.RATE, (USER, ALL), reason="a test's")


def limiter(clock: FakeClock, *, rate: float = 4, burst: int = 3, capacity: int = 10) -> RateBudget:
    limits = LiveLimits(Limits(posts_per_second=rate, posts_burst=burst))
    return Budgets(limits, clock=clock).rate(POSTS, capacity=capacity)


def shared(clock: FakeClock, *, of_user: int = 100, of_all: int = 10) -> RateBudget:
    limits = Limits(
        posts_per_second=1, posts_burst=of_user, frames_per_second=1, frames_burst=of_all
    )
    return RateBudget(
        SHARED,
        LiveLimits(limits),
        Budgets(LiveLimits(limits), clock=clock).met,
        clock=clock,
        capacity=10,
    )


def wait(limits: RateBudget, key: str = "kim") -> float:
    """Seconds that the next one is told to wait, 0 if it passes."""
    try:
        limits.take(key)
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
        limits.take("kim")
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
    limits.take("kim")
    clock.now += 3600
    assert [wait(limits) for _ in range(4)] == [0, 0, 0, 0.25]


def test_a_look_takes_nothing_and_is_refused_where_nothing_is_left() -> None:
    limits = limiter(FakeClock(), burst=1)
    limits.check("kim")
    assert wait(limits) == 0
    with pytest.raises(RateLimited) as caught:
        limits.check("kim")
    assert caught.value.retry_after == 0.25


def test_what_is_taken_in_any_case_counts_though_nothing_was_left() -> None:
    limits = limiter(FakeClock(), burst=1)
    for _ in range(3):
        limits.spend("kim")
    assert wait(limits) == 0.75


def test_keys_do_not_share_a_bucket() -> None:
    limits = limiter(FakeClock(), burst=1)
    assert [wait(limits, "kim"), wait(limits, "lee"), wait(limits, "kim")] == [0, 0, 0.25]


def test_a_slow_rate_of_one_at_a_time() -> None:
    clock = FakeClock()
    limits = limiter(clock, rate=0.5, burst=1)
    limits.take("kim")
    clock.now += 0.5
    assert wait(limits) == 1.5


def test_of_full_buckets_nothing_is_remembered_beyond_the_capacity() -> None:
    clock = FakeClock()
    limits = limiter(clock, capacity=2)
    for key in ("kim", "lee"):
        limits.take(key)
    clock.now += 60
    limits.take("park")
    assert len(limits._buckets[0]) == 1
    assert [wait(limits, "kim") for _ in range(3)] == [0, 0, 0]


def test_who_was_forgotten_or_is_new_gets_no_fresh_bucket() -> None:
    """A client with many keys pushes its own one out, to begin again."""
    clock = FakeClock()
    limits = limiter(clock, rate=1, burst=3, capacity=8)
    for _ in range(3):
        limits.take("kim")
    for number in range(50):
        for _ in range(3):
            limits.spend(f"pushes {number}")
        assert len(limits._buckets[0]) <= 8
    assert [wait(limits, "kim"), wait(limits, "kim")] == [0, 1]
    # But it does not keep out those who are new, and not for long.
    assert [wait(limits, "new"), wait(limits, "new")] == [0, 1]
    clock.now += 3
    assert [wait(limits, "lee") for _ in range(4)] == [0, 0, 0, 1]


def test_of_those_who_are_forgotten_the_one_who_took_most_is_the_last() -> None:
    limits = limiter(FakeClock(), rate=1, burst=3, capacity=2)
    for key in ("kim", "kim", "lee", "park"):
        limits.take(key)
    assert len(limits._buckets[0]) == 2
    assert [wait(limits, "kim"), wait(limits, "kim")] == [0, 1]
    limits = limiter(FakeClock(), rate=1, burst=3, capacity=2)
    for key in ("kim", "kim", "lee", "park"):
        limits.take(key)
    # Whoever is not known counts as the one who was forgotten, and had taken least.
    assert [wait(limits, "new") for _ in range(3)] == [0, 0, 1]


def test_what_has_a_cost_takes_so_much() -> None:
    clock = FakeClock()
    limits = limiter(clock, rate=10, burst=100)
    limits.take("kim", cost=60)
    with pytest.raises(RateLimited) as caught:
        limits.take("kim", cost=60)
    assert caught.value.retry_after == pytest.approx(2.0)
    clock.now += 2
    limits.take("kim", cost=60)


def test_what_costs_more_than_a_bucket_holds_needs_a_full_one_and_is_paid_for() -> None:
    clock = FakeClock()
    limits = limiter(clock, rate=1, burst=10)
    limits.take("kim", cost=30)
    assert wait(limits) == pytest.approx(21)
    clock.now += 20
    with pytest.raises(RateLimited):
        limits.take("kim", cost=30)
    clock.now += 10
    limits.take("kim", cost=30)


def test_a_refusal_by_one_scope_takes_nothing_from_the_others() -> None:
    limits = shared(FakeClock(), of_user=2, of_all=6)
    for _ in range(2):
        limits.take("kim")
    for _ in range(20):
        with pytest.raises(RateLimited):
            limits.take("kim")
    for key in ("lee", "lee", "park"):
        limits.take(key)
    with pytest.raises(NoCapacity) as caught:
        limits.take("park")
    assert (caught.value.detail, caught.value.budget) == ("of all", "shared/all")


def test_a_scope_without_a_key_does_not_count() -> None:
    limits = shared(FakeClock(), of_user=1, of_all=4)
    for _ in range(3):
        limits.take(None)
    with pytest.raises(NoCapacity):
        limits.take(None)


def test_a_part_of_what_all_share_is_kept_for_hosts() -> None:
    limits = shared(FakeClock(), of_all=10)
    for number in range(9):
        limits.take(f"pupil {number}")
    with pytest.raises(NoCapacity):
        limits.take("one more pupil")
    limits.take("the teacher", rank=Rank.HOST)
    with pytest.raises(NoCapacity):
        limits.take("the teacher", rank=Rank.HOST)


def test_a_place_in_time_is_reserved_if_it_comes_soon_enough() -> None:
    clock = FakeClock()
    limits = limiter(clock, rate=1, burst=1)
    assert [limits.reserve("kim", within=2) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RateLimited) as caught:
        limits.reserve("kim", within=2)
    assert caught.value.retry_after == 1
    clock.now += 1
    assert limits.reserve("kim", within=2) == 2


def test_a_rate_that_is_changed_counts_at_once_and_what_was_taken_stays_taken() -> None:
    clock = FakeClock()
    live = LiveLimits(Limits(posts_per_second=1, posts_burst=4))
    limits = Budgets(live, clock=clock).rate(POSTS)
    for _ in range(4):
        limits.take("kim")
    live.replace(Limits(posts_per_second=1, posts_burst=6))
    assert [wait(limits), wait(limits), wait(limits)] == [0, 0, 1]


def test_a_raised_rate_counts_at_once_for_who_has_used_up_the_old_one() -> None:
    clock = FakeClock()
    live = LiveLimits(Limits(posts_per_second=1, posts_burst=60))
    limits = Budgets(live, clock=clock).rate(POSTS)
    for _ in range(60):
        limits.take("kim")
    live.replace(Limits(posts_per_second=100, posts_burst=60))
    # As many as before are missing, and come a hundred times as fast.
    assert wait(limits) == pytest.approx(1 / 100, rel=0.01)
    # A lowered one makes nobody wait longer than they had to.
    live.replace(Limits(posts_per_second=1, posts_burst=60))
    assert wait(limits) == 0


def test_nobody_new_is_kept_out_by_a_lowered_burst() -> None:
    clock = FakeClock()
    live = LiveLimits(Limits(posts_per_second=1, posts_burst=60))
    limits = Budgets(live, clock=clock).rate(POSTS, capacity=4)
    for number in range(8):
        limits.spend(f"flooder {number}", cost=60)
    live.replace(Limits(posts_per_second=1, posts_burst=2))
    assert wait(limits) == 0


def test_every_refusal_and_every_wait_is_counted_by_its_budget() -> None:
    budgets = Budgets(LiveLimits(Limits(posts_per_second=1, posts_burst=1)), clock=FakeClock())
    limits = budgets.rate(POSTS)
    assert budgets.met["posts/user"] == 0
    limits.take("kim")
    limits.reserve("kim", within=1)
    assert budgets.met["posts/user"] == 1
    wait(limits)
    assert budgets.met["posts/user"] == 2


def test_all_who_ask_for_a_budget_share_it() -> None:
    budgets = Budgets(LiveLimits(Limits(posts_per_second=1, posts_burst=1)), clock=FakeClock())
    budgets.rate(POSTS).take("kim")
    assert wait(budgets.rate(POSTS)) > 0
