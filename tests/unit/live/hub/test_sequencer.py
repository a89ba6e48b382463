"""The sequencer: `seq` comes out +1, whatever the feeds do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.hub.sequencer import Sequencer

arrivals = st.lists(st.integers(1, 40), max_size=200)


@given(last=st.integers(0, 5), seqs=arrivals, hold=st.integers(1, 50))
def test_delivered_numbers_grow_strictly_by_one(last: int, seqs: list[int], hold: int) -> None:
    sequencer = Sequencer[int](last, hold=hold)
    out = [item for seq in seqs for item in sequencer.offer(seq, seq)]
    assert out == list(range(last + 1, last + 1 + len(out)))
    assert sequencer.last == last + len(out)


@given(st.permutations(range(1, 60)), st.lists(st.integers(1, 59)))
def test_any_order_with_any_repetitions_gives_everything(
    order: list[int], repeated: list[int]
) -> None:
    sequencer = Sequencer[int](0)
    out: list[int] = []
    for seq in (*repeated, *order):
        out += sequencer.offer(seq, seq)
    assert out == list(range(1, 60))
    assert sequencer.missing is None


@given(
    st.permutations(range(1, 40)).flatmap(
        lambda order: st.tuples(st.just(order), st.sets(st.sampled_from(range(1, 40))))
    ),
    st.integers(1, 5),
)
def test_filling_the_missing_from_the_history_gives_everything(
    course: tuple[list[int], set[int]], hold: int
) -> None:
    order, lost = course
    sequencer = Sequencer[int](0, hold=hold)
    out: list[int] = []
    for seq in order:
        if seq not in lost:
            out += sequencer.offer(seq, seq)
    sequencer.expect(39)
    rounds = 0
    while hole := sequencer.missing:
        assert hole.start == sequencer.last + 1
        for seq in hole:
            out += sequencer.offer(seq, seq)
        rounds += 1
        assert rounds < 40
    assert out == list(range(1, 40))


@given(arrivals, st.integers(0, 40))
def test_it_is_a_model_of_the_longest_run_that_has_come(seqs: list[int], last: int) -> None:
    sequencer = Sequencer[int](last)
    come: set[int] = set()
    for seq in seqs:
        sequencer.offer(seq, seq)
        come.add(seq)
        expected = last
        while expected + 1 in come:
            expected += 1
        assert sequencer.last == expected
        early = [s for s in come if s > expected]
        hole = range(expected + 1, min(early)) if early else None
        assert sequencer.missing == hole


def test_held_messages_are_bounded_and_the_rest_is_missing() -> None:
    sequencer = Sequencer[int](0, hold=2)
    for seq in (5, 4, 3):
        assert sequencer.offer(seq, seq) == []
    assert sequencer.offer(2, 2) == []
    assert sequencer.offer(1, 1) == [1, 2, 3]
    assert sequencer.missing == range(4, 6)


def test_a_stream_that_is_longer_than_what_came_has_a_hole_at_its_end() -> None:
    sequencer = Sequencer[int](7)
    assert sequencer.missing is None
    sequencer.expect(9)
    assert sequencer.missing == range(8, 10)


@pytest.mark.parametrize(("head", "dropped", "hole"), [(5, 1, range(2, 4)), (2, 2, range(2, 3))])
def test_a_false_number_is_forgotten_when_the_history_ends_before_it(
    head: int, dropped: int, hole: range
) -> None:
    sequencer = Sequencer[int](1)
    sequencer.offer(4, 4)
    sequencer.offer(900, 900)
    assert sequencer.distrust(head, sequencer.question()) == dropped
    assert sequencer.missing == hole


def test_a_history_that_ends_before_the_last_changes_nothing() -> None:
    sequencer = Sequencer[int](3)
    assert sequencer.distrust(1, sequencer.question()) == 0
    assert sequencer.missing is None
    assert sequencer.offer(4, 4) == [4]


def test_a_message_that_comes_while_the_history_is_read_is_not_judged_by_that_answer() -> None:
    sequencer = Sequencer[int](1)
    sequencer.offer(900, 900)
    questioned = sequencer.question()
    sequencer.offer(3, 3)
    assert sequencer.distrust(1, questioned) == 1
    assert sequencer.missing == range(2, 3)
    assert sequencer.offer(2, 2) == [2, 3]
    assert sequencer.missing is None


def test_messages_too_early_to_be_held_while_the_history_is_read_stay_missing() -> None:
    sequencer = Sequencer[int](1, hold=1)
    sequencer.offer(3, 3)
    questioned = sequencer.question()
    sequencer.offer(5, 5)
    assert sequencer.offer(2, 2) == [2, 3]
    sequencer.distrust(3, questioned)
    assert sequencer.missing == range(4, 6)


def test_early_messages_are_kept_if_the_history_ends_with_them() -> None:
    sequencer = Sequencer[int](1)
    sequencer.offer(3, 3)
    assert sequencer.distrust(3, sequencer.question()) == 0
    assert sequencer.missing == range(2, 3)
    assert sequencer.offer(2, 2) == [2, 3]


def test_an_empty_stream_is_whole_once_a_false_number_is_forgotten() -> None:
    sequencer = Sequencer[int](0)
    sequencer.offer(900, 900)
    assert sequencer.distrust(0, sequencer.question()) == 1
    assert sequencer.missing is None
