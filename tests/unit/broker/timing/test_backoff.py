"""The wait before the next attempt."""

import pytest

from broker.timing.backoff import BackOff


def test_the_wait_doubles_from_the_first_to_the_longest() -> None:
    backoff = BackOff(first=0.5, longest=10.0)
    assert [backoff.delay(failures) for failures in range(1, 8)] == [0.5, 1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize("failures", [60, 1025, 10**9])
def test_no_number_of_failures_is_too_large(failures: int) -> None:
    assert BackOff(first=0.5, longest=10.0).delay(failures) == 10.0


def test_a_wait_may_be_longest_at_once() -> None:
    assert BackOff(first=20.0, longest=10.0).delay(1) == 10.0
