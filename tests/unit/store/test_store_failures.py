"""The consequences of a database's errors."""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.store.failures import Consequence, consequence, reason


def _postgresql(state: str) -> DBAPIError:
    """As it comes out of SQLAlchemy: the driver's error, inside the adapter's."""
    own = asyncpg.PostgresError.new({"C": state, "M": "what the server says\nDETAIL: more"})
    adapted = Exception(f"<class 'asyncpg'>: {own}")
    adapted.__cause__ = own
    return DBAPIError("SELECT 1", None, adapted)


def _sqlite(code: int, name: str) -> DBAPIError:
    own = sqlite3.OperationalError("what SQLite says")
    own.sqlite_errorcode, own.sqlite_errorname = code, name
    return OperationalError("SELECT 1", None, own)


@pytest.mark.parametrize(
    ("state", "follows"),
    [
        ("40001", Consequence.AGAIN),
        ("40P01", Consequence.AGAIN),
        ("23505", Consequence.AGAIN),
        ("0A000", Consequence.AGAIN),
        ("25006", Consequence.LEAVE),
        ("57P01", Consequence.LEAVE),
        ("57P03", Consequence.LEAVE),
        ("08006", Consequence.LEAVE),
        ("57014", Consequence.REFUSED),
        ("53100", Consequence.REFUSED),
        ("53300", Consequence.REFUSED),
        ("42501", Consequence.REFUSED),
        ("26000", Consequence.POOLED),
        ("42P05", Consequence.POOLED),
        ("42601", Consequence.BUG),
        ("23503", Consequence.BUG),
        ("22P02", Consequence.BUG),
    ],
)
def test_a_state_of_postgresql_has_its_consequence(state: str, follows: Consequence) -> None:
    assert consequence(_postgresql(state)) is follows
    assert reason(_postgresql(state)) == f"what the server says ({state})"


@pytest.mark.parametrize(
    ("name", "follows"),
    [
        ("SQLITE_FULL", Consequence.REFUSED),
        ("SQLITE_BUSY_SNAPSHOT", Consequence.REFUSED),
        ("SQLITE_IOERR_WRITE", Consequence.LEAVE),
        ("SQLITE_READONLY_DBMOVED", Consequence.LEAVE),
        ("SQLITE_CANTOPEN", Consequence.LEAVE),
        ("SQLITE_CONSTRAINT_FOREIGNKEY", Consequence.BUG),
    ],
)
def test_a_code_of_sqlite_has_its_consequence(name: str, follows: Consequence) -> None:
    error = _sqlite(getattr(sqlite3, name), name)
    assert consequence(error) is follows
    assert reason(error) == f"what SQLite says ({name})"


@pytest.mark.parametrize(
    ("error", "follows", "words"),
    [
        (TimeoutError(), Consequence.REFUSED, "no answer in time"),
        (PoolTimeout("all are busy"), Consequence.REFUSED, "no answer in time (all are busy)"),
        (ConnectionRefusedError(111, "nobody"), Consequence.LEAVE, "[Errno 111] nobody"),
        (asyncpg.InterfaceError("closed"), Consequence.LEAVE, "closed"),
        (IntegrityError("x", None, Exception("wrong")), Consequence.BUG, "wrong"),
    ],
)
def test_errors_without_a_code_have_a_consequence(
    error: Exception, follows: Consequence, words: str
) -> None:
    assert (consequence(error), reason(error)) == (follows, words)
