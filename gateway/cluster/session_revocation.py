"""Revocation of sessions and tokens: access ends on every gateway within a second (G7).

This is ensured twice, as for memberships (:mod:`gateway.cluster.revocation`). The gateway that ends
a session tells the others. Each gateway also polls the database for the endings after the last one
that it knows, so nothing depends on a message, and a command on the command line counts at once. A
gateway that has lost its database keeps what it knows and believes the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, Protocol

from broker.timing.tasks import Tasks
from gateway.auth.ended import EndedSessions
from gateway.auth.names import name_of
from gateway.auth.revocations import Revocations
from gateway.cluster.bus import Bus
from gateway.cluster.database_poll import DatabasePoll
from gateway.domain.identity import Identity
from gateway.domain.revocation import Revocation, Target
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import GatewayError, KeptOut, Kicked, SessionEnded

logger = logging.getLogger(__name__)

_KIND: Final = "session"


class SessionStore(Protocol):
    """The logins in the database. Every method raises :class:`StoreUnavailable`."""

    async def end_session(self, session: LoginSession) -> EndedSession: ...

    async def end_own_sessions(
        self, user: str, proof: Proof, *, only: str | None, but: str | None
    ) -> list[EndedSession]: ...

    async def revoke(self, revocation: Revocation) -> Endings: ...

    async def admit(self, target: Target, value: str) -> bool: ...

    async def revocations(self) -> list[Revocation]: ...

    async def sessions_ended_since(self, revision: int) -> Endings: ...

    async def end_guests(
        self, room: int, at: datetime, reason: str, *, remove: bool
    ) -> Sequence[EndedSession]: ...


class Connection(Protocol):
    """An open thing of a user's: a client's connection, a dashboard, an answer under way."""

    @property
    def identity(self) -> Identity | None: ...

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close the connection; at once and only once."""


class SessionRevocation:
    """The end of sessions and tokens, and of everything that they have opened.

    ``ended`` and ``revocations`` are filled with what has ended. ``connections`` iterates over all
    current connections; :meth:`end_too` adds others.
    """

    def __init__(
        self,
        store: SessionStore,
        ended: EndedSessions,
        revocations: Revocations,
        connections: Iterable[Connection],
        bus: Bus,
        *,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._ended = ended
        self._revocations = revocations
        self._connections = [connections]
        self._bus = bus
        self._revision = 0
        self._one_poll = asyncio.Lock()
        self._polling = DatabasePoll(
            self.poll, "session revocation", of="endings of sessions", tasks=tasks
        )
        bus.on(_KIND, self._others_ended)

    def end_too(self, connections: Iterable[Connection]) -> None:
        """End these, too, with the access of their users."""
        self._connections.append(connections)

    def start(self) -> None:
        """Poll in the background. Call :meth:`poll` once before the gateway serves."""
        self._polling.start()

    async def close(self) -> None:
        await self._polling.close()

    async def end(self, session: LoginSession) -> None:
        """End the session in the database and on this gateway. Raises :class:`StoreUnavailable`:
        then it goes on, or the next poll shows that it has ended."""
        self._tell([await self._store.end_session(session)])

    async def end_own(
        self, user: str, proof: Proof, *, only: str | None = None, but: str | None = None
    ) -> int:
        """End sessions of the user: the ``only`` one, or all ``but`` one. Returns how many there
        were. Raises :class:`StoreUnavailable`."""
        ended = await self._store.end_own_sessions(user, proof, only=only, but=but)
        self._tell(ended)
        return len(ended)

    async def end_guests(self, room: int, reason: str, *, remove: bool) -> int:
        """End the sessions of all guests of a room; ``remove``: and their memberships. Returns how
        many sessions there were. Raises :class:`StoreUnavailable`."""
        ended = await self._store.end_guests(room, datetime.now(UTC), reason, remove=remove)
        self._tell(ended)
        return len(ended)

    async def revoke(self, revocation: Revocation) -> None:
        """Put an entry on the revocation list; :meth:`poll` shows it to this gateway.

        Raises :class:`StoreUnavailable`, :class:`RevocationsFull`.
        """
        await self._store.revoke(revocation)

    async def admit(self, target: Target, value: str) -> bool:
        """Let somebody in again, on this gateway at once. False: nobody of that name was kept out.
        Raises :class:`StoreUnavailable`."""
        was = await self._store.admit(target, value)
        await self.poll()
        return was

    async def listed(self) -> list[Revocation]:
        """The newest entries of the revocation list. Raises :class:`StoreUnavailable`."""
        return await self._store.revocations()

    async def poll(self) -> int:
        """Learn the endings since the last poll, and end what they end: returns the number of
        connections. Raises :class:`StoreUnavailable`."""
        # One after the other: an older answer must not come after a newer one.
        async with self._one_poll:
            found = await self._store.sessions_ended_since(self._revision)
            if found.newest < self._revision:
                # The database was restored to a backup or a copy that was behind, and gives the
                # same numbers again. Sessions that are known here to have ended stay ended.
                found = await self._store.sessions_ended_since(0)
            ended = self._end(found.sessions, found.revocations)
            self._revision = found.newest
            return ended

    def _tell(self, ended: Sequence[EndedSession]) -> None:
        if not ended:
            return
        found = [[each.id, each.until.timestamp()] for each in ended]
        self._bus.tell(_KIND, {"ended": found})
        self._end(ended)

    def _others_ended(self, gateway: str, payload: Mapping[str, Any]) -> None:
        logger.debug("gateway %s has ended sessions", gateway)
        news = {id for id, until in payload["ended"] if self._ended.add(id, until=until)}
        self._end_connections(news, [])

    def _end(self, ended: Iterable[EndedSession], entries: Iterable[Revocation] = ()) -> int:
        news = {
            each.id
            for each in ended
            if self._ended.add(each.id, until=each.until.timestamp(), reason=each.reason)
        }
        return self._end_connections(
            news, [each for each in entries if self._revocations.add(each)]
        )

    def _end_connections(self, sessions: set[str], entries: Sequence[Revocation]) -> int:
        if not sessions and not entries:
            return 0
        ended = 0
        kicked = {each.value: each for each in entries if each.target is Target.USER}
        for connection in chain.from_iterable(self._connections):
            identity = connection.identity
            if identity is None:
                continue
            if entries:
                error = self._error_for(identity, kicked.get(name_of(identity)))
            elif identity.session in sessions:
                error = self._error_for(identity, None)
            else:
                continue
            if error is not None:
                connection.end(error)
                ended += 1
        return ended

    def _error_for(self, identity: Identity, order: Revocation | None) -> GatewayError | None:
        """The error for a connection that is open. ``order``: the one that has just named its
        user."""
        try:
            self._revocations.check(identity)
        except KeptOut as error:
            return error
        except SessionEnded as error:
            return error if order is None else kicked(order)
        # The word of the application, or of RabbitMQ, goes on counting; what it opened ends once.
        by_others = identity.session is None and identity.token is None
        return kicked(order) if order is not None and by_others else None


def kicked(order: Revocation) -> Kicked:
    """The error for a connection of a user whose access an admin has ended."""
    why = f": {order.reason}" if order.reason else ""
    return Kicked(f"an admin has ended this connection{why}")
