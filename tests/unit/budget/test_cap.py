"""Places that are taken and given back."""

from __future__ import annotations

import pytest

from gateway.budget.budgets import Budgets, CapBudget
from gateway.budget.rank import Rank, rank_of
from gateway.budget.table import POSTS, WAITING_POSTS, Budget, Form, Limit, Scope
from gateway.config import Limits
from gateway.domain.identity import ADMIN, HOST, Identity
from gateway.domain.room import MemberRole
from gateway.errors import NoCapacity, TooManyReads
from gateway.limits import LiveLimits
from tests.fake_clock import FakeClock

#: So many of one user, and so many in all.
BUDGET = Budget(
    "reads",
    "things",
    Form.CAP,
    (
        Limit(Scope.USER, ("reads_per_user",), TooManyReads, "at most {most} of you", 1.5),
        Limit(Scope.ALL, ("reads",), NoCapacity, "at most {most}", 2.5, hosts_first=True),
    ),
    reason="a test's",
)


def places(*, of_user: int = 2, in_all: int = 3) -> CapBudget:
    limits = LiveLimits(Limits(reads_per_user=of_user, reads=in_all))
    return CapBudget(BUDGET, limits, Budgets(limits, clock=FakeClock()).met)


def taken(cap: CapBudget, user: str) -> tuple[int, int]:
    return cap.taken(Scope.USER, user), cap.taken(Scope.ALL)


def test_a_place_is_taken_until_it_is_given_back() -> None:
    cap = places()
    lease = cap.take("kim")
    with cap.take("kim"):
        assert taken(cap, "kim") == (2, 2)
    assert taken(cap, "kim") == (1, 1)
    lease.give_back()
    assert taken(cap, "kim") == (0, 0)
    assert not any(len(each) for each in cap._places)


def test_a_place_is_given_back_once() -> None:
    cap = places()
    first, _ = cap.take("kim"), cap.take("kim")
    first.give_back()
    first.give_back()
    assert taken(cap, "kim") == (1, 1)


def test_a_place_is_given_back_when_its_work_fails() -> None:
    cap = places()
    with pytest.raises(ZeroDivisionError), cap.take("kim"):
        raise ZeroDivisionError
    assert taken(cap, "kim") == (0, 0)


def test_who_has_all_places_keeps_out_nobody_else() -> None:
    cap = places()
    cap.take("kim")
    cap.take("kim")
    with pytest.raises(TooManyReads) as caught:
        cap.take("kim")
    error = caught.value
    assert (error.detail, error.retry_after) == ("at most 2 of you", 1.5)
    assert error.budget == "reads/user"
    assert taken(cap, "kim") == (2, 2), "a refusal takes nothing"
    cap.take("lee")
    with pytest.raises(NoCapacity) as full:
        cap.take("lee")
    assert (full.value.detail, full.value.retry_after) == ("at most 3", 2.5)


def test_a_part_is_kept_for_hosts_and_a_smaller_one_for_those_who_may_be_hosts() -> None:
    cap = places(of_user=100, in_all=20)
    for number in range(18):
        cap.take(f"pupil {number}")
    with pytest.raises(NoCapacity):
        cap.take("pupil")
    cap.take("somebody", rank=Rank.UNKNOWN)
    with pytest.raises(NoCapacity):
        cap.take("somebody", rank=Rank.UNKNOWN)
    cap.take("the teacher", rank=Rank.HOST)
    with pytest.raises(NoCapacity):
        cap.take("the teacher", rank=Rank.HOST)


def test_what_was_checked_before_is_held_in_any_case() -> None:
    cap = places(of_user=1)
    cap.hold("kim")
    with pytest.raises(TooManyReads):
        cap.check("kim")
    cap.hold("kim")
    assert taken(cap, "kim") == (2, 2)


def test_an_amount_needs_so_much_room() -> None:
    cap = places(of_user=10, in_all=100)
    lease = cap.take("kim", amount=7)
    with pytest.raises(TooManyReads):
        cap.take("kim", amount=4)
    cap.take("kim", amount=3)
    lease.give_back()
    assert taken(cap, "kim") == (3, 3)


def test_an_amount_of_nothing_takes_no_place() -> None:
    cap = places(of_user=10, in_all=100)
    with cap.take("kim", amount=0):
        assert taken(cap, "kim") == (0, 0)
    with cap.take("kim", amount=3), cap.take("kim", amount=0):
        assert taken(cap, "kim") == (3, 3)
    assert taken(cap, "kim") == (0, 0)


def test_a_limit_that_is_lowered_takes_no_place_away() -> None:
    live = LiveLimits(Limits(waiting_posts=3))
    budgets = Budgets(live, clock=FakeClock())
    cap = budgets.cap(WAITING_POSTS)
    leases = [cap.take(None), cap.take(None)]
    live.replace(Limits(waiting_posts=1))
    with pytest.raises(NoCapacity):
        cap.take(None)
    leases[0].give_back()
    leases[1].give_back()
    cap.take(None)
    assert budgets.met["waiting_posts/all"] == 1


@pytest.mark.parametrize(
    ("identity", "role", "rank"),
    [
        (None, None, Rank.UNKNOWN),
        (Identity("kim", frozenset(), 0.0), None, Rank.PARTICIPANT),
        (Identity("kim", frozenset(), 0.0), MemberRole.PARTICIPANT, Rank.PARTICIPANT),
        (Identity("kim", frozenset(), 0.0), MemberRole.HOST, Rank.HOST),
        (Identity("kim", frozenset({HOST}), 0.0), None, Rank.HOST),
        (Identity("kim", frozenset({ADMIN}), 0.0), MemberRole.PARTICIPANT, Rank.HOST),
    ],
)
def test_the_rank_follows_the_role(
    identity: Identity | None, role: MemberRole | None, rank: Rank
) -> None:
    assert rank_of(identity, role) is rank


def test_a_rate_is_no_cap_and_a_cap_no_rate() -> None:
    budgets = Budgets(LiveLimits(Limits()), clock=FakeClock())
    with pytest.raises(ValueError, match="posts is no cap"):
        budgets.cap(POSTS)
    with pytest.raises(ValueError, match="waiting_posts is no rate"):
        budgets.rate(WAITING_POSTS)
