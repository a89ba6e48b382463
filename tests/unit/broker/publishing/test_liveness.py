"""When a node that keeps its connection open is given up."""

from __future__ import annotations

from broker.publishing.liveness import SILENT, STALLED, Signs, Vigil


def signs(
    *, heard: int = 0, answered: int = 0, unanswered: int = 0, blocked: bool = False
) -> Signs:
    return Signs(heard, answered, unanswered, blocked)


def test_a_node_of_which_something_is_heard_is_kept() -> None:
    vigil = Vigil()
    assert all(vigil.look(signs(heard=heard)) is None for heard in range(1, 50))


def test_a_silent_node_is_asked_and_then_given_up() -> None:
    vigil = Vigil()
    verdicts = [vigil.look(signs(heard=1)) for _ in range(SILENT + 1)]
    assert verdicts == [None] * SILENT + ["no sign of life for 2 s"]
    assert vigil.silent == SILENT


def test_one_sign_of_life_begins_the_count_anew() -> None:
    vigil = Vigil()
    heard = [1] * SILENT + [2] * SILENT + [3]
    assert [vigil.look(signs(heard=n)) for n in heard] == [None] * len(heard)
    assert vigil.silent == 0


def test_a_node_that_lives_but_answers_no_publication_is_given_up() -> None:
    vigil = Vigil()
    looks = [signs(heard=n, answered=7, unanswered=2) for n in range(1, STALLED + 2)]
    verdicts = [vigil.look(each) for each in looks]
    assert verdicts == [None] * STALLED + ["nothing confirmed for 12 s"]


def test_answers_to_others_and_an_empty_wire_begin_the_count_anew() -> None:
    waiting = [signs(heard=n, unanswered=1) for n in range(1, STALLED + 1)]
    for relief in (signs(heard=100, answered=1, unanswered=1), signs(heard=100)):
        vigil = Vigil()
        later = [signs(heard=100 + n, answered=1, unanswered=1) for n in range(1, STALLED)]
        assert [vigil.look(each) for each in (*waiting, relief, *later)] == [None] * (2 * STALLED)


def test_an_alarm_excuses_everything() -> None:
    vigil = Vigil()
    alarm = [signs(heard=1, unanswered=1, blocked=True)] * 100
    afterwards = [signs(heard=1, unanswered=1)] * (SILENT - 1)
    assert [vigil.look(each) for each in alarm + afterwards] == [None] * (99 + SILENT)


def test_after_an_alarm_both_counts_begin_anew() -> None:
    vigil = Vigil()
    waiting = [signs(heard=n, unanswered=1) for n in range(1, STALLED)]
    alarm = [signs(heard=100, unanswered=1, blocked=True)]
    assert [vigil.look(each) for each in waiting + alarm] == [None] * STALLED
    assert vigil.silent == 0
    afterwards = [signs(heard=100 + n, unanswered=1) for n in range(1, STALLED + 1)]
    verdicts = [vigil.look(each) for each in afterwards]
    assert verdicts == [None] * (STALLED - 1) + ["nothing confirmed for 12 s"]


def test_the_silence_before_an_alarm_does_not_count_after_it() -> None:
    vigil = Vigil()
    looks = [signs(heard=1)] * SILENT + [signs(heard=1, blocked=True)]
    assert [vigil.look(each) for each in looks] == [None] * (SILENT + 1)
    assert vigil.silent == 0
    assert vigil.look(signs(heard=1)) is None
    assert vigil.silent == 1


def test_a_link_of_which_nothing_was_ever_heard_is_silent_from_the_first_look_on() -> None:
    vigil = Vigil()
    assert vigil.look(signs()) is None
    assert vigil.silent == 1
