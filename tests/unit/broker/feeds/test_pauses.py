"""Attempts that cost the broker something become rarer; looking for a node is cheap."""

from random import Random

from broker.feeds.pauses import LOOKING, SUBSCRIBING, Outcome, Pauses


def pauses() -> Pauses:
    return Pauses(Random(1))  # noqa: S311 - the same course every time


def test_sessions_that_never_stand_are_half_a_minute_apart_in_the_end() -> None:
    made = pauses()
    waits = [made.after(Outcome.FELL) for _ in range(12)]
    for n, wait in enumerate(waits):
        due = min(SUBSCRIBING.longest, SUBSCRIBING.first * 2**n)
        assert due / 2 <= wait <= due
    assert sum(waits) > 120
    assert len(set(waits[-4:])) == 4, "two feeds must not keep step"


def test_looking_for_a_node_becomes_rarer_and_begins_anew_after_a_session() -> None:
    made = pauses()
    for n in range(8):
        due = min(LOOKING.longest, LOOKING.first * 2**n)
        assert due / 2 <= made.after(Outcome.NOT_REACHED) <= due
    made.after(Outcome.FELL)
    wait = made.after(Outcome.NOT_REACHED)
    assert LOOKING.first / 2 <= wait <= LOOKING.first
    made.after(Outcome.NOT_REACHED)
    made.after(Outcome.STOOD)
    assert LOOKING.first / 2 <= made.after(Outcome.NOT_REACHED) <= LOOKING.first


def test_a_session_that_has_worked_makes_all_forgotten() -> None:
    made = pauses()
    for _ in range(10):
        made.after(Outcome.FELL)
        made.after(Outcome.NOT_REACHED)
    assert made.after(Outcome.STOOD) <= LOOKING.first
    assert made.after(Outcome.FELL) <= SUBSCRIBING.first
    assert made.after(Outcome.NOT_REACHED) <= LOOKING.first


def test_a_node_that_is_not_reached_is_looked_for_every_two_seconds_whatever_was_before() -> None:
    made = pauses()
    for _ in range(10):
        made.after(Outcome.FELL)
    assert max(made.after(Outcome.NOT_REACHED) for _ in range(50)) <= LOOKING.longest
    assert made.after(Outcome.FELL) > SUBSCRIBING.longest / 2 - 1, "nor does that forget the other"
