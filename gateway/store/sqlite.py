"""SQLite: one file, one thread that writes, a few that read, and others for pages of the history
and of the kept state.

SQLAlchemy's synchronous engine runs whole transactions in these threads: one hop between threads
per transaction, where an asynchronous driver needs one per statement.
"""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from gateway.errors import StoreUnavailable
from gateway.payer import Bill
from gateway.store import schema, write_ahead_log
from gateway.store.database import Readers
from gateway.store.failures import Consequence, consequence, reason, unavailable
from gateway.store.group_commit import GroupCommit
from gateway.store.write_ahead_log import WriteAheadLog

T = TypeVar("T")
R = TypeVar("R")

READERS: Final = 2
#: Separate threads for pages, by what is in them.
SCANNERS: Final = {Readers.HISTORY: 2, Readers.STATE: 1}
#: Steps of SQLite's virtual machine after which a statement looks at the time: some milliseconds.
_STEPS: Final = 100_000
#: https://www.sqlite.org/pragma.html; FULL: a commit survives a power cut in WAL mode, too.
_READER: Final = ("foreign_keys = ON", "query_only = ON")
_WRITER: Final = (
    "foreign_keys = ON",
    "journal_mode = WAL",
    "synchronous = FULL",
    f"journal_size_limit = {write_ahead_log.MOST}",
)


class SqliteDatabase:
    """A SQLite file and the threads that work on it.

    ``timeout``: seconds that a call may take, including the wait for another process's lock.
    """

    def __init__(self, path: str, *, timeout: float) -> None:
        self._path = Path(path).absolute()
        self._timeout = timeout
        self._log = WriteAheadLog(self._path)
        make = partial(_engine, self._path, timeout=timeout)
        # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later
        # then cannot find that another writer got in between.
        # https://www.sqlite.org/lang_transaction.html
        self._writing = make(begin="BEGIN IMMEDIATE", size=1, pragmas=_WRITER)
        self._reading = make(begin="BEGIN", size=READERS, pragmas=_READER)
        self._scanning = {
            each: make(begin="BEGIN", size=size, pragmas=_READER) for each, size in SCANNERS.items()
        }
        self._writer = ThreadPoolExecutor(1, "sqlite-writer")
        self._commits = GroupCommit(self._writer.submit, partial(_transaction, self._writing))
        self._readers = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._scanners = {
            each: ThreadPoolExecutor(size, f"sqlite-{each}") for each, size in SCANNERS.items()
        }
        self._opened: tuple[int, int] | None = None
        self._free: int | None = None
        self._is_closing = False

    @property
    def name(self) -> str:
        return str(self._path)

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._run(self._readers, self._reading, query)

    async def scan(
        self,
        query: Callable[[Connection], R],
        make: Callable[[R], T],
        *,
        readers: Readers = Readers.HISTORY,
    ) -> T:
        threads, engine = self._scanners[readers], self._scanning[readers]
        return await self._run(threads, engine, lambda c: make(query(c)))

    async def write(self, change: Callable[[Connection], T]) -> T:
        result = await self._in_time(self._commits.write(change, late=self._late))
        if self._log.is_due() and not self._is_closing:
            self._writer.submit(self._shorten_log)
        return result

    @property
    def log_bytes(self) -> int:
        return self._log.size

    @property
    def free_bytes(self) -> int | None:
        return self._free

    async def open(self, *, migrate: bool) -> str:
        threads = asyncio.get_running_loop()
        try:
            if migrate:
                await threads.run_in_executor(self._writer, _create, self._path)
            elif not await threads.run_in_executor(self._readers, self._path.exists):
                raise StoreUnavailable(
                    f"{self._path} does not exist: run `gateway migrate`, which makes it; or see"
                    " store.url",
                    empty=True,
                )
            worker, engine, work = (
                (self._writer, self._writing, schema.migrated)
                if migrate
                else (self._readers, self._reading, schema.described)
            )
            told = await threads.run_in_executor(
                worker, partial(_transaction, engine, work, late=math.inf)
            )
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path}: {error.strerror}. The folder must exist and the gateway must be"
                " allowed to write in it; see store.url"
            ) from error
        except (DBAPIError, sqlite3.Error) as error:
            raise StoreUnavailable(f"{self._path}: {reason(error)}; see store.url") from error
        self._opened = await threads.run_in_executor(self._readers, _identity, self._path)
        return told

    async def hear(self, heard: Callable[[], None]) -> None:
        """Wait for ever: a file tells nobody of a change, and has one gateway."""
        await asyncio.Event().wait()

    async def verify(self) -> None:
        """Check that the path still leads to the file that is open. Restoring a backup under a
        running gateway replaces the file, and everything written after that would be lost."""
        found, self._free = await asyncio.get_running_loop().run_in_executor(
            self._readers, lambda: (_identity(self._path), _free_bytes(self._path))
        )
        if found != self._opened:
            raise StoreUnavailable(
                "the database is not available",
                retry_after=1.0,
                reason=f"the file {self._path} was replaced while it was open; restart the gateway",
            )

    async def close(self) -> None:
        self._is_closing = True
        for threads, engine in (
            *((self._scanners[each], self._scanning[each]) for each in SCANNERS),
            (self._readers, self._reading),
            (self._writer, self._writing),
        ):
            threads.submit(engine.dispose)
            await asyncio.to_thread(threads.shutdown)

    def _shorten_log(self) -> None:
        # What goes wrong here goes wrong in the next write, too, which says so.
        with self._writing.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - pysqlite
            self._log.shorten(driver)

    async def _run(
        self, threads: ThreadPoolExecutor, engine: Engine, work: Callable[[Connection], T]
    ) -> T:
        return await self._in_time(
            asyncio.get_running_loop().run_in_executor(
                threads, Bill().of, partial(_transaction, engine, work, self._late)
            )
        )

    @property
    def _late(self) -> float:
        """The time after which a call of now begins no commit any more: one that was reported as
        failed is then stored all the same only if the commit itself took the other half."""
        return time.monotonic() + self._timeout / 2

    async def _in_time(self, running: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await running
        except (DBAPIError, sqlite3.Error, TimeoutError) as error:
            if consequence(error) is Consequence.BUG:
                raise
            raise unavailable(error) from error


def _create(path: Path) -> None:
    """Create the file for its owner only; SQLite gives its companions (WAL) the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _identity(path: Path) -> tuple[int, int] | None:
    """The identity of a file, whatever its name; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _free_bytes(path: Path) -> int | None:
    """The bytes that may still be written on the file's disk."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _transaction(engine: Engine, work: Callable[[Connection], T], late: float) -> T:
    """Run one transaction; it is rolled back after ``late``, a time of the monotonic clock.

    A statement that runs until then is interrupted: it would keep the thread, and the write-ahead
    log from being begun anew.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                with _interrupted(connection, late):
                    result = work(connection)
                if time.monotonic() > late:
                    raise TimeoutError("the database was busy with other calls")
                return result
        except (DBAPIError, sqlite3.Error) as error:
            _settle(connection, error)
            raise


@contextmanager
def _interrupted(connection: Connection, late: float) -> Iterator[None]:
    """A block whose statements are interrupted after ``late``. The commit is not: it may have been
    done all the same."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - pysqlite
    driver.set_progress_handler(lambda: time.monotonic() > late, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def _settle(connection: Connection, error: DBAPIError | sqlite3.Error) -> None:
    """Leave no broken connection in the pool, nor one that is still in a transaction: a COMMIT that
    fails does not end it, and SQLAlchemy rolls back only what it has not tried to commit."""
    if connection.invalidated:
        return
    driver = connection.connection.driver_connection
    if consequence(error) is Consequence.LEAVE or (driver is not None and driver.in_transaction):
        connection.invalidate()


def _engine(
    path: Path, *, timeout: float, begin: str, size: int, pragmas: tuple[str, ...]
) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        # Every transaction has ended by then, so the pool's own rollback would be wasted work.
        pool_reset_on_return=None,
        connect_args={"timeout": timeout / 2, "check_same_thread": False},
    )

    def set_up(connection: Any, record: object) -> None:
        # sqlite3 must not begin transactions by itself; see "Enabling Non-Legacy SQLite
        # Transactional Modes" in SQLAlchemy's SQLite dialect.
        connection.isolation_level = None
        for pragma in pragmas:
            _set(connection, pragma, within=timeout / 2)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", start)
    return engine


def _set(connection: sqlite3.Connection, pragma: str, *, within: float) -> None:
    """Set a pragma, again and again for a while: changing to WAL fails at once, whatever the busy
    timeout, while another process is changing to it too.
    https://www.sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode
    """
    deadline = time.monotonic() + within
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
