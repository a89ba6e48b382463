"""Who pays for what threads do."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context

import pytest

from gateway import payer as payers
from gateway.payer import Bill, payer


@pytest.fixture(autouse=True)
def _each_look_at_the_clock_is_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr(payers, "thread_time", lambda: float(next(seconds)))


def bill_of(pays: Callable[[float], None] | None) -> Bill:
    """A bill for somebody, of whom nothing is known afterwards."""

    def make() -> Bill:
        payer.set(pays)
        return Bill()

    return copy_context().run(make)


def test_who_asks_pays_for_what_a_thread_does_whatever_comes_of_it() -> None:
    async def main() -> None:
        paid: list[float] = []
        bill = bill_of(paid.append)
        assert await asyncio.to_thread(bill.of, lambda: "done") == "done"
        assert paid == [1]
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(bill.of, lambda: 1 // 0)
        assert paid == [1, 1]

    asyncio.run(main())


def test_background_work_costs_nobody_anything() -> None:
    async def main() -> None:
        assert await asyncio.to_thread(bill_of(None).of, lambda: "done") == "done"

    asyncio.run(main())


def test_a_thread_that_ends_after_the_loop_has_its_result_all_the_same() -> None:
    async def main() -> Bill:
        return bill_of(lambda _: None)

    assert asyncio.run(main()).of(lambda: "done") == "done"
