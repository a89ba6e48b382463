"""Upgrading the tables: who does it, who refuses what, and that the version before goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from tornado.ioloop import IOLoop

from gateway.domain.room import MemberRole
from gateway.errors import StoreUnavailable
from gateway.store import Store, postgresql, schema
from tests import version_before
from tests.conftest import NewDatabase
from tests.integration.store.content import MEMBERS, NOON

_WAITERS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE datname = current_database() AND NOT granted
"""
#: A migration of a version to come, which only adds.
_FUTURE = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None
def upgrade():
    op.add_column("messages", sa.Column("mood", sa.String(9), nullable=False, server_default="ok"))
    op.add_column("rooms", sa.Column("colour", sa.String(9)))
    op.create_table("moods", sa.Column("name", sa.String(9), primary_key=True))
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/interact.db"
    new_database: NewDatabase = request.getfixturevalue("new_database")
    return new_database()


@pytest.fixture
def newer_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Blocks in which this code is a version to come, with one migration more."""
    head = max(path.name[1:5] for path in schema.MIGRATIONS.glob("versions/r*.py"))
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "r9999_moods.py").write_text(_FUTURE.format(head=head))

    @contextmanager
    def newer(**constants: str) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", folder)
            for name, value in constants.items():
                patch.setattr(schema, name, value)
            yield

    return newer


@pytest.mark.gen_test
async def test_a_database_is_made_by_migrating_alone(store_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="run `gateway migrate`"):
        await Store.open(store_url)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib's is taken for slow
    first = await Store.open(store_url, migrate=True)
    await first.close()
    again = await Store.open(store_url)
    assert first.schema == f"was without tables, {again.schema} now"
    await again.close()


@pytest.mark.gen_test
async def test_older_tables_are_refused_until_they_are_migrated(
    store_url: str, newer_version: Any
) -> None:
    store = await Store.open(store_url, migrate=True)
    room = await store.create_room("a room", MEMBERS, NOON)
    await store.close()
    with newer_version():
        with pytest.raises(StoreUnavailable, match=r"this version .* needs 9999: run `gateway mig"):
            await Store.open(store_url)
        newer = await Store.open(store_url, migrate=True)
        assert newer.schema.endswith(", is at revision 9999 now")
        assert await newer.room(room.id) == room
        await newer.close()


@pytest.mark.gen_test
async def test_the_version_before_goes_on_beside_a_newer_one_and_starts_again(
    store_url: str, newer_version: Any
) -> None:
    """While gateways are replaced one by one, or if the new version is taken back."""
    before = await Store.open(store_url, migrate=True)
    room = await before.create_room("a room", MEMBERS, NOON)
    with newer_version():
        newer = await Store.open(store_url, migrate=True)
    await before.rename_room(room.id, "by the one that was there")
    # It migrates nothing, although it may.
    for migrate in (False, True):
        again = await Store.open(store_url, migrate=migrate)
        assert again.schema == "is at revision 9999" + ("; nothing to do" if migrate else "")
        made = await again.create_room("by the one that came again", MEMBERS, NOON)
        assert await newer.room(made.id) == made
        await again.set_member(room.id, "zoe", MemberRole.PARTICIPANT)
        await again.close()
    assert {each.user for each in await newer.members(room.id)} >= {"zoe"}
    await newer.close()
    await before.close()


@pytest.mark.gen_test
async def test_tables_that_a_newer_version_has_changed_are_left_alone(
    store_url: str, newer_version: Any
) -> None:
    with newer_version(OLDEST="9999"):
        await (await Store.open(store_url, migrate=True)).close()
    for migrate in (False, True):
        with pytest.raises(StoreUnavailable, match=r"9999, which this version .* cannot use"):
            await Store.open(store_url, migrate=migrate)


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_migration_does_not_keep_gateways_waiting_behind_a_backup(
    new_database: NewDatabase, newer_version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    before = await Store.open(url, migrate=True)
    room = await before.create_room("a room", MEMBERS, NOON)
    backup = await asyncpg.connect(url.replace("+asyncpg", ""))
    monkeypatch.setattr(postgresql, "TABLE_PATIENCE", 0.1)
    async with backup.transaction():
        # As pg_dump does, for as long as it takes.
        await backup.execute("LOCK TABLE messages IN ACCESS SHARE MODE")
        with newer_version(), pytest.raises(StoreUnavailable, match=r"pg_dump.* try again"):
            await Store.open(url, migrate=True)
    await backup.close()
    assert await before.room(room.id) == room
    with newer_version():
        await (await Store.open(url, migrate=True)).close()
    await before.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_migrations_lock_tables_in_the_order_in_which_posts_do(
    new_database: NewDatabase,
) -> None:
    """Otherwise each would wait for the other, and one of them fail."""
    url = new_database()
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(_migrated, schema.OLDEST)
    await engine.dispose()
    post = await asyncpg.connect(url.replace("+asyncpg", ""))
    async with post.transaction():
        await post.execute("SELECT id FROM rooms FOR NO KEY UPDATE")
        migrating = asyncio.ensure_future(Store.open(url, migrate=True))
        while not await post.fetchval(_WAITERS):
            assert not migrating.done()
            await asyncio.sleep(0.01)
        # As an INSERT does.
        await post.execute("LOCK TABLE streams, messages, kept IN ROW EXCLUSIVE MODE")
    await post.close()
    await (await migrating).close()


# Migrations only add


@dataclass(frozen=True)
class Column:
    """What a statement of an older version depends on. ``needed``: an INSERT must give it."""

    type: str
    nullable: bool
    needed: bool


def _tables(connection: Connection) -> dict[str, dict[str, Column]]:
    seen = inspect(connection)
    return {
        table: {
            column["name"]: Column(
                str(column["type"]),
                column["nullable"],
                not column["nullable"] and column["default"] is None,
            )
            for column in seen.get_columns(table)
        }
        for table in seen.get_table_names()
    }


def _constraints(connection: Connection) -> set[tuple[str, str]]:
    """What can refuse a row of an older version."""
    seen = inspect(connection)
    found = set()
    for table in seen.get_table_names():
        found |= {(table, str(each)) for each in seen.get_unique_constraints(table)}
        found |= {(table, str(each)) for each in seen.get_check_constraints(table)}
        found |= {(table, str(each)) for each in seen.get_foreign_keys(table)}
        found |= {(table, str(each)) for each in seen.get_indexes(table) if each["unique"]}
    return found


def _breaks(before: Connection, after: Connection) -> list[str]:
    """What the statements of a version that knows the tables ``before`` fail on ``after``."""
    broken = []
    new = _tables(after)
    for table, columns in _tables(before).items():
        there = new.get(table, {})
        broken += [f"{table}.{c}" for c, column in columns.items() if there.get(c) != column]
        broken += [
            f"{table}.{c}" for c, column in there.items() if c not in columns and column.needed
        ]
    old = set(_tables(before))
    broken += [
        f"{table}: {what}"
        for table, what in _constraints(after) - _constraints(before)
        if table in old
    ]
    return broken


def _migrated(connection: Connection, revision: str) -> None:
    command.upgrade(schema._config(connection), revision)


def test_the_newest_tables_serve_the_oldest_version_that_may_use_them() -> None:
    """If this fails, a migration does not only add: then :data:`schema.OLDEST` becomes its
    revision, and CHANGELOG says that all gateways stop first."""
    with (
        create_engine("sqlite://").connect() as before,
        create_engine("sqlite://").connect() as new,
    ):
        _migrated(before, schema.OLDEST)
        _migrated(new, "head")
        assert _breaks(before, new) == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("ALTER TABLE rooms ADD COLUMN colour VARCHAR NOT NULL DEFAULT 'red'", []),
        ("ALTER TABLE rooms RENAME COLUMN title TO name", ["rooms.title", "rooms.name"]),
        ("DROP TABLE accounts", None),
        ("CREATE UNIQUE INDEX titles ON rooms (title)", None),
        ("CREATE TABLE more (name VARCHAR NOT NULL)", []),
    ],
)
def test_what_an_older_version_cannot_use_is_found(change: str, broken: list[str] | None) -> None:
    with (
        create_engine("sqlite://").connect() as before,
        create_engine("sqlite://").connect() as new,
    ):
        _migrated(before, "head")
        _migrated(new, "head")
        new.execute(text(change))
        found = _breaks(before, new)
        assert found if broken is None else found == broken


# The released version


def test_the_last_release_works_on_tables_of_the_next_version(
    tmp_path: Path, newer_version: Any, io_loop: IOLoop
) -> None:
    """Its own code, as a process."""
    url = f"sqlite:///{tmp_path}/interact.db"

    async def title(room: int, *, migrate: bool) -> str | None:
        store = await Store.open(url, migrate=migrate)
        made = await store.room(room)
        await store.close()
        return None if made is None else made.title

    with newer_version():
        assert io_loop.run_sync(partial(title, 1, migrate=True)) is None
    release = version_before.unpack(tmp_path / "release")
    told = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _OLD, url],
        cwd=release,
        env={k: v for k, v in os.environ.items() if k[:8] != "GATEWAY_"} | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == [str(release / "gateway"), "1"]
    assert io_loop.run_sync(partial(title, 1, migrate=False)) == "by the release"


_OLD = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
import gateway
from gateway.domain.room import MemberRole
from gateway.store import Store

async def use():
    store = await Store.open(sys.argv[1])
    room = await store.create_room("by the release", {"anna": MemberRole.HOST}, datetime.now(UTC))
    print(Path(gateway.__file__).parent, room.id)
    await store.close()

asyncio.run(use())
"""
