"""A login, from the proof of the user's identity until its end, as the database keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Proof(StrEnum):
    """The proof that a login was opened with. A password's session ends with its account. A session
    that a token was traded for belongs to another user, even if a local account has the same name.
    """

    PASSWORD = "password"  # noqa: S105 - the kind, not one
    TOKEN = "token"  # noqa: S105


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One login. ``id`` is random, and the cookie holds it. ``until`` is when the session ends by
    itself."""

    id: str
    user: str
    proof: Proof
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that ended before its time. ``revision`` grows from ending to ending; sessions that
    ended together share one."""

    id: str
    until: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Endings:
    """The endings after some revision, in their order. ``newest`` is the revision of the last
    ending of all. It is below the revision that was asked for if the database was restored
    meanwhile.
    """

    newest: int
    sessions: Sequence[EndedSession]
