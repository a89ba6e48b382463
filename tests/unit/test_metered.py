"""Metered work: its own time is measured, and nothing of it is changed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.metered import Metered
from gateway.payer import payer
from gateway.stopwatch import Stopwatch


class Clock:
    """Advances only by the work of the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def works(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Stopwatch:
    return Stopwatch(clock=clock, cpu=clock)


def run(work: Coroutine[Any, Any, Any], watch: Stopwatch) -> list[float]:
    steps: list[float] = []

    async def main() -> None:
        await Metered(work, steps.append, watch=watch)

    asyncio.run(main())
    return steps


def test_each_step_is_measured_and_no_wait(clock: Clock, watch: Stopwatch) -> None:
    async def work() -> None:
        clock.works(1)
        await asyncio.gather(asyncio.sleep(0), other())
        clock.works(2)
        await inner()

    async def other() -> None:
        # A task of its own.
        clock.works(100)

    async def inner() -> None:
        clock.works(3)
        await asyncio.sleep(0)
        clock.works(4)

    assert run(work(), watch) == [1, 5, 4]


def test_results_and_errors_pass(clock: Clock, watch: Stopwatch) -> None:
    async def main() -> None:
        steps: list[float] = []

        async def gives() -> str:
            await asyncio.sleep(0)
            return "it"

        assert await Metered(gives(), steps.append, watch=watch) == "it"

        async def fails() -> None:
            clock.works(2)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await Metered(fails(), steps.append, watch=watch)
        assert steps == [0, 0, 2]

    asyncio.run(main())


def test_a_cancellation_reaches_the_work_which_may_go_on(clock: Clock, watch: Stopwatch) -> None:
    async def main() -> None:
        steps: list[float] = []
        told: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                clock.works(1)
                told.append("cancelled")
                await asyncio.sleep(0)
                told.append("cleaned up")
                raise

        task = asyncio.ensure_future(Metered(work(), steps.append, watch=watch))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert told == ["cancelled", "cleaned up"]
        assert steps == [0, 1, 0]

    asyncio.run(main())


def test_who_pays_for_threads_is_known_in_each_step_and_not_between_them(
    watch: Stopwatch,
) -> None:
    async def main() -> None:
        paid: list[float] = []
        known: list[object] = []

        async def work() -> None:
            known.append(payer.get())
            await asyncio.sleep(0)
            known.append(payer.get())
            # It is another's time.
            await Metered(inner(), lambda _: None, watch=watch)
            known.append(payer.get())
            raise ZeroDivisionError

        async def inner() -> None:
            known.append(payer.get())
            await asyncio.sleep(0)

        append = paid.append
        with pytest.raises(ZeroDivisionError):
            await Metered(work(), lambda _: None, watch=watch, pays=append)
        assert known == [append, append, None, append]
        assert payer.get() is None

    asyncio.run(main())
