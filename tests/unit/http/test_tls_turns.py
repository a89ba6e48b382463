"""Turns for the handshakes of TLS."""

import asyncio

import pytest

from gateway.http.tls_turns import TURN, TlsTurns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.gen_test
async def test_steps_that_take_long_are_spread_over_turns_of_the_loop(clock: Clock) -> None:
    turns, done, seen = TlsTurns(clock=clock), [], []

    def step(number: int) -> None:
        clock.now += 0.375 * TURN
        done.append(number)

    for number in range(7):
        turns.due(lambda number=number: step(number))  # type: ignore[misc]
    while len(turns):
        await asyncio.sleep(0)
        seen.append(len(done))
    assert done == list(range(7))
    assert seen == [3, 6, 7]


@pytest.mark.gen_test
async def test_a_step_that_fails_does_not_stop_the_others(clock: Clock) -> None:
    turns, done, failed = TlsTurns(clock=clock), [], []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fail() -> None:
        raise ValueError("broken")

    turns.due(fail)
    turns.due(lambda: done.append(1))
    for _ in range(3):
        await asyncio.sleep(0)
    loop.set_exception_handler(before)
    assert done == [1]
    assert [type(each) for each in failed] == [ValueError]
