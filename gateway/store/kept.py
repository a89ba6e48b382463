"""The kept state: functions that run inside one transaction, on either back end.

Whoever writes holds the lock of the streams (see :mod:`gateway.store.history`), so what stands
cannot change between the look and the commit. An entry that changes moves to the seq of its new
message, as in a log that is compacted: reading on after a seq misses nothing.
https://kafka.apache.org/documentation/#compaction
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy import text as sql

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft
from gateway.domain.order import HIDES, MUTED, SETTINGS
from gateway.errors import UnknownRoom
from gateway.store.keys import UNTIL, KeyBounds, Keys, Owner, condition_of, end_of, owner_of
from gateway.store.portions import READ_BYTES, of_stream
from gateway.store.prepared import Prepared, PreparedRows
from gateway.store.tables import CLEARED, STANDS, kept, kept_sizes, streams
from gateway.store.values import MAX_NUMBER, is_room, is_text

#: The author of the room's own entries: a column of a primary key is never NULL, a user's name
#: never empty.
ROOM: Final = ""
#: The body that clears an entry.
NULL: Final = "null"
#: Cleared entries of a stream that are kept for readers who ask what has changed.
CLEARED_KEPT: Final = 1000
#: Cleared entries that one transaction deletes at most.
PORTION: Final = 500

_OWNER: Final = (kept.c.room, kept.c.audience, kept.c.author)
_ENTRY: Final = (*_OWNER, kept.c.keep)
#: The body of an entry on which others may depend.
_OF_ROOM: Final = f"CASE WHEN author = '{ROOM}' THEN body END"
# Bodies are in ASCII, so characters are bytes.
_SIZE: Final = f"CASE WHEN {STANDS} THEN length(body) ELSE 0 END"
_FOUND: Final = PreparedRows(
    _ENTRY,
    lambda condition: select(
        *_ENTRY, literal_column(STANDS), literal_column(_OF_ROOM), literal_column(_SIZE)
    ).where(condition),
)
# Written exactly as in the index, so that it applies.
_COUNTED: Final = PreparedRows(
    _OWNER,
    lambda condition: select(*_OWNER, func.count()).where(condition, sql(STANDS)).group_by(*_OWNER),
)
_OWNERS: Final = (kept_sizes.c.room, kept_sizes.c.audience, kept_sizes.c.author)
_SIZES: Final = PreparedRows(
    _OWNERS, lambda condition: select(*_OWNERS, kept_sizes.c.bytes).where(condition)
)
_DROP: Final = Prepared(
    delete(kept).where(*(each == bindparam(f"in_{each.name}") for each in _ENTRY))
)
_ADD: Final = Prepared(insert(kept))
_hiding: Final = kept.alias("hiding")
#: A host has hidden the entry's message. Only what keeps order cannot be hidden: by it, pages know
#: what they may show.
_IS_HIDDEN: Final = and_(
    kept.c.keep != SETTINGS,
    not_(kept.c.keep.startswith(f"{HIDES}:", autoescape=True)),
    exists().where(
        _hiding.c.room == kept.c.room,
        _hiding.c.audience == Audience.PUBLIC,
        _hiding.c.author == ROOM,
        _hiding.c.keep == literal(f"{HIDES}:").concat(cast(kept.c.seq, String)),
        _hiding.c.body != NULL,
    ),
)
#: What an entry has of its message.
_OF_MESSAGE: Final = tuple(each.name for each in kept.c if each is not kept.c.author)


def find(connection: Connection, drafts: Sequence[Draft], bounds: KeyBounds) -> Keys:
    """The rows of the state for the entries that the drafts write or depend on. Without any,
    nothing is read."""
    drafts = [draft for draft in drafts if draft.keep or draft.only_while]
    if not drafts:
        return Keys(bounds=bounds)
    named = dict.fromkeys(
        each for draft in drafts for each in (draft.entry, condition_of(draft)) if each is not None
    )
    rows = _FOUND.rows(connection, [_row_of(each) for each in named])
    stands = {_entry(row): bool(row[4]) for row in rows}
    sizes = {_entry(row): row[6] for row in rows if row[6]}
    ends = {
        _entry(row): end
        for row in rows
        if row[5] is not None and UNTIL in row[5] and (end := end_of(json.loads(row[5])))
    }
    new = dict.fromkeys(
        owner_of(entry)
        for draft in drafts
        if (entry := draft.entry) and draft.body is not None and not stands.get(entry)
    )
    counts: Counter[Owner] = Counter()
    owners = [_row_of(Entry(*owner, ""))[:3] for owner in new]
    for room, audience, author, count in _COUNTED.rows(connection, owners):
        counts[Stream(Audience(audience), room), author or None] = count
    return Keys(stands, ends, counts, sizes, _bytes_of_owners(connection, drafts), bounds)


def _bytes_of_owners(connection: Connection, drafts: Sequence[Draft]) -> Counter[Owner]:
    """The bytes that stand of each author whose entries the drafts write, and of all authors of
    their streams."""
    authors: set[Owner] = {
        owner_of(entry)
        for draft in drafts
        if (entry := draft.entry) and entry.author is not None and draft.body is not None
    }
    owners: set[Owner] = authors | {(stream, None) for stream, _ in authors}
    rows = _SIZES.rows(connection, [_row_of(Entry(*owner, ""))[:3] for owner in owners])
    found: Counter[Owner] = Counter()
    for room, audience, author, size in rows:
        found[Stream(Audience(audience), room), author or None] = size
    return found


def write(
    connection: Connection,
    written: Sequence[tuple[Entry, Mapping[str, Any]]],
    *,
    before: Collection[Entry],
) -> None:
    """Put new rows of ``messages`` in the place of the entries that they write, the last one of
    each. ``before``: the entries that have a row."""
    newest: dict[Entry, Mapping[str, Any]] = {}
    for entry, row in written:
        # What nobody has ever seen needs no row that says that it is cleared.
        if row["body"] != NULL or entry in before or entry in newest:
            newest[entry] = row
    if not newest:
        return
    _DROP.run(
        connection,
        [
            dict(zip((f"in_{each.name}" for each in _ENTRY), _row_of(entry), strict=True))
            for entry in newest
            if entry in before
        ],
    )
    _ADD.run(
        connection,
        [
            {**{name: row[name] for name in _OF_MESSAGE}, "author": each.author or ROOM}
            for each, row in newest.items()
        ],
    )


@dataclass(frozen=True, slots=True)
class FoundState:
    """The rows of a page of the state. ``cut``: others follow them."""

    rows: Sequence[Row[Any]]
    head: int
    whole: bool
    cut: bool


def read(  # noqa: PLR0913 - what is wanted of the state
    connection: Connection,
    stream: Stream,
    *,
    after: int,
    limit: int,
    author: str | None,
    until: int | None,
    goes_on: bool = False,
    veiled: bool = False,
    size: int = READ_BYTES,
) -> FoundState:
    """A page of the state and its stream's end, by one statement. See
    :meth:`gateway.store.store.Store.read_state`."""
    if not is_room(stream.room) or (author is not None and not is_text(author)):
        raise UnknownRoom(f"there is no room {stream.room}")
    this = of_stream(stream)
    of_this = and_(streams.c.room == stream.room, streams.c.audience == stream.audience)
    after = min(after, MAX_NUMBER)
    # Who reads the state of one moment wants what stood then, and nothing that was cleared.
    judged = until is None and not goes_on
    too_old = or_(streams.c.forgotten > after, streams.c.head < after) if judged else false()
    begin = select(case((too_old, 0), else_=after)).where(of_this).scalar_subquery()
    entries = (
        select(kept)
        .where(
            kept.c.room == stream.room,
            kept.c.audience == stream.audience,
            kept.c.seq > begin,
            kept.c.body != NULL if until is not None else or_(kept.c.body != NULL, begin > 0),
        )
        .order_by(kept.c.seq)
        # One more, which tells whether others follow.
        .limit(limit + 1)
    )
    if author is not None:
        # And that hosts have muted them, which may stand under the room's own key.
        mutes = and_(kept.c.author == ROOM, kept.c.keep == f"{MUTED}:{author}")
        entries = entries.where(or_(kept.c.author == author, mutes))
    if until is not None:
        entries = entries.where(kept.c.seq <= until)
    if veiled and stream.audience is Audience.PUBLIC:
        entries = entries.where(not_(_IS_HIDDEN))
    page = entries.subquery()
    # Bodies are in ASCII, so characters are bytes.
    length = func.length(page.c.body)
    sized = select(
        page,
        (func.sum(length).over(order_by=page.c.seq) - length).label("before"),
        func.count().over().label("found"),
    ).subquery()
    query = (
        select(streams.c.head, begin.label("begin"), sized)
        .outerjoin_from(streams, sized, sized.c.before < size)
        .where(of_this)
        .order_by(sized.c.seq)
    )
    rows = connection.execute(query, this).all()
    if not rows:
        raise UnknownRoom(f"there is no room {stream.room}")
    found = [row for row in rows if row.seq is not None]
    cut = bool(found) and (len(found) < found[0].found or len(found) > limit)
    return FoundState(found[:limit], rows[0].head, rows[0].begin == 0, cut)


def streams_with_cleared(connection: Connection, *, before: datetime) -> list[Stream]:
    """The streams that have entries which were cleared before this time."""
    # There is an index of these entries alone, by their time. Were each stream asked for once,
    # SQLite would read all entries in the order of another one.
    old = and_(sql(CLEARED), kept.c.sent_at < before)
    rows = connection.execute(select(kept.c.room, kept.c.audience).where(old))
    return list({Stream(Audience(row.audience), row.room): None for row in rows})


def forget(
    connection: Connection, stream: Stream, *, before: datetime, spared: datetime, most: int
) -> int:
    """Delete cleared entries of the stream: those from ``before``, and the oldest beyond ``most``,
    but none that is younger than ``spared``; :data:`PORTION` of them at a time. Returns how many.

    The stream notes up to which seq that was done: a reader that has not heard of it begins from
    nothing. One that is reading the whole state page by page does not, and must not miss what is
    cleared meanwhile: so the youngest are spared.
    """
    of_this = and_(streams.c.room == stream.room, streams.c.audience == stream.audience)
    locked = select(streams.c.forgotten).where(of_this).with_for_update()
    forgotten = connection.execute(locked).scalar_one()
    cleared = and_(
        kept.c.room == stream.room, kept.c.audience == stream.audience, kept.c.body == NULL
    )
    count = connection.execute(select(func.count()).select_from(kept).where(cleared)).scalar_one()
    oldest = connection.execute(
        select(kept.c.seq, kept.c.sent_at)
        .where(cleared, kept.c.sent_at < spared)
        .order_by(kept.c.seq)
        .limit(PORTION)
    )
    over = count - most
    gone = [row.seq for number, row in enumerate(oldest) if number < over or row.sent_at < before]
    if gone:
        connection.execute(delete(kept).where(cleared, kept.c.seq.in_(gone)))
        newest = max(forgotten, *gone)
        connection.execute(update(streams).where(of_this).values(forgotten=newest))
    return len(gone)


def _row_of(entry: Entry) -> tuple[int, str, str, str]:
    return entry.stream.room, str(entry.stream.audience), entry.author or ROOM, entry.key


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(Stream(Audience(row[1]), row[0]), row[2] or None, row[3])
