import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from devenv.postgres import Postgres
from gateway.errors import StoreUnavailable
from gateway.store import Store, schema
from gateway.store.tables import metadata
from tests.conftest import NewDatabase
from tests.integration.store.content import MEMBERS, NOON


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/interact.db"


@pytest.fixture
def postgres_url(new_database: NewDatabase) -> str:
    """An empty database."""
    return new_database()


@pytest.mark.gen_test
async def test_the_migrations_make_the_tables_that_the_code_names(store: Store) -> None:
    def differences(connection: Connection) -> list[Any]:
        if connection.dialect.name == "postgresql":
            # Without the schema "interact", which this login's search path finds, too.
            connection.exec_driver_sql("SET LOCAL search_path TO public")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert await store._database.write(differences) == []


@pytest.mark.gen_test
async def test_opening_again_keeps_everything(store: Store, store_url: str) -> None:
    room = await store.create_room("a room", MEMBERS, NOON)
    again = await Store.open(store_url, migrate=True)
    assert await again.room(room.id) == room
    await again.close()


@pytest.mark.gen_test
async def test_gateways_that_start_at_once_on_an_empty_database_do_not_collide(
    store_url: str,
) -> None:
    stores = await asyncio.gather(*(Store.open(store_url, migrate=True) for _ in range(6)))
    numbers = [(await store.create_room("a room", MEMBERS, NOON)).id for store in stores]
    assert numbers == [1, 2, 3, 4, 5, 6]
    for store in stores:
        await store.close()


@pytest.mark.gen_test
async def test_migrating_leaves_logging_as_it_is(store_url: str) -> None:
    def state() -> list[Any]:
        root = logging.getLogger()
        loggers = (root, logging.getLogger("gateway"), logging.getLogger("alembic"))
        return [(one.level, list(one.handlers), one.disabled) for one in loggers]

    before = state()
    await (await Store.open(store_url, migrate=True)).close()
    assert state() == before


def _modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


@pytest.mark.gen_test
async def test_the_files_of_sqlite_are_for_their_owner_only(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True)
    await store.create_room("a room", MEMBERS, NOON)
    assert _modes(tmp_path) == dict.fromkeys(
        ("interact.db", "interact.db-wal", "interact.db-shm"), 0o600
    )
    await store.close()


@pytest.mark.gen_test
async def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True)

    def pragmas(connection: Connection) -> list[Any]:
        names = ("synchronous", "journal_mode", "foreign_keys")
        return [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names]

    assert await store._database.write(pragmas) == [2, "wal", 1]
    await store.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:"])
async def test_sqlite_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="must name a file"):
        await Store.open(url, migrate=True)


@pytest.mark.gen_test
async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere/interact\.db.*folder must exist"):
        await Store.open(f"sqlite:///{tmp_path}/nowhere/interact.db", migrate=True)


@pytest.mark.gen_test
async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "interact.db"
    path.write_text("a letter to my aunt" * 100)
    with pytest.raises(StoreUnavailable, match=r"interact\.db: file is not a database"):
        await Store.open(f"sqlite:///{path}", migrate=True)
    assert path.read_text() == "a letter to my aunt" * 100


def _with_secret(url: str) -> str:
    return url.replace("interact@", "interact:hush-hush@")


@pytest.mark.postgres
@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (lambda url: url.replace("interact:", "nobody:"), "check user and password"),
        (lambda url: url.rpartition("/")[0] + "/nowhere", "createdb"),
        (lambda url: "postgresql://interact:hush-hush@127.0.0.1:1/test", "is the server up"),
        (lambda url: url.replace("hush-hush", "hush/hush"), "percent-encoded"),
        (lambda url: url + "?sslmode=nonsense", "sslmode"),
    ],
    ids=["user", "database", "port", "url", "parameter"],
)
async def test_a_postgresql_that_cannot_be_used_gets_advice_without_the_password(
    postgres_url: str, spoil: Callable[[str], str], advice: str
) -> None:
    with pytest.raises(StoreUnavailable, match=advice) as refusal:
        await Store.open(spoil(_with_secret(postgres_url)), migrate=True)
    error: BaseException | None = refusal.value
    while error is not None:
        assert "hush" not in f"{error!r} {error}"
        error = error.__cause__


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_wrong_password_gets_advice_without_it(
    postgres: Postgres, postgres_url: str
) -> None:
    url = postgres_url.replace("+asyncpg", "")
    admin = await asyncpg.connect(url)
    await admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'right'")
    rules = await admin.fetchval("SELECT pg_read_file(current_setting('hba_file'))")
    write = "COPY (SELECT regexp_split_to_table($rules$%s$rules$, E'\\n')) TO '%s'"
    file = await admin.fetchval("SHOW hba_file")
    stricter = "host all stranger 127.0.0.1/32 scram-sha-256\n" + rules.replace("\t", " ")
    try:
        await admin.execute(write % (stricter, file))
        await admin.execute("SELECT pg_reload_conf()")
        with pytest.raises(StoreUnavailable, match="check user and password") as refusal:
            await Store.open(url.replace("interact@", "stranger:hush-hush@"), migrate=True)
        assert "hush" not in f"{refusal.value!r} {refusal.value.__cause__!r}"
    finally:
        await admin.execute(write % (rules.replace("\t", " "), file))
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute("DROP ROLE stranger")
        await admin.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_user_without_rights_on_the_schema_gets_advice(postgres_url: str) -> None:
    url = postgres_url.replace("+asyncpg", "")
    admin = await asyncpg.connect(url)
    await admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(StoreUnavailable, match="grant CREATE"):
            await Store.open(url.replace("interact@", "guest@"), migrate=True)
    finally:
        await admin.execute("DROP ROLE guest")
        await admin.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_the_pauses_within_a_migration_are_not_limited_like_those_within_a_call(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine they were longer, while the next migration was read."""
    migrated = schema.migrated

    def slowly(connection: Connection) -> str:
        pause = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
        pauses.append(str(pause))
        return migrated(connection)

    pauses: list[str] = []
    monkeypatch.setattr(schema, "migrated", slowly)
    store = await Store.open(postgres_url, call_timeout=0.5, migrate=True)
    assert pauses == ["1min"]
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("parameter", "limit"), [("", "500ms"), ("options=-c%20statement_timeout%3D7s", "7s")]
)
@pytest.mark.gen_test
async def test_the_server_ends_a_statement_that_nobody_waits_for(
    postgres_url: str, parameter: str, limit: str
) -> None:
    url = postgres_url + ("&" if "?" in postgres_url else "?") + parameter if parameter else ""
    store = await Store.open(url or postgres_url, call_timeout=0.5, migrate=True)

    def shown(connection: Connection) -> str:
        return str(connection.execute(text("SHOW statement_timeout")).scalar_one())

    assert await store._database.read(shown) == limit
    await store.close()
