"""Lists of people for a room: first checked, then added all together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from gateway.auth.permissions import Action, Permissions
from gateway.budget.budgets import Budgets
from gateway.budget.table import MEMBER_CHANGES, ROOM_MEMBERS
from gateway.domain.display_name import display_name
from gateway.domain.guest import account_name
from gateway.domain.identity import Identity
from gateway.domain.room import Member, MemberRole
from gateway.domain.roster import Line, lines_of
from gateway.domain.user_name import written_otherwise
from gateway.errors import GatewayError, Invalid
from gateway.in_turns import InTurns
from gateway.store.class_codes import OneMore

#: The words for roles in a list.
_ROLES: Final[Mapping[str, MemberRole]] = {
    "participant": MemberRole.PARTICIPANT,
    "참여자": MemberRole.PARTICIPANT,
    "학생": MemberRole.PARTICIPANT,
    "host": MemberRole.HOST,
    "진행자": MemberRole.HOST,
    "교사": MemberRole.HOST,
    "선생님": MemberRole.HOST,
}


class State(StrEnum):
    """The effect of adding a line of the list."""

    NEW = "new"
    #: Nobody can log in under this name, because there is no such account.
    UNKNOWN = "unknown"
    #: The same, and it may be several names with blanks between them.
    BLANKS = "blanks"
    MEMBER = "member"
    TWICE = "twice"
    WRONG = "wrong"


#: What is added, and what is added only if the caller says so.
ADDED: Final = frozenset({State.NEW})
ADDED_IF_ASKED: Final = frozenset({State.UNKNOWN, State.BLANKS})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list. ``written``: the user's name as it stands there; ``user``: in its form,
    None if it has none; ``why``: what is wrong."""

    line: int
    written: str
    state: State
    user: str | None = None
    role: MemberRole = MemberRole.PARTICIPANT
    name: str | None = None
    why: str | None = None


class RosterStore(Protocol):
    """The store of members and accounts. Every method raises :class:`StoreUnavailable`."""

    async def members(self, room: int) -> list[Member]: ...

    async def known_accounts(self, users: Sequence[str]) -> set[str]: ...

    async def add_members(
        self, room: int, new: Sequence[Member], *, one_more: OneMore
    ) -> list[str]: ...


class Changes(Protocol):
    """The revocation of memberships."""

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None: ...


class Rosters:
    """The service for lists of people. The first argument of every method is the caller."""

    def __init__(
        self,
        *,
        permissions: Permissions,
        store: RosterStore,
        changes: Changes,
        budgets: Budgets,
    ) -> None:
        self._permissions = permissions
        self._store = store
        self._changes = changes
        self._members = budgets.cap(ROOM_MEMBERS)
        self._rate = budgets.rate(MEMBER_CHANGES)

    async def check(
        self,
        who: Identity,
        room: int | None,
        text: str,
        *,
        role: MemberRole = MemberRole.PARTICIPANT,
        accounts_only: bool,
        in_turns: InTurns,
    ) -> list[Entry]:
        """The effect of adding the people of the list; ``room`` None: to a new one. ``role``: of
        lines that say none. ``accounts_only``: whether only those with an account can log in.
        ``in_turns`` does what has to be done for each of the many lines.

        Raises :class:`Invalid`, and the errors of :meth:`Permissions.require`.
        """
        if room is None:
            await self._permissions.require(who, Action.CREATE_ROOM)
        else:
            await self._permissions.require(who, Action.MANAGE_ROOM, room)
        try:
            read = await in_turns(lines_of(text), partial(_read, role=role))
        except ValueError as error:
            raise Invalid(f"the list: {error}") from error
        users = [entry.user for entry in read if entry.user is not None]
        members: Collection[str] = ()
        if room is not None:
            members = {each.user for each in await self._store.members(room)}
        known = await self._store.known_accounts(users) if accounts_only else set(users)
        return await in_turns(read, Judge(members, known).entry)

    async def add(
        self, who: Identity, room: int, entries: Sequence[Entry], *, unknown: bool
    ) -> list[str]:
        """Add those of checked entries that are new, all or none; ``unknown``: also those without
        an account. Returns their names.

        Raises :class:`RoomClosed`, :class:`RoomFull`, :class:`TooManyChanges`, and the errors of
        :meth:`Permissions.require`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        wanted = ADDED | ADDED_IF_ASKED if unknown else ADDED
        new = [
            Member(entry.user, entry.role, entry.name)
            for entry in entries
            if entry.state in wanted and entry.user is not None
        ]
        if not new:
            return []
        self._rate.take(who.user, cost=len(new))
        try:
            added = await self._store.add_members(room, new, one_more=self._members.against)
        except GatewayError as error:
            self._members.count(error)
            raise
        await self._changes.changed(room, ended=False)
        return added


class Judge:
    """The judge of a list's entries, one after the other. ``known``: who can log in."""

    def __init__(self, members: Collection[str], known: Collection[str]) -> None:
        self._members = members
        self._known = known
        self._seen: set[str] = set()

    def entry(self, entry: Entry) -> Entry:
        """The entry with what it would do."""
        if entry.user is None:
            return entry
        if entry.user in self._seen:
            state = State.TWICE
        elif entry.user in self._members:
            state = State.MEMBER
        elif entry.user in self._known:
            state = State.NEW
        else:
            state = State.BLANKS if " " in entry.user else State.UNKNOWN
        self._seen.add(entry.user)
        return Entry(
            entry.line, entry.written, state, entry.user, entry.role, entry.name, entry.why
        )


def _read(line: Line, role: MemberRole) -> Entry:
    """The line as far as it can be read alone."""
    written = line.get("user")
    try:
        user = account_name(written)
        if said := line.get("role").lower():
            if said not in _ROLES:
                raise ValueError(f"the role {said[:30]!r} is unknown: host or participant")
            role = _ROLES[said]
        name = display_name(line.get("name")) if line.get("name") else None
    except ValueError as error:
        return Entry(line.number, written[:200], State.WRONG, why=str(error))
    shown = name if name is not None else written_otherwise(written, user)
    return Entry(line.number, written, State.NEW, user, role, shown)
