"""Revocation of sessions: a session ends on every gateway within a second (G7).

This is ensured twice, as for memberships (:mod:`gateway.cluster.revocation`). The gateway that ends
a session tells the others. Each gateway also polls the database for the endings after the last one
that it knows, so nothing depends on a message, and a command on the command line counts at once. A
gateway that has lost its database keeps what it knows and believes the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks
from gateway.auth.ended import EndedSessions, session_ended
from gateway.cluster.bus import Bus
from gateway.cluster.database_poll import DatabasePoll
from gateway.domain.identity import Identity
from gateway.domain.session import EndedSession, Endings, LoginSession
from gateway.errors import GatewayError

logger = logging.getLogger(__name__)

#: Seconds between two deletions of old sessions.
CLEAN: Final = 600.0
#: How long after its own end a session is kept; the clocks of gateways must differ by less.
_KEPT: Final = timedelta(hours=1)

_KIND: Final = "session"


class SessionStore(Protocol):
    """The logins in the database. Every method raises :class:`StoreUnavailable`."""

    async def end_session(self, session: LoginSession) -> EndedSession: ...

    async def sessions_ended_since(self, revision: int) -> Endings: ...

    async def forget_sessions(self, before: datetime) -> None: ...


class Connection(Protocol):
    """A client's connection."""

    @property
    def identity(self) -> Identity | None: ...

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close the connection; at once and only once."""


class SessionRevocation:
    """The end of sessions, and of everything that they have opened.

    ``ended`` is filled with the sessions that have ended. ``connections`` iterates over all current
    connections; functions given to :meth:`observe` are called too.
    """

    def __init__(
        self,
        store: SessionStore,
        ended: EndedSessions,
        connections: Iterable[Connection],
        bus: Bus,
        *,
        clock: UnixTime,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._ended = ended
        self._connections = connections
        self._bus = bus
        self._clock = clock
        self._revision = 0
        self._clean_at = 0.0
        self._observers: list[Callable[[AbstractSet[str]], None]] = []
        self._polling = DatabasePoll(
            self.poll, "session revocation", of="endings of sessions", tasks=tasks
        )
        bus.on(_KIND, self._others_ended)

    def observe(self, ended: Callable[[AbstractSet[str]], None]) -> None:
        """Call ``ended`` with the sessions that have ended, at once."""
        self._observers.append(ended)

    def start(self) -> None:
        """Poll in the background. Call :meth:`poll` once before the gateway serves."""
        self._polling.start()

    async def close(self) -> None:
        await self._polling.close()

    async def end(self, session: LoginSession) -> None:
        """End the session in the database and on this gateway. Raises :class:`StoreUnavailable`:
        then it goes on, or the next poll shows that it has ended."""
        ended = await self._store.end_session(session)
        found = [[ended.id, ended.until.timestamp()]]
        self._bus.tell(_KIND, {"ended": found})
        self._end(found)

    async def poll(self) -> None:
        """Learn the endings since the last poll. Raises :class:`StoreUnavailable`."""
        found = await self._store.sessions_ended_since(self._revision)
        if found.newest < self._revision:
            # The database was restored to a backup or a copy that was behind, and gives the same
            # numbers again. Sessions that are known here to have ended stay ended.
            found = await self._store.sessions_ended_since(0)
        self._end([ended.id, ended.until.timestamp()] for ended in found.sessions)
        self._revision = found.newest
        now = self._clock()
        if now >= self._clean_at:
            await self._store.forget_sessions(datetime.fromtimestamp(now, UTC) - _KEPT)
            self._clean_at = now + CLEAN

    def _others_ended(self, gateway: str, payload: Mapping[str, Any]) -> None:
        logger.debug("gateway %s has ended sessions", gateway)
        self._end(payload["ended"])

    def _end(self, found: Iterable[Sequence[Any]]) -> None:
        """End sessions, each given with the Unix time of its own end."""
        news = {id for id, until in found if self._ended.add(id, until=until)}
        if not news:
            return
        for connection in self._connections:
            identity = connection.identity
            if identity is not None and identity.session in news:
                connection.end(session_ended())
        for ended in self._observers:
            ended(news)
