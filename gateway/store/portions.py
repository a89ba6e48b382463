"""Reading messages up to a bound of bytes, without loading more from the database.

The number of a page's keys is limited in advance. Their bodies are limited by size: SQLite reads
them one by one and is stopped at the bound; PostgreSQL adds up their sizes, which it knows without
reading the bodies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Subquery, and_, func, select

from broker.topology import Stream
from gateway.store.tables import messages

#: Bytes of bodies that one read returns at most; the message that crosses the bound is included.
READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Portion:
    """The rows of :data:`messages` that a bounded read found. ``cut``: the bound was reached before
    the last key."""

    rows: Sequence[Row[Any]]
    cut: bool


def one_by_one(keys: Subquery, stream: Mapping[str, Any]) -> Select[Any]:
    """The query for SQLite: a LEFT JOIN walks its left side in order, so nothing is sorted, and
    each row is read only when it is fetched."""
    return select(messages).select_from(keys.outerjoin(messages, _of(keys, stream)))


def sized(keys: Subquery, stream: Mapping[str, Any]) -> Subquery:
    """The query for PostgreSQL, with the bytes ``before`` each row and the number of keys
    ``found``."""
    size = func.octet_length(messages.c.body)
    before = func.sum(size).over(order_by=messages.c.seq) - size
    return (
        select(messages, before.label("before"), func.count().over().label("found"))
        .select_from(keys.join(messages, _of(keys, stream)))
        .subquery()
    )


def take(
    connection: Connection, query: Select[Any], values: Mapping[str, Any], *, size: int
) -> Portion:
    """Run a :func:`one_by_one` query up to ``size`` bytes of bodies."""
    rows: list[Row[Any]] = []
    taken = 0
    with connection.execute(query, values) as found:
        for row in found:
            if rows and row.seq <= rows[-1].seq:
                raise AssertionError("SQLite returned the rows of a page out of order")
            if taken >= size:
                return Portion(rows, cut=True)
            rows.append(row)
            taken += len(row.body)
    return Portion(rows, cut=False)


def whole(rows: Sequence[Row[Any]]) -> Portion:
    """The portion in the rows of a query over :func:`sized`."""
    return Portion(rows, cut=bool(rows) and len(rows) < rows[0].found)


def of_stream(stream: Stream) -> dict[str, Any]:
    """The parameters that name a stream in these queries."""
    return {"in_room": stream.room, "in_audience": stream.audience}


def _of(keys: Subquery, stream: Mapping[str, Any]) -> Any:
    return and_(
        messages.c.room == stream["in_room"],
        messages.c.audience == stream["in_audience"],
        messages.c.seq == keys.c.seq,
    )
