"""Which channel a publication gets, and when that is replaced."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import aiormq
import pytest

from broker.publishing.channels import GUESTS, Channels, slot
from broker.publishing.confirming import Confirming
from broker.timing.tasks import Tasks


class StandingConnection:
    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ChannelTwin:
    def __init__(self, number: int) -> None:
        self.number = number
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.confirmations: dict[int, asyncio.Future[Any]] = {}
        self.is_closed = False
        self.connection = StandingConnection()

    async def close(self) -> None:
        self.is_closed = True
        if self.closing.done():
            raise aiormq.ChannelInvalidStateError("closed before")
        self.closing.set_result(None)


class ConnectionTwin:
    def __init__(self) -> None:
        self.opened: list[ChannelTwin] = []

    async def channel(self) -> ChannelTwin:
        await asyncio.sleep(0)
        self.opened.append(ChannelTwin(len(self.opened) + 1))
        return self.opened[-1]


async def retired(of: Channels) -> None:
    """Wait until what was replaced has retired."""
    if waiting := of._tasks._tasks:
        await asyncio.wait(waiting, timeout=5)


def channels() -> tuple[Channels, ConnectionTwin]:
    connection = ConnectionTwin()
    home = Confirming(cast("Any", ChannelTwin(0)))
    return Channels(cast("Any", connection), home, Tasks()), connection


def test_those_at_home_share_a_channel_and_guests_have_others() -> None:
    async def scenario() -> None:
        of, connection = channels()
        assert [(await of.take(key, home=True)).number for key in "abc"] == [0, 0, 0]
        assert not connection.opened
        guests = {(await of.take(f"room {n}", home=False)).number for n in range(10 * GUESTS)}
        assert guests == set(range(1, GUESTS + 1))
        first = await of.take("room 0", home=False)
        assert await of.take("room 0", home=False) is first

    asyncio.run(scenario())


def test_many_at_once_open_a_guests_channel_once() -> None:
    async def scenario() -> None:
        of, connection = channels()
        taken = await asyncio.gather(*(of.take("a", home=False) for _ in range(9)))
        assert len(set(map(id, taken))) == 1
        assert len(connection.opened) == 1

    asyncio.run(scenario())


def test_one_that_is_worn_is_replaced_and_closed_when_its_last_confirm_is_there() -> None:
    async def scenario() -> None:
        of, connection = channels()
        for home in (True, False):
            worn = await of.take("a", home=home)
            twin = cast("ChannelTwin", worn._channel)
            waits = twin.confirmations[1] = asyncio.get_running_loop().create_future()
            worn._refused = True
            fresh = await of.take("a", home=home)
            assert fresh is not worn
            assert await of.take("a", home=home) is fresh
            await asyncio.sleep(0.01)
            assert not twin.is_closed
            waits.set_result(None)
            await retired(of)
            assert twin.is_closed
        assert len(connection.opened) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("home", [True, False])
def test_a_channel_that_has_closed_is_replaced(
    home: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        of, _ = channels()
        closed = await of.take("a", home=home)
        closed.closing.set_exception(aiormq.ChannelPreconditionFailed("larger than the max size"))
        assert await of.take("a", home=home) is not closed
        await retired(of)

    asyncio.run(scenario())
    assert "a channel is replaced that RabbitMQ has ended: larger than" in caplog.text


def test_the_slots_are_few() -> None:
    assert {slot(str(n), home=False) for n in range(1000)} == set(range(1, GUESTS + 1))
    assert slot("a", home=True) == 0
