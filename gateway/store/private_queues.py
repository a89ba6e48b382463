"""The rooms' private queues, as far as they outlive a gateway: numbers, and acknowledgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite

from broker.topology import Audience, Stream
from gateway.errors import UnknownRoom
from gateway.store.records import QueueDue, QueueRecord
from gateway.store.tables import DUE, acknowledged, among, padded, rooms, streams
from gateway.store.values import is_room

_QUEUE: Final = select(rooms.c.identity, rooms.c.queue, rooms.c.closed_at, rooms.c.queue_due).where(
    rooms.c.id == bindparam("room")
)
_DUE: Final = (
    select(rooms.c.id, rooms.c.queue_due)
    .where(sql(DUE))
    .order_by(func.random())
    .limit(bindparam("most"))
)
_NUMBERS: Final = select(rooms.c.id, rooms.c.queue).where(among(rooms.c.id, "rooms"))
_ACKNOWLEDGED: Final = select(acknowledged).where(among(acknowledged.c.room, "rooms"))
_RENEW: Final = (
    update(rooms)
    .where(rooms.c.id == bindparam("room"))
    .values(queue=rooms.c.queue + 1)
    .returning(rooms.c.queue)
)
#: A seq that no message has yet was invented by whoever published past the gateway.
_BELIEVED: Final = case((streams.c.head < bindparam("seq"), streams.c.head), else_=bindparam("seq"))
_PLACE: Final = select(streams.c.room, streams.c.audience, _BELIEVED).where(
    streams.c.room == bindparam("in_room"), streams.c.audience == bindparam("in_audience")
)


def get(connection: Connection, number: int) -> QueueRecord | None:
    """The record of a room's private queue. None: there is no such room."""
    if not is_room(number):
        return None
    row = connection.execute(_QUEUE, {"room": number}).one_or_none()
    if row is None:
        return None
    due = None if row.queue_due is None else QueueDue(row.queue_due)
    return QueueRecord(row.identity, row.queue, row.closed_at is None, due)


def due(connection: Connection, limit: int) -> dict[int, QueueDue]:
    """By room: the work that is due on its private queue."""
    return {row.id: QueueDue(row.queue_due) for row in connection.execute(_DUE, {"most": limit})}


def set_due(connection: Connection, number: int, work: QueueDue | None) -> None:
    """Note the work that is due, or that it is done. That a closed room's queue is to be deleted
    outweighs all else."""
    changing = update(rooms).where(rooms.c.id == number).values(queue_due=work)
    if work is QueueDue.RENEWAL:
        changing = changing.where(rooms.c.closed_at.is_(None))
    connection.execute(changing)


def renew(connection: Connection, number: int) -> int:
    """Raise the number of a room's private queue by one. Raises :class:`UnknownRoom`."""
    row = connection.execute(_RENEW, {"room": number}).one_or_none() if is_room(number) else None
    if row is None:
        raise UnknownRoom(f"there is no room {number}")
    renewed: int = row.queue
    return renewed


def numbers(connection: Connection, asked: Sequence[int]) -> dict[int, int]:
    """The numbers of these rooms' private queues; rooms that do not exist are left out."""
    rows = connection.execute(_NUMBERS, {"rooms": padded(list(asked))})
    return {row.id: row.queue for row in rows}


def acknowledged_in(connection: Connection, streams: Sequence[Stream]) -> dict[Stream, int]:
    """The seq up to which each stream is acknowledged; 0: nothing yet."""
    asked = sorted({stream.room for stream in streams if is_room(stream.room)})
    if not asked:
        return dict.fromkeys(streams, 0)
    rows = connection.execute(_ACKNOWLEDGED, {"rooms": padded(asked)})
    found = {Stream(Audience(row.audience), row.room): row.seq for row in rows}
    return {stream: found.get(stream, 0) for stream in streams}


def acknowledge(connection: Connection, seqs: Mapping[Stream, int]) -> None:
    """See :meth:`gateway.store.store.Store.acknowledge`."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(acknowledged)
    raising = insert.from_select(["room", "audience", "seq"], _PLACE)
    raising = raising.on_conflict_do_update(
        index_elements=[acknowledged.c.room, acknowledged.c.audience],
        set_={"seq": raising.excluded.seq},
        where=acknowledged.c.seq < raising.excluded.seq,
    )
    # In one order everywhere: two gateways wait for each other instead of running into a deadlock.
    for stream in sorted(seqs, key=lambda each: (each.room, each.audience)):
        if is_room(stream.room):
            place = {"in_room": stream.room, "in_audience": stream.audience, "seq": seqs[stream]}
            connection.execute(raising, place)
