"""The stays of members in rooms, which outlive the sockets and the memberships."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy import text as sql

from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.store.tables import LASTING, attendance, members, rooms
from gateway.store.values import is_room, is_text

#: Stays in one transaction of :func:`note`: some milliseconds of the writer.
NOTED: Final = 100
#: Rows that one statement of :func:`forget` deletes.
FORGOTTEN: Final = 500

_THIS: Final = and_(
    attendance.c.room == bindparam("in_room"),
    attendance.c.user_id == bindparam("of_user"),
    attendance.c.since == bindparam("begun"),
    attendance.c.gateway == bindparam("at_gateway"),
)
_CHANGE: Final = (
    update(attendance)
    .where(_THIS)
    .values(until=bindparam("ended"), seen=bindparam("last_seen"), role=bindparam("as_role"))
)
_SHOWN: Final = select(members.c.name).where(
    members.c.room == bindparam("in_room"), members.c.user_id == bindparam("of_user")
)
_BEGIN: Final = insert(attendance).from_select(
    ["room", "user_id", "since", "gateway", "role", "until", "seen", "name"],
    select(
        rooms.c.id,
        bindparam("of_user", type_=attendance.c.user_id.type),
        bindparam("begun", type_=attendance.c.since.type),
        bindparam("at_gateway", type_=attendance.c.gateway.type),
        bindparam("as_role", type_=attendance.c.role.type),
        bindparam("ended", type_=attendance.c.until.type),
        bindparam("last_seen", type_=attendance.c.seen.type),
        # A guest's name goes with the membership; what the list shows does not.
        func.coalesce(
            _SHOWN.scalar_subquery(), bindparam("by_login", type_=attendance.c.name.type)
        ),
        # Only a room that was deleted has no title: nobody was there.
    ).where(rooms.c.id == bindparam("in_room"), rooms.c.title != ""),
)
# Written as in the index, so that it applies.
_SEE: Final = (
    update(attendance)
    .where(attendance.c.gateway == bindparam("at_gateway"), sql(LASTING))
    .values(seen=bindparam("last_seen"))
)


def note(connection: Connection, stays: Sequence[Stay], *, gateway: UUID) -> None:
    """Store new stays, and what has changed of stored ones: their end, or that they go on after
    all. A stay's name, which is that of the login, counts where the membership has none."""
    for stay in stays:
        if not is_text(stay.user):
            continue
        values = {
            "in_room": stay.room,
            "of_user": stay.user,
            "begun": stay.since,
            "at_gateway": gateway,
            "as_role": stay.role,
            "ended": stay.until,
            "last_seen": stay.seen,
        }
        login = {"by_login": stay.name if stay.name and is_text(stay.name) else None}
        if connection.execute(_CHANGE, values).rowcount == 0:
            connection.execute(_BEGIN, values | login)


def see(connection: Connection, at: datetime, *, gateway: UUID) -> None:
    """Note that the gateway's stays last."""
    connection.execute(_SEE, {"at_gateway": gateway, "last_seen": at})


def page(
    connection: Connection, room: int, *, after: tuple[str, datetime] | None, limit: int
) -> list[Row[Any]]:
    """The stays in a room, by user, then by their beginning; ``after``: the user and the beginning
    of the last one that is known."""
    if not is_room(room):
        return []
    place = (attendance.c.user_id, attendance.c.since)
    query = select(attendance).where(attendance.c.room == room)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*map(_value, place, after)))
    # Two gateways may have stays of one user that began in the same microsecond: the second one is
    # then left out at a page's end, which shortens nothing.
    return list(connection.execute(query.order_by(*place).limit(limit)).all())


def _value(column: Any, value: Any) -> Any:
    return bindparam(None, value, type_=column.type)


def stays(rows: Sequence[Row[Any]]) -> list[Stay]:
    """The stays in rows."""
    return [
        Stay(row.room, row.user_id, MemberRole(row.role), row.since, row.until, row.seen, row.name)
        for row in rows
    ]


def forget(connection: Connection, before: datetime) -> int:
    """Delete some of the stays that were last seen before then. Returns how many."""
    old = (
        select(attendance.c.room, attendance.c.user_id, attendance.c.since, attendance.c.gateway)
        .where(attendance.c.seen < before)
        .limit(FORGOTTEN)
    )
    key = tuple_(attendance.c.room, attendance.c.user_id, attendance.c.since, attendance.c.gateway)
    return connection.execute(delete(attendance).where(key.in_(old))).rowcount


def count(connection: Connection, room: int) -> int:
    """The number of stays in a room."""
    query = select(func.count()).select_from(attendance).where(attendance.c.room == room)
    return connection.execute(query).scalar_one()
