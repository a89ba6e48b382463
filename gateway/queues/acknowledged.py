"""The acknowledgements of hosts in their private queues, kept in the database.

A queue that has to be replaced is filled from the history from there on. The numbers gather for a
second, then one transaction stores them; after a crash the acknowledgements of that second are
forgotten, and those messages come once more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from broker.timing.readings import Monotonic
from broker.timing.tasks import Tasks
from broker.topology import Stream
from gateway.errors import StoreUnavailable
from gateway.queues.progress import Progress

#: Seconds for which acknowledgements gather.
INTERVAL: Final = 1.0
#: Streams that one query asks about, or one transaction stores.
_BATCH: Final = 512

logger = logging.getLogger(__name__)


class AcknowledgedStore(Protocol):
    """The stored acknowledgements. All methods raise :class:`StoreUnavailable`."""

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """By stream: the seq up to which everything is acknowledged."""
        ...

    async def acknowledge(self, seqs: Mapping[Stream, int]) -> None:
        """Raise these numbers."""
        ...


class Acknowledgements:
    """The acknowledgements of all sessions of this gateway that consume private queues."""

    def __init__(self, store: AcknowledgedStore, *, clock: Monotonic, tasks: Tasks) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._streams: dict[Stream, Progress] = {}
        #: What the database does not have yet.
        self._grown: dict[Stream, int] = {}
        self._flushing = asyncio.Lock()

    def start(self) -> None:
        """Store what gathers, until :meth:`close`."""
        self._tasks.forever(self._run, "acknowledgements")

    async def close(self) -> None:
        """Store the rest, if the database is there, and end."""
        await self._tasks.close()
        try:
            await self.flush()
        except StoreUnavailable as error:
            logger.warning(
                "the last acknowledgements of private queues are not stored: %s; the messages come "
                "again if their queues have to be replaced",
                error,
            )

    def delivered(self, stream: Stream, seq: int) -> None:
        """Note that a session of this gateway has a message of a private queue."""
        self._progress(stream).delivered(seq)

    def acknowledged(self, stream: Stream, seq: int) -> None:
        """Note that a session of this gateway has acknowledged such a message."""
        self._progress(stream).acknowledged(seq)

    def has(self, stream: Stream, seq: int) -> bool:
        """Whether a session of this gateway has acknowledged a message that :meth:`flush` cannot
        store yet, because one before it is not acknowledged."""
        progress = self._streams.get(stream)
        return progress is not None and progress.has(seq)

    async def flush(self) -> None:
        """Store everything that is known now. Raises :class:`StoreUnavailable`."""
        async with self._flushing:
            streams = list(self._streams)
            for start in range(0, len(streams), _BATCH):
                await self._flush(streams[start : start + _BATCH])

    async def _run(self) -> None:
        away = False
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.flush()
                away = False
            except StoreUnavailable as error:
                if not away:
                    logger.warning(
                        "the acknowledgements of private queues cannot be stored, trying again: %s",
                        error,
                    )
                away = True

    def _progress(self, stream: Stream) -> Progress:
        progress = self._streams.get(stream)
        if progress is None:
            progress = self._streams[stream] = Progress()
        return progress

    async def _flush(self, streams: Sequence[Stream]) -> None:
        # Also where one before is not acknowledged here: its session ended, and the host may have
        # gone on at another gateway.
        asked = [stream for stream in streams if self._streams[stream].asks]
        stored = await self._store.acknowledged(asked) if asked else {}
        now = self._clock()
        for stream in streams:
            progress = self._streams[stream]
            before = max(stored.get(stream, 0), progress.place or 0)
            if (place := progress.advance(before, now)) > before:
                self._grown[stream] = place
        if grown := {each: self._grown[each] for each in streams if each in self._grown}:
            await self._store.acknowledge(grown)
        for stream in streams:
            self._grown.pop(stream, None)
            if self._streams[stream].idle:
                del self._streams[stream]
