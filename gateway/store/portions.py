"""Reading messages up to a bound of bytes: no more leaves the database than is given on.

Only the keys of a page are limited by their number. Of the bodies SQLite reads one after the other
and is stopped; PostgreSQL adds up their sizes, which it knows without reading them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Subquery, and_, func, select

from broker.topology import Stream
from gateway.store.tables import messages

#: Bytes of bodies that one read gives, and at most one message more.
READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of :data:`messages`. ``cut``: the bound was reached before the last key."""

    rows: Sequence[Row[Any]]
    cut: bool


def one_by_one(keys: Subquery, stream: Mapping[str, Any]) -> Select[Any]:
    """For SQLite: a LEFT JOIN goes through its left side in order, so nothing is sorted, and a row
    is read when it is asked for."""
    return select(messages).select_from(keys.outerjoin(messages, _of(keys, stream)))


def sized(keys: Subquery, stream: Mapping[str, Any]) -> Subquery:
    """For PostgreSQL: with the bytes ``before`` each row, and how many keys were ``found``."""
    size = func.octet_length(messages.c.body)
    before = func.sum(size).over(order_by=messages.c.seq) - size
    return (
        select(messages, before.label("before"), func.count().over().label("found"))
        .select_from(keys.join(messages, _of(keys, stream)))
        .subquery()
    )


def take(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> Portion:
    """Run :func:`one_by_one` as far as the bound."""
    rows: list[Row[Any]] = []
    size = 0
    with connection.execute(query, values) as found:
        for row in found:
            if rows and row.seq <= rows[-1].seq:
                raise AssertionError("SQLite gave the rows of a page in another order")
            if size >= READ_BYTES:
                return Portion(rows, cut=True)
            rows.append(row)
            size += len(row.body)
    return Portion(rows, cut=False)


def whole(rows: Sequence[Row[Any]]) -> Portion:
    """What a query over :func:`sized` has found."""
    return Portion(rows, cut=bool(rows) and len(rows) < rows[0].found)


def of_stream(stream: Stream) -> dict[str, Any]:
    """The parameters by which these queries name a stream."""
    return {"in_room": stream.room, "in_audience": stream.audience}


def _of(keys: Subquery, stream: Mapping[str, Any]) -> Any:
    return and_(
        messages.c.room == stream["in_room"],
        messages.c.audience == stream["in_audience"],
        messages.c.seq == keys.c.seq,
    )
