"""The attendance of rooms: who follows which room on this gateway, and by which right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.auth.permissions import Action, sees_hidden
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError

#: ``(room, user, role)``: a member follows it here, first or in another role than before; or
#: (None) does so no more.
Noticed = Callable[[int, str, MemberRole | None], None]


@dataclass(frozen=True, slots=True)
class Right:
    """A right that a membership of the room has opened. ``role`` is None for an admin who is no
    member."""

    action: Action
    room: int
    role: MemberRole | None


class Follower(Protocol):
    """A connection of somebody who has logged in."""

    @property
    def identity(self) -> Identity | None: ...

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once. Whatever it follows ends."""


class Attendance:
    """The connections that follow each room here. A right begins in the turn of the loop in which
    the membership was found."""

    def __init__(self) -> None:
        self._rooms: defaultdict[int, Counter[tuple[Follower, Action]]] = defaultdict(Counter)
        self._members: Counter[tuple[int, str]] = Counter()
        self._roles: dict[tuple[int, str], MemberRole] = {}
        #: What is shown beside the names of members who follow a room here.
        self._names: dict[tuple[int, str], str] = {}
        self._observers: list[Noticed] = []

    def observe(self, noticed: Noticed) -> None:
        self._observers.append(noticed)

    @property
    def rooms(self) -> list[int]:
        """The rooms that somebody follows here."""
        return list(self._rooms)

    def of(self, room: int) -> list[tuple[Follower, Action]]:
        """The followers of the room now, one entry for each right."""
        return list(self._rooms.get(room, ()))

    def name_of(self, room: int, user: str) -> str | None:
        """The name to show beside that of a member who follows the room here, by the member's own
        login or token."""
        return self._names.get((room, user))

    def begin(self, follower: Follower, right: Right) -> None:
        self._rooms[right.room][follower, right.action] += 1
        who = _who(follower)
        key = (right.room, who.user)
        if right.role is not None:
            self._members[key] += 1
            if who.display_name is not None:
                self._names[key] = who.display_name
            if self._roles.get(key) is not right.role:
                self._roles[key] = right.role
                self._tell(*key, right.role)

    def became(self, room: int, user: str, role: MemberRole) -> None:
        """A member of the room has this role now, by the database."""
        key = (room, user)
        if self._roles.get(key, role) is not role:
            self._roles[key] = role
            self._tell(*key, role)

    def sees_hidden(self, follower: Follower, right: Right) -> bool:
        """Whether who follows by this right sees now what hosts have hidden: see
        :func:`gateway.auth.permissions.sees_hidden`. Whoever does not follow any more sees none."""
        who = _who(follower)
        if right.role is None:
            return sees_hidden(who, None)
        role = self._roles.get((right.room, who.user))
        return role is not None and sees_hidden(who, role)

    def end(self, follower: Follower, right: Right) -> None:
        """End a right that :meth:`begin` has begun."""
        following = self._rooms[right.room]
        following[follower, right.action] -= 1
        if not following[follower, right.action]:
            del following[follower, right.action]
        if not following:
            del self._rooms[right.room]
        key = (right.room, _who(follower).user)
        if right.role is not None:
            self._members[key] -= 1
            if not self._members[key]:
                del self._members[key], self._roles[key]
                self._names.pop(key, None)
                self._tell(*key, None)

    def _tell(self, room: int, user: str, role: MemberRole | None) -> None:
        for noticed in self._observers:
            noticed(room, user, role)


def _who(follower: Follower) -> Identity:
    if follower.identity is None:
        raise ValueError("nobody follows a room who has not said who they are")
    return follower.identity
