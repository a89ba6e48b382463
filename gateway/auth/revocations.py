"""The revocation list in memory, because every request needs it, and the one check whether
somebody's access has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.timing.readings import UnixTime
from gateway.auth.ended import EndedSessions, session_ended
from gateway.auth.names import name_of
from gateway.domain.identity import Identity
from gateway.domain.revocation import Revocation, Target, TokenMark
from gateway.errors import GatewayError, KeptOut, SessionEnded

#: Below this number a search for old entries is not worth while.
_FEW: Final = 1024


class AccessEnded(Protocol):
    """The list of those whose access has ended."""

    def check(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded`, :class:`KeptOut` if the identity counts no more."""


class Revocations:
    """The entries that count, and the sessions that were ended (``ended``)."""

    def __init__(self, ended: EndedSessions, *, clock: UnixTime) -> None:
        self._ended = ended
        self._clock = clock
        self._entries: dict[tuple[Target, str], Revocation] = {}
        self._clean_up_at = _FEW

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Revocation) -> bool:
        """Add or replace an entry; returns whether it ends more than was known."""
        name = entry.target, entry.value
        known = self._entries.get(name)
        self._entries[name] = entry
        if len(self._entries) >= self._clean_up_at:
            now = self._clock()
            self._entries = {
                name: entry
                for name, entry in self._entries.items()
                if entry.until.timestamp() > now
            }
            self._clean_up_at = max(_FEW, 2 * len(self._entries))
        if known is None or entry.since > known.since:
            return True
        return entry.kept_out_until not in (None, known.kept_out_until)

    def check(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded`, :class:`KeptOut` if the identity counts no more."""
        if self._entries:
            error = refusal(self._naming(identity), identity.token, now=self._clock())
            if error is not None:
                raise error
        self._ended.check(identity)

    def _naming(self, identity: Identity) -> Iterator[Revocation]:
        names = [(Target.USER, name_of(identity))]
        if (token := identity.token) is not None:
            names.append((Target.SUBJECT, token.subject))
            if token.id is not None:
                names.append((Target.TOKEN, token.id))
        return filter(None, map(self._entries.get, names))


def refusal(
    entries: Iterable[Revocation], token: TokenMark | None, *, now: float
) -> GatewayError | None:
    """The error for somebody whom all these entries name, at ``now`` (Unix seconds). ``token``: the
    one that was shown, if any."""
    found: GatewayError | None = None
    for entry in entries:
        if entry.keeps_out(now):
            return kept_out(entry, now=now)
        if token is not None and entry.ends(token):
            found = _token_ended(entry)
    return found


def kept_out(entry: Revocation, *, now: float) -> KeptOut:
    """The error for somebody whom the entry keeps out."""
    assert entry.kept_out_until is not None  # noqa: S101 - it keeps somebody out
    until = entry.kept_out_until
    why = f": {entry.reason}" if entry.reason else ""
    return KeptOut(
        f"an admin keeps you out until {_moment(until)}{why}", retry_after=until.timestamp() - now
    )


def _token_ended(entry: Revocation) -> SessionEnded:
    if entry.target is Target.TOKEN:
        why = f" ({entry.reason})" if entry.reason else ""
        return SessionEnded(f"this token was revoked{why}: get a new one")
    return session_ended(entry.reason)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
