"""The names of users in all tables: bringing them into their one form, and giving what stands under
one name to another."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnClause,
    Connection,
    TableClause,
    and_,
    case,
    column,
    delete,
    func,
    or_,
    select,
    table,
    update,
)

from gateway.domain.room import MemberRole
from gateway.domain.user_name import user_name
from gateway.errors import Invalid
from gateway.store import sessions

logger = logging.getLogger(__name__)

#: Names that are replaced by one statement.
PORTION: Final = 500

# Without types and keys: the migration that brings names into their form uses this, too, at its own
# revision.
_members = table("members", column("room"), column("user_id"), column("role"), column("name"))
_messages = table("messages", column("sender"), column("sender_name"), column("of"))
_kept = table(
    "kept",
    *(column(name) for name in ("room", "audience", "author", "keep", "seq")),
    *(column(name) for name in ("sender", "sender_name", "of")),
)
_approvals = table("approvals", column("sender"), column("sender_name"))
_accounts = table("accounts", column("user_id"), column("display_name"))
_sessions = table("sessions", column("user_id"))
_revocations = table("revocations", column("ordered_by"))
_turned_away = table("turned_away", column("room"), column("user_id"))
_attendance = table("attendance", column("user_id"), column("name"))
_erasures = table("erasures", column("user_id"), column("ordered_by"))
_journal = table("journal", column("user_id"), column("ordered_by"))
_rooms = table("rooms", column("id"), column("created_by"), column("revision"))


@dataclass(frozen=True, slots=True)
class Place:
    """A column that names users. ``shown``: where the writer's form of a name is kept."""

    table: TableClause
    names: ColumnClause[Any]
    shown: ColumnClause[Any] | None = None


#: Those that there were when names got their one form, by a word for their rows.
FIRST_PLACES: Final[Mapping[str, Place]] = {
    "memberships": Place(_members, _members.c.user_id, _members.c.name),
    "messages": Place(_messages, _messages.c.sender, _messages.c.sender_name),
    "accounts": Place(_accounts, _accounts.c.user_id, _accounts.c.display_name),
    "logins": Place(_sessions, _sessions.c.user_id),
    "rooms created": Place(_rooms, _rooms.c.created_by),
    "orders": Place(_revocations, _revocations.c.ordered_by),
}
#: All of them.
PLACES: Final[Mapping[str, Place]] = {
    **FIRST_PLACES,
    "removals from rooms": Place(_turned_away, _turned_away.c.user_id),
    "erasures": Place(_erasures, _erasures.c.user_id),
    "orders of erasures": Place(_erasures, _erasures.c.ordered_by),
    "stays in rooms": Place(_attendance, _attendance.c.user_id, _attendance.c.name),
    "entries of the journal": Place(_journal, _journal.c.user_id),
    "orders in the journal": Place(_journal, _journal.c.ordered_by),
    "messages about them": Place(_messages, _messages.c.of),
    "messages that a host decides on": Place(
        _approvals, _approvals.c.sender, _approvals.c.sender_name
    ),
    "entries of rooms' state": Place(_kept, _kept.c.author),
    "entries that they wrote": Place(_kept, _kept.c.sender, _kept.c.sender_name),
    "entries about them": Place(_kept, _kept.c.of),
}


@dataclass(frozen=True, slots=True)
class StandingName:
    """A name that is not in its form. ``places``: how many rows of what it has.

    ``form``: what it would be; None if it can be no name, for the ``reason``. ``others``: further
    spellings that stand and have the same form, so that nobody but an operator knows whether they
    are the same person.
    """

    name: str
    places: Mapping[str, int]
    form: str | None
    others: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        where = ", ".join(f"{count} {what}" for what, count in self.places.items())
        if self.form is None:
            return f"{self.name!r} ({where}) can be no user's name any more: {self.reason}"
        alike = " and ".join(map(repr, self.others))
        same = f", as {alike} would; one of them must be given up" if self.others else ""
        return f"{self.name!r} ({where}) would be {self.form!r}{same}"


def standing(connection: Connection, places: Mapping[str, Place] = PLACES) -> list[StandingName]:
    """The names that stand in the tables and are not in their form."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for what, place in places.items():
        names = place.names
        # A deleted message has an empty sender, an entry of a room's own an empty author. NULL is
        # not different from anything.
        counted = select(names, func.count()).where(names != "").group_by(names)
        for name, count in connection.execute(counted):
            found[name][what] = count
    return judged(found)


def judged(found: Mapping[str, Mapping[str, int]]) -> list[StandingName]:
    """The names that are not in their form, of all names that were ``found``."""
    alike: dict[str, list[str]] = defaultdict(list)
    reasons: dict[str, str] = {}
    for name in sorted(found):
        try:
            alike[user_name(name)].append(name)
        except ValueError as error:
            reasons[name] = str(error)
    wrong = [StandingName(name, found[name], None, reason=reasons[name]) for name in reasons]
    for form, names in alike.items():
        wrong += [
            StandingName(name, found[name], form, tuple(each for each in names if each != name))
            for name in names
            if name != form
        ]
    return sorted(wrong, key=lambda each: each.name)


def bring_into_form(
    connection: Connection,
    wrong: Iterable[StandingName],
    places: Mapping[str, Place] = PLACES,
) -> list[StandingName]:
    """Rename whoever is alone with a form, and keep what was written to be shown. Returns the rest
    of the ``wrong`` names, which the log tells: they stay as they are, and nobody can be them until
    an operator decides."""
    left, forms = [], {}
    for each in wrong:
        if each.form is None or each.others:
            logger.warning(
                "%s: nothing was changed, and nobody can use this name; see `gateway names list`",
                each,
            )
            left.append(each)
        else:
            forms[each.name] = each.form
            logger.info("the user %r is called %r from now on (RFC 8265)", each.name, each.form)
    names = sorted(forms)
    for start in range(0, len(names), PORTION):
        portion = names[start : start + PORTION]
        _rename(connection, {name: forms[name] for name in portion}, places)
    return left


def give(connection: Connection, old: str, new: str, at: datetime) -> int:
    """Give everything that stands under one name to another one. In rooms where both are members,
    the higher role counts. Logins under the old name end. Returns the number of rows.

    Raises :class:`Invalid` if the new one is not in its form, or both have an account.
    """
    try:
        form = user_name(new)
    except ValueError as error:
        raise Invalid(str(error)) from error
    if form != new:
        raise Invalid(f"the name must be in its form: {form}")
    if old == new:
        return 0
    both = select(func.count()).where(_accounts.c.user_id.in_([old, new]))
    if connection.execute(both).scalar_one() == 2:
        raise Invalid(
            f"{old} and {new} both have an account: remove one with `gateway user remove`"
        )
    logins = sessions.open_of(connection, old, at)
    _unite(connection, old, new)
    changed = _rename(connection, {old: new}, PLACES)
    # Last, because logins wait from here on. The old name is kept out as before: whoever issues
    # names may still issue it.
    sessions.end_renamed(connection, logins, at)
    sessions.keep_out_too(connection, old, new)
    return changed


def _unite(connection: Connection, old: str, new: str) -> None:
    """End the old memberships in rooms where the new name is a member as well. Of entries of a
    room's state that both have, the newer one stays."""
    roles = {
        name: dict(
            connection.execute(
                select(_members.c.room, _members.c.role).where(_members.c.user_id == name)
            ).all()
        )
        for name in (old, new)
    }
    for room in roles[old].keys() & roles[new].keys():
        this = and_(_members.c.room == room, _members.c.user_id == old)
        connection.execute(delete(_members).where(this))
        _revise(connection, [room])
        if MemberRole.HOST == roles[old][room] != roles[new][room]:
            other = and_(_members.c.room == room, _members.c.user_id == new)
            connection.execute(update(_members).where(other).values(role=MemberRole.HOST.value))
    away = select(_turned_away.c.room).where(_turned_away.c.user_id == new)
    twice = and_(_turned_away.c.user_id == old, _turned_away.c.room.in_(away.scalar_subquery()))
    connection.execute(delete(_turned_away).where(twice))
    for loser, winner in ((old, new), (new, old)):
        other_one = _kept.alias()
        newer = select(other_one.c.seq).where(
            other_one.c.author == winner,
            *(other_one.c[name] == _kept.c[name] for name in ("room", "audience", "keep")),
            other_one.c.seq > _kept.c.seq,
        )
        connection.execute(delete(_kept).where(_kept.c.author == loser, newer.exists()))


def _rename(connection: Connection, names: Mapping[str, str], places: Mapping[str, Place]) -> int:
    """Replace these names by others, in one pass over each table: no index leads from a name to its
    messages. Returns the number of rows."""
    rooms = connection.execute(select(_members.c.room).where(_members.c.user_id.in_(list(names))))
    _revise(connection, sorted(set(rooms.scalars())))
    of_table: dict[str, list[Place]] = defaultdict(list)
    for place in places.values():
        of_table[place.table.name].append(place)
    changed = 0
    for several in of_table.values():
        values: dict[ColumnClause[Any], Any] = {}
        for place in several:
            renamed = place.names.in_(list(names))
            values[place.names] = case(names, value=place.names, else_=place.names)
            if place.shown is not None:
                kept = func.coalesce(place.shown, place.names)
                values[place.shown] = case((renamed, kept), else_=place.shown)
        concerned = or_(*(place.names.in_(list(names)) for place in several))
        renaming = update(several[0].table).where(concerned).values(values)
        changed += connection.execute(renaming).rowcount
    return changed


def _revise(connection: Connection, rooms: Iterable[int]) -> None:
    """Let all gateways look at the members of these rooms again."""
    for room in rooms:
        this = _rooms.c.id == room
        more = _rooms.c.revision + 1
        connection.execute(update(_rooms).where(this).values({_rooms.c.revision: more}))
