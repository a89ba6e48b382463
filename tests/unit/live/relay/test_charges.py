"""The rates at which one user may cost RabbitMQ work."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import TooManyDials, TooManySubscriptions
from gateway.live.relay.charges import PATIENCE, Charges
from tests.budgets import budgets_of
from tests.virtual_time import run


def test_beyond_the_rate_one_waits_and_is_refused_only_when_that_would_be_long() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        charges = Charges(
            budgets_of(
                clock=loop.time,
                dials_per_second=2.0,
                dials_burst=10,
                broker_subscriptions_per_second=1.0,
                broker_subscriptions_burst=10,
            )
        )
        for wait, error, per_second in (
            (charges.dial, TooManyDials, 2.0),
            (charges.subscription, TooManySubscriptions, 1.0),
        ):
            began = loop.time()
            waiting = [asyncio.create_task(wait("anna")) for _ in range(100)]
            await wait("bob")
            assert loop.time() == began
            done = await asyncio.gather(*waiting, return_exceptions=True)
            taken = 10 + PATIENCE * per_second
            assert done[: int(taken)] == [None] * int(taken)
            assert {type(each) for each in done[int(taken) :]} == {error}
            assert loop.time() - began == pytest.approx(PATIENCE)

    run(main())


def test_connections_of_one_user_that_come_back_together_are_never_refused() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        charges = Charges(budgets_of(clock=loop.time))
        await asyncio.gather(*(charges.dial("anna") for _ in range(50)))
        assert loop.time() < PATIENCE

    run(main())


def test_a_dial_that_nobody_has_asked_for_is_charged_if_it_costs_no_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        budgets = budgets_of(clock=loop.time, dials_per_second=1.0, dials_burst=2)
        charges = Charges(budgets)
        assert [charges.dial_now("anna") for _ in range(3)] == [True, True, False]
        assert charges.dial_now("bob")
        assert not any(budgets.met.values())
        await charges.dial("anna")
        assert loop.time() == pytest.approx(1.0)

    run(main())
