"""What is stored and not yet confirmed by the broker."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, tuple_

from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.store.history import IN_OUTBOX, message
from gateway.store.tables import among, messages, outbox

_KEY = (outbox.c.room, outbox.c.audience, outbox.c.seq)


def unpublished_streams(connection: Connection) -> list[Stream]:
    query = select(outbox.c.audience, outbox.c.room).distinct().order_by(outbox.c.room)
    return [Stream(Audience(row.audience), row.room) for row in connection.execute(query)]


def unpublished_in(
    connection: Connection, stream: Stream, *, after: int, limit: int
) -> list[Message]:
    query = (
        select(messages)
        .join(outbox, IN_OUTBOX)
        .where(
            outbox.c.room == stream.room,
            outbox.c.audience == stream.audience,
            outbox.c.seq > after,
        )
        .order_by(outbox.c.seq)
        .limit(limit)
    )
    return [message(row) for row in connection.execute(query)]


def mark_published(connection: Connection, ids: Sequence[UUID]) -> None:
    published = select(messages.c.room, messages.c.audience, messages.c.seq).where(
        among(messages.c.id, sorted(ids))
    )
    connection.execute(delete(outbox).where(tuple_(*_KEY).in_(published)))


def depth(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(outbox)).scalar_one()
