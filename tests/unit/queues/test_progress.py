"""The place up to which a stream is acknowledged: what it says is handled was acknowledged."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.queues.progress import KEPT, MOST, PATIENCE, Progress


def progress(*acknowledged: int, outstanding: tuple[int, ...] = ()) -> Progress:
    made = Progress()
    for seq in (*outstanding, *acknowledged):
        made.delivered(seq)
    for seq in acknowledged:
        made.acknowledged(seq)
    return made


def test_the_place_is_the_last_before_the_first_that_is_not_acknowledged() -> None:
    assert progress(1, 2, 3, 5).advance(0, 0.0) == 3
    assert progress(2, 1).advance(0, 0.0) == 2
    assert progress(8, 9).advance(7, 0.0) == 9
    assert progress().advance(7, 0.0) == 7


def test_it_goes_on_from_what_the_database_has_and_never_back() -> None:
    made = progress(3, 4)
    assert made.advance(0, 0.0) == 0
    assert made.advance(2, 0.0) == 4
    assert made.advance(0, 0.0) == 4
    assert made.idle


def test_a_message_that_never_comes_is_skipped_after_a_while() -> None:
    made = progress(1, 3, 4, 6)
    assert made.advance(0, 100.0) == 1
    assert made.advance(0, 100.0 + PATIENCE - 0.1) == 1
    assert made.advance(0, 100.0 + PATIENCE) == 4
    assert made.advance(0, 100.0 + 2 * PATIENCE) == 6
    assert made.idle


def test_a_message_that_a_host_has_and_does_not_acknowledge_is_never_skipped() -> None:
    made = progress(1, 3, outstanding=(2,))
    assert made.advance(0, 0.0) == 1
    assert made.advance(0, 10 * PATIENCE) == 1
    made.acknowledged(2)
    assert made.advance(0, 10 * PATIENCE) == 3


def test_of_many_messages_above_a_gap_the_gap_is_skipped_at_once() -> None:
    numbers = range(2, KEPT + 3)
    made = progress(*numbers)
    assert made.advance(0, 0.0) == KEPT + 2
    assert progress(*list(numbers)[:-1]).advance(0, 0.0) == 0


def test_what_is_remembered_is_bounded() -> None:
    made = progress(*range(2, 2 * MOST), outstanding=(1,))
    assert made.advance(0, 0.0) == 0
    assert len(made._acknowledged) == MOST
    for seq in range(10 * MOST, 12 * MOST):
        made.delivered(seq)
    assert len(made._outstanding) == MOST


@given(
    st.lists(st.integers(1, 30), unique=True),
    st.sets(st.integers(1, 30)),
    st.lists(st.floats(0, PATIENCE / 3)),
)
def test_nothing_that_is_outstanding_is_ever_passed(
    acknowledged: list[int], outstanding: set[int], pauses: list[float]
) -> None:
    left = outstanding - set(acknowledged)
    made, now = progress(outstanding=tuple(left)), 0.0
    for seq, pause in zip(acknowledged, [*pauses, *[1.0] * 30], strict=False):
        made.delivered(seq)
        made.acknowledged(seq)
        now += pause
        assert made.advance(0, now) < min(left, default=31)
