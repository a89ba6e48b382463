"""A watched database: the reason of a failure is logged once, and a failed database is tried
again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, text

from broker.timing.readings import Monotonic
from broker.timing.tasks import shared
from gateway.errors import StoreUnavailable
from gateway.store.database import Database, Readers

T = TypeVar("T")
R = TypeVar("R")

#: Seconds after which a reason that persists is logged again.
LOGGED_AGAIN: Final = 60.0
#: Seconds for which a check counts: load balancers ask all the time, several at once.
CHECK_IS_GOOD: Final = 1.0
#: Seconds for which a commit proves that the next one works. The lease is renewed more often.
WRITE_IS_GOOD: Final = 5.0
#: Bytes that are written after a failure, to find out whether a message could be: a full disk still
#: has room for a little.
PROBE: Final = 64 * 1024

_log = logging.getLogger(__name__)


class Watched:
    """A database that runs everything on ``database`` and remembers how that went.

    ``probe`` writes the given number of bytes, and commits.
    """

    def __init__(
        self,
        database: Database,
        *,
        probe: Callable[[Connection, int], None],
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._database = database
        self._probe = probe
        self._clock = clock
        #: Why the last read and the last write failed, each until one has worked.
        self.reading: str | None = None
        self.writing: str | None = None
        self._logged: dict[str, float] = {}
        self._failing = False
        self._written = -WRITE_IS_GOOD
        self._checking: asyncio.Task[None] | None = None
        self._looked: float | None = None

    @property
    def name(self) -> str:
        return self._database.name

    @property
    def log_bytes(self) -> int:
        return self._database.log_bytes

    @property
    def free_bytes(self) -> int | None:
        return self._database.free_bytes

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._watch(self._database.read(query), reads=True)

    async def scan(
        self,
        query: Callable[[Connection], R],
        make: Callable[[R], T],
        *,
        readers: Readers = Readers.HISTORY,
    ) -> T:
        return await self._watch(self._database.scan(query, make, readers=readers), reads=True)

    async def write(self, change: Callable[[Connection], T]) -> T:
        result = await self._watch(self._database.write(change))
        self._written = self._clock()
        return result

    async def open(self, *, migrate: bool) -> str:
        return await self._database.open(migrate=migrate)

    async def hear(self, heard: Callable[[], None]) -> None:
        # Not watched: who posts does not need it, and an idle connection may be lost for itself.
        await self._database.hear(heard)

    async def verify(self) -> None:
        await self._database.verify()

    async def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking})
        await self._database.close()

    async def check(self) -> None:
        """Read, and write unless a write succeeded a moment ago. Raises :class:`StoreUnavailable`.

        However often this is called, there is one check at a time, and one a second.
        """
        fresh = self._looked is not None and self._clock() - self._looked < CHECK_IS_GOOD
        if self._checking is None or (self._checking.done() and not fresh):
            self._checking = asyncio.create_task(self._check_now(), name="database")
            self._checking.add_done_callback(_retrieve)
        try:
            # The first caller may leave without taking the answer from the others.
            await shared(self._checking)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                error.detail, retry_after=error.retry_after, reason=error.reason
            ) from error.__cause__

    async def recover(self) -> None:
        """Find out whether a failed database works again. Raises :class:`StoreUnavailable`."""
        if self._failing or self.reading is not None or self.writing is not None:
            await self.prove()

    async def prove(self) -> None:
        """Write as many bytes as a message has. Raises :class:`StoreUnavailable`."""
        await self._watch(self.verify())
        await self.write(lambda connection: self._probe(connection, PROBE))
        # It has found its row, too.
        self.reading = self.writing = None
        if self._failing:
            self._failing = False
            _log.warning("the database %s works again", self.name)

    async def _check_now(self) -> None:
        try:
            await self._watch(self.verify())
            await self.read(lambda connection: connection.execute(text("SELECT 1")))
            await self.recover()
            if self._clock() - self._written >= WRITE_IS_GOOD:
                await self.write(lambda connection: self._probe(connection, 1))
        finally:
            self._looked = self._clock()

    async def _watch(self, call: Awaitable[T], *, reads: bool = False) -> T:
        try:
            return await call
        except StoreUnavailable as error:
            self._failed(error.reason or error.detail, reads=reads)
            raise

    def _failed(self, reason: str, *, reads: bool) -> None:
        if reads:
            self.reading = reason
        else:
            self.writing = reason
        now = self._clock()
        self._logged = {r: t for r, t in self._logged.items() if now - t < LOGGED_AGAIN}
        if reason not in self._logged:
            self._logged[reason] = now
            self._failing = True
            _log.warning(
                "the database %s fails: %s; requests that need it are answered 503 until it works",
                self.name,
                reason,
            )


def _retrieve(check: asyncio.Task[None]) -> None:
    """Take the task's exception even if every caller has left; the failure has been logged."""
    if not check.cancelled():
        check.exception()
