"""How long a thread may keep the interpreter from the event loop."""

import sys
from collections.abc import Iterator

import pytest

from gateway import threads


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_the_loop_waits_for_a_fifth_of_a_millisecond() -> None:
    threads.settle()
    assert sys.getswitchinterval() == pytest.approx(0.000_2)
