"""The blink for which memberships are remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.auth.memberships import LIFETIME, Memberships
from gateway.domain.room import MemberRole, Membership
from gateway.errors import StoreUnavailable
from tests.unit.auth.clock import Clock

HOST = Membership(is_open=True, role=MemberRole.HOST)
NOBODY = Membership(is_open=True, role=None)


class Source:
    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.answer: Membership | None = HOST
        self.meanwhile: Callable[[], None] = lambda: None

    async def membership(self, room: int, user: str) -> Membership | None:
        self.asked.append((room, user))
        answer = self.answer
        self.meanwhile()
        return answer


def made(*, capacity: int = 100) -> tuple[Memberships, Source, Clock]:
    source, clock = Source(), Clock()
    return Memberships(source, clock=clock, capacity=capacity), source, clock


def ask(memberships: Memberships, room: int = 1, user: str = "kim") -> Membership | None:
    return asyncio.run(memberships.membership(room, user))


def test_a_membership_is_remembered_for_its_lifetime_and_no_longer() -> None:
    memberships, source, clock = made()
    assert ask(memberships) == HOST
    source.answer = NOBODY
    clock.now += LIFETIME - 0.01
    assert ask(memberships) == HOST
    clock.now += 0.01
    assert ask(memberships) == NOBODY
    assert len(source.asked) == 2


def test_access_ends_within_the_second_that_is_promised() -> None:
    assert LIFETIME <= 0.5


def test_an_unknown_room_is_remembered_too() -> None:
    memberships, source, _ = made()
    source.answer = None
    assert ask(memberships) is None
    assert ask(memberships) is None
    assert len(source.asked) == 1


def test_rooms_and_users_are_kept_apart() -> None:
    memberships, source, _ = made()
    ask(memberships, 1, "kim")
    ask(memberships, 1, "lee")
    ask(memberships, 2, "kim")
    assert source.asked == [(1, "kim"), (1, "lee"), (2, "kim")]


def test_one_member_can_be_forgotten() -> None:
    memberships, source, _ = made()
    for user in ("kim", "lee"):
        ask(memberships, 1, user)
    ask(memberships, 2, "kim")
    memberships.invalidate(1, "kim")
    source.asked.clear()
    for user in ("kim", "lee"):
        ask(memberships, 1, user)
    ask(memberships, 2, "kim")
    assert source.asked == [(1, "kim")]


def test_a_whole_room_can_be_forgotten() -> None:
    memberships, source, _ = made()
    for room, user in ((1, "kim"), (1, "lee"), (2, "kim")):
        ask(memberships, room, user)
    memberships.invalidate(1)
    source.asked.clear()
    for room, user in ((1, "kim"), (1, "lee"), (2, "kim")):
        ask(memberships, room, user)
    assert source.asked == [(1, "kim"), (1, "lee")]


def test_what_was_read_before_an_invalidation_is_not_remembered() -> None:
    memberships, source, _ = made()
    source.meanwhile = lambda: memberships.invalidate(1, "kim")
    ask(memberships)
    source.answer, source.meanwhile = NOBODY, lambda: None
    assert ask(memberships) == NOBODY


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    memberships, _, _ = made(capacity=2)
    for user in ("kim", "lee", "park"):
        ask(memberships, 1, user)
    assert len(memberships._known) == 2


def test_a_store_that_is_away_is_told_and_not_remembered() -> None:
    memberships, source, _ = made()

    def fail() -> None:
        raise StoreUnavailable("away")

    source.meanwhile = fail
    with pytest.raises(StoreUnavailable):
        ask(memberships)
    source.meanwhile = lambda: None
    assert ask(memberships) == HOST
