"""The blink for which memberships are remembered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.auth.memberships import CONFIRMED, LIFETIME, LONGEST, Memberships
from gateway.domain.room import MemberRole, Membership, Roster
from gateway.errors import StoreUnavailable
from tests.fake_clock import FakeClock

HOST = Membership(is_open=True, role=MemberRole.HOST)
NOBODY = Membership(is_open=True, role=None)


class Source:
    """A store with kim as the host of every room; reads wait while it is held."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answer: Roster | None = Roster(is_open=True, roles={"kim": MemberRole.HOST})
        self.error: StoreUnavailable | None = None
        self.free = asyncio.Event()
        self.free.set()

    async def roster(self, room: int) -> Roster | None:
        self.asked.append(room)
        answer = self.answer
        await self.free.wait()
        if self.error is not None:
            raise self.error
        return answer


def made(*, capacity: int = 100) -> tuple[Memberships, Source, FakeClock]:
    source, clock = Source(), FakeClock()
    return Memberships(source, clock=clock, capacity=capacity), source, clock


def ask(memberships: Memberships, room: int = 1, user: str = "kim") -> Membership | None:
    return asyncio.run(memberships.membership(room, user))


async def turns() -> None:
    """Let everything that was begun come as far as it can."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_membership_is_remembered_for_its_lifetime_and_no_longer() -> None:
    memberships, source, clock = made()
    assert ask(memberships) == HOST
    source.answer = Roster(is_open=True, roles={})
    clock.now += LIFETIME - 0.01
    assert ask(memberships) == HOST
    clock.now += 0.01
    assert ask(memberships) == NOBODY
    assert len(source.asked) == 2


def test_access_ends_within_the_second_that_is_promised() -> None:
    assert LIFETIME <= 0.5
    assert CONFIRMED < 1.0


def test_one_that_a_poll_has_found_unchanged_is_believed_until_the_next_poll() -> None:
    memberships, source, clock = made()
    assert ask(memberships) == HOST
    source.answer = Roster(is_open=True, roles={}, revision=1)
    for _ in range(5):
        asked_at = clock.now
        # The poll takes a moment.
        clock.now += 0.1
        memberships.confirm(1, 0, asked_at=asked_at)
        clock.now = asked_at + CONFIRMED - 0.01
        assert ask(memberships) == HOST
    clock.now = asked_at + CONFIRMED
    assert ask(memberships) == NOBODY
    assert len(source.asked) == 2


def test_a_poll_confirms_nothing_that_has_changed_or_was_forgotten() -> None:
    memberships, source, clock = made()
    assert ask(memberships) == HOST
    memberships.confirm(1, 7, asked_at=clock.now)
    memberships.confirm(2, 0, asked_at=clock.now)
    clock.now += LIFETIME
    source.answer = Roster(is_open=True, roles={}, revision=7)
    assert ask(memberships) == NOBODY
    source.answer = None
    assert ask(memberships, 2) is None
    memberships.confirm(2, 0, asked_at=clock.now)
    memberships.invalidate(1)
    memberships.confirm(1, 7, asked_at=clock.now)
    source.asked.clear()
    ask(memberships)
    assert source.asked == [1]


def test_one_is_read_again_now_and_then_whatever_the_polls_say() -> None:
    memberships, source, clock = made()
    ask(memberships)
    for _ in range(int(LONGEST / LIFETIME) - 1):
        memberships.confirm(1, 0, asked_at=clock.now)
        clock.now += LIFETIME
        ask(memberships)
    assert len(source.asked) == 1
    memberships.confirm(1, 0, asked_at=clock.now)
    clock.now += LIFETIME
    ask(memberships)
    assert len(source.asked) == 2


def test_an_unknown_room_is_remembered_too() -> None:
    memberships, source, _ = made()
    source.answer = None
    assert ask(memberships) is None
    assert ask(memberships) is None
    assert len(source.asked) == 1


def test_rooms_are_kept_apart_and_users_of_one_share_its_read() -> None:
    memberships, source, _ = made()
    assert ask(memberships, 1, "kim") == HOST
    assert ask(memberships, 1, "lee") == NOBODY
    assert ask(memberships, 2, "kim") == HOST
    assert source.asked == [1, 2]


def test_a_class_that_comes_in_at_once_costs_one_read() -> None:
    memberships, source, _ = made()

    async def storm() -> None:
        users = ("kim", *map(str, range(500)))
        found = await asyncio.gather(*(memberships.membership(1, user) for user in users))
        assert found == [HOST, *[NOBODY] * 500]

    asyncio.run(storm())
    assert source.asked == [1]


def test_a_room_can_be_forgotten() -> None:
    memberships, source, _ = made()
    for room in (1, 2):
        ask(memberships, room)
    memberships.invalidate(1)
    source.asked.clear()
    for room in (1, 2):
        ask(memberships, room)
    assert source.asked == [1]


def test_nobody_is_answered_by_a_read_from_before_an_invalidation() -> None:
    memberships, source, _ = made()

    async def course() -> None:
        source.free.clear()
        before = asyncio.create_task(memberships.membership(1, "kim"))
        await turns()
        source.answer = Roster(is_open=True, roles={})
        memberships.invalidate(1)
        after = asyncio.create_task(memberships.membership(1, "kim"))
        await turns()
        source.free.set()
        assert (await before, await after) == (NOBODY, NOBODY)
        assert await memberships.membership(1, "kim") == NOBODY

    asyncio.run(course())
    assert source.asked == [1, 1]


def test_a_removed_host_stays_removed_when_the_read_from_before_comes_last() -> None:
    source, clock = GatedSource(), FakeClock()
    memberships = Memberships(source, clock=clock)

    async def course() -> None:
        before = asyncio.create_task(memberships.membership(1, "kim"))
        await turns()
        memberships.invalidate(1)
        after = asyncio.create_task(memberships.membership(1, "kim"))
        await turns()
        early, late = source.reads
        late.set_result(Roster(is_open=True, roles={}))
        assert await after == NOBODY
        early.set_result(Roster(is_open=True, roles={"kim": MemberRole.HOST}))
        assert await before == NOBODY
        await turns()
        assert await memberships.membership(1, "kim") == NOBODY

    asyncio.run(course())
    assert len(source.reads) == 2


class GatedSource:
    """Each read is answered by the test, in the order that it likes."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[Roster | None]] = []

    async def roster(self, room: int) -> Roster | None:
        self.reads.append(asyncio.get_running_loop().create_future())
        return await self.reads[-1]


@pytest.mark.parametrize("look", range(1, 9))
def test_an_entry_that_ends_between_two_looks_at_the_clock_is_read_again(look: int) -> None:
    """Seen in service: KeyError, a POST answered 500 and a socket closed with 1011."""

    class Jumping(FakeClock):
        """A clock that jumps past the lifetime at a chosen reading."""

        looks = 0

        def __call__(self) -> float:
            self.looks -= 1
            if self.looks == 0:
                self.now += LIFETIME
            return self.now

    source, clock = Source(), Jumping()
    memberships = Memberships(source, clock=clock)

    async def course() -> None:
        assert await memberships.membership(1, "kim") == HOST
        clock.looks = look
        assert await memberships.membership(1, "kim") == HOST
        clock.looks = look
        memberships.invalidate(1)
        assert await memberships.membership(1, "kim") == HOST

    asyncio.run(course())


def test_a_caller_that_goes_away_takes_the_answer_from_nobody() -> None:
    memberships, source, _ = made()

    async def course() -> None:
        source.free.clear()
        first = asyncio.create_task(memberships.membership(1, "kim"))
        second = asyncio.create_task(memberships.membership(1, "kim"))
        await turns()
        first.cancel()
        await turns()
        source.free.set()
        assert await second == HOST

    asyncio.run(course())


def test_no_more_rooms_are_remembered_than_there_is_space_for() -> None:
    memberships, _, _ = made(capacity=2)
    for room in (1, 2, 3):
        ask(memberships, room)
    assert len(memberships._known) == 2


def test_a_store_that_is_away_is_told_to_all_and_not_remembered() -> None:
    memberships, source, _ = made()
    source.error = StoreUnavailable("away")

    async def storm() -> None:
        asks = (memberships.membership(1, user) for user in "abc")
        found = await asyncio.gather(*asks, return_exceptions=True)
        assert found == [source.error] * 3

    asyncio.run(storm())
    source.error = None
    assert ask(memberships) == HOST
