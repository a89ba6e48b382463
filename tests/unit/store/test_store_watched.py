"""The log of a database that fails, and the rate of checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from gateway.errors import StoreUnavailable
from gateway.store.database import Readers
from gateway.store.watched import LOGGED_AGAIN, PROBE, WRITE_IS_GOOD, Watched
from tests.virtual_time import run

T = TypeVar("T")
R = TypeVar("R")


class FakeDatabase:
    """Reading works; ``problem`` is why writing does not. ``room``: bytes that still fit."""

    name = "fake"
    log_bytes = 0
    free_bytes = None

    def __init__(self) -> None:
        self.problem: str | None = None
        self.room = 1_000_000
        self.reads = 0
        self.written: list[int] = []

    async def read(self, query: Callable[[Connection], T]) -> T:
        self.reads += 1
        await asyncio.sleep(0.01)
        result: Any = None
        return result  # type: ignore[no-any-return]

    async def scan(
        self,
        query: Callable[[Connection], R],
        make: Callable[[R], T],
        *,
        readers: Readers = Readers.HISTORY,
    ) -> T:
        raise NotImplementedError

    async def write(self, change: Callable[[Connection], T]) -> T:
        connection: Any = self
        return change(connection)

    async def hear(self, heard: Callable[[], None]) -> None: ...

    async def open(self, *, migrate: bool) -> str:
        raise NotImplementedError

    async def verify(self) -> None: ...

    async def close(self) -> None: ...


def _write(connection: Any, size: int) -> None:
    fake: FakeDatabase = connection
    if fake.problem is not None and size > fake.room:
        raise StoreUnavailable("not available", reason=fake.problem)
    fake.written.append(size)


def _watched(database: FakeDatabase) -> Watched:
    return Watched(database, probe=_write, clock=lambda: asyncio.get_running_loop().time())


def test_however_many_ask_the_database_is_looked_at_once_a_second() -> None:
    async def main() -> None:
        database = FakeDatabase()
        watched = _watched(database)
        for _ in range(5):
            await asyncio.gather(*(watched.check() for _ in range(20)))
        assert database.reads == 1
        await asyncio.sleep(1.1)
        await asyncio.gather(*(watched.check() for _ in range(20)))
        assert database.reads == 2
        # The first one wrote; the second came so soon after that it need not.
        assert database.written == [1]
        await asyncio.sleep(WRITE_IS_GOOD)
        await watched.check()
        assert database.written == [1, 1]
        await watched.close()

    run(main())


def test_once_it_has_failed_a_little_that_fits_proves_nothing() -> None:
    async def main() -> None:
        database = FakeDatabase()
        watched = _watched(database)
        database.problem, database.room = "full", 100
        with pytest.raises(StoreUnavailable):
            await watched.write(lambda connection: _write(connection, 60_000))
        await watched.write(lambda connection: _write(connection, 50))
        with pytest.raises(StoreUnavailable) as unready:
            await watched.check()
        assert unready.value.reason == "full"
        database.problem = None
        await asyncio.sleep(1.1)
        await watched.check()
        assert database.written == [50, PROBE]
        await watched.close()

    run(main())


def test_a_reason_is_told_once_a_minute_and_so_is_the_end_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(watched: Watched) -> None:
        with pytest.raises(StoreUnavailable):
            await watched.write(lambda connection: _write(connection, 60_000))

    async def main() -> None:
        database = FakeDatabase()
        watched = _watched(database)
        database.problem, database.room = "full", 0
        for _ in range(100):
            await fail(watched)
        assert len(caplog.records) == 1
        database.problem = "read-only"
        await fail(watched)
        assert len(caplog.records) == 2
        await asyncio.sleep(LOGGED_AGAIN)
        await fail(watched)
        assert len(caplog.records) == 3
        database.problem = None
        await watched.recover()
        await watched.recover()
        told = [record.getMessage() for record in caplog.records]
        assert [("full" in line, "read-only" in line) for line in told] == [
            (True, False),
            (False, True),
            (False, True),
            (False, False),
        ]
        assert "works again" in told[-1]

    run(main())
