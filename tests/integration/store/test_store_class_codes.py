"""Class codes, knocks and guests, on both back ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from gateway.domain.class_code import ClassCode, Guests, KnockState
from gateway.domain.room import MemberRole
from gateway.domain.session import LoginSession, Proof
from gateway.errors import (
    GatewayError,
    GuestsRefused,
    RoomClosed,
    RoomFull,
    TooManyKnocks,
    TurnedAway,
    UnknownCode,
    UnknownKnock,
    UnknownRoom,
)
from gateway.store import Store
from gateway.store.class_codes import GONE, KEPT, OneMore

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
CODE, OTHER = "BCDFGH", "JKMPRS"


def any_number(_: int) -> GatewayError | None:
    return None


def at_most(most: int, error: type[GatewayError] = RoomFull) -> OneMore:
    return lambda count: error("full") if count >= most else None


def session(room: int, name: str, *, lasts: timedelta = HOUR) -> LoginSession:
    return LoginSession(uuid4().hex, f"guest~{room}~{name}", Proof.GUEST, NOW, NOW + lasts)


async def a_room(store: Store, code: str = CODE, guests: Guests = Guests.YES) -> int:
    room = (await store.create_room("Maths", {"anna": MemberRole.HOST}, NOW)).id
    assert await store.put_class_code(room, code, guests, NOW, renew=False) is not None
    return room


async def guest(store: Store, room: int, name: str, nickname: str, **options: str) -> str | None:
    entered = await store.enter_as_guest(
        room, CODE, nickname, session(room, name), one_more=any_number, **options
    )
    return entered.name


async def users(store: Store, room: int) -> set[str]:
    return {member.user for member in await store.members(room)}


@pytest.mark.gen_test
async def test_a_code_leads_to_one_open_room_on_every_gateway(
    store: Store, other_gateway: Store
) -> None:
    room = await a_room(store)
    assert await other_gateway.class_code(room) == ClassCode(room, CODE, Guests.YES)
    found = await other_gateway.door(CODE)
    assert found is not None
    assert (found.room, found.title) == (room, "Maths")
    another = (await store.create_room("Art", {"bob": MemberRole.HOST}, NOW)).id
    assert await other_gateway.put_class_code(another, CODE, Guests.NO, NOW, renew=False) is None
    kept = await store.put_class_code(room, OTHER, Guests.NO, NOW, renew=False)
    assert kept == ClassCode(room, CODE, Guests.NO)
    renewed = await store.put_class_code(room, OTHER, Guests.NO, NOW, renew=True)
    assert renewed == ClassCode(room, OTHER, Guests.NO)
    assert await other_gateway.door(CODE) is None
    assert await store.close_room(room, NOW)
    assert await other_gateway.door(OTHER) is None
    assert await store.class_code(room) is None, "the code is free again"
    with pytest.raises(RoomClosed):
        await store.put_class_code(room, CODE, Guests.NO, NOW, renew=False)
    with pytest.raises(UnknownRoom):
        await store.put_class_code(room + 99, CODE, Guests.NO, NOW, renew=False)


@pytest.mark.gen_test
async def test_who_enters_by_a_code_becomes_a_participant_once(store: Store) -> None:
    room = await a_room(store, guests=Guests.NO)
    before = (await store.revisions([room]))[room]
    entered = await store.enter(room, CODE, "mina", "Mina", one_more=any_number)
    assert (entered.role, entered.is_new) == (MemberRole.PARTICIPANT, True)
    assert (await store.revisions([room]))[room] == before + 1
    again = await store.enter(room, CODE, "mina", None, one_more=at_most(0))
    assert (again.role, again.is_new) == (MemberRole.PARTICIPANT, False)
    host = await store.enter(room, CODE, "anna", None, one_more=any_number)
    assert host.role is MemberRole.HOST
    with pytest.raises(RoomFull):
        await store.enter(room, CODE, "juno", None, one_more=at_most(2))
    with pytest.raises(UnknownCode):
        await store.enter(room, OTHER, "juno", None, one_more=any_number)
    assert await store.remove_member(room, "mina")
    with pytest.raises(TurnedAway):
        await store.enter(room, CODE, "mina", None, one_more=any_number)
    await store.put_class_code(room, OTHER, Guests.NO, NOW, renew=True)
    assert (await store.enter(room, OTHER, "mina", None, one_more=any_number)).is_new


@pytest.mark.gen_test
async def test_a_guest_is_a_member_with_a_session_and_a_name_of_their_own(store: Store) -> None:
    room = await a_room(store)
    names = [await guest(store, room, f"g{number}", "Mina") for number in range(3)]
    assert names == ["Mina", "Mina 2", "Mina 3"]
    (known,) = await store.sessions_of(f"guest~{room}~g0")
    assert known.proof is Proof.GUEST
    await store.put_class_code(room, CODE, Guests.NO, NOW, renew=False)
    with pytest.raises(GuestsRefused):
        await guest(store, room, "late", "Late")
    assert f"guest~{room}~late" not in await users(store, room)


@pytest.mark.gen_test
async def test_guests_who_come_at_the_same_moment_get_different_names(
    store: Store, other_gateway: Store
) -> None:
    room = await a_room(store)
    names = await asyncio.gather(
        *(guest((store, other_gateway)[n % 2], room, f"g{n}", "Mina") for n in range(20))
    )
    assert set(names) == {"Mina", *(f"Mina {number}" for number in range(2, 21))}


@pytest.mark.gen_test
async def test_nobody_is_missed_who_comes_while_the_guests_are_sent_away(
    store: Store, other_gateway: Store
) -> None:
    room = await a_room(store)
    for number in range(3):
        await guest(store, room, f"before{number}", "x")

    async def send_away() -> None:
        await other_gateway.withdraw_class_code(room)
        await other_gateway.end_guests(room, datetime.now(UTC), "over", remove=True)

    async def come(number: int) -> bool:
        try:
            await guest(store, room, f"g{number}", "y")
        except UnknownCode:
            return False
        return True

    came, *_ = await asyncio.gather(
        asyncio.gather(*(come(number) for number in range(10))), send_away()
    )
    assert await users(store, room) == {"anna"}
    ended = {each.id for each in (await store.sessions_ended_since(0)).sessions}
    assert len(ended) == 3 + sum(came)


@pytest.mark.gen_test
async def test_the_guests_of_one_room_end_and_no_others(store: Store) -> None:
    rooms = [await a_room(store, code) for code in (CODE, OTHER)]
    # One number begins with the other one's digits.
    assert str(rooms[1]).startswith(str(rooms[0])) is False
    one, other = (session(room, "x") for room in rooms)
    far = session(int(f"{rooms[0]}0"), "x")
    for code, room, its in ((CODE, rooms[0], one), (OTHER, rooms[1], other)):
        await store.enter_as_guest(room, code, "Mina", its, one_more=any_number)
    await store.add_session(far)
    ended = await store.end_guests(rooms[0], datetime.now(UTC), "over", remove=False)
    assert [(each.id, each.reason) for each in ended] == [(one.id, "over")]
    assert one.user in await users(store, rooms[0]), "who was there can still be seen"
    assert not await store.end_guests(rooms[0], datetime.now(UTC), "over", remove=True)
    assert await users(store, rooms[0]) == {"anna"}
    assert other.user in await users(store, rooms[1])


@pytest.mark.gen_test
async def test_a_guests_membership_is_forgotten_with_the_session(store: Store) -> None:
    room = await a_room(store)
    short, long = session(room, "short"), session(room, "long", lasts=3 * HOUR)
    for each in (short, long):
        await store.enter_as_guest(room, CODE, "Mina", each, one_more=any_number)
    await store.add_session(LoginSession(uuid4().hex, "anna", Proof.PASSWORD, NOW, NOW + HOUR))
    await store.forget_sessions(NOW + 2 * HOUR)
    assert await users(store, room) == {"anna", long.user}


@pytest.mark.gen_test
async def test_a_full_room_has_places_again_when_guests_have_left(store: Store) -> None:
    room = await a_room(store)
    gone, stays, new = (session(room, name) for name in ("gone", "stays", "new"))
    for each in (gone, stays):
        await store.enter_as_guest(room, CODE, "Mina", each, one_more=at_most(3))
    with pytest.raises(RoomFull):
        await store.enter_as_guest(room, CODE, "Mina", new, one_more=at_most(3))
    await store.end_session(gone)
    await store.enter_as_guest(room, CODE, "Mina", new, one_more=at_most(3))
    assert await users(store, room) == {"anna", stays.user, new.user}


@pytest.mark.gen_test
async def test_a_knock_is_answered_and_lets_in_once(store: Store, other_gateway: Store) -> None:
    room = await a_room(store, guests=Guests.KNOCK)
    with pytest.raises(GuestsRefused):
        await guest(store, room, "g", "Mina")
    for id, name in (("k1", "Mina"), ("k2", "Juno"), ("k3", "Sora")):
        await store.add_knock(room, CODE, id, name, NOW, most=any_number)
    with pytest.raises(TooManyKnocks):
        await store.add_knock(room, CODE, "k4", "Late", NOW, most=at_most(3, TooManyKnocks))
    waiting = await other_gateway.knocks(room, NOW)
    assert [(each.id, each.nickname) for each in waiting] == [
        ("k1", "Mina"),
        ("k2", "Juno"),
        ("k3", "Sora"),
    ]
    assert await store.knocks(room, NOW + 2 * GONE) == [], "who asks no more has gone"
    # Somebody who asks again is there.
    assert await store.knock("k3", NOW + GONE) is not None
    assert [each.id for each in await store.knocks(room, NOW + GONE + timedelta(1e-6))] == ["k3"]
    with pytest.raises(UnknownKnock):
        await guest(store, room, "g", "Mina", knock="k1")
    admitted, refused = [waiting[0].number], [waiting[1].number]
    assert await other_gateway.answer_knocks(room, admitted, KnockState.ADMITTED, NOW) == 1
    assert await other_gateway.answer_knocks(room, refused, KnockState.REFUSED, NOW) == 1
    assert await other_gateway.answer_knocks(room, refused, KnockState.ADMITTED, NOW) == 0
    # Who was refused waits no more, and takes nobody's place.
    await store.add_knock(room, CODE, "k4", "Late", NOW, most=at_most(3, TooManyKnocks))
    with pytest.raises(TooManyKnocks):
        await store.add_knock(room, CODE, "k5", "Late", NOW, most=at_most(3, TooManyKnocks))
    assert await guest(store, room, "g", "Mina", knock="k1") == "Mina"
    with pytest.raises(UnknownKnock):
        await guest(store, room, "again", "Mina", knock="k1")
    found = await store.knock("k2", NOW)
    assert found is not None
    assert found.state is KnockState.REFUSED
    assert await store.answer_knocks(room, None, KnockState.ADMITTED, NOW) == 2
    assert await store.withdraw_class_code(room)
    assert await store.knock("k3", NOW) is None, "nobody waits at a door that is not there"


@pytest.mark.gen_test
async def test_nobody_is_let_in_unseen_or_by_an_old_answer(store: Store) -> None:
    room = await a_room(store, guests=Guests.KNOCK)
    for id in ("gone", "here"):
        await store.add_knock(room, CODE, id, id, NOW, most=any_number)
    later = NOW + 2 * GONE
    assert await store.knock("here", later) is not None
    (seen,) = await store.knocks(room, later)
    assert seen.id == "here"
    assert await store.answer_knocks(room, None, KnockState.ADMITTED, later) == 1
    # Whoever comes back to the door is seen there, and waits.
    found = await store.knock("gone", later)
    assert found is not None
    assert found.state is KnockState.WAITING
    assert [each.id for each in await store.knocks(room, later)] == ["gone"]
    assert await store.knock("here", later + KEPT) is not None
    assert await store.knock("here", later + 3 * KEPT) is None


@pytest.mark.gen_test
async def test_a_removal_goes_with_the_name_when_two_become_one(store: Store) -> None:
    for code, removed in ((CODE, ("kim", "kim 2")), (OTHER, ("kim",))):
        room = await a_room(store, code)
        for user in removed:
            await store.enter(room, code, user, None, one_more=any_number)
            assert await store.remove_member(room, user)
    assert await store.give_name("kim", "kim 2") > 0
    with pytest.raises(TurnedAway):
        await store.enter(room, OTHER, "kim 2", None, one_more=any_number)
