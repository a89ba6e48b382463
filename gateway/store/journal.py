"""The journal in the database: what has happened at all gateways, for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.domain.journal import ERASURE, Entry, EntryKind, Search
from gateway.store.database import Database
from gateway.store.retention import REST
from gateway.store.tables import erasures, journal
from gateway.store.values import is_room

#: Entries that one transaction deletes.
ROWS: Final = 500

#: What an order says of a user who was deleted by request.
_DELETED: Final = "(deleted by request)"
_TEXTS: Final = {
    name: column.type.length
    for name, column in journal.c.items()
    if isinstance(column.type, String) and column.type.length is not None
}


class StoredJournal:
    """The journal of all gateways. Every method raises
    :class:`gateway.errors.StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entries: Sequence[Entry], *, gateway: str) -> None:
        """Store entries of this gateway (up to 100). What is longer than its column is cut."""
        rows = [_row(entry, gateway) for entry in entries]
        await self._database.write(partial(_add, rows=rows))

    async def search(self, search: Search) -> list[Entry]:
        """The entries that fit, the latest first."""
        return await self._database.scan(partial(_find, search=search), _entries)

    async def forget(self, before: datetime, *, most: int) -> int:
        """Delete what is older than that, and of more than about ``most`` entries the oldest.
        Returns how many."""
        deleted = 0
        while portion := await self._database.write(partial(_forget, before=before, most=most)):
            deleted += portion
            await asyncio.sleep(REST)
        return deleted


def erase(
    connection: Connection, *, user: str | None = None, room: int | None = None, limit: int = ROWS
) -> int:
    """Delete some entries about a user, in a room or (no room) everywhere, or about a room. Orders
    stay, without what they say about the user; those to delete are as they were. Returns how many
    there were."""
    this = and_(*_about(user, room), journal.c.code != ERASURE)
    orders = and_(this, journal.c.kind == EntryKind.ACTION)
    nameless = {"user_id": None, "room": None, "detail": _DELETED, "connection": None}
    touched = connection.execute(update(journal).where(orders).values(nameless)).rowcount
    some = select(journal.c.id).where(this).limit(limit)
    return touched + connection.execute(delete(journal).where(journal.c.id.in_(some))).rowcount


def _about(user: str | None, room: int | None) -> list[ColumnElement[bool]]:
    conditions = []
    if user is not None:
        conditions.append(journal.c.user_id == user)
    if room is not None:
        conditions.append(journal.c.room == room)
    return conditions


def _add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    # What waited while somebody was deleted by request must not come back.
    first = min(row["at"] for row in rows)
    deleted = connection.execute(
        select(erasures.c.user_id, erasures.c.room, erasures.c.ordered_at).where(
            erasures.c.ordered_at >= first
        )
    ).all()
    kept = [
        row
        for row in rows
        if row["code"] == ERASURE or not any(_is_of(row, order) for order in deleted)
    ]
    if kept:
        connection.execute(insert(journal), kept)


def _is_of(row: dict[str, Any], order: Any) -> bool:
    return (
        row["at"] <= order.ordered_at
        and order.user_id in (None, row["user_id"])
        and order.room in (None, row["room"])
    )


def _find(connection: Connection, search: Search) -> list[Row[Any]]:
    if search.room is not None and not is_room(search.room):
        return []
    conditions = _about(search.user, search.room)
    for column, wanted in (
        (journal.c.address, search.address),
        (journal.c.connection, search.connection),
    ):
        if wanted is not None:
            conditions.append(column == wanted)
    if search.kinds:
        conditions.append(journal.c.kind.in_(sorted(search.kinds)))
    if search.since is not None:
        conditions.append(journal.c.at >= search.since)
    if search.until is not None:
        conditions.append(journal.c.at < search.until)
    if search.before is not None:
        at, id = search.before
        earlier = or_(journal.c.at < at, and_(journal.c.at == at, journal.c.id < id))
        conditions += [journal.c.at <= at, earlier]
    query = select(journal).where(*conditions)
    latest = query.order_by(journal.c.at.desc(), journal.c.id.desc()).limit(search.size)
    return list(connection.execute(latest))


def _forget(connection: Connection, before: datetime, most: int) -> int:
    newest = select(func.max(journal.c.id)).scalar_subquery()
    old = select(journal.c.id).where(journal.c.at < before).limit(ROWS)
    beyond = select(journal.c.id).where(journal.c.id <= newest - most).limit(ROWS)
    deleted = 0
    for which in (old, beyond):
        deleted += connection.execute(delete(journal).where(journal.c.id.in_(which))).rowcount
    return deleted


def _row(entry: Entry, gateway: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "at": _moment(entry.at),
        "gateway": gateway,
        "kind": entry.kind,
        "code": entry.code,
        "detail": entry.detail,
        "status": entry.status,
        "client_status": entry.client_status,
        "user_id": entry.user,
        "ordered_by": entry.by,
        "room": entry.room if entry.room is not None and is_room(entry.room) else None,
        "address": entry.address,
        "node": entry.node,
        "connection": entry.connection,
        "browser": entry.browser,
        "since": None if entry.since is None else _moment(entry.since),
        "bytes_in": entry.bytes_in,
        "bytes_out": entry.bytes_out,
    }
    return row | {
        name: _text(row[name], longest) for name, longest in _TEXTS.items() if row[name] is not None
    }


def _text(value: str, longest: int) -> str:
    """The value as a column can hold it: a client may have sent it."""
    return value[:longest].encode(errors="replace").decode().replace("\0", "")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _entries(rows: list[Row[Any]]) -> list[Entry]:
    return [
        Entry(
            id=row.id,
            at=row.at.timestamp(),
            gateway=row.gateway,
            kind=row.kind,
            code=row.code,
            detail=row.detail,
            status=row.status,
            client_status=row.client_status,
            user=row.user_id,
            by=row.ordered_by,
            room=row.room,
            address=row.address,
            node=row.node,
            connection=row.connection,
            browser=row.browser,
            since=None if row.since is None else row.since.timestamp(),
            bytes_in=row.bytes_in,
            bytes_out=row.bytes_out,
        )
        for row in rows
    ]
