"""Deletion by request, in small transactions, and its record.

Of a person's messages the place in the stream stays: a message of the type ``deleted``, without
sender and body, so that the numbers have no hole. Of a room nothing stays but its number and those
of its streams. Each transaction takes the next revision, which stays locked until it is committed:
a gateway that has seen a revision has seen all lower ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import text as sql

from broker.topology import Audience
from gateway.domain.erasure import DELETED, LONGEST_REASON, Erasure
from gateway.errors import Invalid, UnknownRoom
from gateway.store import journal, revisions
from gateway.store import rooms as rooms_module
from gateway.store.records import QueueDue
from gateway.store.tables import (
    NOT_SAID,
    acknowledged,
    among,
    approvals,
    attendance,
    counters,
    erasures,
    kept,
    messages,
    metadata,
    outbox,
    padded,
    rooms,
    streams,
)
from gateway.store.tables import (
    journal as journal_table,
)
from gateway.store.values import USER_LENGTH, is_room, is_text, text

#: Messages, or stays, that one transaction deletes.
ROWS: Final = 100
#: Rooms that one statement asks about.
ROOMS: Final = 512
#: Entries of the record that are shown.
SHOWN: Final = 1_000

_WITH_DELETED: Final = (
    select(messages.c.room)
    .distinct()
    .where(
        among(messages.c.room, "rooms"),
        messages.c.audience.in_(list(Audience)),
        messages.c.type == DELETED,
        # Written exactly as in the index, so that it applies.
        sql(NOT_SAID),
    )
)
#: What stays of a room: its numbers, so that nobody gets them again, and who had it deleted.
_KEPT_OF_A_ROOM: Final = frozenset({rooms.name, streams.name, erasures.name, journal_table.name})


def order(
    connection: Connection,
    *,
    room: int | None,
    user: str | None,
    by: str,
    reason: str,
    at: datetime,
) -> Erasure:
    """Note an order. A room is closed by it. Raises :class:`UnknownRoom`, :class:`Invalid`."""
    if room is None and user is None:
        raise ValueError("an erasure needs a room or a user")
    if room is not None and rooms_module.get(connection, room) is None:
        raise UnknownRoom(f"there is no room {room}")
    if len(reason) > LONGEST_REASON or not is_text(reason):
        raise Invalid(f"reason: must have at most {LONGEST_REASON} characters")
    if room is not None and user is None:
        rooms_module.close(connection, room, at)
    values = {
        "room": room,
        "user_id": None if user is None else text(user, "user", USER_LENGTH),
        "ordered_by": text(by, "by", USER_LENGTH),
        "reason": reason,
        "ordered_at": at,
        "revision": revisions.advance(connection),
    }
    row = connection.execute(insert(erasures).values(values).returning(*erasures.c)).one()
    return _erasure(row)


def get(connection: Connection, id: int) -> Erasure | None:
    """An entry of the record."""
    row = connection.execute(select(erasures).where(erasures.c.id == id)).one_or_none()
    return None if row is None else _erasure(row)


def listing(connection: Connection) -> list[Erasure]:
    """The newest entries of the record, the last one first."""
    query = select(erasures).order_by(erasures.c.id.desc()).limit(SHOWN)
    return [_erasure(row) for row in connection.execute(query)]


def since(connection: Connection, revision: int) -> tuple[int, list[Erasure]]:
    """The last revision, and the entries that have changed after ``revision`` or are not done."""
    newest = select(counters.c.value).where(counters.c.name == revisions.COUNTER)
    changed = or_(erasures.c.revision > revision, erasures.c.done_at.is_(None))
    rows = connection.execute(select(erasures).where(changed).order_by(erasures.c.id).limit(SHOWN))
    found = [_erasure(row) for row in rows]
    return connection.execute(newest).scalar_one(), found


def with_deleted(connection: Connection, rooms: Sequence[int]) -> list[int]:
    """Those of the rooms in which messages were deleted by request, now or earlier."""
    found: list[int] = []
    for start in range(0, len(rooms), ROOMS):
        batch = {"rooms": padded(list(rooms[start : start + ROOMS]))}
        found += connection.scalars(_WITH_DELETED, batch)
    return found


def next_room(connection: Connection, user: str, after: int) -> int | None:
    """The next room in which the user has left something."""
    if not is_text(user):
        return None
    said = exists().where(
        messages.c.room == streams.c.room,
        messages.c.audience == streams.c.audience,
        messages.c.sender == user,
    )
    was_there = exists().where(attendance.c.room == streams.c.room, attendance.c.user_id == user)
    # Messages that were forgotten may have left entries.
    has = exists().where(
        kept.c.room == streams.c.room,
        kept.c.audience == streams.c.audience,
        or_(kept.c.author == user, kept.c.sender == user),
    )
    waited = exists().where(approvals.c.room == streams.c.room, approvals.c.sender == user)
    left = or_(said, was_there, has, waited)
    query = select(func.min(streams.c.room)).where(streams.c.room > after, left)
    return connection.execute(query).scalar()


def of_user(connection: Connection, id: int, room: int, user: str) -> int:
    """Delete some of what the user has left in a room. Returns how much; 0: nothing is left."""
    _lock(connection, room)
    found = connection.execute(
        select(messages.c.id, messages.c.audience, messages.c.seq, _size(connection))
        .where(messages.c.room == room, messages.c.sender == user)
        .limit(ROWS)
    ).all()
    if found:
        connection.execute(
            update(messages)
            .where(messages.c.id.in_([row.id for row in found]))
            .values(
                **{"sender": "", "sender_name": None, "role": None, "keep": None, "of": None},
                **{"hidden": False, "place": None},
                **{"type": DELETED, "body": "null"},
            )
        )
        _forget_sizes(connection, room, found)
        _renew_queue(connection, room, found)
    stays = _delete_stays(connection, room, attendance.c.user_id == user)
    entries = _delete_entries(connection, room, user)
    # Their places have no content, and those that were approved are among the messages.
    waited = _delete_waited(connection, room, user)
    noted = journal.erase(connection, user=user, room=room, limit=ROWS)
    if found or stays or entries or waited:
        _count(connection, id, messages=len(found) + waited, stays=stays)
    return len(found) + stays + entries + waited + noted


def of_room(connection: Connection, id: int, room: int) -> int:
    """Delete some of a room, whose members go last. Returns how much; 0: nothing is left."""
    _lock(connection, room)
    this = messages.c.room == room
    found = connection.execute(
        select(messages.c.id, messages.c.audience, messages.c.seq)
        .where(this)
        .order_by(messages.c.audience, messages.c.seq)
        .limit(ROWS)
    ).all()
    for row in found:
        connection.execute(delete(outbox).where(_at(outbox, room, row)))
    if found:
        connection.execute(delete(messages).where(messages.c.id.in_([row.id for row in found])))
        for audience in {row.audience for row in found}:
            last = max(row.seq for row in found if row.audience == audience)
            connection.execute(
                update(streams)
                .where(streams.c.room == room, streams.c.audience == audience)
                .values(first=last + 1)
            )
    stays = _delete_stays(connection, room)
    noted = journal.erase(connection, room=room, limit=ROWS)
    if found or stays or noted:
        _count(connection, id, messages=len(found), stays=stays)
        return len(found) + stays + noted
    return _delete_rest(connection, id, room)


def done(connection: Connection, id: int, at: datetime, *, rooms_: int) -> None:
    """Note that everything is deleted, in so many rooms."""
    this = and_(erasures.c.id == id, erasures.c.done_at.is_(None))
    values = {"done_at": at, "rooms": rooms_, "revision": revisions.advance(connection)}
    connection.execute(update(erasures).where(this).values(values))


def _delete_rest(connection: Connection, id: int, room: int) -> int:
    """Delete all other rows of a room whose messages are gone, whatever tables there are."""
    deleted = 0
    for table in reversed(metadata.sorted_tables):
        if "room" in table.c and table.name not in _KEPT_OF_A_ROOM:
            deleted += connection.execute(delete(table).where(table.c.room == room)).rowcount
    this = rooms.c.id == room
    is_named = connection.execute(select(rooms.c.title != "").where(this)).scalar()
    if is_named:
        connection.execute(update(streams).where(streams.c.room == room).values(bytes=0))
        values: dict[Any, Any] = {"title": "", "created_by": None}
        connection.execute(
            update(rooms).where(this).values(values | {"revision": rooms.c.revision + 1})
        )
        deleted += 1
    if deleted:
        _count(connection, id)
    return deleted


def _lock(connection: Connection, room: int) -> None:
    """In the order in which posts lock: the room, then its streams."""
    if not is_room(room):
        raise UnknownRoom(f"there is no room {room}")
    for table, column in ((rooms, rooms.c.id), (streams, streams.c.room)):
        locking = select(column).where(column == room).with_for_update(key_share=True)
        connection.execute(locking.order_by(*table.primary_key.columns)).all()


def _size(connection: Connection) -> Any:
    is_file = connection.dialect.name == "sqlite"
    # Bodies are in ASCII, so characters are bytes.
    size: Callable[[Any], Any] = func.length if is_file else func.octet_length
    return size(messages.c.body).label("size")


def _forget_sizes(connection: Connection, room: int, found: Any) -> None:
    for audience in {row.audience for row in found}:
        left = streams.c.bytes - sum(row.size for row in found if row.audience == audience)
        connection.execute(
            update(streams)
            .where(streams.c.room == room, streams.c.audience == audience)
            # Not below what was stored before it was counted.
            .values(bytes=case((left < 0, 0), else_=left))
        )


def _renew_queue(connection: Connection, room: int, found: Any) -> None:
    """Have the room's private queue made anew, if it may still hold one of these messages."""
    places = select(acknowledged.c.audience, acknowledged.c.seq).where(acknowledged.c.room == room)
    known = {row.audience: row.seq for row in connection.execute(places)}
    if any(row.seq > known.get(row.audience, 0) for row in found):
        connection.execute(
            update(rooms)
            .where(rooms.c.id == room, rooms.c.closed_at.is_(None))
            .values(queue_due=QueueDue.RENEWAL)
        )


def _delete_entries(connection: Connection, room: int, user: str) -> int:
    """Delete the user's entries of the kept state; the room's own entries that they wrote as a host
    lose their name. Whoever follows the state begins anew."""
    own = and_(kept.c.room == room, kept.c.author == user)
    written = and_(kept.c.room == room, kept.c.sender == user)
    deleted = connection.execute(delete(kept).where(own)).rowcount
    unsigned = update(kept).where(written).values(sender="", sender_name=None)
    deleted += connection.execute(unsigned).rowcount
    if deleted:
        this = streams.c.room == room
        # Beyond the head, for those who know all up to it; the next message ends that.
        connection.execute(update(streams).where(this).values(forgotten=streams.c.head + 1))
    return deleted


def _delete_waited(connection: Connection, room: int, user: str) -> int:
    this = and_(approvals.c.room == room, approvals.c.sender == user)
    seqs = select(approvals.c.seq).where(this).limit(ROWS)
    found = list(connection.execute(seqs).scalars())
    if not found:
        return 0
    which = and_(approvals.c.room == room, approvals.c.seq.in_(found))
    return connection.execute(delete(approvals).where(which)).rowcount


def _delete_stays(connection: Connection, room: int, which: Any = None) -> int:
    keys = select(attendance.c.user_id, attendance.c.since).where(attendance.c.room == room)
    if which is not None:
        keys = keys.where(which)
    deleted = 0
    for user, begun in connection.execute(keys.limit(ROWS)).all():
        this = and_(
            attendance.c.room == room, attendance.c.user_id == user, attendance.c.since == begun
        )
        deleted += connection.execute(delete(attendance).where(this)).rowcount
    return deleted


def _count(connection: Connection, id: int, *, messages: int = 0, stays: int = 0) -> None:
    values = {
        "messages": erasures.c.messages + messages,
        "stays": erasures.c.stays + stays,
        "revision": revisions.advance(connection),
    }
    connection.execute(update(erasures).where(erasures.c.id == id).values(values))


def _at(table: Table, room: int, row: Any) -> Any:
    return and_(table.c.room == room, table.c.audience == row.audience, table.c.seq == row.seq)


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        id=row.id,
        room=row.room,
        user=row.user_id,
        by=row.ordered_by,
        reason=row.reason,
        ordered_at=row.ordered_at,
        done_at=row.done_at,
        rooms=row.rooms,
        messages=row.messages,
        stays=row.stays,
        revision=row.revision,
    )
