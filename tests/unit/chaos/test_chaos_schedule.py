"""A schedule is what its seed says, and worth its time."""

import pytest

from tests.chaos.schedule import Breakable, Kind, kills, schedule

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
        if fault.kind is Kind.CUT_OFF_GATEWAY:
            assert fault.target == 1
        if fault.kind is Kind.HANG_NODE:
            assert 5 <= fault.seconds <= 90


@pytest.mark.parametrize("seed", range(5))
def test_a_gateway_alone_is_parted_from_no_other(seed: int) -> None:
    kinds = {fault.kind for fault in schedule(seed, 1800, Breakable(nodes=3, gateways=1))}
    assert kinds == set(Kind) - {Kind.CUT_OFF_GATEWAY, Kind.CLOCKS_APART}


def test_however_short_there_is_one_fault() -> None:
    assert len(schedule(1, 0, ALL)) == 1


def test_a_fault_tells_what_it_is() -> None:
    (fault,) = schedule(1, 0, ALL)
    assert str(fault).startswith(str(fault.kind))


@pytest.mark.parametrize(("minutes", "every", "times"), [(120, 10, 11), (10, 2.5, 3), (2, 1, 1)])
def test_a_soak_kills_the_node_at_regular_intervals_and_not_at_the_end(
    minutes: float, every: float, times: int
) -> None:
    faults = kills(60 * minutes, 60 * every)
    assert len(faults) == times
    for fault in faults:
        assert (fault.kind, fault.target) == (Kind.ALL_NODES_DOWN, 1)
        # The rest is for RabbitMQ to start.
        assert 60 * every - 30 <= fault.seconds + fault.calm <= 60 * every


def test_a_soak_kills_the_node_once_at_least() -> None:
    assert len(kills(30, 600)) == 1
