import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.errors import GatewayError, IdReused, Invalid, RoomClosed, UnknownRoom
from gateway.store import Appended, Store
from tests.integration.store.content import (
    NOON,
    draft,
    history,
    new_stream,
    outbox_size,
    stored,
)


@pytest.mark.gen_test
async def test_messages_are_numbered_from_one_in_the_order_of_the_batch(store: Store) -> None:
    stream = await new_stream(store)
    drafts = [draft(stream, n) for n in range(10)]
    messages = stored(await store.append(drafts[:3]) + await store.append(drafts[3:]))
    assert messages == [d.numbered(n) for n, d in enumerate(drafts, start=1)]
    assert await history(store, stream) == messages


@pytest.mark.gen_test
async def test_each_stream_counts_by_itself(store: Store) -> None:
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    other = await new_stream(store)
    answers = await store.append([draft(s) for s in (public, private, other, public, other)])
    assert [message.seq for message in stored(answers)] == [1, 1, 1, 2, 2]


@pytest.mark.gen_test
async def test_an_empty_batch_has_no_answers(store: Store) -> None:
    assert await store.append([]) == []


@pytest.mark.gen_test
async def test_a_batch_of_512_is_one_batch(store: Store) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream, n) for n in range(512)]))
    assert [message.seq for message in messages] == list(range(1, 513))
    assert await history(store, stream) == messages


@pytest.mark.gen_test
async def test_any_json_value_comes_back(store: Store) -> None:
    stream = await new_stream(store)
    bodies: list[Any] = [
        *(None, True, 0, 1.5, 10**40, "", [], {}, "x" * 65_536),
        "\0 and \ud800 and 한글 and 🎓",
        {"b": [1, {"a": None}], "a": "\0", "\0": 1},
    ]
    await store.append([draft(stream, body) for body in bodies])
    # repr tells 1, 1.0 and True apart, and the order of keys.
    assert [repr(message.body) for message in await history(store, stream)] == [
        repr(body) for body in bodies
    ]


@pytest.mark.gen_test
async def test_the_time_comes_back_in_utc_with_microseconds(store: Store) -> None:
    stream = await new_stream(store)
    moment = datetime(2026, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-9)))
    await store.append([draft(stream, at=moment)])
    (message,) = await history(store, stream)
    assert message.sent_at == moment
    assert message.sent_at.tzinfo is UTC


@pytest.mark.gen_test
async def test_a_repeated_id_gets_the_first_answer(store: Store) -> None:
    stream = await new_stream(store)
    first = draft(stream, {"a": 1, "b": 2})
    (message,) = stored(await store.append([first]))
    again = draft(stream, {"b": 2, "a": 1}, id=first.id, at=NOON + timedelta(hours=1))
    assert await store.append([again]) == [Appended(message, repeated=True, published=False)]
    await store.mark_published([first.id])
    assert await store.append([again]) == [Appended(message, repeated=True, published=True)]
    assert await history(store, stream) == [message]


@pytest.mark.gen_test
async def test_one_id_twenty_times_in_a_batch_is_one_row(store: Store) -> None:
    stream = await new_stream(store)
    one = draft(stream)
    answers = await store.append([one] * 20)
    (message,) = await history(store, stream)
    assert message == one.numbered(1)
    assert answers == [
        Appended(message, repeated=False),
        *[Appended(message, repeated=True)] * 19,
    ]


@pytest.mark.gen_test
async def test_an_id_with_another_body_is_refused(store: Store) -> None:
    stream = await new_stream(store)
    pairs: list[tuple[Any, Any]] = [(1, 1.0), (1, True), (0, False), ("1", 1), (None, 0)]
    pairs += [([1], [1.0]), ({"a": 1}, {"a": True})]
    for first, second in pairs:
        one = draft(stream, first)
        good, bad = await store.append([one, draft(stream, second, id=one.id)])
        assert isinstance(good, Appended)
        assert isinstance(bad, IdReused)
        (later,) = await store.append([draft(stream, second, id=one.id)])
        assert isinstance(later, IdReused)
    assert len(await history(store, stream)) == len(pairs)


@pytest.mark.gen_test
async def test_an_id_with_another_sender_type_or_stream_is_refused(store: Store) -> None:
    stream = await new_stream(store)
    other = await new_stream(store)
    one = draft(stream)
    await store.append([one])
    answers = await store.append(
        [
            draft(stream, id=one.id, sender="eve"),
            draft(stream, id=one.id, kind="quiz"),
            draft(other, id=one.id),
            draft(Stream(Audience.PRIVATE, stream.room), id=one.id),
        ]
    )
    assert [type(answer) for answer in answers] == [IdReused] * 4


@pytest.mark.gen_test
async def test_a_wrong_draft_fails_alone_and_takes_no_number(store: Store) -> None:
    stream = await new_stream(store)
    closed = await new_stream(store)
    await store.close_room(closed.room, NOON)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    wrong: list[tuple[Draft, type[GatewayError]]] = [
        (draft(closed), RoomClosed),
        (draft(Stream(Audience.PUBLIC, 4711)), UnknownRoom),
        (draft(Stream(Audience.PUBLIC, 0)), UnknownRoom),
        (draft(Stream(Audience.PUBLIC, 2**63)), UnknownRoom),
        (draft(stream, float("nan")), Invalid),
        (draft(stream, float("inf")), Invalid),
        (draft(stream, {1, 2}), Invalid),
        (draft(stream, deep), Invalid),
        (draft(stream, sender="a\0b"), Invalid),
        (draft(stream, sender="\ud800"), Invalid),
        (draft(stream, kind="a\0b"), Invalid),
        (draft(stream, kind="x" * 256), Invalid),
    ]
    answers = await store.append([draft(stream, 1), *(one for one, _ in wrong), draft(stream, 2)])
    assert [type(answer) for answer in answers[1:-1]] == [kind for _, kind in wrong]
    assert [message.seq for message in stored([answers[0], answers[-1]])] == [1, 2]
    assert [message.body for message in await history(store, stream)] == [1, 2]


@pytest.mark.gen_test
async def test_a_repeated_id_is_answered_after_its_room_was_closed(store: Store) -> None:
    stream = await new_stream(store)
    one = draft(stream)
    (message,) = stored(await store.append([one]))
    await store.close_room(stream.room, NOON)
    again, new = await store.append([one, draft(stream)])
    assert again == Appended(message, repeated=True)
    assert isinstance(new, RoomClosed)


@pytest.mark.gen_test
async def test_two_gateways_number_without_hole_or_repetition(
    store: Store, other_gateway: Store
) -> None:
    """Both post to the same streams at once, every id from both sides, in any order."""
    streams = [await new_stream(store) for _ in range(3)]
    streams += [Stream(Audience.PRIVATE, stream.room) for stream in streams]
    drafts = [draft(streams[n % len(streams)], n) for n in range(240)]

    async def post(gateway: Store, order: list[Draft]) -> list[Appended | GatewayError]:
        batches = [order[n : n + 15] for n in range(0, len(order), 15)]
        answers = await asyncio.gather(*(gateway.append(batch) for batch in batches))
        return [answer for batch in answers for answer in batch]

    forth, back = await asyncio.gather(
        post(store, drafts), post(other_gateway, list(reversed(drafts)))
    )
    assert stored(forth) == list(reversed(stored(back)))
    fresh = [a for a in forth + back if isinstance(a, Appended) and not a.repeated]
    assert len(fresh) == len(drafts)
    for stream in streams:
        kept = await history(store, stream)
        assert [message.seq for message in kept] == list(range(1, 41))
        assert {message.id for message in kept} == {d.id for d in drafts if d.stream == stream}
    assert await outbox_size(store) == len(drafts)


@pytest.mark.gen_test
async def test_one_id_on_two_streams_at_once_is_stored_on_one(
    store: Store, other_gateway: Store
) -> None:
    here, there = await new_stream(store), await new_stream(store)
    for n in range(1, 21):
        ids = [uuid4() for _ in range(5)]
        answers = await asyncio.gather(
            store.append([draft(here, id=id) for id in ids]),
            other_gateway.append([draft(there, id=id) for id in reversed(ids)]),
        )
        kinds = sorted(type(answer).__name__ for batch in answers for answer in batch)
        assert kinds == ["Appended"] * 5 + ["IdReused"] * 5
        assert len(await history(store, here)) + len(await history(store, there)) == 5 * n


@pytest.mark.gen_test
async def test_nothing_is_appended_behind_the_closing_of_a_room(
    store: Store, other_gateway: Store
) -> None:
    for _ in range(10):
        stream = await new_stream(store)
        posts = [asyncio.ensure_future(store.append([draft(stream)])) for _ in range(5)]
        await other_gateway.close_room(stream.room, NOON)
        kept = await history(other_gateway, stream)
        answers = [(await post)[0] for post in posts]
        stored_later = await history(other_gateway, stream)
        assert stored_later == kept
        assert sum(isinstance(answer, Appended) for answer in answers) == len(kept)


@pytest.mark.gen_test
async def test_a_message_stored_under_an_id_is_found_again(
    store: Store, other_gateway: Store
) -> None:
    assert await store.stored(uuid4()) is None
    word = draft(await new_stream(store), {"a": ["\0", "\ud800", 1.0]})
    (first,) = stored(await store.append([word]))
    assert await other_gateway.stored(word.id) == Appended(first, repeated=True)
    await store.mark_published([word.id])
    assert await other_gateway.stored(word.id) == Appended(first, repeated=True, published=True)
