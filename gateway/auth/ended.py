"""The sessions that ended before their time, in memory because every request needs them."""

from __future__ import annotations

from typing import Final

from broker.timing.readings import UnixTime
from gateway.domain.identity import Identity
from gateway.errors import SessionEnded

#: Below this number a search for old ones is not worth while.
_FEW: Final = 1024


class EndedSessions:
    """The ids of sessions that were ended.

    Each is kept until the session would have ended by itself, so there are never more than were
    ended within a session's lifetime.
    """

    def __init__(self, *, clock: UnixTime) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        #: Of those that an order has ended; public.
        self._reasons: dict[str, str] = {}
        self._clean_up_at = _FEW

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, session: object) -> bool:
        return session in self._until

    def add(self, session: str, *, until: float, reason: str = "") -> bool:
        """Add a session; returns whether it is new. ``until``: Unix time."""
        news = session not in self._until
        self._until[session] = until
        if reason:
            self._reasons[session] = reason
        if len(self._until) >= self._clean_up_at:
            now = self._clock()
            self._until = {id: until for id, until in self._until.items() if until > now}
            self._reasons = {id: why for id, why in self._reasons.items() if id in self._until}
            # Cleaned up again when there are twice as many: one or two steps for each of them.
            self._clean_up_at = max(_FEW, 2 * len(self._until))
        return news

    def check(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded` if the identity's session has ended."""
        if identity.session is not None and identity.session in self._until:
            raise session_ended(self._reasons.get(identity.session, ""))


def session_ended(reason: str = "") -> SessionEnded:
    """The error for a request whose session has ended; the ``reason`` is public."""
    why = f" ({reason})" if reason else ""
    return SessionEnded(f"this session has ended{why}: log in again")
