"""Turns and rates of what one client may make the gateway do."""

from collections import Counter

from gateway.budget.rate import Rate
from gateway.live.client.allowance import TURN, Allowance, units_of


def test_a_turn_is_over_after_so_much_and_then_a_new_one_begins() -> None:
    allowance = Allowance(rate=1000, burst=1000)
    allowance.spend(TURN - 1)
    assert not allowance.turn_is_over
    allowance.spend(1)
    assert allowance.turn_is_over
    assert allowance.end_turn(0.0) == 0
    assert not allowance.turn_is_over


def test_a_burst_passes_and_then_it_goes_at_its_rate() -> None:
    allowance = Allowance(rate=10, burst=100)
    waits = []
    for _ in range(12):
        allowance.spend(10)
        waits.append(allowance.end_turn(5.0))
    assert waits == [0] * 10 + [1, 2]


def test_over_a_minute_nobody_gets_more_than_burst_and_rate() -> None:
    allowance = Allowance(rate=100, burst=500)
    now, spent = 0.0, 0
    while now < 60:
        allowance.spend(TURN)
        spent += TURN
        now += allowance.end_turn(now) or 0.001
    assert 6000 <= spent <= 6500 + 2 * TURN


def test_a_key_that_was_long_silent_has_the_burst_and_no_more() -> None:
    allowance = Allowance(rate=8, burst=16)
    allowance.spend(16)
    assert allowance.end_turn(0.0) == 0
    allowance.spend(17)
    assert allowance.end_turn(3600.0) == 0.125


def test_another_rate_counts_from_now_on() -> None:
    allowance = Allowance(rate=1, burst=1)
    allowance.replace(rate=64, burst=32)
    allowance.spend(48)
    assert allowance.end_turn(0.0) == 0.25


def test_frames_that_take_more_work_cost_more() -> None:
    assert units_of("SEND", 2) == 1
    assert units_of("SEND", 100) == 13
    assert units_of("SUBSCRIBE", 2) == units_of("UNSUBSCRIBE", 2) == 17


def test_who_sends_more_bytes_than_allowed_is_read_later_and_the_wait_is_counted() -> None:
    allowance, met = Allowance(rate=1000, burst=1000), Counter[str]()
    assert allowance.end_turn(0.0, 10**9) == 0, "before CONNECT frames are limited, and their sum"
    allowance.replace(rate=1000, burst=1000, bytes_in=Rate(1000, 5000), met=met)
    assert allowance.end_turn(1.0, 10**9 + 5000) == 0
    assert allowance.end_turn(1.0, 10**9 + 5500) == 0.5
    assert allowance.end_turn(1.5, 10**9 + 5500) == 0
    assert met == {"bytes_in/connection": 1}
    allowance.spend(2000)
    assert allowance.end_turn(100.0, 10**9 + 5500) == 1
    assert met == {"bytes_in/connection": 1, "frames/connection": 1}
