"""A login, from the proof of the user's identity until its end, as the database keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.revocation import Revocation, TokenMark


class Proof(StrEnum):
    """The proof that a login was opened with. A password's session ends with its account. A session
    that a token was traded for belongs to another user, even if a local account has the same name.
    A guest has shown the class code of a room, and is a member of that room alone.
    """

    PASSWORD = "password"  # noqa: S105 - the kind, not one
    TOKEN = "token"  # noqa: S105
    GUEST = "guest"


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One login. ``id`` is random, and the cookie holds it. ``until`` is when the session ends by
    itself. ``address`` and ``device`` (the browser's ``User-Agent``) are those of the login.
    ``token``: the one that was traded for it. ``last_seen``: the last request or open socket, to
    the minute; None: none since the login."""

    id: str
    user: str
    proof: Proof
    since: datetime
    until: datetime
    address: str = ""
    device: str = ""
    token: TokenMark | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that ended before its time. ``revision`` grows from ending to ending; sessions that
    ended together share one. ``reason`` is public."""

    id: str
    until: datetime
    revision: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Endings:
    """The endings after some revision, in their order, and what the revocation list has got since.
    ``newest`` is the revision of the last
    ending of all. It is below the revision that was asked for if the database was restored
    meanwhile.
    """

    newest: int
    sessions: Sequence[EndedSession]
    revocations: Sequence[Revocation] = ()
