"""Permissions: the whole table of roles and actions."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from broker.topology import Audience
from gateway.auth.access import AccessRules, Direction
from gateway.auth.permissions import (
    MEMBER_ROLES,
    NEEDS_OPEN_ROOM,
    NOT_FOR_GUESTS,
    POST,
    READ,
    SUBSCRIBE,
    SYSTEM_ROLES,
    Action,
    Permissions,
)
from gateway.config import Access
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Membership
from gateway.errors import Refused, RoomClosed, RoomReplaced, StoreUnavailable, UnknownRoom

OPEN, CLOSED, UNKNOWN = 1, 2, 3
MEMBERS = {"host": MemberRole.HOST, "participant": MemberRole.PARTICIPANT}


class FakeMemberships:
    """An open room 1 and a closed room 2, each with a host and a participant."""

    async def membership(self, room: int, user: str) -> Membership | None:
        if room == UNKNOWN:
            return None
        return Membership(is_open=room == OPEN, role=MEMBERS.get(user), identity=f"id {room}")


class Away:
    """A store that is away."""

    async def membership(self, room: int, user: str) -> Membership | None:
        raise StoreUnavailable(f"room {room}, {user}")


PERMISSIONS = Permissions(
    FakeMemberships(),
    AccessRules([Access(roles=("service",), subscribe=("/queue/a",), send=("**",))]),
)


def identity(user: str, *roles: str) -> Identity:
    return Identity(user, frozenset(roles), math.inf)


def may(who: Identity, action: Action, room: int | None = None) -> bool:
    return asyncio.run(PERMISSIONS.may(who, action, room))


def require(who: Identity, action: Action, room: int | None = None) -> None:
    asyncio.run(PERMISSIONS.require(who, action, room))


HOSTS_ONLY = {
    Action.MANAGE_ROOM,
    Action.EXPORT_ROOM,
    Action.READ_PRIVATE,
    Action.SUBSCRIBE_PRIVATE,
    Action.CONSUME_PRIVATE,
}
ALL_MEMBERS = {
    Action.SEE_ROOM,
    Action.READ_PUBLIC,
    Action.SUBSCRIBE_PUBLIC,
    Action.POST_PUBLIC,
    Action.POST_PRIVATE,
}
LEFT_IN_A_CLOSED_ROOM = {
    Action.SEE_ROOM,
    Action.MANAGE_ROOM,
    Action.EXPORT_ROOM,
    Action.READ_PUBLIC,
    Action.READ_PRIVATE,
}


def test_every_action_is_in_one_table() -> None:
    assert set(MEMBER_ROLES) | set(SYSTEM_ROLES) | NOT_FOR_GUESTS == set(Action)
    assert len(MEMBER_ROLES) + len(SYSTEM_ROLES) + len(NOT_FOR_GUESTS) == len(Action)
    assert set(MEMBER_ROLES) == HOSTS_ONLY | ALL_MEMBERS


@pytest.mark.parametrize("action", MEMBER_ROLES)
def test_in_an_open_room(action: Action) -> None:
    assert may(identity("host"), action, OPEN)
    assert may(identity("participant"), action, OPEN) == (action in ALL_MEMBERS)
    assert not may(identity("outsider"), action, OPEN)
    assert not may(identity("outsider", "host", "service"), action, OPEN)
    assert may(identity("outsider", "admin"), action, OPEN)


@pytest.mark.parametrize("action", MEMBER_ROLES)
def test_in_a_closed_room(action: Action) -> None:
    left = action in LEFT_IN_A_CLOSED_ROOM
    assert may(identity("host"), action, CLOSED) == left
    assert may(identity("participant"), action, CLOSED) == (left and action in ALL_MEMBERS)
    assert may(identity("outsider", "admin"), action, CLOSED) == left
    assert not may(identity("outsider"), action, CLOSED)


@pytest.mark.parametrize("action", MEMBER_ROLES)
def test_in_no_room(action: Action) -> None:
    for who in (identity("host"), identity("outsider", "admin")):
        assert not may(who, action, UNKNOWN)
        with pytest.raises(UnknownRoom, match="there is no room 3"):
            require(who, action, UNKNOWN)


def test_a_permission_in_a_room_returns_the_role_there() -> None:
    def role(who: Identity) -> MemberRole | None:
        return asyncio.run(PERMISSIONS.require(who, Action.POST_PUBLIC, OPEN))

    assert role(identity("host")) is MemberRole.HOST
    assert role(identity("participant", "admin")) is MemberRole.PARTICIPANT
    assert role(identity("outsider", "admin")) is None


def test_the_reason_is_the_nearest_one() -> None:
    with pytest.raises(Refused, match="you are not a member of room 2"):
        require(identity("outsider"), Action.POST_PUBLIC, CLOSED)
    with pytest.raises(Refused, match=r"not a host of room 2: only hosts .* private queue"):
        require(identity("participant"), Action.CONSUME_PRIVATE, CLOSED)
    for action in NEEDS_OPEN_ROOM:
        with pytest.raises(RoomClosed, match="room 2 is closed"):
            require(identity("host"), action, CLOSED)


def test_outside_rooms() -> None:
    assert may(identity("x", "host"), Action.CREATE_ROOM)
    assert may(identity("x", "admin"), Action.CREATE_ROOM)
    assert not may(identity("host", "service"), Action.CREATE_ROOM)
    assert may(identity("x", "admin"), Action.ADMINISTER)
    assert not may(identity("x", "host"), Action.ADMINISTER)
    with pytest.raises(Refused, match="no role that allows to create rooms"):
        require(identity("x"), Action.CREATE_ROOM)


def test_a_forgotten_room_is_a_mistake_and_not_an_answer() -> None:
    with pytest.raises(ValueError, match="POST_PUBLIC needs a room"):
        may(identity("x", "admin"), Action.POST_PUBLIC)


def test_a_store_that_is_away_is_no_refusal() -> None:
    permissions = Permissions(Away(), AccessRules([]))
    with pytest.raises(StoreUnavailable):
        asyncio.run(permissions.may(identity("host"), Action.SEE_ROOM, OPEN))


@pytest.mark.parametrize(
    ("table", "private"),
    [
        (READ, Action.READ_PRIVATE),
        (SUBSCRIBE, Action.SUBSCRIBE_PRIVATE),
        (POST, Action.POST_PRIVATE),
    ],
)
def test_each_audience_has_its_actions(table: dict[Audience, Action], private: Action) -> None:
    assert table[Audience.PRIVATE] is private
    assert table[Audience.PUBLIC].name == private.name.replace("PRIVATE", "PUBLIC")


def test_destinations_outside_the_rooms_are_opened_by_rules_alone() -> None:
    service, admin = identity("x", "service"), identity("x", "admin")
    assert PERMISSIONS.opens(service, Direction.SUBSCRIBE, "/queue/a")
    assert not PERMISSIONS.opens(admin, Direction.SUBSCRIBE, "/queue/a")
    assert PERMISSIONS.opens_everything(service, Direction.SEND)
    assert not PERMISSIONS.opens_everything(service, Direction.SUBSCRIBE)


@pytest.mark.parametrize("action", [action for action in Action if action in MEMBER_ROLES])
@pytest.mark.parametrize("user", ["host", "participant", "nobody"])
def test_rabbitmqs_users_take_part_in_no_room_whoever_has_their_name(
    user: str, action: Action
) -> None:
    login = BrokerLogin(user, "secret", vhost="/", mark=b"", payer="1")
    outsider = Identity(user, frozenset(), math.inf, login=login)
    with pytest.raises(Refused, match="RabbitMQ's own users"):
        require(outsider, action, OPEN)


def test_rules_are_those_of_the_virtual_host() -> None:
    rules = [
        Access(roles=("clerk",), subscribe=("/queue/a",), send=("**",)),
        Access(roles=("clerk",), vhosts=("billing",), subscribe=("/queue/b",)),
    ]
    permissions = Permissions(FakeMemberships(), AccessRules(rules))
    clerk = identity("carla", "clerk")
    there = replace(clerk, vhost="billing")
    assert permissions.opens(clerk, Direction.SUBSCRIBE, "/queue/a")
    assert permissions.opens_everything(clerk, Direction.SEND)
    assert not permissions.opens(clerk, Direction.SUBSCRIBE, "/queue/b")
    assert permissions.opens(there, Direction.SUBSCRIBE, "/queue/b")
    assert not permissions.opens(there, Direction.SUBSCRIBE, "/queue/a")
    assert not permissions.opens_everything(there, Direction.SEND)


@pytest.mark.parametrize("room", [OPEN, CLOSED])
@pytest.mark.parametrize("user", ["host", "participant", "admin"])
def test_a_room_is_recognised_by_its_identity(room: int, user: str) -> None:
    who = identity(user, *(("admin",) if user == "admin" else ()))
    for known in (None, f"id {room}"):
        asyncio.run(PERMISSIONS.recognise(who, room, known))
    with pytest.raises(RoomReplaced):
        asyncio.run(PERMISSIONS.recognise(who, room, "another"))


def test_strangers_are_not_told_whether_a_room_is_another_one() -> None:
    for room in (OPEN, UNKNOWN):
        asyncio.run(PERMISSIONS.recognise(identity("mallory"), room, "another"))


def test_a_guest_is_in_the_room_of_the_name_alone_whatever_the_tables_say() -> None:
    permissions = Permissions(None, AccessRules([]))  # type: ignore[arg-type]
    listed = Membership(is_open=True, role=MemberRole.PARTICIPANT)
    guest = Identity("guest~7~bcdfghjkmp", frozenset(), 2e9)
    assert permissions.check(guest, Action.SEE_ROOM, 7, listed) is MemberRole.PARTICIPANT
    with pytest.raises(Refused, match="guest of another room"):
        permissions.check(guest, Action.SEE_ROOM, 8, listed)
