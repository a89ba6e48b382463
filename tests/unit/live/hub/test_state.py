"""Subscribers that begin with the kept state: each entry once, then everything after the seq at
which the state stood, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.budget.budgets import Budgets
from gateway.budget.table import STATE_BYTES
from gateway.config import Limits
from gateway.domain.kept import Entry
from gateway.domain.message import Message
from gateway.errors import StoreUnavailable, TooMuchRead
from gateway.limits import LiveLimits
from gateway.live.hub.page_cache import PAGE
from gateway.live.hub.state_pages import ENTRIES, LIFETIME, READ, StatePages
from gateway.live.hub.topic import Topic
from tests.kept_fold import fold, standing
from tests.unit.live.fakes import (
    DESTINATION,
    STREAM,
    FakeClient,
    FakeHistory,
    foreign,
    published,
    subscriber,
)
from tests.unit.live.hub.test_topic import topic
from tests.virtual_time import run, settle


def split(client: FakeClient) -> tuple[list[int], list[int]]:
    """The seqs of the state, and of what followed. None of the state comes after other messages."""
    frames = client.frames
    of_state = [frame.get("state") == "true" for frame in frames]
    assert of_state == sorted(of_state, reverse=True)
    seqs = [int(frame.get("seq") or 0) for frame in frames]
    count = sum(of_state)
    return seqs[:count], seqs[count:]


async def begin(live: Topic) -> tuple[FakeClient, int]:
    client, each = subscriber()
    return client, await live.join(each, None, state=True)


def test_hidden_entries_come_to_hosts_alone_and_to_others_when_they_are_shown_again() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.keep("poll", 1)
        rude = history.keep("score:his", "rude", author="bob", host=False)
        async with topic(history) as live:

            async def seen(*, host: bool) -> list[int]:
                client, each = subscriber()
                each.sees_hidden = lambda: host
                await live.join(each, None, state=True)
                return split(client)[0]

            async def hide(body: Any) -> None:
                history.stored[1] = replace(rude, hidden=body is not None)
                live.stored(history.keep("hidden:2", body))
                await settle()

            # Whoever comes next within a second gets what was read before.
            assert await seen(host=False) == [1, 2]
            await hide({"seq": 2})
            assert await seen(host=False) == [1, 3]
            assert await seen(host=True) == [1, 2, 3]
            assert await seen(host=False) == [1, 3]
            await hide(None)
            assert await seen(host=False) == [1, 2]

    run(scenario())


def test_an_entry_that_is_hidden_while_the_state_is_read_is_not_given() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=5.0)
        rude = history.keep("score:his", "rude", author="bob", host=False)
        async with topic(history) as live:
            client, each = subscriber()
            joining = asyncio.create_task(live.join(each, None, state=True))
            # The stream's end is read first.
            await asyncio.sleep(7.0)
            assert history.state_reads
            history.stored[0] = replace(rude, hidden=True)
            live.stored(history.keep("hidden:1", {"seq": 1}))
            await joining
            assert split(client)[0] == [2]

    run(scenario())


def test_the_state_comes_first_and_then_what_follows() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.keep("poll", {"q": 1})
        history.store(3)
        history.keep("hand", 1, author="bob", host=False)
        history.keep("hand", 2, author="ben", host=False)
        history.keep("poll", {"q": 2})
        history.keep("hand", None, author="bob", host=False)
        async with topic(history) as live:
            client, at = await begin(live)
            assert at == 8
            (new,) = history.store()
            live.message(0, published(new))
            await settle()
            assert split(client) == ([6, 7], [9])
            first = client.frames[0]
            assert first.get("destination") == DESTINATION
            assert first.get("subscription") == "s"
            assert first.get("sender") == "ben"
            assert first.body == history.stored[5].encode()
            # Nothing of the history was read but where it ends.
            assert len(history.reads) == 1

    run(scenario())


def test_without_an_entry_the_subscriber_gets_what_follows() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(5)
        async with topic(history) as live:
            client, at = await begin(live)
            assert (at, client.frames) == (5, [])

    run(scenario())


def test_ten_thousand_messages_later_the_state_is_as_near_as_ever() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.keep("poll", {"q": 1})
        history.store(10_000)
        async with topic(history) as live:
            client, at = await begin(live)
            assert (at, split(client)) == (10_001, ([1], []))
            assert len(history.reads) == 1

    run(scenario())


def test_an_entry_that_changes_while_the_pages_are_read_comes_with_what_follows() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        count = 2 * ENTRIES
        for number in range(count):
            history.keep(f"poll:{number}", number)
        async with topic(history) as live:
            client, each = subscriber()
            client.sink.pace = 1.0
            joining = asyncio.create_task(live.join(each, None, state=True))
            await asyncio.sleep(0.5)
            # Between the first page and the second one.
            for key, body in (("poll:0", "first page"), (f"poll:{count - 1}", None)):
                live.message(0, published(history.keep(key, body)))
            assert await joining == count
            await settle()
            state, rest = split(client)
            assert state == list(range(1, count))
            assert rest == [count + 1, count + 2]

    run(scenario())


def test_a_topic_that_is_behind_the_database_catches_up_before_it_goes_on() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(3)
        async with topic(history) as live:
            await begin(live)
            # Another gateway has stored these, and no feed has brought them yet.
            history.keep("poll", 1)
            late = history.store(2)
            await asyncio.sleep(2 * LIFETIME)
            client, at = await begin(live)
            assert (at, split(client)) == (6, ([4], []))
            for each in late:
                live.message(0, published(each))
            (new,) = history.store()
            live.message(0, published(new))
            await settle()
            assert split(client) == ([4], [7])

    run(scenario())


def test_a_class_that_comes_in_at_once_shares_the_reads() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        for number in range(2 * ENTRIES):
            history.keep(f"poll:{number}", number)
        async with topic(history) as live:
            clients = await asyncio.gather(*(begin(live) for _ in range(300)))
            assert all(len(split(client)[0]) == 2 * ENTRIES for client, _ in clients)
            assert len(history.state_reads) == 2
            # A moment later, while others speak, the same pages serve, and the rest follows.
            for each in history.store(5):
                live.message(0, published(each))
            client, at = await begin(live)
            assert (at, split(client)[1]) == (500, [501, 502, 503, 504, 505])
            assert len(history.state_reads) == 2
            await asyncio.sleep(2 * LIFETIME)
            assert (await begin(live))[1] == 505

    run(scenario())


def test_a_slow_reader_is_given_a_page_at_a_time() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        for number in range(40):
            history.keep(f"poll:{number}", "x" * 10_000)
        async with topic(history) as live:
            client, each = subscriber()
            client.sink.pace = 1000.0
            joining = asyncio.create_task(live.join(each, None, state=True))
            await asyncio.sleep(1.0)
            assert len(b"".join(client.sink.chunks)) < 2 * READ
            joining.cancel()
            await asyncio.wait([joining])

    run(scenario())


def test_a_removed_member_is_sent_nothing_more_in_the_middle_of_the_state() -> None:
    async def scenario() -> None:
        history = FakeHistory(latency=0.1)
        for number in range(3 * ENTRIES):
            history.keep(f"poll:{number}", number)
        async with topic(history) as live:
            await begin(live)
            await asyncio.sleep(2 * LIFETIME)
            client, each = subscriber()
            joining = asyncio.create_task(live.join(each, None, state=True))
            await asyncio.sleep(0.15)
            live.broadcaster.remove(each)
            sent = len(client.frames)
            await joining
            assert len(client.frames) == sent < 3 * ENTRIES
            assert each not in live.broadcaster._subscribers

    run(scenario())


def test_a_database_that_comes_back_is_waited_for_and_one_that_does_not_is_told() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.keep("poll", 1)
        async with topic(history) as live:
            await begin(live)
            await asyncio.sleep(2 * LIFETIME)
            history.away = True
            joining = asyncio.create_task(begin(live))
            await asyncio.sleep(3.0)
            history.away = False
            client, _ = await joining
            assert split(client) == ([1], [])
            await asyncio.sleep(2 * LIFETIME)
            history.away = True
            with pytest.raises(StoreUnavailable):
                await begin(live)

    run(scenario())


def test_a_message_of_another_producer_cannot_look_like_the_state() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        async with topic(history) as live:
            client, _ = await begin(live)
            live.message(0, foreign(b"x", ("state", "true"), ("State ", "true"), ("x", "y")))
            await settle()
            (frame,) = client.frames
            assert frame.get("state") is None
            assert frame.get("State ") is None
            assert frame.get("x") == "y"

    run(scenario())


def test_a_client_beyond_its_budget_waits_and_is_refused_if_that_takes_too_long() -> None:
    async def scenario() -> None:
        history = FakeHistory()
        for number in range(30):
            history.keep(f"poll:{number}", "x" * 10_000)
        loop = asyncio.get_running_loop()
        limits = Limits(state_bytes_per_second=READ / 10, state_bytes_burst=READ)
        budgets = Budgets(LiveLimits(limits), clock=loop.time)
        pages = StatePages(history, clock=loop.time, budget=budgets.rate(STATE_BYTES))

        async def read(owner: str) -> Any:
            return await pages.part(STREAM, None, destination=DESTINATION, veiled=True, owner=owner)

        first = await read("mina")
        started = loop.time()
        await pages.part(STREAM, first, destination=DESTINATION, veiled=True, owner="mina")
        assert 5 < loop.time() - started < 15
        assert len((await read("bob")).deliveries) == len(first.deliveries)
        await asyncio.sleep(2 * LIFETIME)
        for _ in range(2):
            budgets.rate(STATE_BYTES).spend("mina", cost=READ)
        with pytest.raises(TooMuchRead):
            await read("mina")
        pages.close()

    run(scenario())


class Reader:
    """A client that keeps the state by the rule of docs/reference/kept-state.md."""

    def __init__(self) -> None:
        self.client, self.subscriber = subscriber()

    def state(self, history: list[Message]) -> dict[Entry, int]:
        by_seq = {message.seq: message for message in history}
        kept: dict[Entry, Message] = {}
        for frame in self.client.frames:
            message = by_seq[int(frame.get("seq") or 0)]
            if (entry := message.entry) and (
                entry not in kept or (message.seq or 0) > (kept[entry].seq or 0)
            ):
                kept[entry] = message
        return {
            entry: message.seq or 0 for entry, message in kept.items() if message.body is not None
        }


class Scene:
    """A topic to which things happen, each by the name of a method."""

    def __init__(self, live: Topic, history: FakeHistory, coming: asyncio.TaskGroup) -> None:
        self.live, self.history, self.coming = live, history, coming
        self.unfed: list[Message] = []
        self.joined: list[tuple[Reader, int]] = []

    async def keep(self, key: str, body: Any) -> None:
        self.unfed.append(self.history.keep(key, body))

    async def store(self, count: int) -> None:
        self.unfed += self.history.store(count)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def feed(self) -> None:
        """The feeds bring what they are late with."""
        for each in self.unfed:
            self.live.message(0, published(each))
        self.unfed.clear()

    async def join(self, pace: float) -> None:
        async def come_in() -> None:
            reader = Reader()
            reader.client.sink.pace = pace
            at = await self.live.join(reader.subscriber, None, state=True)
            self.joined.append((reader, at))

        self.coming.create_task(come_in())


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.sampled_from("abc"), st.sampled_from([1, 2, None])),
        st.tuples(st.just("store"), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.sampled_from([0.001, 0.02, 0.5, 1.5])),
        st.tuples(st.just("join"), st.sampled_from([0.0, 0.01, 0.03])),
        st.tuples(st.just("feed")),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(EVENTS, st.integers(1, 3), st.integers(0, 2 * PAGE))
def test_whoever_comes_in_whenever_has_the_fold_of_the_history_and_all_that_follows(
    events: list[tuple[Any, ...]], portion: int, before: int
) -> None:
    async def scenario() -> None:
        history = FakeHistory()
        history.store(before)
        history.portion = portion
        async with topic(history) as live, asyncio.TaskGroup() as coming:
            scene = Scene(live, history, coming)
            for kind, *values in (*events, ("feed",), ("wait", 30.0)):
                await getattr(scene, kind)(*values)
        expected = {entry: m.seq for entry, m in fold(history.stored).items() if m.body}
        assert len(scene.joined) == sum(kind == "join" for kind, *_ in events)
        for reader, at in scene.joined:
            state, rest = split(reader.client)
            assert rest == list(range(at + 1, history.head + 1))
            assert all(seq <= at for seq in state)
            assert len(set(state)) == len(state)
            assert reader.state(history.stored) == expected

    run(scenario())


def test_the_fold_of_tests_is_what_is_promised() -> None:
    history = FakeHistory()
    history.keep("a", 1)
    history.keep("b", 1, author="bob", host=False)
    history.keep("b", 2, author="ben", host=False)
    history.keep("a", 2, author="another host")
    history.keep("b", None, author="bob", host=False)
    assert [message.seq for message in standing(history.stored)] == [3, 4]
