"""Which channel a publication gets, and when that is replaced."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import aiormq
import pytest

from broker.publishing.channels import (
    CALM,
    GUEST_CHANNELS,
    REPLACEMENT,
    Channels,
    ConfirmChannel,
    Traffic,
    slot,
)
from broker.timing.tasks import Tasks
from tests.virtual_time import run


class StandingConnection:
    """A connection that is open."""

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class FakeChannel:
    """A channel that opens, and closes when the test wants it."""

    max_content_size = 1000
    _close_exception: BaseException | None = None

    def __init__(self, number: int) -> None:
        self.number = number
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_closed = False
        self.connection = StandingConnection()

    async def close(self) -> None:
        self.is_closed = True
        if self.closing.done():
            raise aiormq.ChannelInvalidStateError("closed before")
        self.closing.set_result(None)


class FakeConnection:
    """A connection that keeps the channels it has opened."""

    def __init__(self) -> None:
        self.opened: list[FakeChannel] = []

    async def channel(self) -> FakeChannel:
        await asyncio.sleep(0)
        self.opened.append(FakeChannel(len(self.opened) + 1))
        return self.opened[-1]


async def retired(of: Channels) -> None:
    """Wait until what was replaced has retired."""
    if waiting := of._tasks._tasks:
        await asyncio.wait(waiting, timeout=5)


def channels() -> tuple[Channels, FakeConnection]:
    connection = FakeConnection()
    traffic = Traffic()
    home = ConfirmChannel(cast("Any", FakeChannel(0)), traffic)
    return Channels(cast("Any", connection), home, traffic, Tasks()), connection


def test_those_at_home_share_a_channel_and_guests_have_others() -> None:
    async def scenario() -> None:
        of, connection = channels()
        assert [(await of.take(key, home=True)).number for key in "abc"] == [0, 0, 0]
        assert not connection.opened
        guests = {
            (await of.take(f"room {n}", home=False)).number for n in range(10 * GUEST_CHANNELS)
        }
        assert guests == set(range(1, GUEST_CHANNELS + 1))
        first = await of.take("room 0", home=False)
        assert await of.take("room 0", home=False) is first
        assert of.at_hand("room 0", home=False) is first

    asyncio.run(scenario())


def test_many_at_once_open_a_guests_channel_once() -> None:
    async def scenario() -> None:
        of, connection = channels()
        assert of.at_hand("a", home=False) is None
        taken = await asyncio.gather(*(of.take("a", home=False) for _ in range(9)))
        assert len(set(map(id, taken))) == 1
        assert len(connection.opened) == 1

    asyncio.run(scenario())


def test_a_channel_that_is_worn_out_is_replaced_and_closed_after_its_last_confirm() -> None:
    async def scenario() -> None:
        of, connection = channels()
        for home in (True, False):
            worn = await of.take("a", home=home)
            fake = cast("FakeChannel", worn._channel)
            waits = worn._waiting[1] = asyncio.get_running_loop().create_future()
            worn._nacked = True
            fresh = await of.take("a", home=home)
            assert fresh is not worn
            assert await of.take("a", home=home) is fresh
            await asyncio.sleep(0.01)
            assert not fake.is_closed
            waits.set_result(None)
            await retired(of)
            assert fake.is_closed
        assert len(connection.opened) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("home", [True, False])
def test_a_channel_that_has_closed_is_replaced(
    home: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        of, _ = channels()
        closed = await of.take("a", home=home)
        cast("FakeChannel", closed._channel).is_closed = True
        closed.closing.set_exception(aiormq.ChannelPreconditionFailed("larger than the max size"))
        assert await of.take("a", home=home) is not closed
        await retired(of)

    asyncio.run(scenario())
    assert "RabbitMQ ended an AMQP channel, which is replaced: larger than" in caplog.text


def test_a_link_that_is_lost_fails_what_waits_also_on_a_channel_that_retires() -> None:
    async def scenario() -> None:
        of, _ = channels()
        worn = await of.take("a", home=True)
        loop = asyncio.get_running_loop()
        on_worn = worn._waiting[1] = loop.create_future()
        worn._nacked = True
        fresh = await of.take("a", home=True)
        on_fresh = fresh._waiting[1] = loop.create_future()
        await asyncio.sleep(0)
        of.fail(lambda: aiormq.AMQPError("lost"))
        for waiting in (on_worn, on_fresh):
            with pytest.raises(aiormq.AMQPError, match="lost"):
                await waiting
        await retired(of)

    asyncio.run(scenario())


def test_the_slots_are_few() -> None:
    assert {slot(str(n), home=False) for n in range(1000)} == set(range(1, GUEST_CHANNELS + 1))
    assert slot("a", home=True) == 0


def test_nacks_in_a_row_do_not_open_channels_in_a_row() -> None:
    """A queue may refuse everything for ever: two hundred channels a second were opened then."""

    async def scenario() -> None:
        of, connection = channels()
        loop = asyncio.get_running_loop()
        opened: list[float] = []
        while loop.time() < 60:
            channel = await of.take("a", home=True)
            channel._nacked = True
            if len(connection.opened) > len(opened):
                opened.append(loop.time())
            await asyncio.sleep(0.005)
        assert opened[0] < 0.1, "the first one at once"
        assert len(opened) < 20
        assert opened[-1] - opened[-2] == pytest.approx(REPLACEMENT.longest, abs=0.1)
        await asyncio.sleep(CALM)
        before = len(connection.opened)
        for _ in range(2):
            (await of.take("a", home=True))._nacked = True
        assert len(connection.opened) == before + 1
        await retired(of)

    run(scenario())


def test_a_channel_that_has_ended_is_replaced_at_once_however_often() -> None:
    async def scenario() -> None:
        of, connection = channels()
        for _ in range(5):
            channel = await of.take("a", home=True)
            cast("FakeChannel", channel._channel).is_closed = True
            assert of.at_hand("a", home=True) is None
        assert await of.take("a", home=True)
        assert len(connection.opened) == 5
        await retired(of)

    asyncio.run(scenario())
