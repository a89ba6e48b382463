"""Order in rooms, carried out in the transaction that stores the host's word.

The kept state is the truth; columns of rooms and members say the same, so that a post needs no
further read to be judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, select, update

from broker.topology import Audience, Stream
from gateway.domain.kept import Entry
from gateway.domain.message import Draft
from gateway.domain.order import MUTED, SETTINGS, hidden_seq, muted_user
from gateway.domain.room import MemberRole
from gateway.store import revisions
from gateway.store.pace import Pace
from gateway.store.tables import approvals, kept, members, messages, rooms
from gateway.store.values import MAX_NUMBER

#: Messages among which a sender's last word is sought: whoever keeps so many entries in between has
#: waited for the rate of posts, and a post must cost no more.
_AMONG: Final = 1_000
_newest: Final = (
    select(messages.c.seq, messages.c.sent_at, messages.c.place, messages.c.keep)
    .where(
        messages.c.room == bindparam("in_room"),
        messages.c.audience == bindparam("in_audience"),
        messages.c.sender == bindparam("of_sender"),
    )
    .order_by(messages.c.seq.desc())
    .limit(_AMONG)
    .subquery()
)
_LAST: Final = (
    select(_newest.c.sent_at)
    # The moment of an approval is no moment at which the author has spoken, and an entry of the
    # kept state is no word.
    .where(_newest.c.place.is_(None), _newest.c.keep.is_(None))
    .order_by(_newest.c.seq.desc())
    .limit(1)
)

_LAST_THAT_WAITED: Final = (
    select(approvals.c.sent_at)
    .where(approvals.c.room == bindparam("in_room"), approvals.c.sender == bindparam("of_sender"))
    .order_by(approvals.c.seq.desc())
    .limit(1)
)


def pace_of(connection: Connection, drafts: Iterable[Draft]) -> Pace:
    """The pace of the senders who must wait between two messages. Without any, nothing is read."""
    last: dict[tuple[Stream, str], datetime] = {}
    for draft in drafts:
        key = (draft.stream, draft.sender)
        if draft.apart and key not in last:
            values = {
                "in_room": draft.stream.room,
                "in_audience": draft.stream.audience,
                "of_sender": draft.sender,
            }
            said = [
                connection.execute(query, values).scalar_one_or_none()
                for query in (_LAST, _LAST_THAT_WAITED)
            ]
            if found := [moment for moment in said if moment is not None]:
                last[key] = max(found)
    return Pace(last)


def carry_out(connection: Connection, written: Sequence[tuple[Entry, Mapping[str, Any]]]) -> None:
    """Carry out what hosts have ordered by these rows of ``messages``, in their order."""
    changed: set[int] = set()
    hides = False
    for entry, row in written:
        if row["role"] != MemberRole.HOST:
            continue
        room, audience = entry.stream.room, entry.stream.audience
        if entry.key == SETTINGS and audience is Audience.PUBLIC and entry.author is None:
            _set(connection, room, json.loads(row["body"]) or {})
        elif audience is Audience.PRIVATE and (user := muted_user(entry.key, entry.author)):
            this = and_(members.c.room == room, members.c.user_id == user)
            mutes = row["body"] != "null"
            connection.execute(update(members).where(this).values(muted=mutes))
        elif (
            audience is Audience.PUBLIC and entry.author is None and (seq := hidden_seq(entry.key))
        ):
            hides |= _hide(connection, room, seq, hidden=row["body"] != "null")
            continue
        else:
            continue
        changed.add(room)
    if hides:
        # Every gateway forgets what it has in memory.
        revisions.advance(connection)
    for room in sorted(changed):
        # All gateways look at the room again.
        more = rooms.c.revision + 1
        connection.execute(update(rooms).where(rooms.c.id == room).values(revision=more))


def muted_in(connection: Connection, room: int) -> frozenset[str]:
    """The users whom the kept state of a room mutes, members or not."""
    query = select(kept.c.author, kept.c.keep).where(
        kept.c.room == room,
        kept.c.audience == Audience.PRIVATE,
        (kept.c.keep == MUTED) | kept.c.keep.startswith(f"{MUTED}:", autoescape=True),
        kept.c.role == MemberRole.HOST,
        kept.c.body != "null",
    )
    found = (muted_user(key, author or None) for author, key in connection.execute(query))
    return frozenset(user for user in found if user is not None)


def _hide(connection: Connection, room: int, seq: int, *, hidden: bool) -> bool:
    """Hide a public message, or show it again. False: there is none, or it is so already."""
    this = and_(
        messages.c.room == room,
        messages.c.audience == Audience.PUBLIC,
        messages.c.seq == min(seq, MAX_NUMBER),
        messages.c.hidden != hidden,
    )
    return connection.execute(update(messages).where(this).values(hidden=hidden)).rowcount == 1


def _set(connection: Connection, room: int, settings: Any) -> None:
    values = {
        "chat_off": settings.get("chat") is False,
        "slow": settings.get("slow", 0),
        "approve": settings.get("approve") is True,
    }
    connection.execute(update(rooms).where(rooms.c.id == room).values(values))
