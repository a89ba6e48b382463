"""Writes that wait for SQLite's one writer are committed together, and fail alone."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from gateway.store import group_commit
from gateway.store.sqlite import SqliteDatabase


class Stage:
    """A database with one table of numbers; its writer stops while it is told to."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        self._path = path
        self.database = database
        self.commits = 0
        self._goes_on = threading.Event()
        event.listen(database._writing, "commit", self._count)

    def _count(self, _: Connection) -> None:
        self.commits += 1

    async def waiting(self, *changes: Callable[[Connection], Any]) -> list[asyncio.Task[Any]]:
        """Begin a write that keeps the writer, and let the changes wait behind it."""
        entered = threading.Event()

        def keep(_: Connection) -> None:
            entered.set()
            assert self._goes_on.wait(20)

        tasks = [asyncio.create_task(self.database.write(keep))]
        await asyncio.to_thread(entered.wait, 20)
        tasks += [asyncio.create_task(self.database.write(change)) for change in changes]
        # Each has asked for its turn.
        await asyncio.sleep(0)
        return tasks

    def go_on(self) -> None:
        self._goes_on.set()

    def numbers(self) -> list[int]:
        """Those that are stored, as another program sees them."""
        with sqlite3.connect(self._path) as connection:
            return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY rowid")]


@asynccontextmanager
async def stage(path: Path) -> AsyncIterator[Stage]:
    database = SqliteDatabase(str(path), timeout=20.0)
    await database.open(migrate=True)
    await database.write(lambda c: c.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)")))
    yield Stage(path, database)
    await database.close()


def add(number: int) -> Callable[[Connection], int]:
    def change(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
        return number

    return change


def refuse(connection: Connection) -> None:
    add(1000)(connection)
    raise LookupError("not this one")


@pytest.mark.gen_test
async def test_writes_that_wait_are_one_commit(tmp_path: Path) -> None:
    async with stage(tmp_path / "db") as its:
        tasks = await its.waiting(*map(add, range(20)))
        its.go_on()
        assert await asyncio.gather(*tasks) == [None, *range(20)]
        assert its.commits == 2
        assert its.numbers() == [*range(20)]


@pytest.mark.gen_test
async def test_no_commit_is_larger_than_the_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST", 5)
    async with stage(tmp_path / "db") as its:
        tasks = await its.waiting(*map(add, range(12)))
        its.go_on()
        assert await asyncio.gather(*tasks) == [None, *range(12)]
        assert its.commits == 4
        assert its.numbers() == [*range(12)]


@pytest.mark.gen_test
async def test_one_that_fails_fails_alone_and_leaves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path / "db") as its:
        tasks = await its.waiting(add(1), refuse, add(2), add(1), add(3))
        its.go_on()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers] == [
            *("NoneType", "int", "LookupError", "int", "IntegrityError", "int"),
        ]
        assert its.numbers() == [1, 2, 3]


@pytest.mark.gen_test
async def test_whoever_has_gone_meanwhile_gets_nothing_stored(tmp_path: Path) -> None:
    async with stage(tmp_path / "db") as its:
        tasks = await its.waiting(add(1), add(2), add(3))
        tasks[2].cancel()
        await asyncio.wait({tasks[2]})
        its.go_on()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers] == [
            *("NoneType", "int", "CancelledError", "int"),
        ]
        assert its.numbers() == [1, 3]


@pytest.mark.gen_test
async def test_a_commit_that_fails_fails_for_all_of_them(tmp_path: Path) -> None:
    """Nobody is told that something is stored which is not."""

    def orphan(connection: Connection) -> None:
        # SQLite looks at it when it commits.
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(
            text("INSERT INTO members (room, user_id, role) VALUES (99, 'nobody', 'host')")
        )

    async with stage(tmp_path / "db") as its:
        tasks = await its.waiting(add(1), orphan, add(2))
        its.go_on()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers] == [
            *("NoneType", "IntegrityError", "IntegrityError", "IntegrityError"),
        ]
        assert its.numbers() == []
        assert await its.database.write(add(4)) == 4
        assert its.numbers() == [4]
