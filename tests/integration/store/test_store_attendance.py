"""The stays of members in rooms, as the database has them."""

from datetime import datetime, timedelta

import pytest

from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.store import Store
from gateway.store.attendance import FORGOTTEN, NOTED
from tests.integration.store.content import MEMBERS, NOON

PARTICIPANT = MemberRole.PARTICIPANT
LATER = NOON + timedelta(minutes=1)


def stay(room: int, user: str, since: datetime = NOON, until: datetime | None = None) -> Stay:
    return Stay(room, user, PARTICIPANT, since, until, until or since)


async def new_room(store: Store) -> int:
    return (await store.create_room("a room", MEMBERS, NOON)).id


@pytest.mark.gen_test
async def test_a_stay_begins_changes_and_ends_in_one_row(store: Store) -> None:
    room = await new_room(store)
    await store.note_stays([stay(room, "paul")])
    assert await store.stays(room, limit=9) == [stay(room, "paul")]
    host = Stay(room, "paul", MemberRole.HOST, NOON, LATER, LATER)
    await store.note_stays([host])
    assert await store.stays(room, limit=9) == [host]
    await store.note_stays([stay(room, "paul")])
    assert await store.stays(room, limit=9) == [stay(room, "paul")]


@pytest.mark.gen_test
async def test_the_shown_name_is_kept_when_the_membership_ends(store: Store) -> None:
    room = await new_room(store)
    await store.set_member(room, "guest~1", PARTICIPANT, "Mina")
    await store.note_stays([stay(room, "guest~1"), stay(room, "stranger")])
    await store.remove_member(room, "guest~1")
    await store.note_stays([stay(room, "guest~1", until=LATER)])
    assert [(each.user, each.name) for each in await store.stays(room, limit=9)] == [
        ("guest~1", "Mina"),
        ("stranger", None),
    ]


@pytest.mark.gen_test
async def test_pages_go_by_user_then_by_beginning_and_miss_nothing(store: Store) -> None:
    room, other = await new_room(store), await new_room(store)
    stays = [
        stay(room, f"user {number % 7}", NOON + timedelta(seconds=number)) for number in range(40)
    ]
    await store.note_stays([*stays, stay(other, "user 1")])
    found: list[Stay] = []
    while page := await store.stays(
        room, after=(found[-1].user, found[-1].since) if found else None, limit=6
    ):
        found += page
    assert found == sorted(stays, key=lambda each: (each.user, each.since))


@pytest.mark.gen_test
async def test_each_gateway_says_of_its_own_stays_only_that_they_last(
    store: Store, other_gateway: Store
) -> None:
    room = await new_room(store)
    await store.note_stays([stay(room, "hanna"), stay(room, "paul", until=NOON)])
    await other_gateway.note_stays([stay(room, "quinn")])
    await store.see_stays(LATER)
    assert {each.user: each.seen for each in await store.stays(room, limit=9)} == {
        "hanna": LATER,
        "paul": NOON,
        "quinn": NOON,
    }


@pytest.mark.gen_test
async def test_the_same_user_at_two_gateways_has_two_stays(
    store: Store, other_gateway: Store
) -> None:
    room = await new_room(store)
    for each in (store, other_gateway):
        await each.note_stays([stay(room, "paul")])
    assert len(await store.stays(room, limit=9)) == 2


@pytest.mark.gen_test
async def test_old_stays_are_forgotten_in_portions(store: Store) -> None:
    room = await new_room(store)
    old = [stay(room, f"user {number}") for number in range(FORGOTTEN + 1)]
    for start in range(0, len(old), NOTED):
        await store.note_stays(old[start : start + NOTED])
    await store.note_stays([stay(room, "paul", LATER)])
    assert await store.forget_stays(LATER) == FORGOTTEN + 1
    assert [each.user for each in await store.stays(room, limit=9)] == ["paul"]


@pytest.mark.gen_test
async def test_what_cannot_be_stored_does_not_keep_the_rest_from_it(store: Store) -> None:
    room = await new_room(store)
    await store.note_stays([stay(room, "a\0b"), stay(room, "a\ud800b"), stay(room, "paul")])
    assert [each.user for each in await store.stays(room, limit=9)] == ["paul"]
    assert await store.stays(0, limit=9) == await store.stays(99, limit=9) == []
