"""Old messages and sessions are deleted, again and again, whatever happened in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway import retention
from gateway.errors import StoreUnavailable
from tests.virtual_time import run

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Store:
    """Remembers what was asked; away the first time if it is told so."""

    def __init__(self, *, away_first: bool = False) -> None:
        self.asked: list[datetime] = []
        self.enough = asyncio.Event()
        self._away_first = away_first

    async def prune(self, before: datetime) -> int:
        self.asked.append(before)
        if len(self.asked) == 1 and self._away_first:
            raise StoreUnavailable("away")
        if len(self.asked) == 2:
            self.enough.set()
        return 3

    async def forget_stays(self, before: datetime) -> int:
        assert before == self.asked[-1]
        return 1


@pytest.mark.parametrize("away_first", [False, True])
def test_messages_older_than_the_limit_are_deleted_again_and_again(
    away_first: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(retention, "INTERVAL", 0.0)

    async def keep() -> Store:
        store = Store(away_first=away_first)
        task = asyncio.create_task(retention.keep(store, days=30, clock=lambda: NOW))
        async with asyncio.timeout(5):
            await store.enough.wait()
        task.cancel()
        await asyncio.wait({task})
        return store

    store = asyncio.run(keep())
    assert set(store.asked) == {datetime(2026, 10, 24, 12, tzinfo=UTC)}
    # It shows what it did.
    done = "retention: deleted 3 messages and 1 stays in rooms of before 2026-10-24T12:00:00"
    assert any(line.startswith(done) for line in caplog.messages)


class Rooms:
    """Remembers when it was asked; away the first time."""

    def __init__(self) -> None:
        self.asked: list[datetime] = []

    async def prune_rooms(self, now: datetime) -> int:
        self.asked.append(now)
        if len(self.asked) == 1:
            raise StoreUnavailable("away")
        return len(self.asked) - 2


def test_rooms_with_ages_of_their_own_are_looked_at_every_hour_and_what_was_done_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    store = Rooms()

    async def keep() -> None:
        task = asyncio.create_task(retention.keep_rooms(store, clock=lambda: NOW))
        await asyncio.sleep(2.5 * retention.INTERVAL)
        task.cancel()
        await asyncio.wait({task})

    run(keep())
    assert store.asked == [NOW] * 3
    told = [line.partition(";")[0] for line in caplog.messages]
    assert told == [
        "old messages of rooms could not be deleted",
        "retention: deleted 1 messages that their rooms keep no longer (keep_days of a room)",
    ]


class Sessions:
    """Remembers what was asked; away at every second time."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.asked: list[datetime] = []

    async def forget_sessions(self, before: datetime) -> int:
        self.asked.append(before)
        await self.write()
        return 3

    async def write(self) -> None:
        self.times.append(asyncio.get_running_loop().time())
        if len(self.times) % 2:
            raise StoreUnavailable("away")


def test_sessions_that_are_over_are_deleted_now_and_every_ten_minutes() -> None:
    async def scenario() -> None:
        store = Sessions()
        task = asyncio.create_task(retention.forget_sessions(store, clock=lambda: NOW))
        await asyncio.sleep(1801)
        task.cancel()
        await asyncio.wait({task})
        assert [round(time) for time in store.times] == [0, 600, 1200, 1800]
        assert set(store.asked) == {NOW - timedelta(hours=1)}

    run(scenario())


class Keys:
    """Remembers what was asked; away at every second time."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.asked: set[tuple[datetime, datetime]] = set()
        self.decided = 0

    async def forget_keys(self, before: datetime, *, spared: datetime) -> int:
        self.asked.add((before, spared))
        self.times.append(asyncio.get_running_loop().time())
        if len(self.times) % 2:
            raise StoreUnavailable("away")
        return 1

    async def forget_decided(self, before: datetime) -> int:
        assert before == NOW - timedelta(days=30)
        self.decided += 1
        return 1


def test_keys_that_were_cleared_a_day_ago_are_forgotten_every_ten_minutes() -> None:
    async def scenario() -> None:
        store = Keys()
        task = asyncio.create_task(retention.forget_keys(store, clock=lambda: NOW))
        await asyncio.sleep(1801)
        task.cancel()
        await asyncio.wait({task})
        assert [round(time) for time in store.times] == [0, 600, 1200, 1800]
        assert store.asked == {(NOW - timedelta(days=1), NOW - timedelta(minutes=10))}
        assert store.decided == 2

    run(scenario())


def test_when_sessions_were_seen_is_written_once_a_minute() -> None:
    async def scenario() -> None:
        store = Sessions()
        task = asyncio.create_task(retention.note_seen(store.write))
        await asyncio.sleep(181)
        task.cancel()
        await asyncio.wait({task})
        assert [round(time) for time in store.times] == [60, 120, 180]

    run(scenario())
