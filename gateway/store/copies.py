"""A new room with what another one was prepared with, in one transaction."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, and_, or_, select

from broker.topology import Audience, Stream
from gateway.domain.guest import is_guest
from gateway.domain.message import Draft
from gateway.domain.order import MUTED, PREPARED, SETTINGS
from gateway.domain.room import MemberRole, Room
from gateway.errors import GatewayError, TooManyKeys, UnknownRoom
from gateway.store import history, kept, rooms
from gateway.store.keys import KeyBounds
from gateway.store.quota import Quota
from gateway.store.tables import kept as entries
from gateway.store.tables import members as memberships

#: Entries that a copy may have, and characters of their bodies: one transaction stores them.
MOST: Final = 2_000
MOST_CHARACTERS: Final = 4 * 1024 * 1024


def copy(  # noqa: PLR0913 - whose copy it is, and how it is stored
    connection: Connection,
    number: int,
    *,
    title: str | None,
    creator: str,
    name: str | None,
    at: datetime,
    refusal: rooms.RoomRefusal | None,
    owner: UUID,
    quota: Quota,
    bounds: KeyBounds,
) -> Room:
    """Create a room with the members of another one, except guests, and ``creator`` as a host; with
    its order and retention, and with the questions that were prepared in it. They are messages of
    the creator. ``name``: what is shown beside the creator's name; ``title``: None takes the other
    room's.

    Raises UnknownRoom, also for a room that was deleted, TooManyKeys for one with too much to copy,
    and the error of ``refusal``.
    """
    source = rooms.get(connection, number)
    if source is None or not source.title:
        raise UnknownRoom(f"there is no room {number}")
    query = select(memberships).where(memberships.c.room == number).order_by(memberships.c.user_id)
    found = [each for each in connection.execute(query) if not is_guest(each.user_id)]
    roles = {each.user_id: MemberRole(each.role) for each in found} | {creator: MemberRole.HOST}
    names = {each.user_id: each.name for each in found if each.name}
    if name is not None:
        names[creator] = name
    room = rooms.create(
        connection,
        source.title if title is None else title,
        roles,
        at,
        creator=creator,
        names=names,
        refusal=refusal,
    )
    if source.keep_days is not None:
        rooms.keep(connection, room.id, source.keep_days)
        room = replace(room, keep_days=source.keep_days)
    drafts = [_draft(row, room.id, creator, name, at) for row in _prepared(connection, number)]
    for answer in history.append(connection, drafts, owner=owner, quota=quota, bounds=bounds):
        if isinstance(answer, GatewayError):
            raise answer
    return room


def _prepared(connection: Connection, number: int) -> list[Row[Any]]:
    """The room's own entries that a copy has, too, and whom its hosts have muted."""
    key, is_own = entries.c.keep, entries.c.author == kept.ROOM
    settings = and_(entries.c.audience == Audience.PUBLIC, is_own, key == SETTINGS)
    mutes = or_(key == MUTED, and_(is_own, key.startswith(f"{MUTED}:", autoescape=True)))
    prepared = and_(is_own, key.startswith(f"{PREPARED}:", autoescape=True))
    private = and_(
        entries.c.audience == Audience.PRIVATE,
        entries.c.role == MemberRole.HOST,
        or_(mutes, prepared),
    )
    query = (
        select(entries)
        .where(entries.c.room == number, entries.c.body != kept.NULL, or_(settings, private))
        .order_by(entries.c.audience, entries.c.seq)
        .limit(MOST + 1)
    )
    found: list[Row[Any]] = []
    characters = 0
    for row in connection.execute(query):
        found.append(row)
        characters += len(row.body)
        if len(found) > MOST or characters > MOST_CHARACTERS:
            raise TooManyKeys(
                f"room {number} has more than {MOST} entries, or {MOST_CHARACTERS} characters, to"
                " copy: delete some of its prepared sets"
            )
    return found


def _draft(row: Row[Any], room: int, creator: str, name: str | None, at: datetime) -> Draft:
    return Draft(
        uuid4(),
        Stream(Audience(row.audience), room),
        creator,
        at,
        row.type,
        json.loads(row.body),
        MemberRole.HOST,
        name,
        row.keep,
        row.of,
    )
