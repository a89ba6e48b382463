"""``store.url``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.database_url import PostgresServer, SqliteFile, beside, parse


def _server(url: str) -> PostgresServer:
    where = parse(url)
    assert isinstance(where, PostgresServer)
    return where


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_has_several_schemes(scheme: str) -> None:
    where = _server(f"{scheme}://anna:hush@db:5433/school")
    assert where.url == "postgresql://anna:hush@db:5433/school"
    assert where.name == "postgresql://db:5433/school"
    assert "hush" not in repr(where)


def test_parameters_that_libpq_knows_are_accepted() -> None:
    where = _server(
        "postgres://anna@db/school?sslmode=verify-full&connect_timeout=3&application_name=x"
        "&options=-c%20statement_timeout%3D5000%20--lock_timeout%3D9&channel_binding=prefer"
    )
    assert where.url == "postgresql://anna@db/school?sslmode=verify-full"
    assert where.settings == {
        "application_name": "x",
        "statement_timeout": "5000",
        "lock_timeout": "9",
    }
    assert (where.connect_timeout, where.pooled) == (3.0, False)
    assert _server("postgres://db/x?connect_timeout=0").connect_timeout is None


def test_a_pooler_can_be_named() -> None:
    where = _server("postgresql://db/school?pgbouncer=true")
    assert (where.pooled, where.url) == (True, "postgresql://db/school")


def test_of_several_servers_the_one_that_takes_writes_is_meant() -> None:
    where = _server("postgresql://anna@one:5432,two:5432/school")
    assert where.url.endswith("?target_session_attrs=read-write")
    chosen = _server("postgresql://anna@one,two/school?target_session_attrs=primary")
    assert chosen.url.endswith("?target_session_attrs=primary")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://db/school", "must start with sqlite:/// or postgresql://"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///interact.db?mode=ro", "takes no parameters"),
        ("postgresql://db/x?sslmod=require", "has an unknown parameter sslmod"),
        ("postgresql://db/x?sslmode=always", "sslmode, which must be one of disable, allow"),
        ("postgresql://db/x?channel_binding=require", "channel_binding, which must be one of"),
        ("postgresql://db/x?connect_timeout=soon", "a number of seconds"),
        ("postgresql://db/x?options=statement_timeout", "the form -c name=value"),
        ("postgresql://anna:hush/hush@db/x", "percent-encoded"),
        ("postgresql://anna:hush?hush@db/x", "percent-encoded"),
        ("postgresql://anna:hush#hush@db/x", "percent-encoded"),
        # What stands before the slash could be a host and its port.
        ("postgresql://anna:12/hush@db/x", "percent-encoded"),
        ("postgresql://an/na:hush@db/x", "percent-encoded"),
        ("postgresql://anna:1?host=hush@db/x", "percent-encoded"),
    ],
)
def test_faults_are_named_without_any_secret(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        parse(url)
    assert told in str(refusal.value)
    assert "hush" not in str(refusal.value)


def test_a_relative_path_is_taken_from_the_folder() -> None:
    folder = Path("/etc/interact")
    assert beside("sqlite:///interact.db", folder) == "sqlite:////etc/interact/interact.db"
    assert beside("sqlite:////var/x.db", folder) == "sqlite:////var/x.db"
    assert beside("postgresql://db/x", folder) == "postgresql://db/x"
    assert parse("sqlite:////var/x.db") == SqliteFile("/var/x.db")
