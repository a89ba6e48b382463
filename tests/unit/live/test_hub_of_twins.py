"""The hub's book-keeping: who makes a topic subscribed upstream, and when it is given up."""

import asyncio
from typing import Any, cast

import pytest

from broker.feed import Feed
from broker.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.errors import BrokerUnavailable
from gateway.live.hub import STAND_TIMEOUT, Hub
from tests.unit.live.twins import STREAM, HistoryTwin, message, published, subscriber
from tests.unit.messages.virtual_time import run, settle

KEY = "t.public.42"


class FeedTwin:
    def __init__(self, number: int) -> None:
        self.number = number
        self.calls: list[str] = []

    def subscribe(self, key: str) -> None:
        self.calls.append(f"+{key}")

    def unsubscribe(self, key: str) -> None:
        self.calls.append(f"-{key}")


def hub(history: HistoryTwin | None = None, **options: Any) -> tuple[Hub, list[FeedTwin]]:
    feeds = [FeedTwin(0), FeedTwin(1)]
    made = Hub(Topology("t"), history or HistoryTwin(), budget=1000, **options, tasks=Tasks())
    made.attach(cast("list[Feed]", feeds))
    return made, feeds


def test_the_first_subscriber_subscribes_both_feeds_and_waits_for_one_to_stand() -> None:
    async def scenario() -> None:
        made, feeds = hub()
        joining = [
            asyncio.create_task(made.join(STREAM, subscriber()[1], resume_after=None))
            for _ in range(3)
        ]
        await asyncio.sleep(1)
        assert [feed.calls for feed in feeds] == [[f"+{KEY}"]] * 2
        assert not any(task.done() for task in joining)
        made.standing(1, KEY)
        await asyncio.gather(*joining)
        made.close()

    run(scenario())


def test_without_a_feed_that_stands_in_time_nobody_is_left_waiting() -> None:
    async def scenario() -> None:
        made, _ = hub()
        _, each = subscriber()
        began = asyncio.get_running_loop().time()
        with pytest.raises(BrokerUnavailable):
            await made.join(STREAM, each, resume_after=None)
        assert asyncio.get_running_loop().time() - began == pytest.approx(STAND_TIMEOUT)
        made.leave(STREAM, each)
        made.close()

    run(scenario())


def test_the_topic_is_given_up_a_while_after_the_last_one_has_left() -> None:
    async def scenario() -> None:
        made, feeds = hub(linger=10.0)
        one, other = subscriber()[1], subscriber()[1]
        made.standing(0, KEY)
        for each in (one, other):
            joining = asyncio.create_task(made.join(STREAM, each, resume_after=None))
            await settle()
            made.standing(0, KEY)
            await joining
        made.leave(STREAM, one)
        await asyncio.sleep(100)
        assert len(made) == 1
        made.leave(STREAM, other)
        await asyncio.sleep(9)
        again = subscriber()[1]
        await made.join(STREAM, again, resume_after=None)
        await asyncio.sleep(100)
        assert [feed.calls for feed in feeds] == [[f"+{KEY}"]] * 2
        made.leave(STREAM, again)
        await asyncio.sleep(11)
        assert len(made) == 0
        assert [feed.calls for feed in feeds] == [[f"+{KEY}", f"-{KEY}"]] * 2
        made.close()

    run(scenario())


def test_what_comes_for_a_topic_that_was_given_up_is_nobody_s() -> None:
    async def scenario() -> None:
        made, _ = hub()
        made.standing(0, KEY)
        made.arrived(0, KEY, published(HistoryTwin().store()[0]))
        made.lost(0)
        assert list(made) == []

    run(scenario())


def test_each_topic_has_its_own_subscribers() -> None:
    async def scenario() -> None:
        history = HistoryTwin()
        made, _ = hub(history)
        private = Stream(Audience.PRIVATE, 42)
        (one, first), (other, second) = subscriber(), subscriber()
        joining = [
            asyncio.create_task(made.join(STREAM, first, resume_after=None)),
            asyncio.create_task(made.join(private, second, resume_after=None)),
        ]
        await settle()
        made.standing(0, KEY)
        made.standing(0, "t.private.42")
        await asyncio.gather(*joining)
        made.arrived(0, KEY, published(history.store()[0]))
        await settle()
        assert (one.seqs, other.seqs) == ([1], [])
        made.close()

    run(scenario())


def test_what_was_posted_here_goes_to_its_topic_if_anybody_follows_it() -> None:
    async def scenario() -> None:
        history = HistoryTwin()
        made, _ = hub(history)
        client, each = subscriber()
        joining = asyncio.create_task(made.join(STREAM, each, resume_after=None))
        await settle()
        made.standing(0, KEY)
        await joining
        elsewhere = Stream(Audience.PRIVATE, 42)
        made.stored([*history.store(2), message(1, stream=elsewhere)])
        await settle()
        assert client.seqs == [1, 2]
        made.close()

    run(scenario())


def test_a_lost_feed_makes_every_topic_look_what_it_missed() -> None:
    async def scenario() -> None:
        history = HistoryTwin()
        made, _ = hub(history)
        client, each = subscriber()
        joining = asyncio.create_task(made.join(STREAM, each, resume_after=None))
        await settle()
        made.standing(0, KEY)
        await joining
        history.store(3)
        made.lost(0)
        await asyncio.sleep(0.2)
        assert client.seqs == [1, 2, 3]
        made.close()

    run(scenario())


def test_closing_ends_what_is_under_way() -> None:
    async def scenario() -> None:
        history = HistoryTwin()
        made, _ = hub(history)
        _, each = subscriber()
        joining = asyncio.create_task(made.join(STREAM, each, resume_after=None))
        await settle()
        made.standing(0, KEY)
        await joining
        history.latency = 1e6
        made.lost(0)
        await asyncio.sleep(1)
        made.leave(STREAM, each)
        made.close()
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario())
