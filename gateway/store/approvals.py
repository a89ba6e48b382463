"""Messages that wait for approval, or have waited: functions that run inside one transaction, on
either back end.

Whoever writes holds the lock of the streams (see :mod:`gateway.store.history`), so of two hosts who
decide at the same time one comes first.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update
from sqlalchemy import text as sql

from broker.topology import Audience, Stream
from gateway.domain.approval import Fate
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.store.approving import Approving, Place, fate_by
from gateway.store.tables import WAITS, among, approvals, padded
from gateway.store.values import MAX_NUMBER, is_room, is_text

# Written exactly as in the index, so that it applies.
_COUNTED: Final = (
    select(approvals.c.room, approvals.c.sender, func.count().label("number"))
    .where(among(approvals.c.room, "rooms"), sql(WAITS))
    .group_by(approvals.c.room, approvals.c.sender)
)
_FATES: Final = select(approvals.c.seq, approvals.c.fate).where(
    approvals.c.room == bindparam("in_room"), among(approvals.c.seq, "seqs")
)
_ADD: Final = insert(approvals)
_DECIDE: Final = (
    update(approvals)
    .where(approvals.c.room == bindparam("in_room"), approvals.c.seq == bindparam("at"))
    .values(fate=bindparam("new_fate"))
)


@dataclass(frozen=True, slots=True)
class Waited:
    """A message that had to wait, with what has become of it."""

    message: Message
    fate: Fate


def find(connection: Connection, drafts: Iterable[Draft], rooms: set[int]) -> Approving:
    """The part of what waits that decides about the drafts. ``rooms``: those whose hosts approve.
    Where there are none, and nothing is decided, nothing is read."""
    found = Approving(rooms)
    if rooms:
        for row in connection.execute(_COUNTED, {"rooms": padded(sorted(rooms))}):
            found.waiting[row.room] += row.number
            found.of_author[row.room, row.sender] = row.number
    decided: dict[int, set[int]] = {}
    for draft in drafts:
        if draft.place is not None:
            decided.setdefault(draft.stream.room, set()).add(min(draft.place, MAX_NUMBER))
    for room, seqs in decided.items():
        for row in connection.execute(_FATES, {"in_room": room, "seqs": padded(sorted(seqs))}):
            found.fates[room, row.seq] = Fate(row.fate)
    return found


def write(
    connection: Connection, new: Sequence[Mapping[str, Any]], decided: Sequence[tuple[Place, Draft]]
) -> None:
    """Store what waits (rows as of ``messages``), then note what was decided."""
    if new:
        columns = [each.name for each in approvals.c]
        rows = [{**row, "fate": Fate.WAITING} for row in new]
        connection.execute(_ADD, [{name: row[name] for name in columns} for row in rows])
    if decided:
        connection.execute(
            _DECIDE,
            [
                {"in_room": room, "at": seq, "new_fate": fate_by(draft)}
                for (room, seq), draft in decided
            ],
        )


def read_waiting(
    connection: Connection, room: int, *, after: int, limit: int, sender: str | None
) -> list[Message]:
    """Messages that wait in a room after the seq ``after``, in order; of one sender where given."""
    if not is_room(room) or (sender is not None and not is_text(sender)):
        return []
    query = (
        select(approvals)
        .where(approvals.c.room == room, approvals.c.seq > min(after, MAX_NUMBER), sql(WAITS))
        .order_by(approvals.c.seq)
        .limit(limit)
    )
    if sender is not None:
        query = query.where(approvals.c.sender == sender)
    return [said(row) for row in connection.execute(query)]


def waited_at(connection: Connection, room: int, seqs: Collection[int]) -> dict[int, Waited]:
    """The messages that had to wait at these places of a room, whatever has become of them."""
    wanted = sorted({seq for seq in seqs if 0 < seq <= MAX_NUMBER})
    if not is_room(room) or not wanted:
        return {}
    query = select(approvals).where(and_(approvals.c.room == room, among(approvals.c.seq, "seqs")))
    rows = connection.execute(query, {"seqs": padded(wanted)})
    return {row.seq: Waited(said(row), Fate(row.fate)) for row in rows}


def waited(connection: Connection, room: int, seq: int) -> Message | None:
    """The message that had to wait at a place, whatever has become of it. None: it was deleted."""
    found = waited_at(connection, room, [seq]).get(seq)
    return None if found is None else found.message


def said(row: Row[Any]) -> Message:
    """The message in a row, as its author sent it."""
    return Message(
        row.id,
        Stream(Audience.PUBLIC, row.room),
        row.seq,
        row.sender,
        row.sent_at,
        row.type,
        json.loads(row.body),
        None if row.role is None else MemberRole(row.role),
        row.sender_name,
    )
