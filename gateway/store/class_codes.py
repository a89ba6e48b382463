"""Class codes, knocks at the door, and the guests who came in.

Whoever changes who may come into a room locks the room first, as changes of its members do, then
the counter of endings (see :mod:`gateway.store.sessions`). So a guest comes in before a code is
withdrawn, and is sent away with it, or after it, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, or_, select, update

from gateway.domain import guest
from gateway.domain.class_code import ClassCode, Door, Guests, Knock, KnockState
from gateway.domain.room import MemberRole
from gateway.domain.session import EndedSession, LoginSession
from gateway.errors import (
    GatewayError,
    GuestsRefused,
    RoomClosed,
    TurnedAway,
    UnknownCode,
    UnknownKnock,
    UnknownRoom,
)
from gateway.store import rooms, sessions
from gateway.store.rooms import lock, revise
from gateway.store.tables import class_codes, knocks, members, turned_away
from gateway.store.tables import rooms as room_table
from gateway.store.tables import sessions as session_table
from gateway.store.values import USER_LENGTH, is_room, is_text, text

#: Seconds after which somebody who knocked and does not ask any more has gone.
GONE: Final = timedelta(seconds=60)
#: Seconds between two notes that somebody who knocked still waits.
NOTED: Final = timedelta(seconds=15)
#: How long the answer to a knock is kept for somebody whose device sleeps.
KEPT: Final = timedelta(minutes=15)
#: Refusals of one room that are kept for so long: as many as may wait.
MOST_REFUSED: Final = 600

#: The error for one more of something in a room, by how many there are; None: it may be added. It
#: is called in a thread of the database.
OneMore = Callable[[int], GatewayError | None]


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody who is a member now. ``name``: what is shown; ``is_new``: was none before."""

    user: str
    role: MemberRole
    name: str | None
    is_new: bool


def get(connection: Connection, room: int) -> ClassCode | None:
    """The room's code."""
    if not is_room(room):
        return None
    this = select(class_codes).where(class_codes.c.room == room)
    row = connection.execute(this).one_or_none()
    return None if row is None else ClassCode(row.room, row.code, Guests(row.guests))


def put(
    connection: Connection, room: int, code: str, guests: Guests, at: datetime, *, renew: bool
) -> ClassCode | None:
    """The room's code, which lets in ``guests`` from now on: the one that it has, or ``code`` if it
    has none or is to ``renew`` it. None: another room has that code; try another one.

    Raises :class:`UnknownRoom`, :class:`RoomClosed`.
    """
    _lock_open(connection, room)
    known = get(connection, room)
    if known is not None and not renew:
        this = class_codes.c.room == room
        connection.execute(update(class_codes).where(this).values(guests=guests))
        return ClassCode(room, known.code, guests)
    if door(connection, code) is not None:
        return None
    _forget(connection, room)
    connection.execute(insert(class_codes).values(room=room, code=code, guests=guests, made_at=at))
    return ClassCode(room, code, guests)


def withdraw(connection: Connection, room: int) -> bool:
    """Let nobody in by a code any more; False: there was none."""
    return lock(connection, room) and _forget(connection, room)


def door(connection: Connection, code: str) -> Door | None:
    """The open room that the code leads to."""
    query = (
        select(class_codes.c.room, class_codes.c.guests, room_table.c.title)
        .join(room_table)
        .where(class_codes.c.code == code, room_table.c.closed_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Door(row.room, row.title, Guests(row.guests))


def enter(
    connection: Connection, room: int, code: str, user: str, name: str | None, one_more: OneMore
) -> Entered:
    """Make somebody with an account a participant; a member stays what they are.

    Raises :class:`UnknownCode`, :class:`TurnedAway`, and the error of ``one_more``.
    """
    _check(connection, room, code)
    this = and_(members.c.room == room, members.c.user_id == text(user, "user", USER_LENGTH))
    if (known := connection.execute(select(members).where(this)).one_or_none()) is not None:
        return Entered(user, MemberRole(known.role), known.name, is_new=False)
    away = and_(turned_away.c.room == room, turned_away.c.user_id == user)
    if connection.execute(select(turned_away).where(away)).one_or_none() is not None:
        raise TurnedAway("a host has removed you from this room; only a host can add you again")
    _check_one_more(connection, room, one_more)
    rooms.set_member(connection, room, user, MemberRole.PARTICIPANT, name)
    return Entered(user, MemberRole.PARTICIPANT, name, is_new=True)


def enter_as_guest(
    connection: Connection,
    room: int,
    code: str,
    nickname: str,
    session: LoginSession,
    one_more: OneMore,
    *,
    knock: str | None = None,
) -> Entered:
    """Let in a guest, whose ``session`` names the user. The nickname gets a number if somebody in
    the room is called so. ``knock``: the one by which a host has let the guest in; it counts once.

    Raises :class:`UnknownCode`, :class:`GuestsRefused`, :class:`UnknownKnock`, and the error of
    ``one_more``.
    """
    door = _check(connection, room, code)
    if knock is not None:
        this = and_(knocks.c.id == knock, knocks.c.room == room)
        admitted = and_(this, knocks.c.state == KnockState.ADMITTED)
        if connection.execute(delete(knocks).where(admitted)).rowcount == 0:
            raise UnknownKnock("this knock was answered already; knock again")
    elif door.guests is not Guests.YES:
        raise GuestsRefused("a host has to let you in")
    _check_one_more(connection, room, one_more)
    called = select(members.c.user_id, members.c.name).where(members.c.room == room)
    taken = [
        each
        for row in connection.execute(called)
        for each in row
        if each and not guest.is_guest(each)
    ]
    name = guest.numbered(nickname, taken)
    rooms.set_member(connection, room, session.user, MemberRole.PARTICIPANT, name)
    sessions.add(connection, session)
    return Entered(session.user, MemberRole.PARTICIPANT, name, is_new=True)


def add_knock(
    connection: Connection,
    room: int,
    code: str,
    id: str,
    nickname: str,
    at: datetime,
    most: OneMore,
) -> None:
    """Let somebody knock at the room's door. Raises :class:`UnknownCode`, :class:`GuestsRefused`,
    and the error of ``most``."""
    door = _check(connection, room, code)
    if door.guests is not Guests.KNOCK:
        raise GuestsRefused("nobody has to knock at this room")
    old = or_(
        and_(knocks.c.state == KnockState.WAITING, knocks.c.seen_at < at - GONE),
        knocks.c.seen_at < at - KEPT,
    )
    connection.execute(delete(knocks).where(knocks.c.room == room, old))
    refused = and_(knocks.c.room == room, knocks.c.state == KnockState.REFUSED)
    # Who was refused waits no more, though the answer stands for them to fetch: the newest ones'.
    newest = select(knocks.c.number).where(refused).order_by(knocks.c.number.desc())
    last_kept = connection.execute(newest.offset(MOST_REFUSED).limit(1)).scalar()
    if last_kept is not None:
        connection.execute(delete(knocks).where(refused, knocks.c.number <= last_kept))
    others = and_(knocks.c.room == room, knocks.c.state != KnockState.REFUSED)
    of_room = select(func.count()).select_from(knocks).where(others)
    if (error := most(connection.execute(of_room).scalar_one())) is not None:
        raise error
    values = {"id": id, "room": room, "nickname": nickname, "since": at, "seen_at": at}
    connection.execute(insert(knocks).values(values | {"state": KnockState.WAITING}))


def knock(connection: Connection, id: str) -> tuple[Knock, datetime] | None:
    """The knock, and when its owner was there last."""
    if not is_text(id):
        return None
    row = connection.execute(select(knocks).where(knocks.c.id == id)).one_or_none()
    return None if row is None else (_knock(row), row.seen_at)


def saw_knock(connection: Connection, id: str, at: datetime) -> None:
    """Note that the owner of the knock still waits."""
    connection.execute(update(knocks).where(knocks.c.id == id).values(seen_at=at))


def waiting(connection: Connection, room: int, now: datetime) -> Sequence[Row[Any]]:
    """The rows of those who wait now, the first one first."""
    if not is_room(room):
        return []
    waits = and_(knocks.c.state == KnockState.WAITING, knocks.c.seen_at >= now - GONE)
    query = select(knocks).where(knocks.c.room == room, waits).order_by(knocks.c.number)
    return connection.execute(query).all()


def of_rows(rows: Sequence[Row[Any]]) -> list[Knock]:
    """The knocks in the rows of :func:`waiting`."""
    return [_knock(row) for row in rows]


def answer_knocks(
    connection: Connection,
    room: int,
    numbers: Collection[int] | None,
    state: KnockState,
    now: datetime,
) -> int:
    """Admit or refuse those who wait; None: all who wait now, so nobody whom a host has not seen
    is let in with them. Returns how many."""
    if not is_room(room):
        return 0
    waits = and_(knocks.c.room == room, knocks.c.state == KnockState.WAITING)
    if numbers is None:
        waits = and_(waits, knocks.c.seen_at >= now - GONE)
    else:
        waits = and_(waits, knocks.c.number.in_(list(numbers)))
    return connection.execute(update(knocks).where(waits).values(state=state)).rowcount


def end_guests(
    connection: Connection, room: int, at: datetime, reason: str, *, remove: bool
) -> Sequence[EndedSession]:
    """End the sessions of all guests of the room; ``remove``: and their memberships."""
    if not lock(connection, room):
        return []
    beginning = guest.of_room(room)
    if remove:
        of_guests = members.c.user_id.startswith(beginning, autoescape=True)
        gone = delete(members).where(members.c.room == room, of_guests)
        if connection.execute(gone).rowcount:
            revise(connection, room)
    return sessions.end_of_users(connection, beginning, at, reason)


def turn_away(connection: Connection, room: int, user: str) -> None:
    """Let somebody whom a host has removed not come back by the code that the room has now."""
    if get(connection, room) is None or guest.is_guest(user):
        return
    this = and_(turned_away.c.room == room, turned_away.c.user_id == user)
    if connection.execute(select(turned_away).where(this)).one_or_none() is None:
        connection.execute(insert(turned_away).values(room=room, user_id=user))


def let_back(connection: Connection, room: int, user: str) -> None:
    """Forget that somebody was removed, whom a host has added again."""
    this = and_(turned_away.c.room == room, turned_away.c.user_id == user)
    connection.execute(delete(turned_away).where(this))


def _check(connection: Connection, room: int, code: str) -> Door:
    """Lock the room, and see that the code still leads there. Raises :class:`UnknownCode`."""
    if not lock(connection, room):
        raise UnknownCode("no open room has this class code")
    found = door(connection, code)
    if found is None or found.room != room:
        raise UnknownCode("this class code is not in use any more")
    return found


def _check_one_more(connection: Connection, room: int, one_more: OneMore) -> None:
    count = select(func.count()).select_from(members).where(members.c.room == room)
    if one_more(connection.execute(count).scalar_one()) is None:
        return
    # Guests of lessons before, whose sessions are over or were ended.
    goes_on = exists().where(
        session_table.c.user_id == members.c.user_id, session_table.c.ended_at.is_(None)
    )
    of_guests = members.c.user_id.startswith(guest.of_room(room), autoescape=True)
    connection.execute(delete(members).where(members.c.room == room, of_guests, ~goes_on))
    if (error := one_more(connection.execute(count).scalar_one())) is not None:
        raise error


def _lock_open(connection: Connection, room: int) -> None:
    if not lock(connection, room):
        raise UnknownRoom(f"there is no room {room}")
    closed_at = select(room_table.c.closed_at).where(room_table.c.id == room)
    if connection.execute(closed_at).scalar_one() is not None:
        raise RoomClosed(f"room {room} is closed")


def _forget(connection: Connection, room: int) -> bool:
    """Delete the code, and what belongs to it."""
    for table in (knocks, turned_away):
        connection.execute(delete(table).where(table.c.room == room))
    return connection.execute(delete(class_codes).where(class_codes.c.room == room)).rowcount == 1


def _knock(row: Row[Any]) -> Knock:
    return Knock(row.id, row.number, row.room, row.nickname, row.since, KnockState(row.state))
