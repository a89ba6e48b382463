"""The followers of rooms, and when somebody is the first or the last."""

import math

import pytest

from gateway.auth.permissions import Action
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError
from gateway.live.attendance import Attendance, Right

GUEST, HOST = MemberRole.PARTICIPANT, MemberRole.HOST
PUBLIC, QUEUE = Action.SUBSCRIBE_PUBLIC, Action.CONSUME_PRIVATE


class Follower:
    """A follower of a room."""

    def __init__(self, user: str | None, *roles: str) -> None:
        self.identity = None if user is None else Identity(user, frozenset(roles), math.inf)

    def end(self, error: GatewayError | None) -> None:
        raise AssertionError(error)


def noticed(attendance: Attendance) -> list[tuple[int, str, MemberRole | None]]:
    seen: list[tuple[int, str, MemberRole | None]] = []
    attendance.observe(lambda *what: seen.append(what))
    return seen


def test_a_room_is_known_while_somebody_follows_it() -> None:
    attendance, ann = Attendance(), Follower("ann")
    attendance.begin(ann, Right(PUBLIC, 1, GUEST))
    attendance.begin(ann, Right(QUEUE, 1, HOST))
    attendance.begin(ann, Right(PUBLIC, 2, GUEST))
    assert attendance.rooms == [1, 2]
    assert attendance.of(1) == [(ann, PUBLIC), (ann, QUEUE)]
    attendance.end(ann, Right(PUBLIC, 1, GUEST))
    assert attendance.of(1) == [(ann, QUEUE)]
    attendance.end(ann, Right(QUEUE, 1, HOST))
    assert (attendance.rooms, attendance.of(1)) == ([2], [])


def test_the_same_right_twice_ends_with_the_second_one() -> None:
    attendance, ann = Attendance(), Follower("ann")
    for _ in range(2):
        attendance.begin(ann, Right(PUBLIC, 1, GUEST))
    assert attendance.of(1) == [(ann, PUBLIC)]
    attendance.end(ann, Right(PUBLIC, 1, GUEST))
    assert attendance.of(1) == [(ann, PUBLIC)]
    attendance.end(ann, Right(PUBLIC, 1, GUEST))
    assert attendance.of(1) == []


def test_a_user_with_several_connections_comes_once_and_leaves_once() -> None:
    attendance = Attendance()
    seen = noticed(attendance)
    phone, laptop, bob = Follower("ann"), Follower("ann"), Follower("bob")
    for each in (phone, laptop, bob):
        attendance.begin(each, Right(PUBLIC, 1, GUEST))
    assert seen == [(1, "ann", GUEST), (1, "bob", GUEST)]
    for each in (laptop, bob, phone):
        attendance.end(each, Right(PUBLIC, 1, GUEST))
    assert seen[2:] == [(1, "bob", None), (1, "ann", None)]


def test_nobody_follows_without_a_name() -> None:
    with pytest.raises(ValueError, match="who they are"):
        Attendance().begin(Follower(None), Right(PUBLIC, 1, GUEST))


def test_a_new_role_as_host_is_noticed_again() -> None:
    attendance, ann = Attendance(), Follower("ann")
    seen = noticed(attendance)
    attendance.begin(ann, Right(PUBLIC, 1, GUEST))
    attendance.begin(ann, Right(QUEUE, 1, HOST))
    attendance.end(ann, Right(QUEUE, 1, HOST))
    attendance.end(ann, Right(PUBLIC, 1, GUEST))
    assert seen == [(1, "ann", GUEST), (1, "ann", HOST), (1, "ann", None)]


def test_an_admin_without_a_membership_follows_unnoticed() -> None:
    attendance, admin = Attendance(), Follower("olga")
    seen = noticed(attendance)
    attendance.begin(admin, Right(PUBLIC, 1, None))
    assert attendance.of(1) == [(admin, PUBLIC)]
    attendance.end(admin, Right(PUBLIC, 1, None))
    assert (attendance.rooms, seen) == ([], [])


def test_a_role_that_has_become_another_is_noticed_once_and_only_of_somebody_who_is_there() -> None:
    attendance, ann = Attendance(), Follower("ann")
    seen = noticed(attendance)
    attendance.became(1, "ann", HOST)
    attendance.begin(ann, Right(PUBLIC, 1, GUEST))
    attendance.became(1, "ann", GUEST)
    attendance.became(1, "ann", HOST)
    attendance.became(1, "ann", HOST)
    attendance.end(ann, Right(PUBLIC, 1, GUEST))
    assert seen == [(1, "ann", GUEST), (1, "ann", HOST), (1, "ann", None)]


def test_hidden_messages_are_for_who_is_a_host_now_and_for_admins() -> None:
    attendance, ann, admin = Attendance(), Follower("ann"), Follower("olga", "admin")
    as_host, as_admin = Right(PUBLIC, 1, HOST), Right(PUBLIC, 1, None)
    assert not attendance.sees_hidden(ann, as_host)
    attendance.begin(ann, as_host)
    attendance.begin(admin, as_admin)
    attendance.begin(admin, Right(PUBLIC, 2, GUEST))
    assert attendance.sees_hidden(ann, as_host)
    assert attendance.sees_hidden(admin, as_admin)
    # As in the sync: whatever their role, admins may do what hosts may.
    assert attendance.sees_hidden(admin, Right(PUBLIC, 2, GUEST))
    attendance.became(1, "ann", GUEST)
    assert not attendance.sees_hidden(ann, as_host)
