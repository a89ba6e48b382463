"""Guessing is slowed, owners are not locked out."""

from __future__ import annotations

from gateway.auth.guesses import FREE_FROM_ALL, FREE_FROM_ONE, Guesses
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.errors import TooManyGuesses
from gateway.limits import LiveLimits
from tests.fake_clock import FakeClock


def guesses_of(
    clock: FakeClock, *, per_minute: float = 1e6, limits: LiveLimits | None = None
) -> Guesses:
    limits = limits or LiveLimits(Limits(logins_per_minute=per_minute))
    return Guesses(Budgets(limits, clock=clock), clock=clock)


def wait(guesses: Guesses, address: str, user: str | None = "kim") -> float:
    """Seconds to wait, 0 if an attempt may be made."""
    try:
        guesses.check(address, user)
    except TooManyGuesses as error:
        return error.retry_after or 0.0
    return 0.0


def test_from_one_address_a_few_are_free_and_then_each_pause_is_twice_the_last() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    waits = []
    for _ in range(FREE_FROM_ONE + 8):
        guesses.wrong("here", "kim")
        waits.append(wait(guesses, "here"))
        clock.now += waits[-1]
    assert waits == [0] * FREE_FROM_ONE + [1, 2, 4, 8, 16, 32, 60, 60]


def test_from_many_addresses_an_account_is_slowed_as_a_whole_and_never_for_long() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    waits = []
    for number in range(FREE_FROM_ALL + 100):
        guesses.wrong(f"at {number}", "kim")
        waits.append(wait(guesses, "somewhere else"))
        clock.now += waits[-1]
    # An address that was never wrong there, and one that was.
    assert waits[: FREE_FROM_ALL + 7] == [0] * FREE_FROM_ALL + [1, 2, 4, 8, 10, 10, 10]
    assert waits[-1] == 10
    guesses.wrong("at 0", "kim")
    assert wait(guesses, "at 1") == 30
    assert wait(guesses, "somewhere else", "lee") == 0


def test_an_owner_goes_on_where_the_account_has_been_logged_in_before() -> None:
    guesses = guesses_of(FakeClock())
    guesses.right("at home", "kim")
    for number in range(100):
        guesses.wrong(f"at {number}", "kim")
    assert wait(guesses, "at home") == 0
    assert wait(guesses, "at 7") == 30
    assert wait(guesses, "elsewhere") == 10


def test_sixty_addresses_that_never_stop_do_not_keep_the_owner_out_for_good() -> None:
    """Each of them guesses in the very moment in which it may, before the owner, who comes from an
    address that nobody knows yet."""
    clock = FakeClock()
    guesses = guesses_of(clock)
    tried = 0
    for second in range(3600):
        clock.now = 1000.0 + second
        for number in range(60):
            if wait(guesses, f"at {number}") == 0:
                guesses.wrong(f"at {number}", "kim")
                tried += 1
        if (told := wait(guesses, "the owner")) == 0:
            break
        assert told <= 10
    assert 10 < second < 600
    # The account's guesses were slowed meanwhile, all together.
    assert tried < 60 + second / 10


def test_the_sixty_are_slowed_as_one_when_each_has_been_wrong() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    for number in range(60):
        guesses.wrong(f"at {number}", "kim")
    tried = 0
    for second in range(3000):
        clock.now = 1000.0 + second
        for number in range(60):
            if wait(guesses, f"at {number}") == 0:
                guesses.wrong(f"at {number}", "kim")
                tried += 1
    assert tried <= 3000 / 30


def test_all_addresses_of_one_network_are_one() -> None:
    guesses = guesses_of(FakeClock())
    for number in range(FREE_FROM_ONE + 3):
        guesses.wrong(f"2001:db8::{number:x}", "kim")
    assert wait(guesses, "2001:db8::ffff") == 4
    assert wait(guesses, "2001:db8:0:1::1") == 0


def test_a_right_one_forgets_the_wrong_ones_before_it() -> None:
    guesses = guesses_of(FakeClock())
    for _ in range(FREE_FROM_ONE + 3):
        guesses.wrong("here", "kim")
    guesses.right("here", "kim")
    assert wait(guesses, "here") == 0


def test_an_hour_later_all_is_forgotten() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    for _ in range(FREE_FROM_ONE + 3):
        guesses.wrong("here", "kim")
    clock.now += 3601
    for _ in range(FREE_FROM_ONE):
        guesses.wrong("here", "kim")
    assert wait(guesses, "here") == 0
    guesses.wrong("here", "kim")
    assert wait(guesses, "here") == 1


def test_the_hour_begins_with_the_last_wrong_one() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    for _ in range(FREE_FROM_ONE + 1):
        guesses.wrong("here", "kim")
        clock.now += 3000
    assert wait(guesses, "here") == 0
    guesses.wrong("here", "kim")
    assert wait(guesses, "here") == 2


def test_for_an_hour_nothing_is_forgotten() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock)
    for _ in range(FREE_FROM_ONE + 3):
        guesses.wrong("here", "kim")
    clock.now += 3600
    assert wait(guesses, "here") == 0
    guesses.wrong("here", "kim")
    assert wait(guesses, "here") == 8


def test_an_address_that_fails_at_many_accounts_or_with_tokens_is_limited() -> None:
    clock = FakeClock()
    limits = LiveLimits(Limits(logins_per_minute=60))
    guesses = guesses_of(clock, limits=limits)
    for number in range(59):
        guesses.wrong("here", f"user {number}")
    guesses.wrong("here")
    assert wait(guesses, "here", "kim") == 1
    assert wait(guesses, "here", None) == 1
    assert wait(guesses, "there", "kim") == 0
    clock.now += 1
    assert wait(guesses, "here", "kim") == 0
    guesses.wrong("here", "kim")
    limits.replace(Limits(logins_per_minute=6000))
    assert wait(guesses, "here", "kim") < 0.1


def test_right_ones_count_nowhere() -> None:
    guesses = guesses_of(FakeClock(), per_minute=1)
    for number in range(500):
        guesses.check("school", f"pupil {number}")
        guesses.right("school", f"pupil {number}")
    assert wait(guesses, "school", "kim") == 0


def test_memory_is_bounded() -> None:
    guesses = guesses_of(FakeClock())
    for number in range(10_100):
        guesses.wrong(f"at {number}", f"user {number}")
        guesses.right(f"at {number}", f"user {number}")
    assert len(guesses._accounts._counts) == 10_000
    assert len(guesses._trusted) == 10_000


def test_beyond_that_the_account_that_was_longest_left_alone_is_forgotten() -> None:
    guesses = guesses_of(FakeClock())

    def slow_down(user: str) -> None:
        for number in range(FREE_FROM_ALL + 1):
            guesses.wrong(f"at {number}", user)

    slow_down("lee")
    slow_down("kim")
    guesses.wrong("at 0", "lee")
    for number in range(9_999):
        guesses.wrong("at 0", f"user {number}")
    assert wait(guesses, "elsewhere", "kim") == 0
    assert wait(guesses, "elsewhere", "lee") > 0


def test_beyond_that_the_owner_who_was_longest_away_is_forgotten() -> None:
    guesses = guesses_of(FakeClock())
    for user in ("kim", "lee", "kim", *(f"user {number}" for number in range(9_999))):
        guesses.right("home", user)
    for user in ("kim", "lee"):
        for number in range(FREE_FROM_ALL + 1):
            guesses.wrong(f"at {number}", user)
    assert wait(guesses, "home", "kim") == 0
    assert wait(guesses, "home", "lee") > 0


def test_a_wait_is_bounded_however_often_somebody_guesses() -> None:
    guesses = guesses_of(FakeClock())
    for _ in range(5000):
        guesses.wrong("here", "kim")
    assert wait(guesses, "here") == 60


def test_an_address_that_fails_all_the_time_keeps_out_nobody_who_is_known_there() -> None:
    clock = FakeClock()
    guesses = guesses_of(clock, per_minute=6.0)
    guesses.right("the school", "kim")
    for number in range(100):
        guesses.wrong("the school", f"nobody {number}")
    assert wait(guesses, "the school", "lee") > 0
    assert wait(guesses, "the school", None) > 0
    assert wait(guesses, "the school", "kim") == 0
    # The account itself is slowed there, as everywhere.
    for _ in range(FREE_FROM_ONE + 1):
        guesses.wrong("the school", "kim")
    assert wait(guesses, "the school", "kim") == 1
