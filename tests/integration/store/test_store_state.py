"""The kept state in the database: whatever was said in whatever batches, by whichever gateway, and
whatever was forgotten or pruned since, it is the fold of the history."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select
from tornado.ioloop import IOLoop

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.errors import (
    GatewayError,
    IdReused,
    Invalid,
    NotOpen,
    RoomClosed,
    StateFull,
    TooManyKeys,
    UnknownRoom,
)
from gateway.store import Appended, Store
from gateway.store.database import Readers
from gateway.store.keys import KeyBounds
from gateway.store.records import StatePage
from gateway.store.tables import kept_sizes
from tests.integration.store.content import NOON, draft, history, new_stream, stored
from tests.kept_fold import fold, seq_of, standing

HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


def kept(
    stream: Stream,
    key: str | None,
    body: Any,
    *,
    host: bool = True,
    sender: str = "paul",
    of: str | None = None,
    only_while: str | None = None,
    id: UUID | None = None,
) -> Draft:
    return replace(
        draft(stream, body, sender=sender, id=id),
        keep=key,
        of=of,
        only_while=only_while,
        role=HOST if host else PARTICIPANT,
    )


async def whole(store: Store, stream: Stream, **given: Any) -> list[Message]:
    page = await store.read_state(stream, limit=1000, **given)
    assert page.complete
    return page.messages


class Mirror:
    """A reader that has some of the state, and asks for what has changed."""

    def __init__(self) -> None:
        self.seq = 0
        self.entries: dict[Entry, Message] = {}

    def take(self, page: StatePage) -> None:
        if page.whole:
            self.entries.clear()
        for message in page.messages:
            assert message.entry is not None
            if message.body is None:
                assert not page.whole
                self.entries.pop(message.entry, None)
            else:
                self.entries[message.entry] = message
        self.seq = page.seq

    @property
    def standing(self) -> list[Message]:
        return sorted(self.entries.values(), key=seq_of)


@pytest.mark.gen_test
async def test_an_entry_is_the_whole_message(store: Store) -> None:
    stream = await new_stream(store)
    said = replace(
        kept(stream, "hand", {"up": "예"}, of="김"), sender_name="Paul", type="a type", sent_at=NOON
    )
    (message,) = stored(await store.append([said]))
    assert await whole(store, stream) == [message] == await history(store, stream)
    (read,) = await whole(store, stream)
    assert read.encode() == message.encode()


@pytest.mark.gen_test
async def test_a_batch_is_judged_draft_by_draft(store: Store) -> None:
    stream = await new_stream(store)
    vote = partial(kept, stream, host=False, only_while="voting")
    answers = await store.append(
        [
            vote("vote", "early"),
            kept(stream, "voting", {}),
            vote("vote", "in time"),
            draft(stream, "between"),
            vote("vote", "in time, too", sender="anna"),
            kept(stream, "voting", None),
            vote("vote", "late"),
            vote(None, "late without a key"),
            kept(stream, "voting", {}, sender="another host"),
            vote("vote", "again"),
        ]
    )
    assert [type(each) for each in answers] == [
        *(NotOpen, Appended, Appended, Appended, Appended, Appended),
        *(NotOpen, NotOpen, Appended, Appended),
    ]
    assert [m.body for m in await whole(store, stream)] == ["in time, too", {}, "again"]
    found = await history(store, stream)
    assert [m.seq for m in found] == list(range(1, 8))
    assert standing(found) == await whole(store, stream)


@pytest.mark.gen_test
async def test_a_condition_is_of_the_rooms_own_public_entry(store: Store) -> None:
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    other = await new_stream(store)
    await store.append(
        [
            kept(private, "open", 1),
            kept(other, "open", 1),
            kept(public, "open", 1, host=False),
            kept(public, "open", 1, of="paul"),
        ]
    )
    (refused,) = await store.append([kept(private, None, 1, only_while="open")])
    assert isinstance(refused, NotOpen)
    await store.append([kept(public, "open", 1)])
    stored(await store.append([kept(private, None, 1, only_while="open")]))


@pytest.mark.gen_test
async def test_a_repeated_id_gets_the_first_answer_and_moves_no_entry(store: Store) -> None:
    stream = await new_stream(store)
    first = kept(stream, "a", 1, id=UUID(int=1), only_while="open")
    await store.append([kept(stream, "open", 1), first, kept(stream, "a", 2)])
    await store.append([kept(stream, "open", None)])
    (again,) = await store.append([first])
    assert isinstance(again, Appended)
    assert again.repeated
    for other in (replace(first, keep="b"), replace(first, of="paul"), replace(first, keep=None)):
        (refused,) = await store.append([other])
        assert isinstance(refused, IdReused)
    assert [(m.keep, m.body) for m in await whole(store, stream)] == [("a", 2)]


@pytest.mark.gen_test
async def test_bounds_count_what_stands(store: Store) -> None:
    stream = await new_stream(store)

    def bound(of_room: int | None, of_author: int | None) -> GatewayError | None:
        count, most = (of_room, 2) if of_author is None else (of_author, 1)
        return TooManyKeys("full") if count is not None and count >= most else None

    store.key_bounds = KeyBounds(number=bound)

    async def told(*drafts: Draft) -> list[bool]:
        return [isinstance(each, Appended) for each in await store.append(drafts)]

    mine = partial(kept, stream, host=False)
    # Within one batch, and then by what stands.
    rooms = [kept(stream, key, 1) for key in "abc"]
    assert await told(*rooms, mine("a", 1), mine("b", 1)) == [True, True, False, True, False]
    assert await told(kept(stream, "c", 1), mine("b", 1)) == [False, False]
    # Another author, another audience.
    private = Stream(Audience.PRIVATE, stream.room)
    assert await told(mine("b", 1, sender="anna"), kept(private, "c", 1)) == [True, True]
    # Whose entry it is counts, not who writes it.
    assert await told(kept(stream, "b", 1, of="paul"), kept(stream, "b", 1, of="lee")) == [
        False,
        True,
    ]
    # What stands may change, and be cleared; then there is room.
    assert await told(kept(stream, "a", 2), kept(stream, "a", None), kept(stream, "c", 1)) == [
        True,
        True,
        True,
    ]
    assert await told(kept(stream, "a", 1), mine("a", None), mine("b", 1), mine("a", 1)) == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.gen_test
async def test_bytes_of_authors_are_bounded(store: Store, other_gateway: Store) -> None:
    stream = await new_stream(store)

    def bound(of_all: int, of_author: int) -> GatewayError | None:
        return StateFull("full") if of_all > 25 or of_author > 10 else None

    for each in (store, other_gateway):
        each.key_bounds = KeyBounds(size=bound)

    async def told(by: Store, key: str, size: int, **given: Any) -> bool:
        # A text has two quotes.
        [answer] = await by.append([kept(stream, key, "x" * (size - 2), host=False, **given)])
        assert isinstance(answer, Appended | StateFull)
        return isinstance(answer, Appended)

    assert await told(store, "a", 8)
    # The other gateway counts by the same numbers; what is shorter may always be said.
    assert not await told(other_gateway, "b", 3)
    assert await told(other_gateway, "a", 7)
    assert await told(other_gateway, "b", 3)
    assert await told(store, "a", 9, sender="anna")
    assert not await told(store, "a", 7, sender="ben")
    assert await told(store, "a", 6, sender="ben")
    [cleared] = await store.append([kept(stream, "a", None, host=False)])
    assert isinstance(cleared, Appended)
    assert await told(store, "b", 10)
    # The room's own are not bounded by it, and an entry of a host for somebody is theirs.
    stored(await store.append([kept(stream, "a", "x" * 100)]))
    [refused] = await store.append([kept(stream, "c", "x" * 10, of="paul")])
    assert isinstance(refused, StateFull)


@pytest.mark.gen_test
async def test_a_condition_ends_with_the_time_in_its_body(store: Store) -> None:
    stream = await new_stream(store)
    private = Stream(Audience.PRIVATE, stream.room)

    async def vote(seconds: int) -> bool:
        at = NOON + timedelta(seconds=seconds)
        cast = kept(private, "vote:1", seconds, host=False, only_while="voting:1")
        [answer] = await store.append([replace(cast, sent_at=at)])
        assert isinstance(answer, Appended | NotOpen)
        return isinstance(answer, Appended)

    def until(seconds: int) -> dict[str, Any]:
        return {"until": (NOON + timedelta(seconds=seconds)).isoformat(), "hidden": False}

    await store.append([kept(stream, "voting:1", until(10))])
    assert [await vote(10), await vote(11)] == [True, False]
    # A host gives more time although it is over.
    [longer] = await store.append([kept(stream, "voting:1", until(30), only_while="voting:1")])
    assert isinstance(longer, Appended)
    assert [await vote(11), await vote(31)] == [True, False]
    await store.append([kept(stream, "voting:1", {"until": None})])
    assert await vote(31)
    # A participant's own entry of that name ends nothing.
    await store.append([kept(stream, "voting:1", until(1), host=False)])
    assert await vote(32)
    assert [m.body for m in await whole(store, private)] == [32]


@pytest.mark.gen_test
async def test_what_cannot_be_stored_fails_alone(store: Store) -> None:
    stream = await new_stream(store)
    closed = await new_stream(store)
    await store.close_room(closed.room, NOON)
    answers = await store.append(
        [
            kept(stream, "a b", 1),
            kept(stream, "a", 1, of="\0"),
            kept(closed, "a", 1),
            kept(Stream(Audience.PUBLIC, 999), "a", 1),
            kept(stream, "a", 1),
        ]
    )
    assert [type(each) for each in answers] == [Invalid, Invalid, RoomClosed, UnknownRoom, Appended]
    assert len(await whole(store, stream)) == 1
    for missing in (Stream(Audience.PUBLIC, 999), Stream(Audience.PUBLIC, 0)):
        with pytest.raises(UnknownRoom):
            await store.read_state(missing, limit=1)


@pytest.mark.gen_test
async def test_pages_end_at_their_limits_and_the_next_one_goes_on(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, f"k{n}", "x" * 10_000) for n in range(10)])
    found: list[Message] = []
    after, sizes = 0, []
    while True:
        page = await store.read_state(stream, after=after, limit=4, size=25_000)
        found += page.messages
        sizes.append(len(page.messages))
        assert page.head == 10
        assert page.whole == (after == 0)
        if page.complete:
            break
        assert page.seq == page.messages[-1].seq
        after = page.seq
    assert sizes == [3, 3, 3, 1]
    assert [m.keep for m in found] == [f"k{n}" for n in range(10)]
    exactly = await store.read_state(stream, limit=10)
    assert exactly.complete
    one = await store.read_state(stream, limit=1, size=1)
    assert (len(one.messages), one.complete) == (1, False)


@pytest.mark.gen_test
async def test_who_begins_from_nothing_gets_on_although_cleared_keys_were_forgotten(
    store: Store,
) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, key, 1) for key in "abcde"])
    await store.append([kept(stream, "e", None), kept(stream, "f", 1)])
    tomorrow = NOON + timedelta(days=1)
    assert await store.forget_keys(tomorrow, spared=tomorrow) == 1
    page = await store.read_state(stream, limit=2)
    found = [m.keep for m in page.messages]
    assert (page.whole, page.complete) == (True, False)
    # Meanwhile one that it has is cleared.
    await store.append([kept(stream, "a", None)])
    for _ in range(2):
        page = await store.read_state(stream, after=page.seq, limit=2, goes_on=True)
        assert not page.whole
        found += [m.keep for m in page.messages]
    assert found == ["a", "b", "c", "d", "f", "a"]
    assert (page.messages[-1].body, page.complete) == (None, True)


@pytest.mark.gen_test
async def test_an_author_has_their_own_entries(store: Store) -> None:
    stream = await new_stream(store)
    await store.append(
        [
            kept(stream, "hand", 1, host=False, sender="anna"),
            kept(stream, "hand", 1, host=False, sender="ben"),
            kept(stream, "note", 1, of="anna"),
            kept(stream, "hand", 1),
        ]
    )
    page = await store.read_state(stream, limit=9, author="anna")
    assert [(m.keep, m.sender) for m in page.messages] == [("hand", "anna"), ("note", "paul")]
    assert (page.seq, page.complete) == (4, True)
    assert (await store.read_state(stream, limit=9, author="nobody")).messages == []


@pytest.mark.gen_test
async def test_the_state_of_one_moment_leaves_out_what_has_changed_since(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, key, 1) for key in "abcd"])
    first = await store.read_state(stream, limit=2)
    await store.append([kept(stream, "a", 2), kept(stream, "c", None), kept(stream, "e", 1)])
    rest = await store.read_state(stream, after=first.seq, limit=9, until=first.head)
    assert [m.keep for m in (*first.messages, *rest.messages)] == ["a", "b", "d"]
    assert rest.complete


@pytest.mark.gen_test
async def test_what_a_host_hides_is_in_no_page_for_others_at_any_gateway(
    store: Store, other_gateway: Store
) -> None:
    stream = await new_stream(store)
    rude = [kept(stream, f"score:{n}", n, host=False) for n in range(1, 4)]
    await store.append([*rude, kept(stream, "hidden:2", {"seq": 2})])

    async def seen(**given: Any) -> list[str | None]:
        return [m.keep for m in await whole(other_gateway, stream, veiled=True, **given)]

    assert await seen() == ["score:1", "score:3", "hidden:2"]
    assert await seen(author="paul") == ["score:1", "score:3"]
    assert await seen(after=1, until=3) == ["score:3"]
    assert len(await whole(other_gateway, stream)) == 4
    # Of the other audience the number is another message's.
    private = Stream(Audience.PRIVATE, stream.room)
    await store.append([kept(private, f"answer:{n}", n, host=False) for n in range(3)])
    assert len(await whole(other_gateway, private, veiled=True)) == 3
    # It is so although the history has forgotten the message.
    await store.mark_published([m.id for m in await history(store, stream)])
    assert await store.prune(NOON + timedelta(days=1)) > 0
    assert await seen() == ["score:1", "score:3", "hidden:2"]
    await store.append([kept(stream, "hidden:2", None)])
    assert await seen() == ["score:1", "score:2", "score:3"]


@pytest.mark.gen_test
async def test_an_entry_outlives_its_message(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, "a", 1), draft(stream, "x"), kept(stream, "b", None)])
    before = await whole(store, stream)
    published = [message.id for message in await history(store, stream)]
    await store.mark_published(published)
    assert await store.prune(NOON + timedelta(days=1)) == 3
    assert await history(store, stream) == []
    assert await whole(store, stream) == before
    # … and its entry goes on to be changed, and to be depended on.
    stored(await store.append([kept(stream, "c", 1, only_while="a"), kept(stream, "a", 2)]))
    assert [m.keep for m in await whole(store, stream)] == ["c", "a"]


@pytest.mark.gen_test
async def test_what_was_cleared_is_forgotten_after_a_time_and_beyond_a_number(
    store: Store,
) -> None:
    stream = await new_stream(store)
    late = NOON + timedelta(hours=2)

    async def say(key: str, body: Any, at: Any = NOON) -> None:
        stored(await store.append([replace(kept(stream, key, body), sent_at=at)]))

    for key in "abcd":
        await say(key, 1)
    mirror, other = Mirror(), Mirror()
    mirror.take(await store.read_state(stream, limit=9))
    await say("a", None)
    await say("b", None)
    other.take(await store.read_state(stream, limit=9))
    await say("c", None, late)
    later = NOON + timedelta(days=1)
    assert await store.forget_keys(NOON + timedelta(hours=1), spared=later) == 2
    # Who has not heard of it begins from nothing; who has goes on.
    page = await store.read_state(stream, after=mirror.seq, limit=9)
    assert page.whole
    mirror.take(page)
    page = await store.read_state(stream, after=other.seq, limit=9)
    assert not page.whole
    other.take(page)
    assert mirror.standing == other.standing == standing(await history(store, stream))
    # Beyond a number the oldest go, whatever their time.
    for n in range(5):
        await say(f"n{n}", 1, late)
        await say(f"n{n}", None, late)
    # … but not what was cleared just now.
    assert await store.forget_keys(NOON, spared=late, most=2) == 0
    assert await store.forget_keys(NOON, spared=later, most=2) == 4
    left = await store.read_state(stream, after=other.seq, limit=99)
    assert left.whole
    assert await store.forget_keys(NOON, spared=later, most=2) == 0
    # What was forgotten may come again.
    await say("a", 2)
    assert [m.keep for m in await whole(store, stream)] == ["d", "a"]


@pytest.mark.gen_test
async def test_a_batch_without_keys_asks_nothing_of_the_state(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, "a", 1)])
    statements: list[str] = []
    database = store._database._database
    engine = getattr(database, "_writing", None) or database._engine.sync_engine  # type: ignore[attr-defined]

    def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    traced: list[str] = []
    event.listen(engine, "before_cursor_execute", note)
    if hasattr(database, "_writing"):
        # The hot statements go straight to the driver.
        await store._database.write(
            lambda connection: connection.connection.driver_connection.set_trace_callback(  # type: ignore[union-attr]
                traced.append
            )
        )
    stored(await store.append([draft(stream, n) for n in range(3)]))
    told = statements + traced
    assert any("INSERT INTO messages" in each for each in told)
    assert not any("kept" in each for each in told)
    stored(await store.append([kept(stream, "a", 2)]))
    assert any("kept" in each for each in statements + traced)


@pytest.mark.gen_test
async def test_readers_of_the_history_keep_nobody_from_the_state(
    store: Store, io_loop: IOLoop
) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, "a", 1)])
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    started = 0

    def hold(found: Any) -> Any:
        nonlocal started
        started += 1
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(10)
        return found

    busy = [
        asyncio.create_task(store._database.scan(lambda _: None, hold, readers=Readers.HISTORY))
        for _ in range(8)
    ]
    async with asyncio.timeout(20):
        while not started:  # noqa: ASYNC110 - threads have no event of the loop's
            await asyncio.sleep(0.01)
    assert len(await asyncio.wait_for(whole(store, stream), 4)) == 1
    held.set()
    await asyncio.gather(*busy)


#: A word of a history: who says it (a host or one of two participants), what with, and where.
WORDS = st.tuples(
    st.sampled_from(["host", "anna", "ben"]),
    st.sampled_from([None, "a", "b", "c"]),
    st.sampled_from([1, 2, None]),
    st.sampled_from([None, None, None, "anna"]),
    st.sampled_from([None, None, None, "a"]),
    st.sampled_from(list(Audience)),
)
#: A history: batches of words, each through one of two gateways; between them somebody reads, old
#: messages are pruned, or what was cleared is forgotten.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 1), st.lists(WORDS, min_size=1, max_size=6)),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 4)),
        st.tuples(st.just("prune"), st.just(0), st.just(0)),
        st.tuples(st.just("forget"), st.just(0), st.integers(0, 2)),
    ),
    max_size=14,
)


async def sizes(store: Store, room: int) -> dict[tuple[str, str], int]:
    """The bytes that the database has counted, by audience and author."""

    def read(connection: Connection) -> dict[tuple[str, str], int]:
        found = connection.execute(select(kept_sizes).where(kept_sizes.c.room == room))
        return {(row.audience, row.author): row.bytes for row in found}

    return await store._database.write(read)


def sizes_of(said: dict[Audience, list[Message]]) -> dict[tuple[str, str], int]:
    """The bytes of what stands of each author, and of all of them."""
    counted: Counter[tuple[str, str]] = Counter()
    for audience, messages in said.items():
        for message in standing(messages):
            if message.entry is not None and message.entry.author is not None:
                for author in (message.entry.author, ""):
                    counted[audience, author] += len(json.dumps(message.body))
    return dict(counted)


class Scene:
    """A room, two gateways that store in it, and readers that are behind by different amounts."""

    def __init__(self, stores: list[Store], streams: dict[Audience, Stream]) -> None:
        self.stores = stores
        self.streams = streams
        self.said: dict[Audience, list[Message]] = {audience: [] for audience in Audience}
        self.mirrors = [{audience: Mirror() for audience in Audience} for _ in range(3)]

    async def say(self, by: int, words: list[Any]) -> None:
        drafts = []
        for who, key, body, of, only_while, audience in words:
            host = who == "host"
            made = kept(
                self.streams[audience],
                key,
                body,
                host=host,
                sender=who,
                of=of if host and key else None,
                only_while=only_while,
            )
            drafts.append(made)
        for made, answer in zip(drafts, await self.stores[by].append(drafts), strict=True):
            audience = made.stream.audience
            if made.only_while is not None:
                entry = Entry(self.streams[Audience.PUBLIC], None, made.only_while)
                now = fold(self.said[Audience.PUBLIC]).get(entry)
                is_open = now is not None and now.body is not None
                assert isinstance(answer, Appended if is_open else NotOpen)
            if isinstance(answer, Appended):
                self.said[audience].append(answer.message)

    async def read(self, who: int, limit: int) -> None:
        """Ask for what has changed, in pages; and from every seq there is."""
        for audience, stream in self.streams.items():
            mirror = self.mirrors[who][audience]
            while True:
                page = await self.stores[0].read_state(stream, after=mirror.seq, limit=limit)
                mirror.take(page)
                if page.complete:
                    break
            assert mirror.standing == standing(self.said[audience])
            assert mirror.seq == len(self.said[audience])

    async def prune(self, _by: int, _: int) -> None:
        await self.stores[0].mark_published([m.id for ms in self.said.values() for m in ms])
        await self.stores[0].prune(NOON + timedelta(days=1))

    async def forget(self, _by: int, most: int) -> None:
        await self.stores[1].forget_keys(NOON, spared=NOON + timedelta(days=1), most=most)

    async def check(self) -> None:
        """From any seq on, what has changed since leads to the fold of the whole history; and so
        many bytes are counted as stand in it."""
        room = next(iter(self.streams.values())).room
        assert await sizes(self.stores[0], room) == sizes_of(self.said)
        for audience, stream in self.streams.items():
            said = self.said[audience]
            for seq in range(len(said) + 2):
                mirror = Mirror()
                before = standing(said[:seq])
                mirror.entries = {each.entry: each for each in before if each.entry is not None}
                mirror.take(await self.stores[0].read_state(stream, after=seq, limit=1000))
                assert mirror.standing == standing(said)
            for author in (None, "anna", "ben"):
                mine = [m for m in standing(said) if m.entry and m.entry.author == author]
                if author is not None:
                    assert await whole(self.stores[1], stream, author=author) == mine


@pytest.fixture
def play(
    store: Store, other_gateway: Store, io_loop: IOLoop
) -> Callable[[list[Any]], Awaitable[None]]:
    async def play(steps: list[Any]) -> None:
        public = await new_stream(store)
        streams = {
            Audience.PUBLIC: public,
            Audience.PRIVATE: Stream(Audience.PRIVATE, public.room),
        }
        scene = Scene([store, other_gateway], streams)
        for kind, *values in steps:
            await getattr(scene, kind)(*values)
        for who in range(3):
            await scene.read(who, 2)
        await scene.check()

    return play


@pytest.mark.usefixtures("store")
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_the_state_from_any_seq_on_is_the_fold_of_any_history(
    play: Callable[[list[Any]], Awaitable[None]], io_loop: IOLoop, steps: list[Any]
) -> None:
    """The database is one for all examples; each has a room of its own."""
    io_loop.run_sync(partial(play, steps))


@pytest.mark.gen_test
async def test_votes_through_two_gateways_count_until_the_one_that_closes(
    store: Store, other_gateway: Store
) -> None:
    stream = await new_stream(store)
    await store.append([kept(stream, "voting", 1)])

    async def vote(by: Store, n: int) -> Appended | GatewayError:
        (answer,) = await by.append(
            [kept(stream, f"vote:{n}", 1, host=False, sender=f"s{n}", only_while="voting")]
        )
        return answer

    votes = [asyncio.create_task(vote((store, other_gateway)[n % 2], n)) for n in range(40)]
    (closed,) = stored(await other_gateway.append([kept(stream, "voting", None)]))
    answers = [*(await asyncio.gather(*votes)), await vote(store, 99)]
    counted = [each.message for each in answers if isinstance(each, Appended)]
    assert all(isinstance(each, Appended | NotOpen) for each in answers)
    assert all(seq_of(message) < seq_of(closed) for message in counted)
    assert sorted(counted, key=seq_of) == await whole(store, stream)
