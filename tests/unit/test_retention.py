"""Old messages are deleted, now and every hour, whatever happened in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway import retention
from gateway.errors import StoreUnavailable

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


@pytest.mark.parametrize("away_first", [False, True])
def test_messages_older_than_the_limit_are_deleted_again_and_again(
    away_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
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
