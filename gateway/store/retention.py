"""Deletion of old history, in small transactions, so that posting goes on between them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Final, TypeVar

from sqlalchemy import Connection, LargeBinary, and_, case, cast, delete, func, select, update
from sqlalchemy import text as sql

from broker.topology import Audience, Stream
from gateway.store import kept
from gateway.store.database import Database
from gateway.store.history import IN_OUTBOX
from gateway.store.tables import DECIDED, approvals, messages, outbox, rooms, streams

#: The most rows that one transaction deletes. A hundred of the largest messages are six megabytes,
#: which delay a post by some hundredths of a second.
ROWS: Final = 100
#: Seconds between two deletions, in which posts have the writer.
REST: Final = 0.02

T = TypeVar("T")

# A subquery, because of a join SQLite begins with the messages, and reads all of them.
_OLDEST: Final = (
    select(messages.c.sent_at)
    .where(
        messages.c.room == streams.c.room,
        messages.c.audience == streams.c.audience,
        messages.c.seq == streams.c.first,
    )
    .scalar_subquery()
)


async def prune(database: Database, before: datetime) -> int:
    """See :meth:`gateway.store.store.Store.prune`."""
    total = 0
    # As a scan, because it reads every stream: memberships must not wait for it.
    for stream in await database.scan(partial(_with_old_start, before=before), _as_it_is):
        total += await _prune(database, stream, before)
    return total


async def prune_rooms(database: Database, now: datetime) -> int:
    """See :meth:`gateway.store.store.Store.prune_rooms`."""
    total = 0
    found = partial(_with_own_age, now=now)
    for stream, before in await database.scan(found, _as_it_is):
        total += await _prune(database, stream, before)
    return total


async def _prune(database: Database, stream: Stream, before: datetime) -> int:
    total = 0
    while deleted := await database.write(partial(_delete_start, stream=stream, before=before)):
        total += deleted
        await asyncio.sleep(REST)
    return total


async def forget_keys(database: Database, before: datetime, *, spared: datetime, most: int) -> int:
    """See :meth:`gateway.store.store.Store.forget_keys`."""
    total = 0
    found = partial(kept.streams_with_cleared, before=spared)
    for stream in await database.scan(found, _as_it_is):
        while deleted := await database.write(
            partial(kept.forget, stream=stream, before=before, spared=spared, most=most)
        ):
            total += deleted
            await asyncio.sleep(REST)
    return total


async def forget_decided(database: Database, before: datetime) -> int:
    """See :meth:`gateway.store.store.Store.forget_decided`."""
    total = 0
    while deleted := await database.write(partial(_delete_decided, before=before)):
        total += deleted
        await asyncio.sleep(REST)
    return total


def _delete_decided(connection: Connection, before: datetime) -> int:
    # Written exactly as in the index, so that it applies.
    old = and_(sql(DECIDED), approvals.c.sent_at < before)
    found = select(approvals.c.room, approvals.c.seq).where(old).limit(ROWS)
    gone = connection.execute(found).all()
    for room, seq in gone:
        this = and_(approvals.c.room == room, approvals.c.seq == seq)
        connection.execute(delete(approvals).where(this))
    return len(gone)


def _as_it_is(found: list[T]) -> list[T]:
    return found


def _with_old_start(connection: Connection, before: datetime) -> list[Stream]:
    query = select(streams.c.audience, streams.c.room).where(before > _OLDEST)
    return [Stream(Audience(row.audience), row.room) for row in connection.execute(query)]


def _with_own_age(connection: Connection, now: datetime) -> list[tuple[Stream, datetime]]:
    """The streams whose rooms have an age of their own, and something that is older; and from when
    on that keeps."""
    oldest = _OLDEST.label("oldest")
    query = (
        select(streams.c.audience, streams.c.room, rooms.c.keep_days, oldest)
        .join(rooms)
        .where(rooms.c.keep_days.is_not(None), streams.c.first <= streams.c.head)
    )
    return [
        (Stream(Audience(row.audience), row.room), before)
        for row in connection.execute(query)
        if row.oldest is not None and row.oldest < (before := now - timedelta(days=row.keep_days))
    ]


def _delete_start(connection: Connection, stream: Stream, before: datetime) -> int:
    """Delete from the start of the stream only, even if the clocks of two gateways disagree: never
    a hole."""
    this = and_(streams.c.room == stream.room, streams.c.audience == stream.audience)
    first = connection.execute(select(streams.c.first).where(this).with_for_update()).scalar_one()
    of_stream = and_(messages.c.room == stream.room, messages.c.audience == stream.audience)
    oldest = connection.execute(
        select(
            messages.c.sent_at,
            outbox.c.seq.label("waiting"),
            func.length(cast(messages.c.body, LargeBinary)).label("size")
            if connection.dialect.name == "sqlite"
            else func.octet_length(messages.c.body).label("size"),
        )
        .outerjoin(outbox, IN_OUTBOX)
        .where(of_stream)
        .order_by(messages.c.seq)
        .limit(ROWS)
    )
    old = list(takewhile(lambda row: row.sent_at < before and row.waiting is None, oldest.all()))
    if count := len(old):
        left = streams.c.bytes - sum(row.size for row in old)
        connection.execute(delete(messages).where(of_stream, messages.c.seq < first + count))
        if stream.audience is Audience.PUBLIC:
            of_room = approvals.c.room == stream.room
            connection.execute(delete(approvals).where(of_room, approvals.c.seq < first + count))
        connection.execute(
            update(streams)
            .where(this)
            .values(
                first=first + count,
                # Not below what was stored before it was counted.
                bytes=case((left < 0, 0), else_=left),
            )
        )
    return count
