"""A database that can be read and not written, and that is itself again later."""

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from gateway.errors import StoreUnavailable
from gateway.store import Store
from tests.integration.store.content import draft, history, new_stream, stored

LARGE = "x" * 60_000


#: On a disk of two megabytes of its own, which it fills and empties again.
ON_A_FULL_DISK = """
import asyncio, pathlib, sys
from gateway.errors import StoreUnavailable
from gateway.store import Store
from tests.integration.store.content import draft, new_stream, stored

async def main(folder):
    store = await Store.open(f"sqlite:///{folder}/interact.db", migrate=True)
    stream = await new_stream(store)
    filling = folder / "filling"
    try:
        with filling.open("wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
    except OSError:
        pass
    for attempt in range(3):
        try:
            await store.append([draft(stream, "x" * 60_000)])
        except StoreUnavailable as error:
            print(error.reason)
    try:
        await store.ping()
    except StoreUnavailable as error:
        print("unready:", error.reason)
    filling.unlink()
    print("seq", stored(await store.append([draft(stream, "x" * 60_000)]))[0].seq)
    await store.prove()
    await store.ping()
    await store.close()

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def _most_pages(number: str) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        connection.execute(text(f"PRAGMA max_page_count = {number}"))

    return change


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "gateway.store.watched"]


async def _until_ready(store: Store) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                return await store.ping()
            except StoreUnavailable:
                await asyncio.sleep(0.1)


@pytest.mark.gen_test
async def test_a_full_database_is_not_ready_says_why_once_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True)
    stream = await new_stream(store)
    await store.renew_lease(10)
    pages = await store._database.write(
        lambda connection: connection.execute(text("PRAGMA page_count")).scalar_one()
    )
    await store._database.write(_most_pages(str(pages)))
    for _ in range(5):
        with pytest.raises(StoreUnavailable) as refusal:
            await store.append([draft(stream, LARGE)])
        # The reason is for operators; clients learn that it is not available.
        assert refusal.value.detail == "the database is not available"
        assert refusal.value.reason == "database or disk is full (SQLITE_FULL)"
    # A little still fits, and reading works: it is not ready all the same.
    assert await store.renew_lease(10)
    with pytest.raises(StoreUnavailable) as unready:
        await store.ping()
    assert unready.value.reason == "database or disk is full (SQLITE_FULL)"
    assert len(_told(caplog)) == 1
    await store._database.write(_most_pages("1000000"))
    await store.renew_lease(10)
    await _until_ready(store)
    assert ["works again" in line for line in _told(caplog)] == [False, True]
    stored(await store.append([draft(stream, LARGE)]))
    await store.close()


def test_a_disk_that_was_full_is_written_to_again(
    tmp_path: Path,
) -> None:
    """As it is met in production: the writes and the COMMIT fail, and later they work."""
    mount = f'mount -t tmpfs -o size=2m none {tmp_path} && exec "$@" {tmp_path}'
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    python = [sys.executable, "-c", ON_A_FULL_DISK]
    result = subprocess.run(  # noqa: S603 - the test's own script
        [*alone, "sh", "-c", mount, "sh", *python],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    full = "database or disk is full (SQLITE_FULL)"
    assert result.stdout.splitlines() == [full, full, full, f"unready: {full}", "seq 1"], (
        result.stderr
    )


@pytest.mark.gen_test
async def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path: Path) -> None:
    """It does not end the transaction, and the next one could not begin."""
    store = await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True)

    def fail_late(connection: Connection) -> None:
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(
            text("INSERT INTO members (room, user_id, role) VALUES (99, 'nobody', 'host')")
        )

    with pytest.raises(IntegrityError):
        await store._database.write(fail_late)
    stream = await new_stream(store)
    stored(await store.append([draft(stream)]))
    await store.close()


@pytest.mark.gen_test
async def test_a_lock_of_another_program_makes_it_unready_as_long_as_it_lasts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "interact.db"
    store = await Store.open(f"sqlite:///{path}", call_timeout=2.0, migrate=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as unready:
        await store.ping()
    assert unready.value.reason == "database is locked (SQLITE_BUSY)"
    other.execute("ROLLBACK")
    other.close()
    await _until_ready(store)
    await store.close()


@pytest.mark.gen_test
async def test_a_file_that_was_replaced_is_no_longer_served(tmp_path: Path) -> None:
    """A backup was copied over it: what is written goes to a file that nobody finds again."""
    path = tmp_path / "interact.db"
    store = await Store.open(f"sqlite:///{path}", migrate=True)
    await store.ping()
    path.rename(tmp_path / "old.db")
    with pytest.raises(StoreUnavailable) as unready:
        await store.prove()
    assert unready.value.reason is not None
    assert "was replaced while it was open" in unready.value.reason
    (tmp_path / "old.db").rename(path)
    await _until_ready(store)
    await store.close()


async def _admin(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_read_only_postgresql_is_not_ready_and_its_connections_are_not_kept(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a failover: the old server answers, and takes nothing."""
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    await asyncio.gather(*(store.append([draft(stream)]) for _ in range(8)))
    name = postgres_url.rpartition("/")[2]
    admin = await _admin(postgres_url.replace(name, "postgres"))
    others = f"FROM pg_stat_activity WHERE datname = '{name}'"
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await admin.execute(f"SELECT pg_terminate_backend(pid) {others}")
    for _ in range(4):
        with pytest.raises(StoreUnavailable) as refusal:
            await store.append([draft(stream)])
    assert refusal.value.reason == (
        "cannot execute SELECT FOR NO KEY UPDATE in a read-only transaction (25006)"
    )
    with pytest.raises(StoreUnavailable) as unready:
        await store.ping()
    assert unready.value.reason is not None
    assert "read-only transaction (25006)" in unready.value.reason
    # The topics' history is still read there.
    assert len(await history(store, stream)) == 8
    # All of the pool is the read-only server's by now; nobody ends these connections.
    await asyncio.gather(*(store.rooms_of("anna") for _ in range(8)))
    await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await _until_ready(store)
    stored(await store.append([draft(stream)]))
    assert sum("read-only" in line for line in _told(caplog)) <= 3
    await admin.close()
    await store.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_connections_that_the_server_ends_are_replaced_by_themselves(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    await asyncio.gather(*(store.append([draft(stream)]) for _ in range(8)))
    admin = await _admin(postgres_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await _until_ready(store)
    await asyncio.gather(*(store.append([draft(stream)]) for _ in range(8)))
    assert len(await history(store, stream)) == 16
    await admin.close()
    await store.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_gateway_opens_no_more_connections_than_it_may_and_ends_what_takes_too_long(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True, call_timeout=2.0, connections=2)
    stream = await new_stream(store)
    await asyncio.gather(
        *(store.append([draft(stream)]) for _ in range(8)),
        *(store.rooms_of("anna") for _ in range(8)),
    )
    admin = await _admin(postgres_url)
    count = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'interact-gateway'"
    )
    assert await admin.fetchval(count) == 2
    with pytest.raises(StoreUnavailable) as late:
        await store._database.read(
            lambda connection: connection.execute(text("SELECT pg_sleep(9)"))
        )
    assert late.value.reason is not None
    assert "statement timeout (57014)" in late.value.reason or "in time" in late.value.reason
    await admin.close()
    await store.close()
