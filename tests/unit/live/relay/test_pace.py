"""The pace at which relays are opened."""

from __future__ import annotations

from gateway.live.relay.pace import LATE, LEAST, MOST, SOON, Pace


def _grown(to: int) -> Pace:
    pace = Pace()
    while pace.at_once < to:
        pace.answered(began=0.0, now=SOON / 2, full=True)
    return pace


def test_one_more_may_be_opened_for_each_that_was_answered_soon() -> None:
    pace = Pace()
    for number in range(3):
        assert pace.at_once == LEAST + number
        pace.answered(began=0.0, now=SOON / 2, full=True)


def test_answers_teach_nothing_while_fewer_are_under_way() -> None:
    pace = Pace()
    pace.answered(began=0.0, now=SOON / 2, full=False)
    assert pace.at_once == LEAST


def test_it_stays_while_answers_are_neither_soon_nor_late() -> None:
    pace = Pace()
    for now in (SOON, LATE):
        pace.answered(began=0.0, now=now, full=True)
    assert pace.at_once == LEAST


def test_there_are_bounds() -> None:
    pace = _grown(MOST)
    pace.answered(began=0.0, now=SOON / 2, full=True)
    assert pace.at_once == MOST
    for now in range(10, 30):
        pace.failed(began=now, now=now + 0.5)
    assert pace.at_once == LEAST


def test_those_that_are_late_together_count_once() -> None:
    pace = _grown(200)
    for began in (10.0, 10.1, 11.0):
        pace.answered(began=began, now=began + LATE + 0.5, full=True)
    assert pace.at_once == 100
    # This one began when there were fewer already.
    began = 10.0 + LATE + 0.5
    pace.failed(began=began, now=began + 0.5)
    assert pace.at_once == 50
