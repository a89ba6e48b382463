"""Which sessions ended before their time: looked up for every request, hence in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.domain.identity import Identity
from gateway.errors import SessionEnded

#: Fewer than these are not worth looking through.
_FEW: Final = 1024


class EndedSessions:
    """Each is known until the moment at which it would have ended by itself: so there are never
    more than were ended within a session's lifetime. ``clock``: Unix time."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._look_at = _FEW

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, session: object) -> bool:
        return session in self._until

    def add(self, session: str, *, until: float) -> bool:
        """Whether it is news. ``until``: Unix time."""
        news = session not in self._until
        self._until[session] = until
        if len(self._until) >= self._look_at:
            now = self._clock()
            self._until = {id: until for id, until in self._until.items() if until > now}
            # Looked through again when there are twice as many: a step or two for each of them.
            self._look_at = max(_FEW, 2 * len(self._until))
        return news

    def check(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded`."""
        if identity.session is not None and identity.session in self._until:
            raise session_ended()


def session_ended() -> SessionEnded:
    return SessionEnded("this session has ended: log in again")
