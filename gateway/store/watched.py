"""A database under watch: why it fails stands in the log, once; what has failed is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, text

from broker.timing.tasks import shared
from gateway.errors import StoreUnavailable
from gateway.store.database import Database

T = TypeVar("T")
R = TypeVar("R")

#: Seconds after which a reason that goes on is told again.
TOLD_AGAIN: Final = 60.0
#: Seconds for which a look is good: load balancers ask all the time, several at once.
CHECK_IS_GOOD: Final = 1.0
#: Seconds for which a commit proves that the next one works. The lease is renewed more often.
WRITE_IS_GOOD: Final = 5.0
#: Bytes that are written to find out whether a message would be, once something has failed: on a
#: full disk there is still room for a little.
PROBE: Final = 64 * 1024

_log = logging.getLogger(__name__)


class Watched:
    """Runs everything on ``database``. ``probe`` writes as many bytes as it is told, and commits.

    ``clock`` gives seconds and never goes back.
    """

    def __init__(
        self,
        database: Database,
        *,
        probe: Callable[[Connection, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._probe = probe
        self._clock = clock
        #: Why the last call failed, until a probe has worked.
        self.problem: str | None = None
        self._told: dict[str, float] = {}
        self._told_now = False
        self._written = -WRITE_IS_GOOD
        self._checking: asyncio.Task[None] | None = None
        self._looked: float | None = None

    @property
    def name(self) -> str:
        return self._database.name

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._watch(self._database.read(query))

    async def scan(self, query: Callable[[Connection], R], make: Callable[[R], T]) -> T:
        return await self._watch(self._database.scan(query, make))

    async def write(self, change: Callable[[Connection], T]) -> T:
        result = await self._watch(self._database.write(change))
        self._written = self._clock()
        return result

    async def migrate(self) -> None:
        await self._database.migrate()

    async def verify(self) -> None:
        await self._database.verify()

    async def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait({self._checking})
        await self._database.close()

    async def check(self) -> None:
        """Read, and write unless that was done a moment ago. Raises :class:`StoreUnavailable`.

        However many ask, and how often: there is one look at a time, and one a second.
        """
        fresh = self._looked is not None and self._clock() - self._looked < CHECK_IS_GOOD
        if self._checking is None or (self._checking.done() and not fresh):
            self._checking = asyncio.create_task(self._check_now(), name="database")
            self._checking.add_done_callback(_retrieve)
        try:
            # Who asked first and leaves must not take the answer from the others.
            await shared(self._checking)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                error.detail, retry_after=error.retry_after, reason=error.reason
            ) from error.__cause__

    async def recover(self) -> None:
        """Find out whether what has failed works again. Raises :class:`StoreUnavailable`."""
        if self.problem is not None:
            await self.prove()

    async def prove(self) -> None:
        """Write as much as a message has. Raises :class:`StoreUnavailable`."""
        await self._watch(self.verify())
        await self.write(lambda connection: self._probe(connection, PROBE))
        self.problem = None
        if self._told_now:
            self._told_now = False
            _log.warning("the database works again (%s)", self.name)

    async def _check_now(self) -> None:
        try:
            await self._watch(self.verify())
            await self.read(lambda connection: connection.execute(text("SELECT 1")))
            await self.recover()
            if self._clock() - self._written >= WRITE_IS_GOOD:
                await self.write(lambda connection: self._probe(connection, 1))
        finally:
            self._looked = self._clock()

    async def _watch(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except StoreUnavailable as error:
            self._failed(error.reason or error.detail)
            raise

    def _failed(self, reason: str) -> None:
        self.problem = reason
        now = self._clock()
        self._told = {r: t for r, t in self._told.items() if now - t < TOLD_AGAIN}
        if reason not in self._told:
            self._told[reason] = now
            self._told_now = True
            _log.warning(
                "the database fails: %s (%s); what needs it is answered 503 meanwhile",
                reason,
                self.name,
            )


def _retrieve(check: asyncio.Task[None]) -> None:
    """All who asked may be gone; the failure stands in the log."""
    if not check.cancelled():
        check.exception()
