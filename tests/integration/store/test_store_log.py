"""SQLite's write-ahead log is bounded, whoever reads, and no statement runs without an end."""

import asyncio
import logging
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.errors import StoreUnavailable
from gateway.store import Store, sqlite, write_ahead_log
from tests.integration.store.content import draft, new_stream, stored

LARGE = "x" * 60_000
MEGABYTE = 1024 * 1024
ENDLESS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
    SELECT count(*) FROM numbers
"""


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/interact.db"


@pytest.fixture(autouse=True)
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "MOST", 2 * MEGABYTE)
    monkeypatch.setattr(write_ahead_log, "FAR_TOO_MANY", 4 * MEGABYTE)
    monkeypatch.setattr(write_ahead_log, "INTERVAL", 0.0)
    monkeypatch.setattr(write_ahead_log, "PAUSE", 0.1)


class Reader:
    """Another connection that keeps a snapshot of the database."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

    def begin(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM rooms").fetchone()

    def end(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


@pytest.mark.gen_test
async def test_readers_that_overlap_without_a_pause_do_not_let_the_log_grow(
    store: Store, store_url: str
) -> None:
    stream, over = await new_stream(store), threading.Event()

    def read() -> int:
        """There is a reader at any time, each for some milliseconds; their number."""
        first, second, count = Reader(store_url), Reader(store_url), 1
        first.begin()
        while not over.wait(0.005):
            second.begin()
            first.end()
            first, second, count = second, first, count + 1
        first.close()
        second.close()
        return count

    reading, most = asyncio.create_task(asyncio.to_thread(read)), 0
    for _ in range(100):
        stored(await store.append([draft(stream, LARGE) for _ in range(4)]))
        most = max(most, store.log_bytes)
    over.set()
    # 24 MB were written.
    assert await reading > 10
    assert most < 12 * MEGABYTE


@pytest.mark.gen_test
async def test_a_reader_that_goes_on_is_told_of_and_writes_go_on(
    store: Store, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream, reader = await new_stream(store), Reader(store_url)
    reader.begin()
    with caplog.at_level(logging.WARNING, logger="gateway.store.write_ahead_log"):
        async with asyncio.timeout(20):
            # A write looks at the log, unless an attempt has failed a moment ago.
            while not caplog.messages:
                stored(await store.append([draft(stream, LARGE) for _ in range(4)]))
    (told,) = caplog.messages
    assert "because another program has been reading the database for long" in told
    reader.end()
    async with asyncio.timeout(10):
        while store.log_bytes > 2 * MEGABYTE:
            stored(await store.append([draft(stream, "x")]))
    reader.close()


@pytest.mark.gen_test
async def test_a_query_without_an_end_frees_its_thread_when_nobody_waits_any_more(
    store_url: str,
) -> None:
    store = await Store.open(store_url, call_timeout=0.5, migrate=True)

    def endless(connection: Connection) -> int:
        return int(connection.execute(text(ENDLESS)).scalar_one())

    begun = time.monotonic()
    answers = await asyncio.gather(
        *(store._database.read(endless) for _ in range(sqlite.READERS)),
        store._database.write(endless),
        return_exceptions=True,
    )
    assert {type(each) for each in answers} == {StoreUnavailable}
    assert time.monotonic() - begun < 10
    assert await store.open_rooms() == []
    await new_stream(store)
    await store.close()
