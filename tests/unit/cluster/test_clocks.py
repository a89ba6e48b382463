"""The differences between clocks, and from when on operators are told."""

from __future__ import annotations

from gateway.cluster.clocks import WARNED, Clocks


def test_clocks_that_go_alike_are_no_problem_and_unknown_ones_count_as_alike() -> None:
    clocks = Clocks()
    assert clocks.ahead("north") == 0.0
    assert not clocks.problem
    clocks.compared(1.0, {"north": 1.0 - WARNED + 0.1})
    assert not clocks.problem
    assert clocks.ahead("south") == 0.0


def test_large_differences_are_named_with_whose_clock_it_is() -> None:
    clocks = Clocks()
    clocks.compared(-WARNED, {"north": 0.0, "south": -65.0, "west": -WARNED})
    assert clocks.ahead("north") == WARNED
    assert clocks.ahead("south") == -60.0
    assert clocks.problem == (
        "the clock is 5.0 s behind that of the database, 5.0 s behind that of gateway north, "
        "60.0 s ahead of that of gateway south"
    )
    clocks.compared(0.0, {})
    assert clocks.ahead("north") == 0.0
