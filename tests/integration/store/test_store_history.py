import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.errors import HistoryFull, UnknownRoom
from gateway.store import Page, Store
from gateway.store.quota import Quota
from gateway.store.records import OutboxSize
from gateway.store.retention import ROWS
from tests.integration.store.content import (
    NOON,
    draft,
    history,
    new_stream,
    outbox_size,
    stored,
)

DAY = timedelta(days=1)


@pytest.mark.gen_test
async def test_a_page_starts_after_and_ends_at_the_limit(store: Store) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream, n) for n in range(10)]))
    assert await store.read(stream, after=0, limit=4) == Page(messages[:4], head=10, first=1)
    assert await store.read(stream, after=7, limit=4) == Page(messages[7:], head=10, first=1)
    assert await store.read(stream, after=-5, limit=1) == Page(messages[:1], head=10, first=1)


@pytest.mark.gen_test
async def test_a_page_beyond_the_end_is_empty_and_knows_the_head(store: Store) -> None:
    stream = await new_stream(store)
    await store.append([draft(stream, n) for n in range(10)])
    for after in (10, 11, 2**63, 10**30):
        assert await store.read(stream, after=after, limit=4) == Page([], head=10, first=1)


@pytest.mark.gen_test
async def test_a_new_stream_has_head_zero(store: Store) -> None:
    stream = await new_stream(store)
    assert await store.read(stream, after=0, limit=10) == Page([], head=0, first=1)


@pytest.mark.gen_test
async def test_a_stream_of_no_room_is_unknown(store: Store) -> None:
    for room in (-1, 0, 4711, 2**63, 10**30):
        with pytest.raises(UnknownRoom):
            await store.read(Stream(Audience.PUBLIC, room), after=0, limit=10)


@pytest.mark.gen_test
async def test_many_streams_tell_at_once_where_they_end(store: Store) -> None:
    public, quiet = await new_stream(store), await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    await store.append([draft(public, n) for n in range(3)] + [draft(private, "one")])
    nowhere = [Stream(Audience.PUBLIC, room) for room in (-1, 0, 4711, 2**63, 10**30)]
    wanted = [public, private, quiet, *nowhere]
    assert await store.heads(wanted) == {public: 3, private: 1, quiet: 0}
    assert await store.heads([private]) == {private: 1}
    assert await store.heads(nowhere) == await store.heads([]) == {}


@pytest.mark.gen_test
async def test_a_stream_shows_nothing_of_another(store: Store) -> None:
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    other = await new_stream(store)
    await store.append([draft(stream, str(stream)) for stream in (public, private, other)])
    for stream in (public, private, other):
        assert [message.body for message in await history(store, stream)] == [str(stream)]


@pytest.mark.gen_test
async def test_a_sender_sees_what_they_sent(store: Store) -> None:
    stream = await new_stream(store, Audience.PRIVATE)
    drafts = [draft(stream, n, sender=("paul", "zoe")[n % 2]) for n in range(10)]
    messages = stored(await store.append(drafts))
    page = await store.read(stream, after=2, limit=3, sender="zoe")
    assert page == Page([messages[3], messages[5], messages[7]], head=10, first=1)
    for stranger in ("eve", "", "a\0b", "\ud800", "%"):
        nothing = await store.read(stream, after=0, limit=3, sender=stranger)
        assert nothing == Page([], head=10, first=1)


@pytest.mark.parametrize(
    "types", [["vote", "hand"], ["vote", "message", "vote"], ["message"], [], ["\0"]]
)
@pytest.mark.gen_test
async def test_a_page_of_certain_types_has_these_alone(store: Store, types: list[str]) -> None:
    stream = await new_stream(store)
    kinds = ("message", "vote", "chat", "hand")
    messages = stored(await store.append([draft(stream, kind=kinds[n % 4]) for n in range(12)]))
    wanted = [message for message in messages[3:] if message.type in types]
    page = await store.read(stream, after=3, limit=2, types=types)
    assert page == Page(wanted[:2], head=12, first=1)


@pytest.mark.gen_test
async def test_a_message_keeps_its_senders_role(store: Store) -> None:
    stream = await new_stream(store)
    roles = (None, MemberRole.HOST, MemberRole.PARTICIPANT)
    await store.append([replace(draft(stream), role=role) for role in roles])
    assert [message.role for message in await history(store, stream)] == list(roles)


@pytest.mark.gen_test
async def test_a_closed_room_keeps_its_history(store: Store) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream)]))
    await store.close_room(stream.room, NOON)
    assert await history(store, stream) == messages


@pytest.mark.gen_test
async def test_the_outbox_holds_what_is_not_published_yet_in_order(store: Store) -> None:
    one, two = await new_stream(store), await new_stream(store)
    assert await store.unpublished_streams() == []
    await store.append([draft((one, two)[n % 2], n) for n in range(10)])
    kept = await history(store, one)
    assert await store.unpublished_streams() == [one, two]
    assert await outbox_size(store) == 10
    # Each body is a digit.
    assert await store.outbox_size() == OutboxSize(messages=10, bytes=10)
    assert (await store.unpublished_in(one, after=0, limit=3)).messages == kept[:3]
    assert (await store.unpublished_in(one, after=3, limit=3)).messages == kept[3:]
    await store.mark_published([kept[0].id, kept[2].id])
    assert (await store.unpublished_in(one, after=0, limit=9)).messages == [
        kept[1],
        kept[3],
        kept[4],
    ]
    assert await outbox_size(store) == 8
    assert await store.outbox_size() == OutboxSize(messages=8, bytes=8)
    await store.mark_published([message.id for message in kept])
    assert await store.unpublished_streams() == [two]
    assert await history(store, one) == kept


@pytest.mark.gen_test
async def test_marking_twice_or_what_is_unknown_changes_nothing(store: Store) -> None:
    stream = await new_stream(store)
    kept = stored(await store.append([draft(stream), draft(stream)]))
    for _ in range(2):
        await store.mark_published([kept[0].id, draft(stream).id])
    await store.mark_published([])
    assert (await store.unpublished_in(stream, after=0, limit=9)).messages == kept[1:]


@pytest.mark.gen_test
async def test_old_history_goes_and_the_numbering_goes_on(store: Store) -> None:
    stream = await new_stream(store)
    days = [NOON + n * DAY for n in range(4)]
    kept = stored(await store.append([draft(stream, at=day) for day in days]))
    await store.mark_published([message.id for message in kept])
    assert await store.prune(NOON + 2 * DAY) == 2
    assert await store.read(stream, after=0, limit=9) == Page(kept[2:], head=4, first=3)
    assert await store.prune(NOON + 9 * DAY) == 2
    assert await store.read(stream, after=0, limit=9) == Page([], head=4, first=5)
    assert await store.prune(NOON + 9 * DAY) == 0
    (message,) = stored(await store.append([draft(stream)]))
    assert message.seq == 5
    assert await store.read(stream, after=0, limit=9) == Page([message], head=5, first=5)


@pytest.mark.gen_test
async def test_a_room_may_keep_less_and_others_do_not_notice(store: Store) -> None:
    shorter, other = [await new_stream(store) for _ in range(2)]
    private = Stream(Audience.PRIVATE, shorter.room)
    days = [NOON + n * DAY for n in range(4)]
    for stream in (shorter, other, private):
        said = stored(await store.append([draft(stream, at=day) for day in days]))
        await store.mark_published([message.id for message in said])
    now = NOON + 4 * DAY
    assert await store.prune_rooms(now) == 0
    await store.keep_room(shorter.room, 2)
    found = await store.room(shorter.room)
    assert found is not None
    assert found.keep_days == 2
    assert await store.prune_rooms(now) == 4
    for stream, first in ((shorter, 3), (private, 3), (other, 1)):
        page = await store.read(stream, after=0, limit=9)
        assert (page.first, len(page.messages)) == (first, 5 - first)
    await store.keep_room(shorter.room, None)
    assert await store.prune_rooms(now + 9 * DAY) == 0
    with pytest.raises(UnknownRoom):
        await store.keep_room(other.room + 1000, 2)


@pytest.mark.gen_test
async def test_pruning_stops_at_what_is_still_in_the_outbox(store: Store) -> None:
    stream = await new_stream(store)
    kept = stored(await store.append([draft(stream, n) for n in range(4)]))
    await store.mark_published([kept[n].id for n in (0, 1, 3)])
    assert await store.prune(NOON + DAY) == 2
    assert await store.read(stream, after=0, limit=9) == Page(kept[2:], head=4, first=3)
    assert (await store.unpublished_in(stream, after=0, limit=9)).messages == [kept[2]]


@pytest.mark.gen_test
async def test_pruning_makes_no_hole_where_clocks_disagree(store: Store) -> None:
    stream = await new_stream(store)
    moments = [NOON, NOON + 2 * DAY, NOON]
    kept = stored(await store.append([draft(stream, at=moment) for moment in moments]))
    await store.mark_published([message.id for message in kept])
    assert await store.prune(NOON + DAY) == 1
    assert await history(store, stream) == kept[1:]


@pytest.mark.gen_test
async def test_what_is_deleted_makes_room_in_a_full_room(store: Store) -> None:
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    # Of which participants may use 41.
    store.quota = Quota(bytes=46)
    old = [draft(public, "12345678"), draft(private, "가나"), draft(public, "12345678")]
    messages = stored(await store.append(old))

    async def refused(draft: Draft) -> bool:
        [answer] = await store.append([draft])
        return isinstance(answer, HistoryFull)

    assert await refused(draft(public, "1234567"))
    stored(await store.append([draft(private, "1234", at=NOON + 2 * DAY)]))
    assert await refused(draft(private, 123))
    await store.mark_published([message.id for message in messages])
    assert await store.prune(NOON + DAY) == 3
    stored(await store.append([draft(public, "1" * 26), draft(private, 12)]))
    assert await refused(draft(private, "12345"))


@pytest.mark.gen_test
async def test_much_is_pruned_while_messages_come_in(store: Store, other_gateway: Store) -> None:
    stream = await new_stream(store)
    for _ in range(3):
        old = stored(await store.append([draft(stream, n) for n in range(ROWS // 2)]))
        await store.mark_published([message.id for message in old])
    young = [draft(stream, at=NOON + 2 * DAY) for _ in range(50)]
    gone, *_ = await asyncio.gather(
        other_gateway.prune(NOON + DAY), *(store.append([one]) for one in young)
    )
    assert gone == 3 * (ROWS // 2)
    kept = await history(store, stream)
    assert [message.seq for message in kept] == list(range(gone + 1, gone + 51))
    assert (await store.read(stream, after=0, limit=1)).first == gone + 1
