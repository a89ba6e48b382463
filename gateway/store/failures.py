"""The meaning of a database's errors for the call, the connection and the server.

This is the only table of these errors, for both back ends; all other code asks :func:`consequence`.
https://www.postgresql.org/docs/current/errcodes-appendix.html, https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import Final

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import StoreUnavailable

#: The longest part of a driver's text that is passed on, in characters.
_LONGEST: Final = 300


class Consequence(Enum):
    """The gateway's reaction to an error."""

    #: Another transaction interfered: run this one again, so that it sees the other's result.
    AGAIN = "again"
    #: The database cannot do it now, but its connections are good.
    REFUSED = "refused"
    #: The connections are useless: the server is stopping, is gone, or has become read-only. A new
    #: connection may lead to another server, or find this one recovered.
    LEAVE = "leave"
    #: A pooler gives each transaction another connection: go on without per-connection state.
    POOLED = "pooled"
    #: The statement is wrong. This is a bug of the gateway and belongs in the log.
    BUG = "bug"


#: By SQLSTATE, or its class (the first two characters).
_SQLSTATES: Final = {
    "08": Consequence.LEAVE,  # connection exception
    "0A000": Consequence.AGAIN,  # a plan cached before another gateway's migration
    "0A": Consequence.BUG,
    "22": Consequence.BUG,  # data exception
    "23": Consequence.BUG,  # constraint violation …
    "23505": Consequence.AGAIN,  # … except unique_violation: another transaction was faster
    "25006": Consequence.LEAVE,  # read_only_sql_transaction: a standby, or a read-only server
    "26": Consequence.POOLED,  # invalid_sql_statement_name
    "42": Consequence.BUG,  # syntax error …
    "42501": Consequence.REFUSED,  # … except insufficient_privilege: it may be granted later
    "42P05": Consequence.POOLED,  # duplicate_prepared_statement
    "40": Consequence.AGAIN,  # serialization_failure, deadlock_detected
    "53": Consequence.REFUSED,  # disk full, out of memory, too many connections
    "57": Consequence.LEAVE,  # admin_shutdown, crash_shutdown, cannot_connect_now …
    "57014": Consequence.REFUSED,  # … except query_canceled: a statement_timeout
    "XX": Consequence.LEAVE,  # internal error, corrupted data
}
#: By SQLite's primary result code.
_SQLITE: Final = {
    sqlite3.SQLITE_CANTOPEN: Consequence.LEAVE,
    sqlite3.SQLITE_CORRUPT: Consequence.LEAVE,
    sqlite3.SQLITE_IOERR: Consequence.LEAVE,
    sqlite3.SQLITE_NOTADB: Consequence.LEAVE,
    sqlite3.SQLITE_PROTOCOL: Consequence.LEAVE,
    sqlite3.SQLITE_READONLY: Consequence.LEAVE,
    sqlite3.SQLITE_CONSTRAINT: Consequence.BUG,
    sqlite3.SQLITE_MISMATCH: Consequence.BUG,
    sqlite3.SQLITE_MISUSE: Consequence.BUG,
    sqlite3.SQLITE_RANGE: Consequence.BUG,
    sqlite3.SQLITE_TOOBIG: Consequence.BUG,
}
#: Errors without a database's code, which the drivers raise themselves.
_WRONG: Final = (
    *(IntegrityError, ProgrammingError, DataError),
    *(sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError),
)


def consequence(error: BaseException) -> Consequence:
    """The consequence of an error of SQLAlchemy, of a driver, or of the network."""
    cause = _driver_s_own(error)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2]) or Consequence.REFUSED
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        # The upper bits hold details that do not matter here.
        return _SQLITE.get(code & 0xFF, Consequence.REFUSED)
    if isinstance(error, _WRONG):
        return Consequence.BUG
    if isinstance(error, TimeoutError | PoolTimeout):
        return Consequence.REFUSED
    return Consequence.LEAVE


def reason(error: BaseException) -> str:
    """The driver's message in one line, with the database's error code. It may name hosts and
    users."""
    cause = _driver_s_own(error)
    words = str(cause).strip().partition("\n")[0][:_LONGEST]
    if isinstance(cause, TimeoutError | PoolTimeout):
        return f"no answer in time ({words})" if words else "no answer in time"
    words = words or type(cause).__name__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f"{words} ({code})" if code else words


def unavailable(error: BaseException) -> StoreUnavailable:
    """The error that a call fails with. Its cause is for the log and for operators, not for
    clients."""
    return StoreUnavailable("the database is not available", retry_after=1.0, reason=reason(error))


def _driver_s_own(error: BaseException) -> BaseException:
    """The driver's own error: SQLAlchemy wraps it once, and that of asyncpg twice."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
        if not isinstance(error, sqlite3.Error) and error.__cause__ is not None:
            return error.__cause__
    return error
