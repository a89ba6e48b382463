"""What is stored and not yet confirmed by the broker, and which gateway publishes it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, func, or_, select, tuple_, update

from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.store.history import IN_OUTBOX, message
from gateway.store.leases import LIVING
from gateway.store.tables import among, messages, outbox

_KEY = (outbox.c.room, outbox.c.audience, outbox.c.seq)


def unpublished_streams(connection: Connection, *, owner: UUID) -> list[Stream]:
    query = (
        select(outbox.c.audience, outbox.c.room)
        .where(outbox.c.owner == owner)
        .distinct()
        .order_by(outbox.c.room)
    )
    return [Stream(Audience(row.audience), row.room) for row in connection.execute(query)]


def unpublished_in(
    connection: Connection, stream: Stream, *, owner: UUID, after: int, limit: int
) -> list[Message]:
    query = (
        select(messages)
        .join(outbox, IN_OUTBOX)
        .where(
            outbox.c.room == stream.room,
            outbox.c.audience == stream.audience,
            outbox.c.seq > after,
            outbox.c.owner == owner,
        )
        .order_by(outbox.c.seq)
        .limit(limit)
    )
    return [message(row) for row in connection.execute(query)]


def take_over(connection: Connection, *, owner: UUID, limit: int) -> list[Stream]:
    """Of two gateways that look at once, each row goes to one (PostgreSQL; SQLite has one writer).

    https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE
    """
    left_behind = (
        select(*_KEY)
        .where(or_(outbox.c.owner.is_(None), outbox.c.owner.not_in(LIVING)))
        .order_by(*_KEY)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("left_behind")
    )
    taking = (
        update(outbox)
        .where(tuple_(*_KEY).in_(select(left_behind)))
        .values(owner=owner)
        .returning(outbox.c.audience, outbox.c.room)
    )
    return [Stream(Audience(row.audience), row.room) for row in connection.execute(taking)]


def is_published(connection: Connection, message_id: UUID) -> bool:
    waiting = select(outbox.c.seq).join(messages, IN_OUTBOX).where(messages.c.id == message_id)
    return connection.execute(waiting).one_or_none() is None


def mark_published(connection: Connection, ids: Sequence[UUID]) -> None:
    published = select(messages.c.room, messages.c.audience, messages.c.seq).where(
        among(messages.c.id, sorted(ids))
    )
    connection.execute(delete(outbox).where(tuple_(*_KEY).in_(published)))


def depth(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(outbox)).scalar_one()
