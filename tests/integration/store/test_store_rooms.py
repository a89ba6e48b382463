import asyncio
from datetime import timedelta, timezone

import pytest

from gateway.domain.room import Member, MemberRole, Membership, Room
from gateway.errors import GatewayError, Invalid, LastHost, RoomsFull, UnknownRoom
from gateway.store import Store
from tests.integration.store.content import MEMBERS, NOON

HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


@pytest.mark.gen_test
async def test_a_room_comes_back_as_it_was_made(store: Store) -> None:
    room = await store.create_room("Größe 학교 🎓", MEMBERS, NOON)
    assert room == Room(room.id, "Größe 학교 🎓", NOON, identity=room.identity)
    another = await store.create_room("another room", MEMBERS, NOON)
    assert room.identity
    assert another.identity not in {"", room.identity}
    assert await store.close_room(another.id, NOON)
    assert await store.room(room.id) == room
    assert await store.members(room.id) == [Member("hanna", HOST), Member("paul", PARTICIPANT)]
    assert await store.open_rooms() == [room.id]


@pytest.mark.gen_test
async def test_times_keep_their_microseconds_and_come_back_in_utc(store: Store) -> None:
    seoul = NOON.astimezone(timezone(timedelta(hours=9)))
    made = await store.create_room("a room", MEMBERS, seoul)
    room = await store.room(made.id)
    assert room is not None
    assert room.created_at == NOON
    assert room.created_at.utcoffset() == timedelta(0)
    assert room.created_at.microsecond == 123456


@pytest.mark.gen_test
async def test_a_room_is_not_made_without_a_host(store: Store) -> None:
    with pytest.raises(LastHost):
        await store.create_room("a room", {"paul": PARTICIPANT}, NOON)
    assert await store.open_rooms() == []


@pytest.mark.gen_test
async def test_a_room_too_many_is_not_created_even_if_two_gateways_create_at_once(
    store: Store, other_gateway: Store
) -> None:
    def refusal(of_creator: int, of_all: int) -> GatewayError | None:
        return RoomsFull("full") if of_all >= 8 or of_creator >= 5 else None

    async def create(by: Store, creator: str) -> None:
        await by.create_room("a room", MEMBERS, NOON, creator=creator, refusal=refusal)

    await store.create_room("of nobody known", MEMBERS, NOON)
    answers = await asyncio.gather(
        *(create(by, "hanna") for by in (store, other_gateway) for _ in range(5)),
        return_exceptions=True,
    )
    assert [type(each) for each in answers if each is not None] == [RoomsFull] * 5
    assert len(await store.open_rooms()) == 6
    await create(store, "heidi")
    await create(other_gateway, "heidi")
    with pytest.raises(RoomsFull):
        await create(store, "heidi")
    assert await store.close_room(2, NOON)
    await create(store, "hanna")
    assert len(await store.open_rooms()) == 8


@pytest.mark.gen_test
async def test_a_title_that_cannot_be_stored_is_invalid(store: Store) -> None:
    for title in ("", "x" * 1001, "a\0b", "\ud800"):
        with pytest.raises(Invalid, match="title"):
            await store.create_room(title, MEMBERS, NOON)


@pytest.mark.gen_test
async def test_a_user_that_cannot_be_stored_is_invalid(store: Store) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    for user in ("", "x" * 256, "a\0b", "\udfff"):
        with pytest.raises(Invalid, match="user"):
            await store.set_member(room.id, user, HOST)
        with pytest.raises(Invalid, match="user"):
            await store.create_room("a room", {**MEMBERS, user: HOST}, NOON)
        assert await store.membership(room.id, user) == Membership(True, None, room.identity)
        assert await store.rooms_of(user) == []
        assert not await store.remove_member(room.id, user)
    assert await store.open_rooms() == [room.id]


@pytest.mark.gen_test
async def test_a_room_that_does_not_exist_is_told_apart(store: Store) -> None:
    for number in (-1, 0, 4711, 2**63, 10**30):
        assert await store.room(number) is None
        assert await store.membership(number, "hanna") is None
        assert await store.members(number) == []
        assert not await store.close_room(number, NOON)
        assert not await store.remove_member(number, "hanna")
        with pytest.raises(UnknownRoom):
            await store.set_member(number, "hanna", HOST)


@pytest.mark.gen_test
async def test_a_room_closes_once_and_stays(store: Store) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    later = NOON + timedelta(hours=1)
    assert await store.close_room(room.id, later)
    assert not await store.close_room(room.id, later + timedelta(hours=1))
    assert await store.room(room.id) == Room(room.id, "a room", NOON, later, room.identity)
    assert await store.membership(room.id, "hanna") == Membership(False, HOST, room.identity)
    assert await store.open_rooms() == []


@pytest.mark.gen_test
async def test_membership_tells_role_and_strangers(store: Store) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    assert await store.membership(room.id, "hanna") == Membership(True, HOST, room.identity)
    assert await store.membership(room.id, "paul") == Membership(True, PARTICIPANT, room.identity)
    assert await store.membership(room.id, "eve") == Membership(True, None, room.identity)
    roster = await store.roster(room.id)
    assert roster is not None
    for user in ("hanna", "paul", "eve"):
        assert roster.of(user) == await store.membership(room.id, user)
    assert await store.roster(room.id + 1) is None
    assert await store.roster(2**70) is None


@pytest.mark.gen_test
async def test_rooms_of_a_user_are_those_with_this_member(store: Store) -> None:
    first = await store.create_room("first", MEMBERS, NOON)
    await store.create_room("second", {"hanna": HOST}, NOON)
    third = await store.create_room("third", {"paul": HOST}, NOON)
    assert await store.rooms_of("paul") == [(first, PARTICIPANT), (third, HOST)]
    assert await store.rooms_of("eve") == []


@pytest.mark.gen_test
async def test_members_come_change_and_go(store: Store) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    await store.set_member(room.id, "zoe", PARTICIPANT)
    await store.set_member(room.id, "zoe", PARTICIPANT)
    await store.set_member(room.id, "paul", HOST)
    assert await store.remove_member(room.id, "hanna")
    assert not await store.remove_member(room.id, "hanna")
    assert await store.members(room.id) == [Member("paul", HOST), Member("zoe", PARTICIPANT)]


@pytest.mark.gen_test
async def test_the_last_host_stays(store: Store) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    with pytest.raises(LastHost):
        await store.remove_member(room.id, "hanna")
    with pytest.raises(LastHost):
        await store.set_member(room.id, "hanna", PARTICIPANT)
    assert await store.membership(room.id, "hanna") == Membership(True, HOST, room.identity)


@pytest.mark.gen_test
async def test_two_hosts_who_remove_each_other_at_once_do_not_both_succeed(
    store: Store, other_gateway: Store
) -> None:
    for _ in range(20):
        room = await store.create_room("a room", {"hanna": HOST, "heidi": HOST}, NOON)
        outcomes = await asyncio.gather(
            store.remove_member(room.id, "hanna"),
            other_gateway.remove_member(room.id, "heidi"),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes if outcome is not True] == [LastHost]
        assert len(await store.members(room.id)) == 1


@pytest.mark.gen_test
async def test_one_member_set_by_two_gateways_at_once_is_one_member(
    store: Store, other_gateway: Store
) -> None:
    room = await store.create_room("a room", {"hanna": HOST}, NOON)
    await asyncio.gather(
        *(one.set_member(room.id, "paul", HOST) for one in (store, other_gateway) * 5)
    )
    assert await store.members(room.id) == [Member("hanna", HOST), Member("paul", HOST)]


@pytest.mark.gen_test
async def test_a_room_s_revision_grows_with_each_change_of_its_memberships(store: Store) -> None:
    room = (await store.create_room("a room", MEMBERS, NOON)).id
    quiet = (await store.create_room("another room", MEMBERS, NOON)).id

    async def revision() -> int:
        found = await store.revisions([quiet, room, room + 100])
        roster = await store.roster(room)
        assert roster is not None
        assert found == {quiet: 0, room: roster.revision}
        return found[room]

    seen = [await revision()]
    await store.set_member(room, "carol", MemberRole.PARTICIPANT)
    seen.append(await revision())
    await store.set_member(room, "carol", MemberRole.HOST)
    seen.append(await revision())
    assert await store.remove_member(room, "carol")
    seen.append(await revision())
    assert await store.close_room(room, NOON)
    seen.append(await revision())
    assert seen == sorted(set(seen)), "each change shows"
    assert not await store.remove_member(room, "carol")
    assert not await store.close_room(room, NOON)
    assert await revision() == seen[-1]
    assert await store.revisions([]) == {}
