"""Draining: which clients are sent away, when, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random

import pytest

from gateway.drain import Drain
from gateway.errors import Draining, GatewayError
from tests import virtual_time


def rng() -> Random:
    return Random(1)  # noqa: S311 - repeatable, and no secret


class Room:
    """The clients that are here; each goes when it is told to, unless it lingers."""

    def __init__(self, number: int, *, linger: bool = False) -> None:
        self.here = {Client(self, name) for name in range(number)}
        self.told: dict[int, float] = {}
        self.linger = linger

    def __len__(self) -> int:
        return len(self.here)

    def __iter__(self) -> Iterator[Client]:
        return iter(sorted(self.here, key=lambda client: client.name))


class Client:
    """A client that records its end."""

    def __init__(self, room: Room, name: int) -> None:
        self.name = name
        self._room = room

    def end(self, error: GatewayError) -> None:
        assert isinstance(error, Draining)
        assert self.name not in self._room.told
        self._room.told[self.name] = asyncio.get_running_loop().time()
        if not self._room.linger:
            self._room.here.discard(self)


def drained(room: Room, *, lasts: float) -> None:
    async def run() -> None:
        await Drain(lasts=lasts, rng=rng()).move_off(room)

    virtual_time.run(run())


@pytest.mark.parametrize("linger", [False, True])
def test_clients_leave_evenly_over_the_time_and_each_is_told_once(linger: bool) -> None:
    room = Room(10, linger=linger)
    drained(room, lasts=5.0)
    assert sorted(room.told.values()) == pytest.approx([0.5 * number for number in range(10)])


def test_the_order_is_drawn() -> None:
    room = Room(10)
    drained(room, lasts=5.0)
    assert sorted(room.told) == list(range(10))
    assert list(room.told) != list(range(10))


def test_without_a_drain_time_all_leave_at_once() -> None:
    room = Room(1000, linger=True)
    drained(room, lasts=0.0)
    assert set(room.told.values()) == {0.0}


def test_a_hurried_drain_waits_for_no_more_clients() -> None:
    room = Room(10)

    async def run() -> None:
        drain = Drain(lasts=100.0, rng=rng())
        asyncio.get_running_loop().call_later(25.0, drain.hurry)
        await drain.move_off(room)

    virtual_time.run(run())
    assert sorted(room.told.values()) == pytest.approx([0.0, 10.0, 20.0] + [25.0] * 7)


def test_when_all_have_left_by_themselves_nothing_is_waited_for() -> None:
    room = Room(10)

    async def run() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(15.0, room.here.clear)
        await Drain(lasts=100.0, rng=rng()).move_off(room)
        return loop.time()

    assert virtual_time.run(run()) == pytest.approx(20.0)
    assert len(room.told) == 2


def test_nothing_new_is_taken_once_it_has_begun() -> None:
    async def run() -> None:
        drain = Drain(lasts=1.0, rng=rng())
        drain.check()
        assert not drain.begun
        drain.begin("a test")
        drain.begin("a test again")
        await drain.wait()
        with pytest.raises(Draining) as caught:
            drain.check()
        assert caught.value.retry_after

    virtual_time.run(run())


def test_with_notice_it_begins_later_and_everything_is_taken_until_then() -> None:
    async def run() -> None:
        drain = Drain(notice=5.0, lasts=1.0, rng=rng())
        assert not drain.announced
        drain.announce("a test")
        drain.announce("a test again")
        assert drain.announced
        drain.check()
        await drain.wait()
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)
        with pytest.raises(Draining):
            drain.check()

    virtual_time.run(run())


def test_without_notice_it_begins_at_once() -> None:
    async def run() -> None:
        drain = Drain(lasts=1.0, rng=rng())
        drain.announce("a test")
        assert drain.begun

    virtual_time.run(run())
