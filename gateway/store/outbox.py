"""The outbox: stored messages that the broker has not confirmed yet, and the gateway that owns
each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, tuple_, update

from broker.topology import Audience, Stream
from gateway.store.history import IN_OUTBOX, message
from gateway.store.leases import LIVING
from gateway.store.portions import READ_BYTES, of_stream, one_by_one, sized, take, whole
from gateway.store.post_function import CHANNEL
from gateway.store.records import OutboxSize, Unpublished
from gateway.store.tables import among, messages, outbox, padded

_KEY: Final = (outbox.c.room, outbox.c.audience, outbox.c.seq)
_OWN: Final = outbox.c.owner == bindparam("own")

# Made once: building one of these statements costs more than running it.
_STREAMS: Final = (
    select(outbox.c.audience, outbox.c.room).where(_OWN).distinct().order_by(outbox.c.room)
)
_KEYS: Final = (
    select(outbox.c.seq)
    .where(
        outbox.c.room == bindparam("in_room"),
        outbox.c.audience == bindparam("in_audience"),
        outbox.c.seq > bindparam("after"),
        _OWN,
    )
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
    .subquery()
)
_THIS: Final[dict[str, Any]] = {
    "in_room": bindparam("in_room"),
    "in_audience": bindparam("in_audience"),
}
_ONE_BY_ONE: Final = one_by_one(_KEYS, _THIS)
_SIZED: Final = sized(_KEYS, _THIS)
_UP_TO_THE_BOUND: Final = select(_SIZED).where(_SIZED.c.before < READ_BYTES).order_by(_SIZED.c.seq)
_SEQS: Final = select(outbox.c.seq, _OWN.label("own")).where(
    outbox.c.room == bindparam("in_room"), outbox.c.audience == bindparam("in_audience")
)
_LEFT_BEHIND: Final = (
    select(*_KEY)
    .where(or_(outbox.c.owner.is_(None), outbox.c.owner.not_in(LIVING)))
    .order_by(*_KEY)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("left_behind")
)
_TAKE_OVER: Final = (
    update(outbox)
    .where(tuple_(*_KEY).in_(select(_LEFT_BEHIND)))
    .values(owner=bindparam("own"))
    .returning(outbox.c.audience, outbox.c.room)
)
_OWNED: Final = select(*_KEY).where(_OWN).order_by(*_KEY).limit(bindparam("most")).cte("owned")
_RELEASE: Final = update(outbox).where(tuple_(*_KEY).in_(select(_OWNED))).values(owner=None)
_TELL: Final = select(func.pg_notify(CHANNEL, ""))
_WAITING: Final = (
    select(outbox.c.seq).join(messages, IN_OUTBOX).where(messages.c.id == bindparam("message"))
)
_SIZE: Final = select(
    func.count().label("messages"), func.coalesce(func.sum(outbox.c.size), 0).label("bytes")
).select_from(outbox)
_REMOVE: Final = delete(outbox).where(
    tuple_(*_KEY).in_(
        select(messages.c.room, messages.c.audience, messages.c.seq).where(
            among(messages.c.id, "ids")
        )
    )
)


def unpublished_streams(connection: Connection, *, owner: UUID) -> list[Stream]:
    """The streams with messages in the owner's outbox."""
    return _streams(connection.execute(_STREAMS, {"own": owner}))


def unpublished_in(
    connection: Connection, stream: Stream, *, owner: UUID, after: int, limit: int
) -> Unpublished:
    """See :meth:`gateway.store.store.Store.unpublished_in`."""
    asked = of_stream(stream) | {"after": after, "own": owner, "most": limit}
    if connection.dialect.name == "sqlite":
        portion = take(connection, _ONE_BY_ONE, asked, size=READ_BYTES)
    else:
        portion = whole(connection.execute(_UP_TO_THE_BOUND, asked).all())
    return Unpublished(
        [message(row) for row in portion.rows], more=portion.cut or len(portion.rows) == limit
    )


def unpublished_seqs(connection: Connection, stream: Stream, *, owner: UUID) -> dict[int, bool]:
    """See :meth:`gateway.store.store.Store.unpublished_seqs`."""
    rows = connection.execute(_SEQS, of_stream(stream) | {"own": owner})
    return {row.seq: bool(row.own) for row in rows}


def take_over(connection: Connection, *, owner: UUID, limit: int) -> list[Stream]:
    """Take over the messages of gateways without a lease. Of two gateways that try at once, each
    row goes to only one (PostgreSQL; SQLite has a single writer).

    https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE
    """
    return _streams(connection.execute(_TAKE_OVER, {"own": owner, "most": limit}))


def release(connection: Connection, *, owner: UUID, limit: int) -> int:
    """See :meth:`gateway.store.store.Store.release`."""
    count = connection.execute(_RELEASE, {"own": owner, "most": limit}).rowcount
    if count and connection.dialect.name != "sqlite":
        connection.execute(_TELL)
    return count


def is_published(connection: Connection, message_id: UUID) -> bool:
    """Whether the message is in nobody's outbox."""
    return connection.execute(_WAITING, {"message": message_id}).one_or_none() is None


def size(connection: Connection) -> OutboxSize:
    """See :meth:`gateway.store.store.Store.outbox_size`."""
    row = connection.execute(_SIZE).one()
    return OutboxSize(row.messages, int(row.bytes))


def mark_published(connection: Connection, ids: Sequence[UUID]) -> None:
    """Remove the messages from the outbox, whoever owns them."""
    connection.execute(_REMOVE, {"ids": padded(sorted(ids))})


def _streams(rows: Iterable[Row[Any]]) -> list[Stream]:
    return [Stream(Audience(row.audience), row.room) for row in rows]
