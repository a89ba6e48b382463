"""The rooms' private queues in the database: identities, numbers, and acknowledgements."""

import asyncio
from importlib import import_module
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, insert, text

from broker.topology import Audience, Stream
from gateway.errors import UnknownRoom
from gateway.store import Store
from gateway.store.records import QueueDue, QueueRecord
from gateway.store.tables import metadata, rooms
from tests.integration.store.content import MEMBERS, NOON, draft, new_stream, stored


@pytest.mark.gen_test
async def test_each_room_has_an_identity_that_no_other_room_had(store: Store) -> None:
    made = [await store.create_room("a room", MEMBERS, NOON) for _ in range(3)]
    found = [await store.private_queue(room.id) for room in made]
    queues = [each for each in found if each is not None]
    assert len({each.identity for each in queues}) == 3
    assert {len(each.identity) for each in queues} == {16}
    assert {(each.number, each.is_open) for each in queues} == {(1, True)}
    assert await store.private_queue(99) is None
    assert await store.private_queue(2**63) is None


@pytest.mark.gen_test
async def test_each_new_queue_of_a_room_has_a_higher_number_on_every_gateway(
    store: Store, other_gateway: Store
) -> None:
    room = (await store.create_room("a room", MEMBERS, NOON)).id
    other = (await store.create_room("a room", MEMBERS, NOON)).id
    given = await asyncio.gather(
        *(each.renew_private_queue(room) for each in (store, other_gateway) * 3)
    )
    assert sorted(given) == [2, 3, 4, 5, 6, 7]
    assert await store.private_queue_numbers([room, other, 99]) == {room: 7, other: 1}
    with pytest.raises(UnknownRoom):
        await store.renew_private_queue(99)


@pytest.mark.gen_test
async def test_a_closed_room_needs_no_queue(store: Store) -> None:
    room = (await store.create_room("a room", MEMBERS, NOON)).id
    await store.close_room(room, NOON)
    found = await store.private_queue(room)
    assert found is not None
    assert not found.is_open
    # Until it is deleted, whichever gateway does it.
    assert found.due is QueueDue.DELETION


@pytest.mark.gen_test
async def test_work_that_is_due_on_queues_is_known_to_all_gateways_until_it_is_done(
    store: Store, other_gateway: Store
) -> None:
    made = [(await store.create_room("a room", MEMBERS, NOON)).id for _ in range(4)]
    assert await store.queues_due(10) == {}
    await store.set_queue_due(made[0], QueueDue.RENEWAL)
    await store.close_room(made[1], NOON)
    await store.set_queue_due(made[1], QueueDue.RENEWAL)
    await store.set_queue_due(made[2], QueueDue.RENEWAL)
    await store.close_room(made[2], NOON)
    deletion, renewal = QueueDue.DELETION, QueueDue.RENEWAL
    due = {made[0]: renewal, made[1]: deletion, made[2]: deletion}
    assert await other_gateway.queues_due(10) == due
    assert len(await other_gateway.queues_due(2)) == 2
    for room in made:
        await other_gateway.set_queue_due(room, None)
    assert await store.queues_due(10) == {}


@pytest.mark.gen_test
async def test_acknowledgements_only_grow_and_never_beyond_the_history(
    store: Store, other_gateway: Store
) -> None:
    public = await new_stream(store)
    private, unknown = Stream(Audience.PRIVATE, public.room), Stream(Audience.PUBLIC, 99)
    stored(await store.append([draft(public) for _ in range(5)]))
    stored(await store.append([draft(private) for _ in range(2)]))
    assert await store.acknowledged([public, private, unknown]) == {
        public: 0,
        private: 0,
        unknown: 0,
    }
    await store.acknowledge({public: 4, unknown: 7})
    await asyncio.gather(
        *(each.acknowledge({public: 3, private: 900}) for each in (store, other_gateway) * 3)
    )
    assert await store.acknowledged([public, private]) == {public: 4, private: 2}


@pytest.mark.gen_test
async def test_what_is_unpublished_names_its_gateway(store: Store, other_gateway: Store) -> None:
    stream = await new_stream(store)
    first, *_ = stored(await store.append([draft(stream), draft(stream)]))
    stored(await other_gateway.append([draft(stream)]))
    await store.mark_published([first.id])
    assert await store.unpublished_seqs(stream) == {2: True, 3: False}
    assert await other_gateway.unpublished_seqs(stream) == {2: False, 3: True}


@pytest.mark.gen_test
async def test_older_rooms_get_an_identity_and_keep_the_queue_that_they_have(
    store: Store,
) -> None:
    migration = import_module("gateway.store.migrations.versions.r0007_private_queues")

    def migrate_again(connection: Connection) -> list[Any]:
        metadata.tables["acknowledged"].drop(connection)
        for column in ("identity", "queue"):
            connection.execute(text(f"ALTER TABLE rooms DROP COLUMN {column}"))
        connection.execute(
            text("INSERT INTO rooms (title, created_at) VALUES ('one', :at), ('two', :at)"),
            {"at": NOON},
        )
        with Operations.context(MigrationContext.configure(connection)):
            migration.upgrade()
        return list(connection.execute(text("SELECT identity, queue FROM rooms")))

    one, two = await store._database.write(migrate_again)
    assert one.identity != two.identity
    assert [len(one.identity), len(two.identity)] == [16, 16]
    assert await store.private_queue(1) == QueueRecord(one.identity, 0, is_open=True)
    assert (await store.create_room("a room", MEMBERS, NOON)).id == 3


@pytest.mark.gen_test
async def test_a_gateway_of_an_earlier_version_can_still_make_rooms(store: Store) -> None:
    """While gateways are updated one after the other."""

    def make(connection: Connection) -> None:
        connection.execute(insert(rooms).values(title="old", created_at=NOON))

    await store._database.write(make)
    assert await store.private_queue(1) == QueueRecord("", 0, is_open=True)
