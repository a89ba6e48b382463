"""Which patterns are kept off feeds that break off again and again."""

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from broker.feeds.listener import Pattern
from gateway.live.hub.quarantine import (
    KEPT_OFF,
    LONGEST,
    MEMORY,
    MOST,
    ONE_BREAK,
    SHORTEST,
    Quarantine,
)

A, B, C, D = (Pattern("amq.topic", name) for name in "abcd")


def kept_off(quarantine: Quarantine, now: float, *patterns: Pattern) -> list[Pattern]:
    return [each for each in patterns or (A, B, C, D) if quarantine.keeps_off(each, now)]


def test_one_break_may_be_anything() -> None:
    quarantine = Quarantine()
    assert quarantine.broke([A, B], 0.0) == ()
    # The other feed, at the same message.
    assert quarantine.broke([A, B], ONE_BREAK / 2) == ()
    assert quarantine.broke([A, B], MEMORY + 1) == ()
    assert kept_off(quarantine, MEMORY + 1) == []


def test_a_lone_pattern_is_found_at_the_second_break_and_is_tried_again_an_hour_later() -> None:
    quarantine = Quarantine()
    quarantine.broke([A], 0.0)
    assert list(quarantine.broke([A], 5.0)) == [A]
    assert kept_off(quarantine, 5.0) == [A]
    assert kept_off(quarantine, 5.0 + KEPT_OFF) == []


def test_the_half_that_is_not_tried_waits_until_the_first_has_shown_itself_harmless() -> None:
    quarantine = Quarantine()
    quarantine.broke([A, B, C, D], 0.0)
    assert list(quarantine.broke([A, B, C, D], 5.0)) == [A, B, C, D]
    assert kept_off(quarantine, 5.0 + SHORTEST - 1) == [C, D]
    assert kept_off(quarantine, 5.0 + SHORTEST) == []
    # The second half is on trial now.
    assert list(quarantine.broke([A, B, C, D], 6.0 + SHORTEST)) == [C, D]


def test_rare_breaks_are_waited_for_longer() -> None:
    quarantine = Quarantine()
    quarantine.broke([A, B], 0.0)
    quarantine.broke([A, B], 200.0)
    assert kept_off(quarantine, 599.0) == [B]
    assert kept_off(quarantine, 600.0) == []
    quarantine.broke([A, B], 700.0 + LONGEST)
    quarantine.broke([A, B], 1_200.0 + LONGEST)
    assert kept_off(quarantine, 1_199.0 + 2 * LONGEST) == [B]
    assert kept_off(quarantine, 1_200.0 + 2 * LONGEST) == []


def test_a_break_after_a_trial_is_not_held_against_those_that_were_tried() -> None:
    quarantine = Quarantine()
    quarantine.broke([A, B], 0.0)
    quarantine.broke([A, B], 5.0)
    over = 5.0 + 2 * SHORTEST + 1
    kept_off(quarantine, 5.0 + SHORTEST)
    assert list(quarantine.broke([A, B, C], over)) == [A, B, C]


def test_only_so_many_are_remembered() -> None:
    quarantine = Quarantine()
    each = [Pattern("x", str(number)) for number in range(MOST + 1)]
    for now, pattern in enumerate([A, *each]):
        quarantine.broke([pattern], 2.0 * now)
    assert kept_off(quarantine, 2.0 * now, *each) == each[1:]


@given(st.integers(1, 200), st.data())
def test_the_guilty_one_is_found_after_few_breaks(count: int, data: st.DataObject) -> None:
    patterns = [Pattern("amq.topic", str(number)) for number in range(count)]
    guilty = data.draw(st.sampled_from(patterns))
    quarantine, now, breaks = Quarantine(), 0.0, 0
    for _ in range(300):
        now += 5.0
        if quarantine.keeps_off(guilty, now):
            continue
        breaks += 1
        for _ in range(2):
            quarantine.broke([p for p in patterns if not quarantine.keeps_off(p, now)], now)
    assert breaks <= 2 + ceil(log2(count))
    assert kept_off(quarantine, now, *patterns) == [guilty]
