"""A replacement may take its time, as long as it goes on."""

import asyncio
from typing import cast

import pytest

from broker.feeds.feed import Feed
from broker.feeds.feeds import STAND, comes_to_stand
from tests.virtual_time import run


class FakeFeed:
    """One more topic stands every so many seconds, of so many."""

    def __init__(self, *, topics: int, stuck_at: int | None = None) -> None:
        self.standing = 0
        self.stood = asyncio.Event()
        self._topics = topics
        self._stuck_at = stuck_at

    async def stand(self, every: float) -> None:
        while self.standing != self._stuck_at and self.standing < self._topics:
            await asyncio.sleep(every)
            self.standing += 1
        if self.standing == self._topics:
            self.stood.set()


@pytest.mark.parametrize("every", [0.01, STAND * 0.8])
def test_hundreds_of_topics_may_take_long_if_they_come_to_stand_one_after_the_other(
    every: float,
) -> None:
    async def scenario() -> None:
        feed = FakeFeed(topics=300)
        standing = asyncio.create_task(feed.stand(every))
        assert await comes_to_stand(cast("Feed", feed))
        assert feed.standing == 300
        await standing

    run(scenario())


def test_one_that_gets_stuck_is_given_up() -> None:
    async def scenario() -> None:
        feed = FakeFeed(topics=300, stuck_at=10)
        standing = asyncio.create_task(feed.stand(1.0))
        assert not await comes_to_stand(cast("Feed", feed))
        assert asyncio.get_running_loop().time() <= 10 + 2 * STAND
        await standing

    run(scenario())
