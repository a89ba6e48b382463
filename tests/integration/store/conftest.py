"""Every test of the contract runs on both back ends."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from devenv.postgres import Postgres
from gateway.store import Store
from tests.conftest import NewDatabase
from tests.integration.conftest import SqliteTables, make_tables

_TABLES = "tables"


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_tables: SqliteTables) -> str:
    """A database with its tables, and nothing in them."""
    path = tmp_path / "interact.db"
    sqlite_tables(path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def _postgres_tables(postgres: Postgres) -> str:
    postgres.create_database(_TABLES)
    make_tables(postgres.url(_TABLES))
    return _TABLES


@pytest.fixture
def postgres_url(new_database: NewDatabase, _postgres_tables: str) -> str:
    """A database with its tables, and nothing in them."""
    return new_database(like=_postgres_tables)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """A database with its tables, and nothing in them."""
    url: str = request.getfixturevalue(
        "sqlite_url" if request.param == "sqlite" else "postgres_url"
    )
    return url


@pytest.fixture
def store(store_url: str, io_loop: IOLoop) -> Iterator[Store]:
    opened: Store = io_loop.run_sync(partial(Store.open, store_url, migrate=True))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def other_gateway(store: Store, store_url: str, io_loop: IOLoop) -> Iterator[Store]:
    """A second gateway's store on the same database."""
    opened: Store = io_loop.run_sync(partial(Store.open, store_url, migrate=True))
    yield opened
    io_loop.run_sync(opened.close)
