"""Deletion by request: nothing of it can be read afterwards, and the numbers have no hole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from broker.topology import Audience, Stream
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.errors import GatewayError, IdReused, RoomClosed, UnknownRoom
from gateway.store import Store
from gateway.store.erasures import ROWS
from gateway.store.records import QueueDue
from gateway.store.tables import metadata, streams
from tests.integration.store.content import NOON, draft, new_stream, stored
from tests.integration.store.test_store_state import sizes

PARTICIPANT = MemberRole.PARTICIPANT
SECRET = "what nobody may read any more"


async def erase(store: Store, *, room: int | None = None, user: str | None = None) -> Any:
    ordered = await store.order_erasure(
        room=room, user=user, by="root", reason="asked by letter", at=NOON
    )
    return await store.carry_out_erasure(ordered)


async def say(store: Store, stream: Stream, *senders: str) -> list[Message]:
    return stored(await store.append([draft(stream, SECRET, sender=each) for each in senders]))


async def texts(store: Store) -> str:
    """Everything that is in the database as text."""

    def read(connection: Connection) -> str:
        found = []
        for table in metadata.sorted_tables:
            if table.name != "erasures":
                found += [str(tuple(row)) for row in connection.execute(select(table))]
        return "\n".join(found)

    return await store._database.write(read)


def places(messages: list[Message]) -> list[tuple[int | None, str, str, Any]]:
    return [(each.seq, each.sender, each.type, each.body) for each in messages]


@pytest.mark.gen_test
async def test_a_persons_messages_leave_their_place_and_nothing_else(store: Store) -> None:
    stream = await new_stream(store)
    await say(store, stream, "hanna", "paul", "hanna", "paul")
    made = await erase(store, room=stream.room, user="paul")
    found = (await store.read(stream, after=0, limit=9)).messages
    assert places(found) == [
        (1, "hanna", "chat", SECRET),
        (2, "", "deleted", None),
        (3, "hanna", "chat", SECRET),
        (4, "", "deleted", None),
    ]
    page = await store.read_json(stream, after=0, limit=9)
    assert b'"sender":"","role":null,' in page.messages[1]
    assert (made.messages, made.rooms, made.stays) == (2, 1, 0)
    assert (made.done_at is not None, made.by, made.reason) == (True, "root", "asked by letter")
    assert await store.names_out_of_form() == []


@pytest.mark.gen_test
async def test_a_person_is_deleted_in_all_rooms_by_portions(store: Store) -> None:
    rooms = [await new_stream(store) for _ in range(3)]
    private = Stream(Audience.PRIVATE, rooms[2].room)
    await say(store, rooms[0], *["paul"] * (ROWS + 1))
    await say(store, rooms[1], "hanna")
    await say(store, private, "paul")
    for stream in rooms:
        await store.note_stays([Stay(stream.room, "paul", PARTICIPANT, NOON, None, NOON)])
    made = await erase(store, user="paul")
    assert (made.messages, made.stays, made.rooms) == (ROWS + 2, 3, 3)
    for stream in (rooms[0], private):
        page = await store.read(stream, after=0, limit=500)
        assert {each.type for each in page.messages} == {"deleted"}
    assert len((await store.read(rooms[0], after=0, limit=500)).messages) == ROWS + 1
    assert await store.stays(rooms[0].room, limit=9) == []
    # The membership is another matter.
    membership = await store.membership(rooms[0].room, "paul")
    assert membership is not None
    assert membership.role is PARTICIPANT


@pytest.mark.gen_test
async def test_the_rooms_that_have_lost_something_are_found(store: Store) -> None:
    private = Stream(Audience.PRIVATE, (await new_stream(store)).room)
    public, other, empty = [await new_stream(store) for _ in range(3)]
    for each in (public, private):
        await say(store, each, "paul", "hanna")
    await say(store, other, "hanna")
    await erase(store, user="paul")
    rooms = [each.room for each in (other, public, empty, private)]
    assert sorted(await store.with_deleted(rooms)) == sorted([public.room, private.room])
    assert await store.with_deleted([other.room]) == await store.with_deleted([]) == []


@pytest.mark.gen_test
async def test_a_persons_entries_of_the_state_go_and_those_who_follow_it_begin_anew(
    store: Store,
) -> None:
    stream = await new_stream(store)

    def keep(user: str, key: str, role: MemberRole) -> Draft:
        return replace(draft(stream, SECRET, sender=user), keep=key, role=role)

    await store.append(
        [
            keep("paul", "hand", PARTICIPANT),
            keep("hanna", "poll:1", MemberRole.HOST),
            keep("quinn", "hand", PARTICIPANT),
        ]
    )
    known = (await store.read_state(stream, limit=9)).seq
    for user in ("paul", "hanna"):
        await erase(store, user=user)
    state = await store.read_state(stream, after=known, limit=9)
    assert state.whole
    # What a host has said for the room stays the room's, without a name.
    assert [(each.keep, each.sender) for each in state.messages] == [
        ("poll:1", ""),
        ("hand", "quinn"),
    ]
    left = len(json.dumps(SECRET))
    assert await sizes(store, stream.room) == {("public", "quinn"): left, ("public", ""): left}


@pytest.mark.gen_test
async def test_a_deleted_message_cannot_be_posted_again(store: Store) -> None:
    stream = await new_stream(store)
    first = draft(stream, SECRET)
    await store.append([first])
    await erase(store, user="paul")
    (again,) = await store.append([first])
    assert isinstance(again, IdReused)
    assert SECRET not in await texts(store)


@pytest.mark.gen_test
async def test_the_room_has_its_bytes_back(store: Store) -> None:
    stream = await new_stream(store)
    await say(store, stream, "paul")

    def used(connection: Connection) -> list[int]:
        return list(connection.execute(select(streams.c.bytes)).scalars())

    assert sum(await store._database.write(used)) > 0
    await erase(store, user="paul")
    assert sum(await store._database.write(used)) == 0


@pytest.mark.gen_test
async def test_the_private_queue_is_made_anew_if_it_may_hold_what_was_deleted(
    store: Store,
) -> None:
    stream = await new_stream(store)
    await say(store, stream, "hanna", "paul")
    await store.acknowledge({stream: 1})
    await erase(store, user="hanna")
    assert await store.queues_due(9) == {}
    await erase(store, user="paul")
    assert await store.queues_due(9) == {stream.room: QueueDue.RENEWAL}


@pytest.mark.gen_test
async def test_of_a_room_nothing_stays_but_its_numbers(store: Store) -> None:
    stream, other = await new_stream(store), await new_stream(store)
    private = Stream(Audience.PRIVATE, stream.room)
    await say(store, stream, *["paul"] * (ROWS + 1))
    await say(store, private, "hanna")
    await say(store, other, "paul")
    await store.acknowledge({stream: 2})
    await store.note_stays([Stay(stream.room, "paul", PARTICIPANT, NOON, None, NOON)])
    made = await erase(store, room=stream.room)
    assert (made.messages, made.stays, made.rooms) == (ROWS + 2, 1, 1)
    page = await store.read(stream, after=0, limit=9)
    assert (page.messages, page.head, page.first) == ([], ROWS + 1, ROWS + 2)
    room = await store.room(stream.room)
    assert room is not None
    assert (room.title, room.closed_at) == ("", NOON)
    for user in ("paul", "hanna"):
        assert [each.id for each, _ in await store.rooms_of(user)] == [other.room]
    assert await store.queues_due(9) == {stream.room: QueueDue.DELETION}
    (refused,) = await store.append([draft(stream)])
    assert isinstance(refused, RoomClosed)

    def left(connection: Connection) -> dict[str, int]:
        """How many rows each table has of the room."""
        found = {}
        for table in metadata.sorted_tables:
            if "room" in table.c:
                count = select(func.count()).where(table.c.room == stream.room)
                found[table.name] = connection.execute(count).scalar_one()
        return {name: count for name, count in found.items() if count}

    # A table that is added later is deleted from, too.
    assert await store._database.write(left) == {"streams": 2, "erasures": 1}
    assert len((await store.read(other, after=0, limit=9)).messages) == 1


@pytest.mark.gen_test
async def test_who_leaves_a_room_while_it_is_deleted_is_not_recorded(store: Store) -> None:
    stream = await new_stream(store)
    await erase(store, room=stream.room)
    await store.note_stays([Stay(stream.room, "paul", PARTICIPANT, NOON, NOON, NOON)])
    assert await store.stays(stream.room, limit=9) == []


@pytest.mark.gen_test
async def test_a_deletion_that_broke_off_is_seen_and_completed_by_another_gateway(
    store: Store, other_gateway: Store
) -> None:
    stream = await new_stream(store)
    await say(store, stream, "paul")
    known, _ = await other_gateway.erasures_since(0)
    ordered = await store.order_erasure(room=None, user="paul", by="root", reason="", at=NOON)
    newest, (seen,) = await other_gateway.erasures_since(known)
    assert newest > known
    assert seen == ordered
    made = await other_gateway.carry_out_erasure(seen)
    assert made.messages == 1
    # Once more, by whoever has begun it.
    assert await store.carry_out_erasure(ordered) == made
    latest, found = await store.erasures_since(newest)
    assert (latest > newest, found) == (True, [made])
    assert await store.erasures_since(latest) == (latest, [])
    assert await store.erasures() == [made]


@pytest.mark.gen_test
async def test_orders_that_make_no_sense_are_refused(store: Store) -> None:
    for room, kind in ((99, UnknownRoom), (0, UnknownRoom)):
        with pytest.raises(kind):
            await erase(store, room=room)
    with pytest.raises(GatewayError):
        await erase(store, user="a\0b")
    assert await store.erasures() == []
    assert await store.room(99) is None
    assert (await erase(store, user="nobody")).messages == 0
