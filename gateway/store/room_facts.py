"""The facts about a room for operators, by a handful of statements that all end at an index."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, func, select
from sqlalchemy import text as sql

from gateway.domain.room import MemberRole
from gateway.domain.room_facts import RoomFacts, StreamFacts
from gateway.store.tables import STANDS, kept, members, messages, outbox, rooms, streams
from gateway.store.values import is_room

#: Messages among which those of the last minute are counted, and unpublished ones.
_LOOKED_AT: Final = 1_000
#: Hosts and open polls that are named.
_NAMED: Final = 20
#: The keys under which a poll takes votes.
_VOTING: Final = "voting:"


def facts(connection: Connection, number: int, since: datetime) -> RoomFacts | None:
    """The facts about a room; None: there is no such room. ``since``: a minute ago."""
    if not is_room(number):
        return None
    room = connection.execute(select(rooms).where(rooms.c.id == number)).one_or_none()
    if room is None:
        return None
    of_room = members.c.room == number
    hosts = select(members.c.user_id).where(of_room, members.c.role == MemberRole.HOST)
    found = connection.execute(select(streams).where(streams.c.room == number)).all()
    polls = select(kept.c.keep).where(
        kept.c.room == number,
        kept.c.audience == "public",
        kept.c.author == "",
        kept.c.keep.startswith(_VOTING),
        sql(STANDS),
    )
    return RoomFacts(
        title=room.title,
        created_at=room.created_at,
        closed_at=room.closed_at,
        members=connection.execute(
            select(func.count()).select_from(members).where(of_room)
        ).scalar_one(),
        hosts=connection.execute(hosts.order_by(members.c.user_id).limit(_NAMED)).scalars().all(),
        streams={
            row.audience: StreamFacts(
                head=row.head,
                first=row.first,
                bytes=row.bytes,
                lately=_lately(connection, number, row.audience, row.head, since),
                unpublished=_unpublished(connection, number, row.audience),
            )
            for row in found
        },
        open_polls=connection.execute(polls.order_by(kept.c.keep).limit(_NAMED)).scalars().all(),
        queue=room.queue,
        queue_due=room.queue_due,
    )


def _lately(connection: Connection, room: int, audience: str, head: int, since: datetime) -> int:
    this = and_(messages.c.room == room, messages.c.audience == audience)
    newest = and_(this, messages.c.seq > head - _LOOKED_AT, messages.c.sent_at >= since)
    return connection.execute(select(func.count()).select_from(messages).where(newest)).scalar_one()


def _unpublished(connection: Connection, room: int, audience: str) -> int:
    this = and_(outbox.c.room == room, outbox.c.audience == audience)
    some = select(outbox.c.seq).where(this).limit(_LOOKED_AT).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()
