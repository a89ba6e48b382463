"""A login, from the proof of who it is until it ends, as the database keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Proof(StrEnum):
    """What the user has shown. A session by password ends with its account; one that a token was
    traded for is another user's, whatever the name."""

    PASSWORD = "password"  # noqa: S105 - the kind, not one
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class LoginSession:
    """``id`` is random, and what the cookie names; ``until``: the session ends then by itself."""

    id: str
    user: str
    proof: Proof
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that ended before its time. ``revision`` grows from ending to ending; those that
    ended together share one."""

    id: str
    until: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Endings:
    """What has ended since some revision, in that order. ``newest`` is the revision of the last
    ending of all; below the one that was asked for, if the database was put back meanwhile."""

    newest: int
    sessions: Sequence[EndedSession]
