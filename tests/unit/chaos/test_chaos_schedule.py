"""A schedule is what its seed says, and worth its time."""

import pytest

from tests.chaos.schedule import Breakable, Kind, schedule

ALL = Breakable(nodes=3, gateways=2)


def test_the_same_seed_gives_the_same_schedule_and_another_another() -> None:
    assert schedule(7, 600, ALL) == schedule(7, 600, ALL)
    assert schedule(7, 600, ALL) != schedule(8, 600, ALL)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_run_has_every_kind_of_fault_at_targets_that_exist(seed: int) -> None:
    faults = schedule(seed, 1800, ALL)
    assert {fault.kind for fault in faults} == set(Kind)
    for fault in faults:
        if fault.kind in (Kind.KILL_NODE, Kind.HANG_NODE, Kind.STOP_NODE):
            assert fault.target in (1, 2, 3)
        if fault.kind in (Kind.KILL_GATEWAY, Kind.DRAIN_GATEWAY):
            assert fault.target in (0, 1)
        if fault.kind is Kind.HANG_NODE:
            assert 5 <= fault.seconds <= 90


def test_however_short_there_is_one_fault() -> None:
    assert len(schedule(1, 0, ALL)) == 1


def test_a_fault_tells_what_it_is() -> None:
    (fault,) = schedule(1, 0, ALL)
    assert str(fault).startswith(str(fault.kind))
