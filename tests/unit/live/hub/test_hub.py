"""The hub's book-keeping: when topics are subscribed upstream, and when they are released."""

import asyncio
import json
from typing import Any, cast

import pytest

from broker.feeds.feeds import Feeds
from broker.timing.clock import Clock
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.errors import BrokerUnavailable
from gateway.live.hub.fanout import Subscriber
from gateway.live.hub.history_follower import HOPELESS, LOOK
from gateway.live.hub.hub import CHANGEOVER, Hub
from gateway.live.hub.topic import SETTLING, SOON
from tests.fake_feeds import FakeFeeds
from tests.unit.live.fakes import STREAM, FakeHistory, message, published, subscriber
from tests.virtual_time import run, settle

KEY = "t.public.42"


def hub(history: FakeHistory | None = None, **options: Any) -> tuple[Hub, FakeFeeds]:
    feeds = FakeFeeds()
    made = Hub(
        Topology("t"),
        history or FakeHistory(),
        cast("Feeds", feeds),
        budget=lambda: 1000,
        clock=Clock(),
        **options,
        tasks=Tasks(),
    )
    return made, feeds


async def join_fed(made: Hub, feeds: FakeFeeds, each: Subscriber, *, feed: int = 0) -> None:
    """Add a subscriber of the stream, which this feed then brings."""
    joining = asyncio.create_task(made.join(STREAM, each, resume_after=None))
    await settle()
    feeds.stand(feed, KEY)
    await joining


def test_the_first_subscriber_subscribes_the_topic_and_waits_for_one_to_stand() -> None:
    async def scenario() -> None:
        made, feeds = hub()
        joining = [
            asyncio.create_task(made.join(STREAM, subscriber()[1], resume_after=None))
            for _ in range(3)
        ]
        await asyncio.sleep(1)
        assert feeds.calls == [f"+{KEY}"]
        assert not any(task.done() for task in joining)
        feeds.stand(1, KEY)
        await asyncio.gather(*joining)
        made.close()

    run(scenario())


def test_without_a_feed_everybody_gets_everything_from_the_history() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        history.store(2)
        assert await made.join(STREAM, each, resume_after=None) == 2
        for _ in range(5):
            history.store(3)
            await asyncio.sleep(LOOK + 0.1)
        assert client.seqs == list(range(3, 18))
        assert made.problems == {"topics without a feed": "1, which follow the history"}
        feeds.stand(0, KEY)
        assert made.problems == {}
        await asyncio.sleep(SETTLING + 2 * LOOK)
        looks = len(history.looks)
        await asyncio.sleep(60)
        assert len(history.looks) == looks, "a feed costs the history nothing"
        feeds.lose(0)
        history.store(1)
        await asyncio.sleep(3 * LOOK)
        assert client.seqs[-1] == history.head == 18
        made.close()

    run(scenario())


def test_hundreds_of_topics_without_a_feed_are_one_question_a_second() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, _ = hub(history)
        streams = [Stream(Audience.PUBLIC, room) for room in range(1, 301)]
        await asyncio.gather(
            *(made.join(stream, subscriber()[1], resume_after=None) for stream in streams)
        )
        await asyncio.sleep(3 * LOOK)
        reads, looks = len(history.reads), len(history.looks)
        await asyncio.sleep(10 * LOOK)
        assert len(history.looks) - looks <= 10
        assert len(history.looks[-1]) == 300
        assert len(history.reads) == reads, "none of them has grown"
        made.close()

    run(scenario())


def test_with_one_feed_that_stands_the_history_is_left_alone() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        await join_fed(made, feeds, subscriber()[1], feed=1)
        feeds.lose(0)
        await asyncio.sleep(SETTLING + 2 * LOOK)
        looks = len(history.looks)
        await asyncio.sleep(60)
        assert len(history.looks) == looks
        # Until that one is lost, too.
        feeds.lose(1)
        await asyncio.sleep(3 * LOOK)
        assert history.looks
        feeds.stand(1, KEY)
        await asyncio.sleep(SETTLING + 2 * LOOK)
        looks = len(history.looks)
        await asyncio.sleep(60)
        assert len(history.looks) == looks
        made.close()

    run(scenario())


@pytest.mark.parametrize("again", [False, True], ids=["new", "after the older feed is lost"])
def test_what_a_new_feed_of_a_slow_node_misses_comes_from_the_history(again: bool) -> None:
    """RabbitMQ 4.3 has stored the binding, and one of its nodes routes without it for a moment."""

    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each, feed=1)
        if again:
            await asyncio.sleep(SETTLING + 2 * LOOK)
            feeds.stand(0, KEY)
            await settle()
            feeds.lose(1)
            # Longer than the look that follows a loss.
            await asyncio.sleep(0.5)
        history.store(1)
        await asyncio.sleep(SETTLING + LOOK)
        assert client.seqs == [1]
        made.close()

    run(scenario())


def test_a_doubt_about_hundreds_of_topics_is_one_question_and_read_where_something_is() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        rooms = range(1, 301)
        people = [subscriber() for _ in rooms]
        joining = [
            asyncio.create_task(made.join(Stream(Audience.PUBLIC, room), each, resume_after=None))
            for room, (_, each) in zip(rooms, people, strict=True)
        ]
        await settle()
        for room in rooms:
            feeds.stand(0, f"t.public.{room}")
        await asyncio.gather(*joining)
        await asyncio.sleep(1)
        reads, looks = len(history.reads), len(history.looks)
        made.doubt()
        await asyncio.sleep(10)
        assert (len(history.looks) - looks, len(history.reads) - reads) == (1, 0)
        # And where something was missed while the database was away, too.
        history.away = True
        history.store(2)
        made.doubt()
        await asyncio.sleep(3 * LOOK)
        history.away = False
        await asyncio.sleep(3 * LOOK)
        assert all(client.seqs == [1, 2] for client, _ in people)
        looks = len(history.looks)
        await asyncio.sleep(60)
        assert len(history.looks) == looks
        made.close()

    run(scenario())


def test_with_neither_a_feed_nor_the_history_nobody_gets_a_receipt_nor_is_left_waiting() -> None:
    async def scenario() -> None:
        history = FakeHistory(away=True)
        made, _ = hub(history)
        _, each = subscriber()
        began = asyncio.get_running_loop().time()
        with pytest.raises(BrokerUnavailable):
            await made.join(STREAM, each, resume_after=None)
        assert SOON < asyncio.get_running_loop().time() - began < 15
        made.leave(STREAM, each)
        made.close()

    run(scenario())


def test_subscribers_left_without_feed_and_history_are_told_after_a_while() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each)
        history.away = True
        await asyncio.sleep(100)
        assert client.ended is None, "a feed is enough"
        feeds.lose(0)
        await asyncio.sleep(HOPELESS - 5)
        assert client.ended is None
        await asyncio.sleep(10)
        assert isinstance(client.ended, BrokerUnavailable)
        made.close()

    run(scenario())


def test_a_message_that_a_feed_left_out_comes_from_the_history_if_it_is_there() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each)
        history.store(1)
        feeds.leave_out(0, KEY)
        await asyncio.sleep(0.2)
        assert client.seqs == [1]
        made.close()

    run(scenario())


def test_what_rabbitmq_dropped_comes_from_the_history_by_one_question_for_all_topics() -> None:
    """The newest messages of topics, so that no hole shows it."""

    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        people = [subscriber() for _ in range(2)]
        keys = {KEY: STREAM, "t.private.42": Stream(Audience.PRIVATE, 42)}
        joining = [
            asyncio.create_task(made.join(stream, each, resume_after=None))
            for stream, (_, each) in zip(keys.values(), people, strict=True)
        ]
        await settle()
        for key in keys:
            feeds.stand(0, key)
        await asyncio.gather(*joining)
        await asyncio.sleep(SETTLING + 2 * LOOK)
        looks, reads = len(history.looks), len(history.reads)
        feeds.overflow(0)
        await asyncio.sleep(2 * LOOK)
        assert (len(history.looks) - looks, len(history.reads) - reads) == (1, 0)
        history.store(1)
        feeds.overflow(0)
        await asyncio.sleep(2 * LOOK)
        assert people[0][0].seqs == [1]
        made.close()

    run(scenario())


@pytest.mark.parametrize("cause", ["other nodes", "another gateway"])
def test_what_another_gateway_publishes_on_the_old_cluster_comes_from_the_history(
    cause: str,
) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each)
        await asyncio.sleep(SETTLING + 2 * LOOK)
        history.store(1)
        await asyncio.sleep(10)
        assert client.seqs == [], "nothing tells of it"
        if cause == "other nodes":
            made.replace([])
        else:
            made.gateway_arrived()
        await asyncio.sleep(LOOK)
        history.store(1)
        await asyncio.sleep(2 * LOOK)
        assert client.seqs == [1, 2]
        await asyncio.sleep(CHANGEOVER)
        looks = len(history.looks)
        await asyncio.sleep(60)
        assert len(history.looks) == looks
        made.close()

    run(scenario())


def test_the_topic_is_given_up_a_while_after_the_last_one_has_left() -> None:
    async def scenario() -> None:
        made, feeds = hub(linger=10.0)
        one, other = subscriber()[1], subscriber()[1]
        for each in (one, other):
            await join_fed(made, feeds, each)
        made.leave(STREAM, one)
        await asyncio.sleep(100)
        assert len(made) == 1
        made.leave(STREAM, other)
        await asyncio.sleep(9)
        again = subscriber()[1]
        await made.join(STREAM, again, resume_after=None)
        await asyncio.sleep(100)
        assert feeds.calls == [f"+{KEY}"]
        made.leave(STREAM, again)
        await asyncio.sleep(11)
        assert len(made) == 0
        assert feeds.calls == [f"+{KEY}", f"-{KEY}"]
        made.close()

    run(scenario())


def test_nobody_listens_to_a_topic_that_was_given_up_and_the_next_one_begins_anew() -> None:
    async def scenario() -> None:
        made, feeds = hub(linger=10.0)
        each = subscriber()[1]
        for _ in range(2):
            await join_fed(made, feeds, each)
            (topic,) = made
            assert feeds.listeners == {KEY: topic}
            made.leave(STREAM, each)
            await asyncio.sleep(11)
            assert feeds.listeners == {}
            assert list(made) == []
        assert feeds.calls == [f"+{KEY}", f"-{KEY}"] * 2

    run(scenario())


def test_each_topic_has_its_own_subscribers() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        private = Stream(Audience.PRIVATE, 42)
        (one, first), (other, second) = subscriber(), subscriber()
        joining = [
            asyncio.create_task(made.join(STREAM, first, resume_after=None)),
            asyncio.create_task(made.join(private, second, resume_after=None)),
        ]
        await settle()
        feeds.stand(0, KEY)
        feeds.stand(0, "t.private.42")
        await asyncio.gather(*joining)
        feeds.bring(0, KEY, published(history.store()[0]))
        await settle()
        assert (one.seqs, other.seqs) == ([1], [])
        made.close()

    run(scenario())


def test_a_message_posted_here_goes_to_its_topic_if_anybody_follows_it() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each)
        elsewhere = Stream(Audience.PRIVATE, 42)
        made.stored([*history.store(2), message(1, stream=elsewhere)])
        await settle()
        assert client.seqs == [1, 2]
        made.close()

    run(scenario())


def test_those_who_follow_a_room_are_told_that_something_in_it_was_deleted() -> None:
    async def scenario() -> None:
        made, feeds = hub()
        client, each = subscriber()
        await join_fed(made, feeds, each)
        assert made.rooms == {STREAM.room}
        made.tell_deleted([STREAM.room + 1])
        made.tell_deleted([STREAM.room + 1, STREAM.room])
        await settle()
        assert len(client.frames) == 1
        for frame in client.frames:
            assert frame.get("seq") is None
            said = json.loads(frame.body)
            wanted = {"seq": None, "sender": "", "role": None, "type": "deleted", "body": None}
            assert {name: said[name] for name in wanted} == wanted
        made.close()

    run(scenario())


def test_a_lost_feed_makes_every_topic_look_what_it_missed() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        client, each = subscriber()
        await join_fed(made, feeds, each)
        history.store(3)
        feeds.lose(0)
        await asyncio.sleep(0.2)
        assert client.seqs == [1, 2, 3]
        made.close()

    run(scenario())


def test_closing_ends_what_is_under_way() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        made, feeds = hub(history)
        _, each = subscriber()
        await join_fed(made, feeds, each)
        history.latency = 1e6
        feeds.lose(0)
        await asyncio.sleep(1)
        made.leave(STREAM, each)
        made.close()
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario())
