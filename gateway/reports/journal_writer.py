"""Writing the journal in batches, beside everything else."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Final, Protocol

from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks
from gateway.domain.journal import Entry, EntryKind
from gateway.errors import StoreUnavailable
from gateway.observe.journal import Journal

logger = logging.getLogger(__name__)

#: Seconds between two writes: so much of the journal may be missing after a kill.
TICK: Final = 2.0
#: Entries in one transaction: some milliseconds of the writer.
PORTION: Final = 100
#: Seconds between two transactions, in which posts have the writer.
REST: Final = 0.05
#: Seconds between two words about dropped entries: a flood shall not fill the journal with them.
TELL: Final = 60.0


class JournalStore(Protocol):
    """The journal in the database."""

    async def add(self, entries: Sequence[Entry], *, gateway: str) -> None:
        """Store a batch. Raises :class:`StoreUnavailable`."""


class JournalWriter:
    """The writer of this gateway's journal. After an error of the database a batch may be there
    twice, because nobody knows whether it was stored."""

    def __init__(
        self,
        journal: Journal,
        store: JournalStore,
        *,
        gateway: str,
        clock: UnixTime,
        tasks: Tasks,
    ) -> None:
        self._journal = journal
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._tasks = tasks
        self._away = False
        #: Dropped entries that the journal tells of, and when it last did.
        self._told = 0
        self._told_at = -math.inf

    def start(self) -> None:
        self._note("started", "")
        self._tasks.forever(self._write_on, "the journal")

    async def close(self) -> None:
        """Stop, and write what waits."""
        await self._tasks.close()
        self._note("stopped", "")
        await self.write()
        if waiting := len(self._journal):
            logger.warning("%d entries of the journal are lost", waiting)

    async def write(self) -> None:
        """Write what waits, as far as the database takes it now."""
        while entries := self._journal.take(PORTION):
            try:
                await self._store.add(entries, gateway=self._gateway)
            except BaseException as error:
                self._journal.put_back(entries)
                if not isinstance(error, StoreUnavailable):
                    raise
                self._failed(error)
                return
            if len(self._journal):
                await asyncio.sleep(REST)
        self._away = False
        self._tell_dropped()

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self.write()

    def _failed(self, error: StoreUnavailable) -> None:
        if not self._away:
            self._away = True
            logger.warning(
                "the journal waits in memory, up to %d entries, until the database is back: %s",
                self._journal.most,
                error,
            )

    def _tell_dropped(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._journal.dropped == self._told or now - self._told_at < TELL:
            return
        dropped, self._told = self._journal.dropped - self._told, self._journal.dropped
        self._told_at = now
        logger.warning(
            "%d entries of the journal were dropped: there were more than can be written, or more "
            "of one client than one may cause",
            dropped,
        )
        self._note("dropped", f"{dropped} entries of the journal were dropped")

    def _note(self, code: str, detail: str) -> None:
        entry = Entry(at=self._clock(), kind=EntryKind.GATEWAY, code=code, detail=detail)
        self._journal.add(entry)
