"""Rooms and their members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class MemberRole(StrEnum):
    """A member's role in one room."""

    HOST = "host"
    PARTICIPANT = "participant"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a room and the member's role there. ``name``: what is shown beside the user's
    name; ``has_account``: whether this gateway has an account of that name."""

    user: str
    role: MemberRole
    name: str | None = None
    has_account: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """One interaction. ``closed_at`` is None while it is open; a closed room keeps its history.

    ``identity`` is random and stays: it tells this room from one that had the same number in
    another database, or before a backup was restored. ``keep_days``: older messages are deleted;
    None: as the configuration says, which may only be sooner.
    """

    id: int
    title: str
    created_at: datetime
    closed_at: datetime | None = None
    identity: str = ""
    keep_days: int | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """The facts that decide whether a user may act in a room: whether it is open, and the user's
    role, if any. ``identity``: the room's. ``is_muted``: the user may send nothing; ``chat``:
    participants may speak to everyone, and do so every ``slow`` seconds at most; ``approve``: what
    they say waits for a host's approval."""

    is_open: bool
    role: MemberRole | None
    identity: str = ""
    is_muted: bool = False
    chat: bool = True
    slow: int = 0
    approve: bool = False


@dataclass(frozen=True, slots=True)
class Attendee:
    """A member who is in a room now. ``since``: Unix time, seconds; ``name``: what is shown beside
    the user's name."""

    user: str
    role: MemberRole
    since: float
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """The memberships of all members of a room. ``revision`` grows with every change of them;
    ``identity``: the room's. ``muted``, ``chat``, ``slow`` and ``approve``: as in
    :class:`Membership`. ``names``: what is shown beside users' names, of those who have
    something."""

    is_open: bool
    roles: Mapping[str, MemberRole]
    revision: int = 0
    identity: str = ""
    muted: frozenset[str] = frozenset()
    chat: bool = True
    slow: int = 0
    approve: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, user: str) -> Membership:
        return Membership(
            self.is_open,
            self.roles.get(user),
            self.identity,
            user in self.muted,
            self.chat,
            self.slow,
            self.approve,
        )
