"""Messages for operators, by their ids or places; without their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, exists, func, select

from broker.topology import Audience, Stream
from gateway.domain.traced_message import TracedMessage
from gateway.store.tables import messages, outbox
from gateway.store.values import is_room


def by_ids(connection: Connection, ids: Sequence[UUID]) -> list[TracedMessage]:
    """Those of the messages (a few) that are in the history."""
    return _found(connection, messages.c.id.in_(ids))


def at(connection: Connection, stream: Stream, seq: int) -> list[TracedMessage]:
    """The message at this place, if there is one."""
    if not is_room(stream.room) or not is_room(seq):
        return []
    this = and_(messages.c.room == stream.room, messages.c.audience == stream.audience)
    return _found(connection, and_(this, messages.c.seq == seq))


def _found(connection: Connection, which: Any) -> list[TracedMessage]:
    # Bodies are in ASCII, so characters are bytes.
    size = func.length(messages.c.body).label("size")
    waits = exists().where(
        *(outbox.c[name] == messages.c[name] for name in ("room", "audience", "seq"))
    )
    said = [messages.c[name] for name in ("id", "room", "audience", "seq", "sender", "type")]
    query = select(*said, messages.c.sent_at, size, waits.label("waits")).where(which)
    return [
        _traced(row)
        for row in connection.execute(query.order_by(messages.c.sent_at, messages.c.seq))
    ]


def _traced(row: Any) -> TracedMessage:
    return TracedMessage(
        id=row.id,
        stream=Stream(Audience(row.audience), row.room),
        seq=row.seq,
        sender=row.sender,
        type=row.type,
        sent_at=row.sent_at,
        size=row.size,
        published=not row.waits,
    )
