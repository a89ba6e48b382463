"""What is parked is counted and told; a message is rejected only when there is a place for it."""

import asyncio
import logging
from dataclasses import dataclass

import pytest

from broker.publishing.provision import QueueFailed
from broker.timing.tasks import Tasks
from broker.topology import Topology
from gateway.queues.parked import AGAIN, INTERVAL, LOOKS, SOON, Parked
from tests.virtual_time import run


@dataclass
class FakeBroker:
    """A number of parked messages; ``away``: every call fails."""

    count: int = 0
    parks: bool = True
    away: bool = False
    asked: int = 0

    async def parked_messages(self) -> int:
        self.asked += 1
        if self.away:
            raise QueueFailed("nobody is there")
        return self.count

    async def parks_rejected(self, room: int) -> bool:
        return self.parks


def over(broker: FakeBroker) -> Parked:
    return Parked(broker, Topology("p"), tasks=Tasks())


def test_what_is_parked_is_told_until_it_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        broker = FakeBroker()
        parked = over(broker)
        parked.start()
        await asyncio.sleep(1)
        assert (parked.problem, caplog.text) == (None, "")
        broker.count = 2
        await asyncio.sleep(INTERVAL)
        assert parked.problem is not None
        assert parked.problem.startswith("the queue p.parked holds 2 messages")
        assert "gateway parked list" in caplog.text
        broker.away = True
        await asyncio.sleep(INTERVAL)
        assert parked.count == 2
        broker.count, broker.away = 0, False
        await asyncio.sleep(INTERVAL)
        assert parked.problem is None
        assert len(caplog.records) == 1
        await parked.close()

    run(scenario())


def test_a_message_that_was_just_rejected_is_counted_soon_and_named() -> None:
    async def scenario() -> None:
        broker = FakeBroker()
        parked = over(broker)
        parked.start()
        await asyncio.sleep(0.1)
        await parked.ready(42, "17 MB in room 42")
        parked.rejected()
        # RabbitMQ needs some time for so many bytes.
        await asyncio.sleep(5 * SOON)
        assert parked.problem is None
        broker.count = 1
        await asyncio.sleep(SOON + 0.1)
        assert parked.problem is not None
        assert parked.problem.endswith("the last one here: 17 MB in room 42")
        await parked.close()

    run(scenario())


def test_one_that_does_not_come_is_said_to_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        broker = FakeBroker()
        parked = over(broker)
        parked.start()
        await parked.ready(42, "17 MB in room 42")
        # Its host has to acknowledge what came before it.
        await asyncio.sleep((LOOKS + 1) * SOON)
        assert caplog.records == []
        parked.rejected()
        await asyncio.sleep((LOOKS + 1) * SOON)
        (told,) = caplog.records
        assert (told.levelno, "17 MB in room 42" in told.getMessage()) == (logging.ERROR, True)
        await parked.close()

    run(scenario())


def test_without_a_place_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        broker = FakeBroker(away=True)
        waiting = asyncio.create_task(over(broker).ready(42, "17 MB"))
        await asyncio.sleep(3 * AGAIN)
        assert not waiting.done()
        broker.away = False
        await asyncio.sleep(AGAIN)
        await waiting
        (told,) = caplog.records
        assert (told.levelno, "17 MB" in told.getMessage()) == (logging.WARNING, True)

    run(scenario())


def test_of_a_queue_of_an_earlier_version_the_log_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(over(FakeBroker(parks=False)).ready(42, "17 MB"))
    assert "topology apply" in caplog.text
