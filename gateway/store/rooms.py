"""Rooms and members. A change of members locks its room first, so that changes happen one at a
time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import text as sql

from broker.topology import Audience
from gateway.domain.room import Member, MemberRole, Membership, Room, Roster
from gateway.errors import GatewayError, LastHost, RoomClosed, UnknownRoom
from gateway.store import order
from gateway.store.records import QueueDue
from gateway.store.tables import (
    OPEN,
    accounts,
    among,
    attendance,
    counters,
    members,
    padded,
    rooms,
    streams,
)
from gateway.store.values import TITLE_LENGTH, USER_LENGTH, is_room, is_text, text

#: The error for one more open room, by the open rooms of its creator and of all; None: it may be
#: created. It is called in a thread of the database.
RoomRefusal = Callable[[int, int], GatewayError | None]
#: The error for one more member, by how many there are; None: it may be added.
MemberRefusal = Callable[[int], GatewayError | None]
#: Calling an enumeration takes four times as long as a dictionary lookup.
_ROLES: Final = {role.value: role for role in MemberRole}

#: Made once: this is the only query that every subscription and post may need.
_ROSTER: Final = (
    select(
        rooms.c.closed_at.is_(None),
        rooms.c.revision,
        rooms.c.identity,
        rooms.c.chat_off,
        rooms.c.slow,
        rooms.c.approve,
        members.c.user_id,
        members.c.role,
        members.c.muted,
        members.c.name,
    )
    .outerjoin(members)
    .where(rooms.c.id == bindparam("room"))
)
#: The row that each creation locks, so that no two count at the same time.
_ONE_CREATION: Final = (
    select(counters.c.value).where(counters.c.name == "rooms created").with_for_update()
)
# Written exactly as in the index, so that it applies.
_OPEN: Final = select(func.count()).select_from(rooms).where(sql(OPEN))
_OPEN_OF: Final = _OPEN.where(rooms.c.created_by == bindparam("user"))
_NAMES_OF_MEMBERS: Final = (
    select(members.c.user_id, members.c.name)
    .where(among(members.c.user_id, "users"), members.c.name.is_not(None))
    .distinct()
)
_NAMES_OF_ACCOUNTS: Final = select(accounts.c.user_id, accounts.c.display_name.label("name")).where(
    among(accounts.c.user_id, "users"), accounts.c.display_name.is_not(None)
)
_shown_last: Final = (
    select(attendance.c.name)
    .where(
        attendance.c.room == members.c.room,
        attendance.c.user_id == members.c.user_id,
        attendance.c.name.is_not(None),
    )
    .order_by(attendance.c.since.desc())
    .limit(1)
    .correlate(members)
    .scalar_subquery()
)
_REVISIONS: Final = select(rooms.c.id, rooms.c.revision).where(among(rooms.c.id, "rooms"))


def create(
    connection: Connection,
    title: str,
    users: Mapping[str, MemberRole],
    at: datetime,
    *,
    creator: str | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
    refusal: RoomRefusal | None = None,
) -> Room:
    """Create an open room with its members and its two empty streams. ``names``: what is shown
    beside the names of users, unless something is known already.

    Raises LastHost if no member is a host, and the error of ``refusal``.
    """
    if MemberRole.HOST not in users.values():
        raise LastHost("a room needs at least one member with the role host")
    if refusal is not None and (error := refusal(*_count_open(connection, creator))) is not None:
        raise error
    identity = token_hex(8)
    values = {
        "title": text(title, "title", TITLE_LENGTH),
        "created_at": at,
        "created_by": creator,
        "identity": identity,
        "queue": 1,
    }
    number = connection.execute(insert(rooms).values(values).returning(rooms.c.id)).scalar_one()
    known = _known_names(connection, users)
    connection.execute(
        insert(streams),
        [{"room": number, "audience": audience, "head": 0, "first": 1} for audience in Audience],
    )
    connection.execute(
        insert(members),
        [
            {
                "room": number,
                "user_id": text(user, "user", USER_LENGTH),
                "role": role,
                "name": known.get(user) or names.get(user),
            }
            for user, role in users.items()
        ],
    )
    return Room(number, title, at, identity=identity)


def _count_open(connection: Connection, creator: str | None) -> tuple[int, int]:
    """The open rooms of a creator and of all; other creations wait until this transaction ends."""
    connection.execute(_ONE_CREATION)
    of_creator = 0 if creator is None else connection.execute(_OPEN_OF, {"user": creator}).scalar()
    return of_creator or 0, connection.execute(_OPEN).scalar() or 0


def get(connection: Connection, number: int) -> Room | None:
    """The room with this number; None if there is none."""
    if not is_room(number):
        return None
    row = connection.execute(select(rooms).where(rooms.c.id == number)).one_or_none()
    return None if row is None else _room(row)


def of_user(connection: Connection, user: str) -> list[tuple[Room, MemberRole]]:
    """The rooms of which the user is a member, with the user's role in each."""
    if not is_text(user):
        return []
    query = (
        select(rooms, members.c.role)
        .join(members)
        .where(members.c.user_id == user)
        .order_by(rooms.c.id)
    )
    return [(_room(row), MemberRole(row.role)) for row in connection.execute(query)]


def close(connection: Connection, number: int, at: datetime) -> bool:
    """Close the room, whose queue is to be deleted then; False if it is closed already or does not
    exist."""
    if not is_room(number):
        return False
    closing = (
        update(rooms)
        .where(rooms.c.id == number, rooms.c.closed_at.is_(None))
        .values(closed_at=at, revision=rooms.c.revision + 1, queue_due=QueueDue.DELETION)
    )
    return connection.execute(closing).rowcount == 1


def reopen(connection: Connection, number: int, *, refusal: RoomRefusal | None = None) -> bool:
    """Open a closed room again, with the next private queue; False if it is open.

    Raises UnknownRoom, also for a room that was deleted, and the error of ``refusal``.
    """
    if not lock(connection, number):
        raise UnknownRoom(f"there is no room {number}")
    this = rooms.c.id == number
    found = connection.execute(
        select(rooms.c.closed_at, rooms.c.created_by, rooms.c.title).where(this)
    ).one()
    if not found.title:
        raise UnknownRoom(f"room {number} was deleted")
    if found.closed_at is None:
        return False
    counts = _count_open(connection, found.created_by)
    if refusal is not None and (error := refusal(*counts)) is not None:
        raise error
    # The old queue, if it is still there, has not this number, so it is replaced.
    opening = {"closed_at": None, "queue": rooms.c.queue + 1, "queue_due": None}
    more = rooms.c.revision + 1
    connection.execute(update(rooms).where(this).values(opening | {"revision": more}))
    return True


def rename(connection: Connection, number: int, title: str) -> None:
    """Give the room another title. Raises UnknownRoom, also for a room that was deleted."""
    new = text(title, "title", TITLE_LENGTH)
    if not is_room(number):
        raise UnknownRoom(f"there is no room {number}")
    renaming = update(rooms).where(rooms.c.id == number, rooms.c.title != "").values(title=new)
    if connection.execute(renaming).rowcount == 0:
        raise UnknownRoom(f"there is no room {number}")


def keep(connection: Connection, number: int, days: int | None) -> None:
    """Keep the room's messages for so many days; None: for as long as all others. Raises
    UnknownRoom, also for a room that was deleted."""
    if not is_room(number):
        raise UnknownRoom(f"there is no room {number}")
    keeping = update(rooms).where(rooms.c.id == number, rooms.c.title != "").values(keep_days=days)
    if connection.execute(keeping).rowcount == 0:
        raise UnknownRoom(f"there is no room {number}")


def still_open(connection: Connection) -> list[int]:
    """The numbers of all open rooms."""
    query = select(rooms.c.id).where(rooms.c.closed_at.is_(None)).order_by(rooms.c.id)
    return list(connection.execute(query).scalars())


def membership(connection: Connection, number: int, user: str) -> Membership | None:
    """The facts that decide what the user may do in the room; None if there is no such room."""
    if not is_room(number):
        return None
    who = members.c.user_id == user if is_text(user) else false()
    row = connection.execute(
        select(
            *(rooms.c.closed_at, rooms.c.identity),
            *(rooms.c.chat_off, rooms.c.slow, rooms.c.approve),
            *(members.c.role, members.c.muted),
        )
        .outerjoin(members, and_(members.c.room == rooms.c.id, who))
        .where(rooms.c.id == number)
    ).one_or_none()
    if row is None:
        return None
    role = None if row.role is None else MemberRole(row.role)
    is_open = row.closed_at is None
    order = (bool(row.muted), not row.chat_off, row.slow, bool(row.approve))
    return Membership(is_open, role, row.identity, *order)


def roster(connection: Connection, number: int) -> Roster | None:
    """The memberships of all the room's members; None if there is no such room."""
    if not is_room(number):
        return None
    rows = connection.execute(_ROSTER, {"room": number}).all()
    if not rows:
        return None
    roles = {user: _ROLES[role] for *_, user, role, _, _ in rows if role is not None}
    muted = frozenset(user for *_, user, _, is_muted, _ in rows if is_muted)
    names = {user: name for *_, user, _, _, name in rows if name}
    is_open, revision, identity, chat_off, slow, approve, *_ = rows[0]
    order = (muted, not chat_off, slow, approve)
    return Roster(is_open, roles, revision, identity, *order, names)


def revisions(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """The revision of each of the rooms; rooms that do not exist are left out."""
    rows = connection.execute(_REVISIONS, {"rooms": padded(list(numbers))})
    return {row.id: row.revision for row in rows}


def hosts(connection: Connection, number: int) -> list[str]:
    """The users who are hosts of the room, by name."""
    if not is_room(number):
        return []
    are = and_(members.c.room == number, members.c.role == MemberRole.HOST)
    query = select(members.c.user_id).where(are).order_by(members.c.user_id)
    return list(connection.execute(query).scalars())


def member_rows(connection: Connection, number: int) -> Sequence[Row[Any]]:
    """The rows of the room's members, ordered by name. What is shown of one without a name here is
    what was shown when they were in the room last: it may come from their token alone."""
    if not is_room(number):
        return []
    query: Select[Any] = (
        select(
            members.c.user_id,
            members.c.role,
            func.coalesce(members.c.name, _shown_last).label("name"),
            accounts.c.user_id.label("account"),
        )
        .outerjoin(accounts, accounts.c.user_id == members.c.user_id)
        .where(members.c.room == number)
        .order_by(members.c.user_id)
    )
    return connection.execute(query).all()


def members_of_rows(rows: Sequence[Row[Any]]) -> list[Member]:
    """The members in :func:`member_rows`."""
    return [
        Member(row.user_id, _ROLES[row.role], row.name, row.account is not None) for row in rows
    ]


def set_member(
    connection: Connection,
    number: int,
    user: str,
    role: MemberRole,
    name: str | None = None,
    *,
    one_more: MemberRefusal | None = None,
) -> MemberRole | None:
    """Add a member, or change the member's role. Returns the role before. ``name``: what is shown
    beside the user's name, unless something is known already.

    Raises UnknownRoom, RoomClosed, LastHost if no host would be left, and the error of
    ``one_more``.
    """
    text(user, "user", USER_LENGTH)
    if not lock(connection, number):
        raise UnknownRoom(f"there is no room {number}")
    before = membership(connection, number, user)
    if before is None or not before.is_open:
        raise RoomClosed(f"room {number} is closed")
    if role is not MemberRole.HOST:
        _keep_a_host(connection, number, without=user)
    if before.role is not None:
        this = and_(members.c.room == number, members.c.user_id == user)
        connection.execute(update(members).where(this).values(role=role))
    else:
        if one_more is not None:
            count = select(func.count()).select_from(members).where(members.c.room == number)
            if (error := one_more(connection.execute(count).scalar_one())) is not None:
                raise error
        shown = _known_names(connection, [user]).get(user, name)
        # Whoever was muted, and comes back, still is.
        muted = user in order.muted_in(connection, number)
        values = {"room": number, "user_id": user, "role": role, "name": shown, "muted": muted}
        connection.execute(insert(members).values(values))
    revise(connection, number)
    return before.role


def add_members(
    connection: Connection, number: int, new: Sequence[Member], one_more: MemberRefusal
) -> list[str]:
    """Add those who are no members yet, all or none. Returns their names.

    Raises UnknownRoom, RoomClosed, and the error of ``one_more``, which is given the number of
    members before each.
    """
    if not lock(connection, number):
        raise UnknownRoom(f"there is no room {number}")
    closed_at = select(rooms.c.closed_at).where(rooms.c.id == number)
    if connection.execute(closed_at).scalar_one() is not None:
        raise RoomClosed(f"room {number} is closed")
    standing = select(members.c.user_id).where(members.c.room == number)
    before = set(connection.execute(standing).scalars())
    added = [each for each in new if each.user not in before]
    for count in range(len(before), len(before) + len(added)):
        if (error := one_more(count)) is not None:
            raise error
    if added:
        known = _known_names(connection, [each.user for each in added])
        muted = order.muted_in(connection, number)
        connection.execute(
            insert(members),
            [
                {
                    "room": number,
                    "user_id": text(each.user, "user", USER_LENGTH),
                    "role": each.role,
                    "name": known.get(each.user) or each.name,
                    "muted": each.user in muted,
                }
                for each in added
            ],
        )
        revise(connection, number)
    return [each.user for each in added]


def _known_names(connection: Connection, users: Iterable[str]) -> dict[str, str]:
    """The names shown beside the users' names, as an account or another membership says."""
    wanted = {"users": padded([user for user in users if is_text(user)])}
    found: dict[str, str] = {}
    for query in (_NAMES_OF_MEMBERS, _NAMES_OF_ACCOUNTS):
        found |= {row.user_id: row.name for row in connection.execute(query, wanted)}
    return found


def name_members(connection: Connection, user: str, name: str | None) -> None:
    """Show this name beside the user's name, in all rooms."""
    stale = and_(members.c.user_id == user, members.c.name.is_distinct_from(name))
    connection.execute(update(members).where(stale).values(name=name))


def remove_member(connection: Connection, number: int, user: str) -> bool:
    """Remove a member; False if the room has no such member.

    Raises LastHost if no host would be left.
    """
    if not is_text(user) or not lock(connection, number):
        return False
    _keep_a_host(connection, number, without=user)
    this = and_(members.c.room == number, members.c.user_id == user)
    if connection.execute(delete(members).where(this)).rowcount == 0:
        return False
    revise(connection, number)
    return True


def revise(connection: Connection, number: int) -> None:
    """Let all gateways look at the room's members again."""
    connection.execute(
        update(rooms).where(rooms.c.id == number).values(revision=rooms.c.revision + 1)
    )


def lock(connection: Connection, number: int) -> bool:
    """Let nobody else change who may come into the room until the transaction ends; False: there is
    no such room."""
    if not is_room(number):
        return False
    locking = select(rooms.c.id).where(rooms.c.id == number).with_for_update(key_share=True)
    return connection.execute(locking).one_or_none() is not None


def _keep_a_host(connection: Connection, number: int, *, without: str) -> None:
    others = (
        select(func.count())
        .select_from(members)
        .where(
            members.c.room == number,
            members.c.role == MemberRole.HOST,
            members.c.user_id != without,
        )
    )
    if connection.execute(others).scalar_one() == 0:
        raise LastHost(f"{without} is the last host of room {number}; name another one first")


def _room(row: Row[tuple[object, ...]]) -> Room:
    return Room(
        row.id, row.title, row.created_at, row.closed_at, row.identity, keep_days=row.keep_days
    )
