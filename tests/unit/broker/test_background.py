"""A fault of work that nobody waits for."""

import asyncio
import logging

import pytest

from broker.background import background


def test_a_fault_is_logged_though_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("too much")

    async def run() -> None:
        await asyncio.wait({background(fail(), "the work")})

    asyncio.run(run())
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.CRITICAL, "the work: broken")
    assert record.exc_info
    assert isinstance(record.exc_info[1], ValueError)


def test_an_end_by_cancelling_or_by_itself_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        waiting = background(asyncio.Event().wait(), "waiting")
        await background(asyncio.sleep(0), "done")
        waiting.cancel()
        await asyncio.wait({waiting})

    asyncio.run(run())
    assert not caplog.records
