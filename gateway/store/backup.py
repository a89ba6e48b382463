"""Copies of a SQLite database, taken while gateways write to it, and their way back.

SQLite's backup copies one state in one step: in WAL mode a reader holds up no writer. Everything
here blocks; it is for the command line, which is a process of its own.
https://www.sqlite.org/backup.html
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DatabaseError

from gateway.store import schema

#: Seconds to wait for another process's lock, for example while it shortens its log.
_PATIENCE: Final = 30.0
#: Files that belong to a database, beside it.
_COMPANIONS: Final = ("-wal", "-shm", "-journal")

#: Errors of file systems without hard links: those of sticks, and some of shares.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class Unfit(Exception):
    """The file cannot be copied, or is no usable database; the text says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a database that was checked. ``newest``: when the last message was sent, in
    UTC as the database has it; None: there is none."""

    state: schema.Schema
    rooms: int
    messages: int
    newest: str | None

    def __str__(self) -> str:
        last = "" if self.newest is None else f", the last one of {self.newest} UTC"
        return f"{self.state}, {self.rooms} rooms, {self.messages} messages{last}"


def copy(source: Path, target: Path) -> Contents:
    """Copy a database into a file that does not exist yet, for its owner only. The copy is whole
    and checked when it gets its name. Raises :class:`Unfit`."""
    for path in (target, *(target.with_name(target.name + end) for end in _COMPANIONS)):
        if path.exists():
            raise Unfit(f"{path} exists already, and is left alone")
    if not source.is_file():
        raise Unfit(f"{source} does not exist")
    try:
        handle, name = mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        fresh = Path(name)
        try:
            with _sqlite(source):
                _copy(source, fresh)
            contents = check(fresh)
            _settle(fresh)
            _name(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        _settle(target.parent)
    except OSError as error:
        raise Unfit(f"{target} cannot be written: {error.strerror}") from error
    return contents


def check(path: Path) -> Contents:
    """Check each page, index and reference of a database of the gateway's. Raises
    :class:`Unfit`."""
    if not path.is_file():
        raise Unfit(f"{path} does not exist")
    with _sqlite(path), closing(_connect(path)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise Unfit(f"{path} is damaged: {'; '.join(problems)}")
        if connection.execute("PRAGMA foreign_key_check").fetchone():
            raise Unfit(f"{path} is damaged: a row belongs to one that is not there")
        state = _state(path)
        if state.fit is schema.Fit.EMPTY:
            raise Unfit(f"{path} is no database of the gateway's")
        rooms, messages, newest = connection.execute(
            "SELECT (SELECT count(*) FROM rooms), count(*), max(sent_at) FROM messages"
        ).fetchone()
    return Contents(state, rooms, messages, newest)


def _copy(source: Path, target: Path) -> None:
    with closing(_connect(source)) as original, closing(sqlite3.connect(target)) as copied:
        original.backup(copied)
        # One file, whatever the original's mode; who opens it chooses again.
        copied.execute("PRAGMA journal_mode = DELETE")


def _name(fresh: Path, target: Path) -> None:
    """Give the file its name, unless somebody has taken it meanwhile."""
    try:
        # Unlike a rename, it overwrites nothing.
        os.link(fresh, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
        fresh.replace(target)


def _state(path: Path) -> schema.Schema:
    engine = create_engine("sqlite+pysqlite://", creator=lambda: _connect(path), poolclass=NullPool)
    with engine.connect() as connection:
        return schema.found(connection)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing. One with ``mode=ro`` would leave the companions that it
    makes."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def _sqlite(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, DatabaseError) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        raise Unfit(f"{path}: {cause}") from error


def _settle(path: Path) -> None:
    """Have the disk keep a file, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some file systems refuse it for folders.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
