"""Statements of the hot path: on SQLite they run directly on its driver.

SQLAlchemy takes five times as long as SQLite itself, mostly to work out again and again how the
same statement is composed and how its values are converted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.store.tables import padded

_SQLITE: Final = sqlite.dialect()


class Prepared:
    """A statement that is compiled once. Its rows are tuples of the driver's values, without
    SQLAlchemy's types."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        assert isinstance(statement, ClauseElement)  # noqa: S101 - every executable one is
        compiled = statement.compile(dialect=_SQLITE)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - no DDL
        self._sql = str(compiled)
        #: The parameters in their order, and the function that converts each for SQLite.
        self._writers = [
            (name, compiled.binds[name].type.dialect_impl(_SQLITE).bind_processor(_SQLITE))
            for name in compiled.positiontup or ()
        ]

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        if (driver := _driver(connection)) is None:
            return connection.execute(self._statement, values).all()
        return driver.execute(self._sql, self._written(values)).fetchall()

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a change once for each of the rows."""
        if not rows:
            return
        if (driver := _driver(connection)) is None:
            connection.execute(self._statement, rows)
        else:
            driver.executemany(self._sql, [self._written(row) for row in rows])

    def _written(self, values: Mapping[str, Any]) -> list[Any]:
        return [
            values[name] if write is None else write(values[name]) for name, write in self._writers
        ]


class PreparedList:
    """A query for any number of values. ``query`` makes it for a condition ``column IN (…)``."""

    def __init__(
        self, column: ColumnElement[Any], query: Callable[[ColumnElement[bool]], Executable]
    ) -> None:
        self._column = column
        self._query = query
        self._by_size: dict[int, Prepared] = {}

    def rows(self, connection: Connection, values: list[Any]) -> Sequence[Sequence[Any]]:
        """The rows for the values. They are padded to a power of two, so that there are few
        statements."""
        if not values:
            return []
        named = {f"v{index}": value for index, value in enumerate(padded(values))}
        if (prepared := self._by_size.get(len(named))) is None:
            parameters = [bindparam(name, type_=self._column.type) for name in named]
            prepared = Prepared(self._query(self._column.in_(parameters)))
            self._by_size[len(named)] = prepared
        return prepared.rows(connection, named)


class PreparedRows:
    """A query for any number of rows of values. ``query`` makes it for a condition that the
    ``columns`` have the values of one of them.

    On SQLite it is run once for each: SQLite reads a whole table for an ``IN`` with several
    columns. Elsewhere one statement takes all of them, as arrays.
    https://www.postgresql.org/docs/current/functions-array.html (unnest)
    """

    def __init__(
        self,
        columns: Sequence[ColumnElement[Any]],
        query: Callable[[ColumnElement[bool]], Executable],
    ) -> None:
        names = [f"v{index}" for index in range(len(columns))]
        self._names = names
        self._one = Prepared(
            query(
                and_(
                    *(
                        column == bindparam(name, type_=column.type)
                        for name, column in zip(names, columns, strict=True)
                    )
                )
            )
        )
        arrays = [
            bindparam(name, type_=ARRAY(column.type))
            for name, column in zip(names, columns, strict=True)
        ]
        given = select(func.unnest(*arrays).table_valued(*names).render_derived())
        self._all = query(tuple_(*columns).in_(given))

    def rows(self, connection: Connection, values: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The rows for all of the values."""
        if not values:
            return []
        if _driver(connection) is None:
            arrays = dict(zip(self._names, map(list, zip(*values, strict=True)), strict=True))
            return list(connection.execute(self._all, arrays).all())
        found: list[Sequence[Any]] = []
        for each in values:
            found += self._one.rows(connection, dict(zip(self._names, each, strict=True)))
        return found


def _driver(connection: Connection) -> sqlite3.Connection | None:
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None
