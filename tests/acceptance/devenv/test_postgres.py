"""The throw-away PostgreSQL itself."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from devenv.postgres import Postgres


async def _ask(url: str, *statements: str) -> object:
    """The answer of the last statement, as one value."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            *before, last = statements
            for statement in before:
                await connection.execute(text(statement))
            return await connection.scalar(text(last))
    finally:
        await engine.dispose()


def test_each_test_gets_a_database_of_its_own(postgres_url: str) -> None:
    name = asyncio.run(_ask(postgres_url, "SELECT current_database()"))

    assert name == postgres_url.rpartition("/")[2]
    assert name != "postgres"


def test_committed_data_survive_a_restart_and_a_kill(postgres: Postgres, postgres_url: str) -> None:
    asyncio.run(_ask(postgres_url, "CREATE TABLE kept AS SELECT 42 AS answer", "SELECT 1"))

    postgres.restart()
    assert asyncio.run(_ask(postgres_url, "SELECT answer FROM kept")) == 42

    postgres.kill()
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(_ask(postgres_url, "SELECT 1"))
    postgres.restart()
    assert asyncio.run(_ask(postgres_url, "SELECT answer FROM kept")) == 42


def test_it_listens_on_loopback_only(postgres_url: str) -> None:
    assert asyncio.run(_ask(postgres_url, "SHOW listen_addresses")) == "127.0.0.1"
    assert asyncio.run(_ask(postgres_url, "SHOW unix_socket_directories")) == ""
