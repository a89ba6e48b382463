"""The sessions that the database has, as far as this gateway has met them, and when each was seen
last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from cachetools import LRUCache

from broker.timing.readings import UnixTime
from broker.timing.tasks import Cancelled, Tasks, shared
from gateway.auth.ended import EndedSessions, session_ended
from gateway.domain.identity import Identity
from gateway.domain.session import LoginSession, Proof
from gateway.errors import StoreUnavailable

#: Sessions that are remembered; one that was forgotten is read again when it comes.
CAPACITY: Final = 50_000
#: Seconds between two times that a session's last use is written.
EVERY: Final = 60.0
#: Sessions that are written by one transaction.
PORTION: Final = 500


class SessionStore(Protocol):
    """The logins in the database. Every method raises :class:`StoreUnavailable`."""

    async def session(self, id: str) -> LoginSession | None: ...

    async def saw_sessions(self, seen: Mapping[str, datetime]) -> None: ...


@dataclass(slots=True)
class _Known:
    """A session that was met; times are Unix seconds."""

    proof: Proof
    seen: float
    written: float


class KnownSessions:
    """The sessions that this gateway has met.

    A cookie is signed, but only a row of the database makes it a session: the row of a cookie that
    is new here is read once. What ends afterwards is learned by polling (``ended``). So a request
    costs no read.
    """

    def __init__(
        self, store: SessionStore, ended: EndedSessions, *, clock: UnixTime, tasks: Tasks
    ) -> None:
        self._store = store
        self._ended = ended
        self._clock = clock
        self._tasks = tasks
        self._known: LRUCache[str, _Known] = LRUCache(CAPACITY)
        self._reading: dict[str, asyncio.Task[LoginSession | StoreUnavailable | None]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, session: LoginSession) -> None:
        """Know a session of which the database is known to have a row."""
        now = self._clock()
        self._known[session.id] = _Known(session.proof, now, now)

    async def recognise(self, identity: Identity) -> None:
        """Return if the database has the identity's session, and it has not ended.

        Raises :class:`SessionEnded`, :class:`StoreUnavailable`.
        """
        id = identity.session
        if id is None or id in self._known:
            return
        reading = self._reading.get(id)
        if reading is None:
            read = self._read(id, until=identity.expires_at)
            reading = self._tasks.spawn(read, "a session that is new here")
            self._reading[id] = reading
        try:
            found = await shared(reading)
        except Cancelled as error:
            raise StoreUnavailable("the gateway is stopping", retry_after=1.0) from error
        if isinstance(found, StoreUnavailable):
            raise found
        if found is None:
            raise session_ended()

    def proof(self, id: str) -> Proof | None:
        """The proof that a known session was opened with."""
        known = self._known.get(id)
        return None if known is None else known.proof

    def see(self, id: str) -> None:
        """Note that the session is in use now."""
        known = self._known.get(id)
        if known is not None:
            known.seen = self._clock()

    async def write(self, in_use: Iterable[str]) -> None:
        """Write when sessions were seen last, those ``in_use`` now. What could not be written is
        written the next time. Raises :class:`StoreUnavailable`."""
        for id in in_use:
            self.see(id)
        due = [(id, each) for id, each in self._known.items() if each.seen > each.written]
        for start in range(0, len(due), PORTION):
            portion = due[start : start + PORTION]
            seen = {id: each.seen for id, each in portion}
            await self._store.saw_sessions(
                {id: datetime.fromtimestamp(at, UTC) for id, at in seen.items()}
            )
            for id, each in portion:
                each.written = max(each.written, seen[id])

    async def _read(self, id: str, *, until: float) -> LoginSession | StoreUnavailable | None:
        """Errors are returned: several may wait for them, or nobody any more."""
        try:
            found = await self._store.session(id)
        except StoreUnavailable as error:
            return error
        finally:
            del self._reading[id]
        if found is None:
            # Nor will it ever be there: the next request with this cookie costs nothing.
            self._ended.add(id, until=until)
        else:
            self.add(found)
        return found
