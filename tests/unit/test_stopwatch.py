"""A stopwatch that seldom asks for a processor's time, and is never far from it."""

import pytest

from gateway.stopwatch import NEAR, Stopwatch


class Machine:
    """The time on the wall, what one thread has had of it, and how often that was asked for."""

    def __init__(self) -> None:
        self.now = self.had = 1000.0
        self.asked = 0
        self.watch = Stopwatch(clock=lambda: self.now, cpu=self._cpu)

    def _cpu(self) -> float:
        self.asked += 1
        return self.had

    def works(self, seconds: float) -> None:
        self.now += seconds
        self.had += seconds

    def others_work(self, seconds: float) -> None:
        self.now += seconds


def test_short_pieces_are_measured_without_asking_for_each() -> None:
    machine = Machine()
    seconds = []
    for _ in range(100):
        begun = machine.watch.begin()
        machine.works(0.000_01)
        seconds.append(machine.watch.since(begun))
    assert seconds == pytest.approx([0.000_01] * 100)
    assert machine.asked <= 1 + 100 * 0.000_01 / NEAR


@pytest.mark.parametrize("before", [0.0, NEAR / 2, NEAR, 10.0])
@pytest.mark.parametrize("work", [NEAR / 10, NEAR, 2 * NEAR, 1.0])
@pytest.mark.parametrize("others", [0.0, NEAR / 2, 0.05])
def test_it_says_no_less_than_was_had_and_little_more(
    before: float, work: float, others: float
) -> None:
    machine = Machine()
    machine.watch.since(machine.watch.begin())
    machine.works(before)
    begun = machine.watch.begin()
    machine.works(work / 2)
    machine.others_work(others)
    machine.works(work / 2)
    said = machine.watch.since(begun)
    assert said >= work - 1e-9
    assert said <= work + min(others, NEAR) + 1e-9


def test_a_piece_within_another_takes_nothing_from_it() -> None:
    machine = Machine()
    outer = machine.watch.begin()
    machine.works(1)
    inner = machine.watch.begin()
    machine.works(2)
    assert machine.watch.since(inner) == pytest.approx(2)
    machine.works(3)
    assert machine.watch.since(outer) == pytest.approx(6)
