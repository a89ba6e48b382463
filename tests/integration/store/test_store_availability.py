"""The database goes away, hangs, and comes back; the gateway is killed."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from devenv.postgres import Postgres
from gateway.errors import StoreUnavailable
from gateway.store import Store
from tests.integration.store.content import MEMBERS, NOON, draft, history, new_stream, stored

#: Appends one by one for ever; a line for each that was acknowledged.
WRITER = """
import asyncio, sys
from broker.topology import Audience, Stream
from gateway.store import Store
from tests.integration.store.content import draft

async def write():
    store = await Store.open(sys.argv[1], migrate=True)
    while True:
        one = draft(Stream(Audience.PUBLIC, int(sys.argv[2])))
        await store.append([one])
        print(one.id, flush=True)

asyncio.run(write())
"""

#: Locks all rooms and stops, as a stopped process or a dead machine would.
HANGING = """
import asyncio, sys, time
from sqlalchemy import text
from gateway.store import Store

def lock_all(connection):
    connection.execute(text("SELECT 1 FROM rooms FOR UPDATE"))
    print("locked", flush=True)
    time.sleep(600)

async def hang():
    store = await Store.open(sys.argv[1], call_timeout=3.0, migrate=True)
    await store._database.write(lock_all)

asyncio.run(hang())
"""


@pytest.mark.gen_test
async def test_acknowledged_messages_survive_a_kill(store: Store, store_url: str) -> None:
    stream = await new_stream(store)
    acknowledged: list[UUID] = []
    for _ in range(3):
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, store_url, str(stream.room)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert writer.stdout is not None
        for _ in range(40):
            acknowledged.append(UUID((await writer.stdout.readline()).decode().strip()))
        writer.kill()
        rest = (await writer.stdout.read()).decode().split("\n")[:-1]
        acknowledged += [UUID(line) for line in rest]
        await writer.wait()
    kept = await history(store, stream)
    assert [message.seq for message in kept] == list(range(1, len(kept) + 1))
    # One more for each kill may have been stored and not acknowledged.
    assert set(acknowledged) <= {message.id for message in kept}
    assert len(acknowledged) <= len(kept) <= len(acknowledged) + 3
    await store.take_over(limit=10_000)
    assert (await store.unpublished_in(stream, after=0, limit=10_000)).messages == kept


@pytest.mark.gen_test
async def test_a_lock_that_another_process_holds_is_given_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "interact.db"
    # Long enough for the call that must succeed on a busy disk.
    store = await Store.open(f"sqlite:///{path}", call_timeout=2.0, migrate=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.create_room("a room", MEMBERS, NOON)
    assert await store.open_rooms() == []
    other.execute("ROLLBACK")
    other.close()
    assert (await store.create_room("a room", MEMBERS, NOON)).id == 1
    await store.close()


@pytest.mark.gen_test
async def test_a_write_that_was_given_up_is_not_done_later(tmp_path: Path) -> None:
    """The writer is busy with another call for longer than the time there is."""
    store = await Store.open(f"sqlite:///{tmp_path}/interact.db", call_timeout=0.4, migrate=True)
    outcomes = await asyncio.gather(
        store._database.write(lambda connection: time.sleep(0.6)),
        store.create_room("a room", MEMBERS, NOON),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    await store.close()
    again = await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True)
    assert await again.open_rooms() == []
    await again.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_calls_fail_while_postgresql_is_down_and_work_when_it_is_back(
    postgres: Postgres, postgres_url: str
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    before = stored(await store.append([draft(stream, 1)]))
    await asyncio.to_thread(postgres.stop)
    one = draft(stream, 2)
    for call in (store.append([one]), store.read(stream, after=0, limit=1), store.ping()):
        with pytest.raises(StoreUnavailable) as refusal:
            await call
        assert refusal.value.__cause__ is not None
        assert refusal.value.retry_after
    await asyncio.to_thread(postgres.restart)
    after = stored(await store.append([one]))
    assert await history(store, stream) == before + after
    await store.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_restart_between_two_calls_is_not_noticed(
    postgres: Postgres, postgres_url: str
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    # More than one connection in the pool.
    await asyncio.gather(*(store.append([draft(stream)]) for _ in range(8)))
    await asyncio.to_thread(postgres.restart)
    await asyncio.gather(*(store.append([draft(stream)]) for _ in range(8)))
    assert len(await history(store, stream)) == 16
    await store.close()


@contextmanager
def _stopped(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_calls_to_a_postgresql_that_hangs_end_in_time(postgres_url: str) -> None:
    store = await Store.open(postgres_url, call_timeout=1.0, migrate=True)
    stream = await new_stream(store)
    admin = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'interact-gateway'"
    processes = [row["pid"] for row in await admin.fetch(mine)]
    assert processes
    with _stopped(processes):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.append([draft(stream, "hung")])
        # A second for the call, up to two for hanging up; without a limit it would hang on.
        assert time.monotonic() - started < 20
        stored(await store.append([draft(stream, "on another connection")]))
    bodies = [message.body for message in await history(store, stream)]
    assert "on another connection" in bodies
    await admin.close()
    await store.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_gateway_that_hangs_in_a_transaction_does_not_stop_the_others(
    postgres_url: str,
) -> None:
    # Both have a connection before the rooms are locked.
    store, impatient = [
        await Store.open(postgres_url, call_timeout=seconds, migrate=True)
        for seconds in (30.0, 1.0)
    ]
    stream = await new_stream(store)
    assert await impatient.open_rooms()
    hanging = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING, postgres_url), stdout=asyncio.subprocess.PIPE
    )
    assert hanging.stdout is not None
    assert await hanging.stdout.readline() == b"locked\n"
    with pytest.raises(StoreUnavailable):
        await impatient.append([draft(stream)])
    stored(await store.append([draft(stream)]))
    hanging.kill()
    await hanging.wait()
    await impatient.close()
    await store.close()
