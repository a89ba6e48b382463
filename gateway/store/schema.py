"""The schema: the revision of the tables, whether this code can use them, and the migrations,
applied by Alembic without its command line.

A migration only adds, so that the version before still works beside it: while gateways are
replaced one by one, and if the new one has to be taken back. So the database says which revision a
program must know at least (:data:`OLDEST`), and an older version that knows it uses newer tables as
if nothing had been added. docs/how-to/upgrade.md has the operator's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert, inspect, select

from gateway.errors import StoreUnavailable
from gateway.store.tables import compatibility

MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: The revision that a program must know to use the tables as the newest migration leaves them. It
#: stays as it is while migrations only add; a test compares the tables.
OLDEST: Final = "0021"


class Fit(Enum):
    """The ways in which tables and this code go together."""

    #: There are no tables.
    EMPTY = auto()
    #: Migrations are missing.
    OLDER = auto()
    CURRENT = auto()
    #: A newer version has added to them what this one does without.
    NEWER = auto()
    #: A newer version has changed them.
    TOO_NEW = auto()


@dataclass(frozen=True, slots=True)
class Schema:
    """The state of the tables. ``revision`` None: there are none. ``known``: the newest revision of
    this code."""

    revision: str | None
    known: str
    fit: Fit

    def __str__(self) -> str:
        return "without tables" if self.revision is None else f"at revision {self.revision}"


def found(connection: Connection) -> Schema:
    """The state of the tables."""
    scripts = ScriptDirectory.from_config(_config(connection))
    newest = scripts.get_current_head()
    assert newest is not None  # noqa: S101 - there are migrations
    revision = MigrationContext.configure(connection).get_current_revision()
    return Schema(revision, newest, _fit(connection, revision, newest, scripts))


def _fit(
    connection: Connection, revision: str | None, newest: str, scripts: ScriptDirectory
) -> Fit:
    if revision is None:
        return Fit.EMPTY
    if revision == newest:
        return Fit.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    if revision in known:
        return Fit.OLDER
    if not inspect(connection).has_table(compatibility.name):
        return Fit.TOO_NEW
    oldest = connection.execute(select(compatibility.c.oldest)).scalar()
    return Fit.NEWER if oldest in known else Fit.TOO_NEW


def check(connection: Connection) -> Schema:
    """The state of tables that this code can use. Raises :class:`StoreUnavailable`, whose text says
    what to do, for others."""
    state = found(connection)
    match state.fit:
        case Fit.EMPTY:
            raise StoreUnavailable(
                "the database has no tables yet: run `gateway migrate`", empty=True
            )
        case Fit.OLDER:
            raise StoreUnavailable(
                f"the database is {state}, and this version of the gateway needs {state.known}: run"
                " `gateway migrate`; gateways of the version before go on meanwhile"
                " (docs/how-to/upgrade.md)"
            )
        case Fit.TOO_NEW:
            raise _too_new(state)
        case _:
            return state


def upgrade(connection: Connection) -> Schema:
    """Apply the missing migrations, in the caller's transaction: all of them or none. Tables of a
    newer version that this one can use are left alone. Returns the state before.

    Raises :class:`StoreUnavailable` for tables that a newer gateway has changed.
    """
    before = found(connection)
    if before.fit is Fit.TOO_NEW:
        raise _too_new(before)
    if before.fit in {Fit.EMPTY, Fit.OLDER}:
        command.upgrade(_config(connection), "head")
        connection.execute(delete(compatibility))
        connection.execute(insert(compatibility).values(oldest=OLDEST))
    return before


def migrated(connection: Connection) -> str:
    """The same as :func:`upgrade`; returns in words what it has done."""
    before = upgrade(connection)
    if before.fit in {Fit.EMPTY, Fit.OLDER}:
        return f"was {before}, is at revision {before.known} now"
    return f"is {before}; nothing to do"


def described(connection: Connection) -> str:
    """The same as :func:`check`; returns in words what it has found."""
    return f"is {check(connection)}"


def _too_new(state: Schema) -> StoreUnavailable:
    return StoreUnavailable(
        f"the database is {state}, which this version of the gateway does not know and cannot use:"
        " a newer one has migrated it. Install that version, or restore a backup from before"
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
