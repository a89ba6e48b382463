"""Topics: `seq` is +1 from a subscriber's start to the head, whatever feeds, store and subscribers
do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.protocol.stomp import Frame
from broker.timing.clock import Clock
from broker.timing.tasks import Tasks
from gateway.domain.message import Message
from gateway.errors import Internal, Invalid, NotKept, StoreUnavailable
from gateway.live.hub.fanout import PENDING, FanOut, Subscriber
from gateway.live.hub.page_cache import PAGE
from gateway.live.hub.pages import Pages
from gateway.live.hub.state_pages import StatePages
from gateway.live.hub.topic import SOON, Shared, Topic
from tests.unit.live.fakes import (
    DESTINATION,
    STREAM,
    FakeClient,
    FakeHistory,
    brought,
    foreign,
    message,
    published,
    subscriber,
)
from tests.virtual_time import run, settle


@asynccontextmanager
async def topic(
    history: FakeHistory, *, standing: tuple[int, ...] = (0, 1)
) -> AsyncIterator[Topic]:
    loop = asyncio.get_running_loop()
    pages = Pages(history)
    shared = Shared(
        history=history,
        pages=pages,
        state=StatePages(history, clock=loop.time),
        fan_out=FanOut(budget=lambda: 1_000_000, clock=Clock()),
        reading=asyncio.Semaphore(8),
        resuming=asyncio.Semaphore(8),
        unsettled=lambda: None,
        doubted=lambda: None,
        clock=loop.time,
        tasks=Tasks(),
    )
    made = Topic(STREAM, DESTINATION, shared)
    for feed in standing:
        made.subscribed(feed)
    try:
        yield made
    finally:
        made.close()
        pages.close()
        await settle()


async def joined(to: Topic, resume_after: int | None = None) -> FakeClient:
    client, each = subscriber()
    after = await to.join(each, resume_after)
    assert after == (resume_after if resume_after is not None else to._last)
    return client


def test_a_new_subscriber_hears_everything_from_then_on() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(3)
        async with topic(history) as live:
            client = await joined(live)
            for each in history.store(5):
                live.message(0, published(each))
                live.message(1, published(each))
            await settle()
            assert client.seqs == [4, 5, 6, 7, 8]
            assert len(history.reads) == 1

    run(scenario())


def test_messages_that_arrive_while_the_head_is_read_are_not_missed() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            joining = asyncio.create_task(joined(live))
            await settle()
            (new,) = history.store()
            live.message(0, published(new))
            client = await joining
            await asyncio.sleep(1)
            assert client.seqs == [1]

    run(scenario())


def test_late_messages_of_the_broker_come_from_the_history_at_once_and_once() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            live.grown(7)
            client = await joined(live)
            late = history.store(2)
            live.grown(2)
            await asyncio.sleep(0.02)
            assert client.seqs == [1, 2]
            late += history.store(1)
            live.grown(3)
            await asyncio.sleep(0.02)
            assert client.seqs == [1, 2, 3]
            reads = len(history.reads)
            live.grown(2)
            for each in late:
                live.message(0, published(each))
            await asyncio.sleep(1)
            assert client.seqs == [1, 2, 3]
            assert len(history.reads) == reads

    run(scenario())


def test_a_message_posted_here_waits_for_no_feed_and_comes_once() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            for feed in (0, 1):
                live.lost(feed)
            (own,) = history.store()
            live.stored(own)
            await settle()
            assert client.seqs == [1]
            for feed in (0, 1):
                live.subscribed(feed)
                live.message(feed, published(own))
            await asyncio.sleep(1)
            assert client.seqs == [1]

    run(scenario())


def test_copies_of_what_was_given_are_known_and_nothing_else_is() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            assert not live.knows(brought(message(1))), "the stream has not begun"
            await joined(live)
            here, elsewhere, late = history.store(3)
            assert not live.knows(brought(here))
            live.stored(here)
            assert live.knows(brought(here))
            live.message(0, published(elsewhere))
            assert live.knows(brought(elsewhere))
            assert not live.knows(brought(late))
            # A producer that says no seq: it is passed on as it comes.
            echo = brought(here)
            assert not live.knows(echo._replace(properties=b"\0\0"))

    run(scenario())


def test_a_message_posted_here_after_another_gateway_s_waits_for_that() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            reads = len(history.reads)
            others, own = history.store(2)
            live.stored(own)
            await asyncio.sleep(1)
            assert client.seqs == []
            live.message(0, published(others))
            live.message(0, published(own))
            await settle()
            assert client.seqs == [1, 2]
            assert len(history.reads) == reads

    run(scenario())


def test_a_hole_is_left_to_the_other_feed_and_costs_no_read_when_that_fills_it() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            reads = len(history.reads)
            first, second = history.store(2)
            live.message(0, published(second))
            await asyncio.sleep(0.03)
            assert client.seqs == []
            live.message(1, published(first))
            await asyncio.sleep(1)
            assert client.seqs == [1, 2]
            assert len(history.reads) == reads

    run(scenario())


def test_a_hole_that_no_feed_fills_is_filled_from_the_history_within_100_ms() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            history.store(2)
            live.message(0, published(history.stored[1]))
            await asyncio.sleep(0.1)
            assert client.seqs == [1, 2]

    run(scenario())


def test_messages_missed_by_both_feeds_on_an_idle_stream_are_found_later() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            live.lost(0)
            live.lost(1)
            await asyncio.sleep(1)
            history.store(1)
            await asyncio.sleep(60)
            assert client.seqs == []
            live.subscribed(1)
            await asyncio.sleep(0.1)
            assert client.seqs == [1]

    run(scenario())


def test_messages_missed_by_a_hanging_feed_are_found_when_it_is_given_up() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history, standing=(0,)) as live:
            client = await joined(live)
            history.store(1)
            live.subscribed(1)
            await asyncio.sleep(2)
            assert client.seqs == []
            live.lost(0)
            await asyncio.sleep(0.1)
            assert client.seqs == [1]

    run(scenario())


def test_a_hole_waits_for_a_store_that_is_away_while_those_without_one_go_on() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            history.away = True
            first, _, third = history.store(3)
            live.message(0, published(first))
            live.message(0, published(third))
            await asyncio.sleep(5)
            assert client.seqs == [1]
            late = await joined(live)
            history.away = False
            await asyncio.sleep(2)
            assert client.seqs == [1, 2, 3]
            assert late.seqs == [2, 3]

    run(scenario())


def test_a_store_that_hangs_keeps_nobody_from_joining_a_topic_that_has_begun() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            await joined(live)
            history.latency = 100.0
            history.store(2)
            live.message(0, published(history.stored[1]))
            await asyncio.sleep(1)
            async with asyncio.timeout(0.001):
                await joined(live)

    run(scenario())


@pytest.mark.parametrize("false", [900, 999999999999999999])
def test_a_false_number_beyond_the_head_is_forgotten(false: int) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            for feed in (0, 1):
                live.message(feed, forged(false))
            await asyncio.sleep(1)
            reads = len(history.reads)
            for each in history.store(2):
                live.message(0, published(each))
            await asyncio.sleep(10)
            assert client.seqs == [1, 2]
            assert len(history.reads) == reads, "nobody looks for it any more"

    run(scenario())


def test_a_message_that_comes_while_the_history_answers_is_not_taken_for_a_false_number() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=0.5)
        async with topic(history) as live:
            client = await joined(live)
            history.store(1)
            live.lost(0)
            await asyncio.sleep(0.1)
            # The read is under way, and knows 1 only; 2 and 3 come, 2 by no feed.
            live.message(1, published(history.store(2)[1]))
            await asyncio.sleep(5)
            assert client.seqs == [1, 2, 3]

    run(scenario())


@pytest.mark.parametrize("seq", ["x", "", "0", "007", "-1", "1.0", "１", "9" * 19])
def test_a_message_whose_number_is_malformed_passes_without_one(seq: str) -> None:
    async def scenario() -> None:
        async with topic(FakeHistory()) as live:
            client = await joined(live)
            for feed in (0, 1):
                live.message(
                    feed,
                    foreign(b"said", ("seq", seq), ("room", "42"), ("audience", "public")),
                )
            await settle()
            (frame,) = client.frames
            assert (frame.body, frame.get("seq"), frame.get("room")) == (b"said", None, None)

    run(scenario())


def test_a_producer_that_counts_for_itself_is_not_taken_for_the_pipeline() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(10)
        async with topic(history) as live:
            client = await joined(live)
            for number in ("3", "11"):
                live.message(0, foreign(number.encode(), ("seq", number)))
            await settle()
            assert client.bodies == [b"3", b"11"]
            live.message(0, published(history.store()[0]))
            await settle()
            assert client.seqs == [11]

    run(scenario())


def test_messages_without_a_number_pass_once_by_id_or_by_content() -> None:
    async def scenario() -> None:
        async with topic(FakeHistory()) as live:
            client = await joined(live)
            said = [
                foreign(b"same", ("amqp-message-id", "a")),
                foreign(b"same", ("amqp-message-id", "b")),
                foreign(b"plain"),
                foreign(b"plain"),
                foreign(b"empty", ("amqp-message-id", "")),
                foreign(b"empty too", ("amqp-message-id", "")),
                foreign(b"\xff\0"),
            ]
            for feed in (0, 1):
                for each in said:
                    live.message(feed, each)
            await settle()
            assert client.bodies == [each.body for each in said]

    run(scenario())


def test_resuming_gives_the_past_then_what_is_live() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(3 * PAGE + 7)
        async with topic(history) as live:
            client = await joined(live, 2)
            live.message(0, published(history.store()[0]))
            await settle()
            assert client.seqs == list(range(3, history.head + 1))

    run(scenario())


def test_resuming_at_the_start_of_an_empty_stream_is_joining() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live, 0)
            live.message(0, published(history.store()[0]))
            await settle()
            assert client.seqs == [1]

    run(scenario())


def test_a_subscriber_resuming_while_the_history_is_ahead_of_the_feeds_hears_nothing_twice() -> (
    None
):
    async def scenario() -> None:
        history = FakeHistory()
        history.store(5)
        async with topic(history) as live:
            await joined(live)
            ahead = history.store(5)
            client = await joined(live, 1)
            for each in ahead:
                live.message(0, published(each))
            await settle()
            assert client.seqs == list(range(2, 11))

    run(scenario())


def test_a_subscriber_that_knows_more_than_the_feeds_have_brought_starts_there() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            other = await joined(live)
            history.store(5)
            client = await joined(live, 4)
            await settle()
            assert client.seqs == [5]
            assert other.seqs == [1, 2, 3, 4, 5]

    run(scenario())


def test_resuming_beyond_the_head_is_refused() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(5)
        async with topic(history) as live:
            with pytest.raises(Invalid, match="beyond the last seq, 5"):
                await joined(live, 6)

    run(scenario())


@pytest.mark.parametrize("after", [0, 8])
def test_resuming_before_what_is_kept_is_refused_and_says_from_where_it_can(after: int) -> None:
    async def scenario() -> None:
        history = FakeHistory(first=10)
        history.store(20)
        async with topic(history) as live:
            with pytest.raises(NotKept, match="from seq 10 on"):
                await joined(live, after)
            assert (await joined(live, 9)).seqs == list(range(10, 21))

    run(scenario())


@pytest.mark.parametrize("sees_hidden", [False, True])
def test_who_resumes_gets_hidden_messages_only_as_a_host(sees_hidden: bool) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(PAGE, "rude")
        history.stored[1] = replace(history.stored[1], hidden=True)
        async with topic(history) as live:
            client, each = subscriber()
            each.sees_hidden = lambda: sees_hidden
            await live.join(each, 0)
            # No number is missing.
            assert client.seqs == list(range(1, PAGE + 1))
            said = b"".join(client.bodies)
            assert said.count(b'"body":"rude"') == PAGE - (not sees_hidden)
            assert said.count(b'"type":"hidden","body":null') == (not sees_hidden)

    run(scenario())


def test_a_host_who_is_demoted_while_resuming_gets_only_the_places_from_then_on() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(2 * PAGE, "rude")
        history.stored = [replace(each, hidden=True) for each in history.stored]
        async with topic(history) as live:
            client, each = subscriber()
            each.sees_hidden = lambda: len(client.seqs) < PAGE
            await live.join(each, 0)
            assert client.seqs == list(range(1, 2 * PAGE + 1))
            said = b"".join(client.bodies)
            assert PAGE <= said.count(b'"body":"rude"') < 2 * PAGE

    run(scenario())


def test_a_late_message_that_is_hidden_already_is_shown_to_nobody() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client, each = subscriber()
            each.sees_hidden = lambda: True
            await live.join(each, None)
            history.store(1, "rude")
            history.stored[0] = replace(history.stored[0], hidden=True)
            live.grown(1)
            await asyncio.sleep(1)
            assert client.seqs == [1]
            assert b"rude" not in b"".join(client.bodies)

    run(scenario())


def test_what_is_forgotten_comes_from_the_history_again() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            await joined(live)
            for each in history.store(3, "rude"):
                live.message(0, published(each))
            await settle()
            history.stored[1] = replace(history.stored[1], hidden=True)
            live.forget()
            live._shared.pages.forget()
            client = await joined(live, 0)
            assert client.seqs == [1, 2, 3]
            assert b"".join(client.bodies).count(b"rude") == 2

    run(scenario())


def test_a_hidden_message_that_a_feed_brings_late_is_shown_to_nobody_who_resumes() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            await joined(live)
            rude, _ = history.store(2, "rude")
            history.stored[1] = replace(history.stored[1], keep="hidden:1", body={"seq": 1})
            history.stored[0] = replace(rude, hidden=True)
            # The database has said so before the broker has brought anything.
            live.forget()
            live._shared.pages.forget()
            live.message(0, published(rude))
            live.message(0, published(history.stored[1]))
            await settle()
            client = await joined(live, 0)
            assert client.seqs == [1, 2]
            assert b"rude" not in b"".join(client.bodies)

    run(scenario())


def test_a_hosts_word_that_hides_a_message_is_heard_without_the_database() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(1, "rude")
        history.store(2 * PAGE)
        async with topic(history) as live:
            before = await joined(live, 0)
            assert b"rude" in b"".join(before.bodies)
            history.stored[0] = replace(history.stored[0], hidden=True)
            (hiding,) = history.store()
            hiding = history.stored[-1] = replace(hiding, keep="hidden:1", body={"seq": 1})
            live.message(0, published(hiding))
            await settle()
            client = await joined(live, 0)
            assert client.seqs == list(range(1, history.head + 1))
            assert b"rude" not in b"".join(client.bodies)

    run(scenario())


def test_a_word_that_only_looks_like_hiding_costs_no_read() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            await joined(live)
            for body in ({"keep": "hidden:1"}, ',"body":"keep":"hidden:1'):
                for each in history.store(1, body):
                    named = replace(each, type='"keep":"hidden:1"', sender='"keep":"hidden:1')
                    live.message(0, published(named))
            await settle()
            reads = len(history.reads)
            assert (await joined(live, 0)).seqs == [1, 2]
            assert len(history.reads) == reads

    run(scenario())


def test_hundreds_who_resume_at_once_share_the_reads() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(2 * PAGE + 20)
        async with topic(history) as live:
            clients = await asyncio.gather(*(joined(live, n % 40) for n in range(200)))
            for n, client in enumerate(clients):
                assert client.seqs == list(range(n % 40 + 1, history.head + 1))
            assert len(history.reads) < 8

    run(scenario())


def test_a_removed_member_is_sent_nothing_more_in_the_middle_of_resuming() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=0.1)
        history.store(2 * PAGE)
        async with topic(history) as live:
            await joined(live)
            client, each = subscriber()
            joining = asyncio.create_task(live.join(each, 0))
            await asyncio.sleep(0.05)
            live.broadcaster.remove(each)
            await joining
            live.message(0, published(history.store()[0]))
            await settle()
            assert client.sink.chunks == []

    run(scenario())


def test_a_removed_member_is_sent_nothing_more_while_waiting_for_its_turn_to_resume() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            await joined(live)
            for each in history.store(3):
                live.message(0, published(each))
            many = [subscriber() for _ in range(50)]
            joining = [asyncio.create_task(live.join(each, 0)) for _, each in many]
            await asyncio.sleep(0)
            client, last = many[-1]
            assert not joining[-1].done()
            live.broadcaster.remove(last)
            await asyncio.gather(*joining)
            assert client.sink.chunks == []
            assert many[0][0].seqs == [1, 2, 3]

    run(scenario())


@pytest.mark.parametrize("resume_after", [None, 3])
def test_a_subscriber_that_left_before_the_topic_began_is_not_attached(
    resume_after: int | None,
) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(3)
        async with topic(history) as live:
            client, each = subscriber()
            joining = asyncio.create_task(live.join(each, resume_after))
            await settle()
            assert not joining.done()
            live.broadcaster.remove(each)
            await joining
            assert len(live.broadcaster) == 0
            stays = await joined(live)
            live.message(0, published(history.store()[0]))
            await settle()
            assert stays.seqs == [4]
            assert client.sink.chunks == []

    run(scenario())


def test_for_a_member_who_is_removed_while_resuming_no_further_page_is_read() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(5 * PAGE)
        async with topic(history) as live:
            client, each = subscriber()
            client.sink.pace = 1.0
            joining = asyncio.create_task(live.join(each, 0))
            await asyncio.sleep(0.5)
            sent, reads = len(client.seqs), len(history.reads)
            assert 0 < sent < history.head
            live.broadcaster.remove(each)
            await joining
            assert len(client.seqs) == sent
            assert len(history.reads) == reads
            assert len(live.broadcaster) == 0

    run(scenario())


def test_a_resuming_client_that_reads_slowly_is_given_a_portion_at_a_time() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(PAGE, body="x" * 5_000)
        history.store(300)
        async with topic(history) as live:
            client, each = subscriber()
            client.sink.pace = 1.0
            joining = asyncio.create_task(live.join(each, 0))
            await asyncio.sleep(2.5)
            assert len(b"".join(client.sink.chunks)) < 4 * 70_000
            fast = await joined(live, 0)
            assert fast.seqs == list(range(1, history.head + 1))
            await joining
            assert client.seqs == list(range(1, history.head + 1))

    run(scenario())


def test_a_hole_that_the_history_lost_is_told_to_everyone_and_the_topic_begins_anew() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            clients = [await joined(live) for _ in range(3)]
            resuming = asyncio.create_task(joined(live, 0))
            await resuming
            history.store(5)
            history.first = 4
            live.message(0, published(history.stored[-1]))
            await asyncio.sleep(1)
            for client in (*clients, resuming.result()):
                assert isinstance(client.ended, NotKept)
                assert client.seqs == []
            anew = await joined(live)
            live.message(0, published(history.store()[0]))
            await settle()
            assert anew.seqs == [6]

    run(scenario())


def test_a_subscriber_that_was_resuming_when_the_stream_broke_is_told_too() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(600)
        async with topic(history) as live:
            await joined(live)
            client, each = subscriber()
            client.sink.pace = 10.0
            joining = asyncio.create_task(live.join(each, 0))
            await asyncio.sleep(5)
            history.store(5)
            history.first = 604
            live.message(0, published(history.stored[-1]))
            with pytest.raises((StoreUnavailable, NotKept)):
                await joining

    run(scenario())


def test_a_bug_in_filling_leaves_nobody_half_alive(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeHistory):
        """A history whose reads fail once it has messages."""

        async def read(self, *args: Any, **more: Any) -> Any:
            if self.head:
                raise ZeroDivisionError
            return await super().read(*args, **more)

    async def scenario() -> None:
        history = Broken()
        async with topic(history) as live:
            client = await joined(live)
            history.store(2)
            live.message(0, published(history.stored[-1]))
            await asyncio.sleep(1)
            assert isinstance(client.ended, Internal)

    run(scenario())
    assert "ZeroDivisionError" in caplog.text


def test_messages_that_come_faster_than_they_go_out_are_read_from_the_history_later() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            size = 60_000
            many = history.store(3 * PENDING // size, body="x" * size)
            for each in many:
                live.message(0, published(each))
                live.message(0, foreign(each.encode()))
            assert sum(len(d.tail) for d in live.broadcaster._pending) < PENDING + 2 * size
            await asyncio.sleep(5)
            assert [seq for f in client.frames if f.get("room") and (seq := f.get("seq"))] == [
                str(each.seq) for each in many
            ]

    run(scenario())


def test_messages_posted_here_while_more_come_than_go_out_are_left_to_the_history() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            # Once as much is pending as may be, in one turn of the loop.
            (first,) = history.store(1, body="x" * PENDING)
            live.stored(first)
            (second,) = history.store(1)
            live.stored(second)
            assert [each.seq for each in live.broadcaster._pending] == [1]
            live.message(0, published(second))
            await asyncio.sleep(1)
            assert client.seqs == [1, 2]
            assert history.reads[-1] == 1

    run(scenario())


def test_the_history_is_not_read_while_more_comes_than_goes_out() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            reads = len(history.reads)
            live.broadcaster.flowing.clear()
            history.store(1)
            live.grown(1)
            await asyncio.sleep(5)
            assert len(history.reads) == reads
            live.broadcaster.flowing.set()
            await asyncio.sleep(0.1)
            assert client.seqs == [1]

    run(scenario())


def of_bytes(size: int) -> str:
    """A body that makes a message of so many bytes."""
    return "x" * (size - len(message(2, "x").encode()) + 1)


@pytest.mark.parametrize(("size", "held"), [(128 * 1024, True), (128 * 1024 + 1, False)])
def test_a_large_message_that_comes_early_is_not_held_but_read_when_its_turn_comes(
    size: int, held: bool
) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            reads = len(history.reads)
            (first,) = history.store(1)
            (large,) = history.store(1, body=of_bytes(size))
            frame = published(large)
            assert len(frame.body) == size
            live.message(0, frame)
            live.message(0, published(first))
            await settle()
            assert client.seqs == ([1, 2] if held else [1])
            await asyncio.sleep(0.1)
            assert client.seqs == [1, 2]
            assert len(history.reads) == reads + (0 if held else 1)

    run(scenario())


def test_a_large_message_whose_turn_it_is_costs_no_read() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client = await joined(live)
            reads = len(history.reads)
            (large,) = history.store(1, body="x" * 200_000)
            live.message(0, published(large))
            await asyncio.sleep(1)
            assert client.seqs == [1]
            assert len(history.reads) == reads

    run(scenario())


# Without a feed


def test_a_topic_that_no_feed_brings_waits_a_moment_for_one_and_then_begins_without() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(3)
        clock = asyncio.get_running_loop().time
        async with topic(history, standing=()) as live:
            began = clock()
            joining = asyncio.create_task(joined(live))
            await asyncio.sleep(SOON / 2)
            assert not joining.done()
            client = await joining
            assert clock() - began == pytest.approx(SOON, abs=0.1)
            history.store(1)
            live.grown(4)
            await asyncio.sleep(0.1)
            assert client.seqs == [4]
            # Nobody else waits for what has not come yet.
            began = clock()
            await joined(live)
            assert clock() - began < 0.1

    run(scenario())


def test_a_topic_that_a_feed_brings_in_a_moment_begins_then() -> None:
    async def scenario() -> None:
        async with topic(FakeHistory(), standing=()) as live:
            joining = asyncio.create_task(joined(live))
            await asyncio.sleep(SOON / 4)
            live.subscribed(1)
            client = await joining
            assert asyncio.get_running_loop().time() < SOON / 2
            live.message(1, foreign(b"without a number"))
            await settle()
            assert client.bodies == [b"without a number"]

    run(scenario())


def test_a_resuming_subscriber_of_a_topic_whose_feeds_are_gone_gets_all_before_the_receipt() -> (
    None
):
    async def scenario() -> None:
        history = FakeHistory()
        history.store(91)
        async with topic(history) as live:
            other = await joined(live)
            for feed in (0, 1):
                live.lost(feed)
            await asyncio.sleep(10)
            history.store(351)
            client = await joined(live, 0)
            assert client.seqs == list(range(1, 443))
            await settle()
            assert other.seqs == list(range(92, 443))
            late, each = subscriber()
            assert await live.join(each, None) == 442
            assert late.seqs == []

    run(scenario())


def test_a_subscriber_resuming_when_a_feed_has_just_come_back_gets_all_before_the_receipt() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=1.0)
        history.store(91)
        async with topic(history) as live:
            await joined(live)
            for feed in (0, 1):
                live.lost(feed)
            await asyncio.sleep(60)
            history.store(351)
            live.subscribed(0)
            assert (await joined(live, 0)).seqs == list(range(1, 443))

    run(scenario())


def test_hundreds_who_come_to_a_topic_without_a_feed_share_the_reads() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history, standing=()) as live:
            await joined(live)
            history.store(20)
            reads = len(history.reads)
            clients = await asyncio.gather(*(joined(live, 0) for _ in range(300)))
            assert all(client.seqs == list(range(1, 21)) for client in clients)
            assert len(history.reads) - reads <= 3

    run(scenario())


def test_a_read_that_began_before_somebody_came_is_not_what_they_get() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=0.5)
        async with topic(history, standing=()) as live:
            await joined(live)
            first = asyncio.create_task(joined(live))
            await asyncio.sleep(0.1)
            history.store(5)
            client, each = subscriber()
            assert await live.join(each, 0) == 0
            assert client.seqs == [1, 2, 3, 4, 5]
            await first

    run(scenario())


def test_a_feed_that_returns_and_is_late_brings_nothing_twice() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history, standing=(0,)) as live:
            client = await joined(live)
            live.lost(0)
            assert not live.fed
            new = history.store(5)
            live.grown(5)
            await asyncio.sleep(0.1)
            live.subscribed(0)
            assert live.fed
            for each in new:
                live.message(0, published(each))
            live.message(0, published(history.store(1)[0]))
            await settle()
            assert client.seqs == [1, 2, 3, 4, 5, 6]

    run(scenario())


def test_a_store_that_is_away_for_a_moment_is_waited_for_and_not_for_ever() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(300)
        async with topic(history) as live:
            history.away = True
            joining = asyncio.create_task(joined(live, 0))
            await asyncio.sleep(5)
            assert not joining.done()
            history.away = False
            assert (await joining).seqs == list(range(1, 301))
            history.away = True
            for feed in (0, 1):
                live.lost(feed)
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreUnavailable):
                await joined(live)
            assert asyncio.get_running_loop().time() - began < 15

    run(scenario())


# Any course of events

Feed = Literal[0, 1]


@dataclass(frozen=True)
class Publish:
    """Store a message, perhaps of this gateway's own; each feed that stands brings it after so many
    ms, if it still does then."""

    delays: tuple[int, int]
    own: bool


@dataclass(frozen=True)
class Die:
    """A feed is lost."""

    feed: Feed


@dataclass(frozen=True)
class Hang:
    """Nothing comes any more, and nobody knows before `Die`."""

    feed: Feed


@dataclass(frozen=True)
class Stand:
    """A feed is subscribed."""

    feed: Feed


@dataclass(frozen=True)
class Look:
    """The history is looked at for topics without a feed."""


@dataclass(frozen=True)
class Join:
    """A subscriber comes.

    `back`: resume from so many messages before the head; None: from now on.
    """

    back: int | None


@dataclass(frozen=True)
class Leave:
    """A subscriber leaves."""

    which: int


@dataclass(frozen=True)
class Pause:
    """Time passes."""

    ms: int


@dataclass(frozen=True)
class Store:
    """A message is stored."""

    away: bool
    latency_ms: int


feeds: st.SearchStrategy[Feed] = st.sampled_from((0, 1))
steps = st.one_of(
    st.builds(Publish, st.tuples(st.integers(0, 200), st.integers(0, 20)), st.booleans()),
    st.builds(Publish, st.tuples(st.integers(0, 20), st.integers(0, 200)), st.booleans()),
    st.builds(Die, feeds),
    st.builds(Hang, feeds),
    st.builds(Stand, feeds),
    st.builds(Look),
    st.builds(Join, st.none() | st.integers(0, 8)),
    st.builds(Leave, st.integers(0, 9)),
    st.builds(Pause, st.integers(0, 400)),
    st.builds(Store, st.booleans(), st.sampled_from((0, 1, 30, 300))),
)


class Course:
    """Plays the steps. What hangs or dies loses what was on its way."""

    def __init__(self, live: Topic, history: FakeHistory) -> None:
        self.live = live
        self.history = history
        self.loop = asyncio.get_running_loop()
        self.session = [0, 0]
        self.stands = [False, False]
        self.hangs = [False, False]
        self.present: list[tuple[FakeClient, Subscriber, asyncio.Task[int | None]]] = []
        self.gone: list[FakeClient] = []

    async def play(self, step: object) -> None:
        self._happen(step)
        match step:
            case Join(back):
                client, each = subscriber()
                after = None if back is None else max(0, self.history.head - back)
                task = asyncio.create_task(self._join(each, after))
                self.present.append((client, each, task))
                await asyncio.sleep(0)
            case Leave(which) if self.present:
                client, each, task = self.present.pop(which % len(self.present))
                self.live.broadcaster.remove(each)
                await task
                self.gone.append(client)
            case Pause(ms):
                await asyncio.sleep(ms / 1000)
            case Store(away, latency):
                self.history.away, self.history.latency = away, latency / 1000

    def _happen(self, step: object) -> None:
        """The events of the feeds."""
        match step:
            case Publish(late, own):
                self._publish(late, own=own)
            case Die(feed):
                self._die(feed)
            case Hang(feed):
                self.hangs[feed] = True
            case Stand(feed):
                self._stand(feed)
            case Look() if not self.live.fed and not self.history.away:
                self.live.grown(self.history.head)

    async def heal(self) -> None:
        self.history.away, self.history.latency = False, 0.001
        for feed in (0, 1):
            if self.hangs[feed]:
                self._die(feed)
            self._stand(feed)
        await asyncio.sleep(10)

    async def _join(self, each: Subscriber, after: int | None) -> int | None:
        """The seq after which it begins; None: it could not join."""
        try:
            return await self.live.join(each, after)
        except StoreUnavailable:
            return None

    def _publish(self, late: tuple[int, int], *, own: bool) -> None:
        (new,) = self.history.store()
        if own:
            self.live.stored(new)
        for feed in (0, 1):
            if self.stands[feed] and not self.hangs[feed]:
                bring = (feed, self.session[feed], new)
                self.loop.call_later(late[feed] / 1000, self._bring, *bring)

    def _bring(self, feed: int, session: int, new: Message) -> None:
        if session != self.session[feed] or self.hangs[feed]:
            return
        if not self.live.knows(brought(new)):
            self.live.message(feed, published(new))

    def _die(self, feed: Feed) -> None:
        self.session[feed] += 1
        self.stands[feed] = self.hangs[feed] = False
        self.live.lost(feed)

    def _stand(self, feed: Feed) -> None:
        if not self.stands[feed]:
            self.stands[feed] = True
            self.live.subscribed(feed)


@given(st.lists(steps, min_size=5, max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_course_of_events_ends_with_every_subscriber_at_the_head_without_a_hole(
    course: list[object],
) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history, standing=()) as live:
            played = Course(live, history)
            for step in course:
                await played.play(step)
            await played.heal()
            for client in played.gone:
                assert all(second == first + 1 for first, second in pairwise(client.seqs))
            for client, _, task in played.present:
                start = await task
                assert client.ended is None
                if start is not None:
                    assert client.seqs == list(range(start + 1, history.head + 1))

    run(scenario())


def forged(seq: int) -> Frame:
    """Like the pipeline's in everything, but that it never was in the history."""
    return published(message(seq, "forged"))
