"""The moment at which a node that keeps its connection open is given up."""

from __future__ import annotations

from broker.publishing.liveness import SILENT, STALLED, Activity, Liveness


def activity(
    *, heard: int = 0, answered: int = 0, unanswered: int = 0, blocked: bool = False
) -> Activity:
    return Activity(heard, answered, unanswered, blocked)


def test_a_node_of_which_something_is_heard_is_kept() -> None:
    liveness = Liveness()
    assert all(liveness.check(activity(heard=heard)) is None for heard in range(1, 50))


def test_a_silent_node_is_asked_and_then_given_up() -> None:
    liveness = Liveness()
    verdicts = [liveness.check(activity(heard=1)) for _ in range(SILENT + 1)]
    assert verdicts == [None] * SILENT + ["no sign of life for 2 s"]
    assert liveness.silent == SILENT


def test_one_sign_of_life_begins_the_count_anew() -> None:
    liveness = Liveness()
    heard = [1] * SILENT + [2] * SILENT + [3]
    assert [liveness.check(activity(heard=n)) for n in heard] == [None] * len(heard)
    assert liveness.silent == 0


def test_a_node_that_lives_but_answers_no_publication_is_given_up() -> None:
    liveness = Liveness()
    activities = [activity(heard=n, answered=7, unanswered=2) for n in range(1, STALLED + 2)]
    verdicts = [liveness.check(each) for each in activities]
    assert verdicts == [None] * STALLED + ["nothing confirmed for 12 s"]


def test_answers_to_others_and_an_empty_wire_begin_the_count_anew() -> None:
    waiting = [activity(heard=n, unanswered=1) for n in range(1, STALLED + 1)]
    for relief in (activity(heard=100, answered=1, unanswered=1), activity(heard=100)):
        liveness = Liveness()
        later = [activity(heard=100 + n, answered=1, unanswered=1) for n in range(1, STALLED)]
        assert [liveness.check(each) for each in (*waiting, relief, *later)] == [None] * (
            2 * STALLED
        )


def test_an_alarm_excuses_everything() -> None:
    liveness = Liveness()
    alarm = [activity(heard=1, unanswered=1, blocked=True)] * 100
    afterwards = [activity(heard=1, unanswered=1)] * (SILENT - 1)
    assert [liveness.check(each) for each in alarm + afterwards] == [None] * (99 + SILENT)


def test_after_an_alarm_both_counts_begin_anew() -> None:
    liveness = Liveness()
    waiting = [activity(heard=n, unanswered=1) for n in range(1, STALLED)]
    alarm = [activity(heard=100, unanswered=1, blocked=True)]
    assert [liveness.check(each) for each in waiting + alarm] == [None] * STALLED
    assert liveness.silent == 0
    afterwards = [activity(heard=100 + n, unanswered=1) for n in range(1, STALLED + 1)]
    verdicts = [liveness.check(each) for each in afterwards]
    assert verdicts == [None] * (STALLED - 1) + ["nothing confirmed for 12 s"]


def test_the_silence_before_an_alarm_does_not_count_after_it() -> None:
    liveness = Liveness()
    checks = [activity(heard=1)] * SILENT + [activity(heard=1, blocked=True)]
    assert [liveness.check(each) for each in checks] == [None] * (SILENT + 1)
    assert liveness.silent == 0
    assert liveness.check(activity(heard=1)) is None
    assert liveness.silent == 1


def test_a_link_of_which_nothing_was_ever_heard_is_silent_from_the_first_check_on() -> None:
    liveness = Liveness()
    assert liveness.check(activity()) is None
    assert liveness.silent == 1
