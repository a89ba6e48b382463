"""Counted each time, told now and then."""

from broker.timing.complaints import PERIOD, Complaints


def test_a_cause_is_told_once_in_a_while_with_how_often_it_was() -> None:
    now = 0.0
    complaints = Complaints(("large", "broken"), clock=lambda: now)
    assert complaints.counts == {"large": 0, "broken": 0}
    assert [complaints.note("large") for _ in range(5)] == [1, 0, 0, 0, 0]
    assert complaints.note("broken") == 1, "another cause has a time of its own"
    now = PERIOD - 0.1
    assert complaints.note("large") == 0
    now = PERIOD
    assert complaints.note("large") == 6
    assert complaints.note("large") == 0
    assert complaints.counts == {"large": 8, "broken": 1}
