"""Messages and their numbers: functions that run inside one transaction, on either back end.

Locks are taken in the same order everywhere: rooms in ascending order, then their streams.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    false,
    insert,
    not_,
    select,
    union_all,
    update,
)
from sqlalchemy import text as sql

from broker.topology import Audience, Stream
from gateway.domain.approval import PENDING
from gateway.domain.kept import Entry, key
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError, Invalid, UnknownRoom
from gateway.store import approvals, kept, order
from gateway.store.approving import Place
from gateway.store.keys import KeyBounds
from gateway.store.numbering import Numbering
from gateway.store.portions import (
    READ_BYTES,
    Portion,
    of_stream,
    one_by_one,
    sized,
    take,
    whole,
)
from gateway.store.prepared import Prepared, PreparedList
from gateway.store.quota import Quota, Usage
from gateway.store.records import Appended, JsonPage, Page, StatePage
from gateway.store.tables import NOT_SAID, SAID, among, messages, outbox, padded, rooms, streams
from gateway.store.values import (
    MAX_NUMBER,
    TYPE_LENGTH,
    USER_LENGTH,
    is_room,
    is_text,
    json_text,
    text,
)

IN_OUTBOX: Final = and_(
    outbox.c.room == messages.c.room,
    outbox.c.audience == messages.c.audience,
    outbox.c.seq == messages.c.seq,
)

# A join, so that one statement locks both; PostgreSQL then reads the newest version of both.
_LOCK: Final = PreparedList(
    rooms.c.id,
    lambda condition: (
        select(
            rooms.c.id,
            rooms.c.closed_at,
            rooms.c.approve,
            streams.c.audience,
            streams.c.head,
            streams.c.first,
            streams.c.bytes,
        )
        .join(streams)
        .where(condition)
        .order_by(rooms.c.id, streams.c.audience)
        .with_for_update(key_share=True)
    ),
)
_REPEATED: Final = PreparedList(
    messages.c.id, lambda condition: select(messages.c.seq).where(condition)
)
_KNOWN: Final = (
    select(messages, outbox.c.seq.label("waiting"))
    .outerjoin(outbox, IN_OUTBOX)
    .where(among(messages.c.id, "ids"))
)
#: What the stream has of a message that waits for approval.
_WITHOUT_CONTENT: Final = {
    **{"sender": "", "sender_name": None, "role": None, "type": PENDING},
    **{"body": "null", "size": len("null")},
}
_BOUNDS: Final = select(streams.c.head, streams.c.first).where(
    streams.c.room == bindparam("in_room"), streams.c.audience == bindparam("in_audience")
)
_NO_QUOTA: Final = Quota(MAX_NUMBER, MAX_NUMBER)
_NO_BOUNDS: Final = KeyBounds()
_COLUMNS: Final = tuple(messages.c.keys())
_ADD_MESSAGES: Final = Prepared(insert(messages))
_ADD_TO_OUTBOX: Final = Prepared(insert(outbox))
_SET_HEAD: Final = Prepared(
    update(streams)
    .where(streams.c.room == bindparam("in_room"), streams.c.audience == bindparam("in_audience"))
    .values(head=bindparam("new_head"), bytes=streams.c.bytes + bindparam("more"))
)


def append(
    connection: Connection,
    drafts: Sequence[Draft],
    *,
    owner: UUID,
    quota: Quota = _NO_QUOTA,
    bounds: KeyBounds = _NO_BOUNDS,
) -> list[Appended | GatewayError]:
    """Number the drafts and store them in the history, in the owner's outbox and, with a key, in
    the kept state; ``quota`` is for each room, ``bounds`` for its keys."""
    prepared = [(draft, _prepare(draft)) for draft in drafts]
    storable = [draft for draft, row in prepared if isinstance(row, dict)]
    numbering = _numbering(connection, storable, quota, bounds)
    keys_before = frozenset(numbering.keys.stands)
    answers: list[Appended | GatewayError] = []
    rows: list[dict[str, Any]] = []
    entries: list[tuple[Entry, dict[str, Any]]] = []
    waiting: list[dict[str, Any]] = []
    decided: list[tuple[Place, Draft]] = []
    for draft, row in prepared:
        if isinstance(row, GatewayError):
            answers.append(row)
            continue
        size = len(row["body"].encode())
        answer = numbering.take(draft, size)
        answers.append(answer)
        if isinstance(answer, Appended) and not answer.repeated:
            rows.append(row | {"seq": answer.message.seq, "size": size})
            if answer.waits:
                waiting.append(rows[-1])
                rows[-1] = rows[-1] | _WITHOUT_CONTENT
            if draft.place is not None:
                decided.append(((draft.stream.room, draft.place), draft))
            if draft.keep and (entry := draft.entry):
                entries.append((entry, rows[-1]))
    if rows:
        _insert(connection, rows, numbering.heads, owner)
        approvals.write(connection, waiting, decided)
    if entries:
        kept.write(connection, entries, before=keys_before)
        order.carry_out(connection, entries)
    return answers


def _prepare(draft: Draft) -> dict[str, Any] | GatewayError:
    """The draft's row without its number. A draft that cannot be stored fails alone, not with its
    batch."""
    if not is_room(draft.stream.room):
        return UnknownRoom(f"there is no room {draft.stream.room}")
    try:
        return {
            "id": draft.id,
            "room": draft.stream.room,
            "audience": draft.stream.audience,
            "sender": text(draft.sender, "sender", USER_LENGTH),
            "sent_at": draft.sent_at,
            "type": text(draft.type, "type", TYPE_LENGTH),
            "body": json_text(draft.body),
            "role": draft.role,
            "sender_name": draft.sender_name,
            "keep": None if draft.keep is None else key(draft.keep),
            "of": None if draft.of is None else text(draft.of, "of", USER_LENGTH),
            "hidden": False,
            "place": draft.place,
        }
    except Invalid as error:
        return error
    except ValueError as error:
        return Invalid(f"keep: {error}")


def _numbering(
    connection: Connection, drafts: Sequence[Draft], quota: Quota, bounds: KeyBounds
) -> Numbering:
    """Lock the streams, then read them: from here on, all earlier commits of other gateways are
    visible."""
    heads: dict[Stream, int] = {}
    closed: set[int] = set()
    approving: set[int] = set()
    usage: dict[int, Usage] = {}
    numbers = sorted({draft.stream.room for draft in drafts})
    for room, closed_at, approves, audience, head, first, size in _LOCK.rows(connection, numbers):
        heads[Stream(Audience(audience), room)] = head
        used = usage.setdefault(room, Usage())
        used.messages += head + 1 - first
        used.bytes += size
        if closed_at is not None:
            closed.add(room)
        if approves:
            approving.add(room)
    ids = sorted({draft.id for draft in drafts})
    known = _known(connection, ids)
    keys = kept.find(connection, drafts, bounds)
    pace = order.pace_of(connection, drafts)
    waiting = approvals.find(connection, drafts, approving)
    return Numbering(heads, frozenset(closed), known, usage, quota, keys, pace, waiting)


def _known(connection: Connection, ids: list[UUID]) -> dict[UUID, Appended]:
    if not _REPEATED.rows(connection, ids):
        return {}
    return {
        row.id: Appended(
            message(row),
            repeated=True,
            published=row.waiting is None,
            waits=approvals.waited(connection, row.room, row.seq) if _is_place(row) else None,
        )
        for row in connection.execute(_KNOWN, {"ids": padded(ids)}).all()
    }


def _is_place(row: Row[Any]) -> bool:
    return not row.sender and row.type == PENDING


def stored(connection: Connection, message_id: UUID) -> Appended | None:
    """The message with this id, if it is in the history."""
    return _known(connection, [message_id]).get(message_id)


def _insert(
    connection: Connection, rows: list[dict[str, Any]], heads: dict[Stream, int], owner: UUID
) -> None:
    # In the order of their ids: two gateways that insert the same ids then wait for each other
    # instead of running into a deadlock.
    rows.sort(key=lambda row: UUID.__int__(row["id"]))
    stored = [{name: row[name] for name in _COLUMNS} for row in rows]
    _ADD_MESSAGES.run(connection, stored)
    _ADD_TO_OUTBOX.run(connection, [{**row, "owner": owner} for row in rows])
    grown: dict[Stream, int] = {}
    for row in rows:
        stream = Stream(row["audience"], row["room"])
        grown[stream] = grown.get(stream, 0) + row["size"]
    _SET_HEAD.run(
        connection,
        [
            {"in_room": s.room, "in_audience": s.audience, "new_head": heads[s], "more": more}
            for s, more in grown.items()
        ],
    )


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and the bounds of its stream at the same moment."""

    portion: Portion
    head: int
    first: int


def read(  # noqa: PLR0913 - what is wanted of the stream
    connection: Connection,
    stream: Stream,
    *,
    after: int,
    limit: int,
    sender: str | None,
    types: Collection[str] | None,
    size: int = READ_BYTES,
    veiled: bool = False,
) -> Found:
    """The stream's bounds and its messages from one snapshot, up to ``size`` bytes of bodies.
    ``veiled``: the types of hidden messages are not to be told."""
    if not is_room(stream.room):
        raise UnknownRoom(f"there is no room {stream.room}")
    found_keys = _keys(stream, after=after, limit=limit, sender=sender, types=types, veiled=veiled)
    keys = found_keys.subquery()
    this = of_stream(stream)
    if connection.dialect.name == "sqlite":
        bounds = connection.execute(_BOUNDS, this).one_or_none()
        if bounds is None:
            raise UnknownRoom(f"there is no room {stream.room}")
        return Found(
            take(connection, one_by_one(keys, this), {}, size=size), bounds.head, bounds.first
        )
    # In one statement, because it is a transaction of its own here.
    found = sized(keys, this)
    query = (
        _BOUNDS.add_columns(found)
        .outerjoin_from(streams, found, found.c.before < size)
        .order_by(found.c.seq)
    )
    rows = connection.execute(query, this).all()
    if not rows:
        raise UnknownRoom(f"there is no room {stream.room}")
    portion = whole([row for row in rows if row.seq is not None])
    return Found(portion, rows[0].head, rows[0].first)


def page(found: Found) -> Page:
    """The rows as messages, with their JSON: making it is not left to the event loop."""
    return Page(
        [stored_message(row).keep_encoded(encoded(row)) for row in found.portion.rows],
        head=found.head,
        first=found.first,
        cut=found.portion.cut,
    )


def parsed(found: Found) -> Page:
    """The rows as messages, for whoever needs their bodies and not their JSON."""
    return Page(
        [stored_message(row) for row in found.portion.rows],
        head=found.head,
        first=found.first,
        cut=found.portion.cut,
        size=sum(len(row.body) for row in found.portion.rows),
    )


def json_page(found: Found) -> JsonPage:
    """The rows as encoded messages, mostly without parsing a body."""
    return _json_page(found, encoded)


def veiled_json_page(found: Found) -> JsonPage:
    """As :func:`json_page`, as others than hosts see it."""
    return _json_page(found, _veiled)


def _json_page(found: Found, encode: Callable[[Row[Any]], bytes]) -> JsonPage:
    return JsonPage(
        [encode(row) for row in found.portion.rows],
        last=found.portion.rows[-1].seq if found.portion.rows else None,
        head=found.head,
        first=found.first,
        cut=found.portion.cut,
    )


def state_page(found: kept.FoundState) -> StatePage:
    """The rows of the kept state as messages, with their JSON."""
    messages = [message(row).keep_encoded(encoded(row)) for row in found.rows]
    return StatePage(messages, found.head, whole=found.whole, complete=not found.cut)


def _keys(
    stream: Stream,
    *,
    after: int,
    limit: int,
    sender: str | None,
    types: Collection[str] | None,
    veiled: bool,
) -> Select[Any] | CompoundSelect[Any]:
    """A query for the seqs of a page, answered from the indices alone."""
    keys = (
        select(messages.c.seq)
        .where(
            messages.c.room == stream.room,
            messages.c.audience == stream.audience,
            messages.c.seq > min(after, MAX_NUMBER),
        )
        .order_by(messages.c.seq)
        .limit(limit)
    )
    if sender is not None:
        keys = keys.where(messages.c.sender == sender if is_text(sender) else false())
    if types is not None and veiled:
        keys = keys.where(not_(messages.c.hidden))
    return keys if types is None else _of_types(keys, types).order_by("seq").limit(limit)


def _of_types(page: Select[Any], types: Collection[str]) -> Select[Any] | CompoundSelect[Any]:
    """One query per type, because SQLite reads the whole stream for an IN with an order."""
    pages = []
    for each in dict.fromkeys(types):
        one = page.where(messages.c.type == each if is_text(each) else false())
        if each != SAID:
            # Written exactly as in the index: SQLite cannot tell from a parameter that the index
            # applies.
            one = one.where(sql(NOT_SAID))
        pages.append(select(one.subquery()))
    return union_all(*pages) if pages else page.where(false())


_HEADS: Final = select(streams.c.room, streams.c.audience, streams.c.head).where(
    among(streams.c.room, "rooms")
)


def heads(connection: Connection, wanted: Sequence[Stream]) -> dict[Stream, int]:
    """The last seq of each of the streams; streams that do not exist are left out."""
    numbers = sorted({stream.room for stream in wanted if is_room(stream.room)})
    if not numbers:
        return {}
    rows = connection.execute(_HEADS, {"rooms": padded(numbers)})
    found = {Stream(Audience(row.audience), row.room): row.head for row in rows}
    return {stream: found[stream] for stream in wanted if stream in found}


def message(row: Row[Any]) -> Message:
    """The message in a row."""
    return _message(row, json.loads(row.body))


def _veiled(row: Row[Any]) -> bytes:
    return stored_message(row).veiled().encode() if row.hidden else encoded(row)


def stored_message(row: Row[Any]) -> Message:
    """The message in a row of ``messages``, which knows whether it is hidden."""
    found = message(row)
    return replace(found, hidden=True) if row.hidden else found


def encoded(row: Row[Any]) -> bytes:
    """The message's JSON, as :meth:`Message.encode` gives it, mostly without parsing the body."""
    body: str = row.body
    if "\\u" in body:
        # The body is stored in ASCII and sent in UTF-8.
        return message(row).encode()
    return _message(row, None).encode_with(body)


def _message(row: Row[Any], body: Any) -> Message:
    return Message(
        row.id,
        Stream(Audience(row.audience), row.room),
        row.seq,
        row.sender,
        row.sent_at,
        row.type,
        body,
        None if row.role is None else MemberRole(row.role),
        row.sender_name,
        row.keep,
        row.of,
        # Entries of the kept state have none.
        getattr(row, "place", None),
    )
