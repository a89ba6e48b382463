"""Tells the store which messages the broker has confirmed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final
from uuid import UUID

from broker.timing.tasks import Job, Tasks
from gateway.errors import StoreUnavailable
from gateway.messages.ports import StoredOutbox

#: How many messages one transaction takes out of the outbox at most.
BATCH: Final = 512
#: Confirms gather for so long (seconds). A message confirmed and not yet marked is published again
#: if the gateway dies now, which subscribers do not notice.
INTERVAL: Final = 0.5

_log = logging.getLogger(__name__)


class PublishedMarks:
    """Confirmed messages on their way out of the store's outbox, in batches, until it works."""

    def __init__(self, store: StoredOutbox, *, delay: Callable[[int], float], tasks: Tasks) -> None:
        """``delay``: seconds to wait after so many failures in a row."""
        self._store = store
        self._delay = delay
        # A dict, because a set has no order.
        self._ids: dict[UUID, None] = {}
        #: What the store was told while somebody reads it; None: nobody does.
        self._told: set[UUID] | None = None
        self._tasks = tasks
        self._job: Job | None = None
        self._hurry = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many confirmed messages the store does not know of."""
        return len(self._ids)

    def __contains__(self, message_id: object) -> bool:
        """Confirmed, and the store does not know it yet, or who reads it may not yet see it."""
        return message_id in self._ids or (self._told is not None and message_id in self._told)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Somebody reads the store's outbox, one at a time: what it is told meanwhile may stand in
        the answer all the same."""
        self._told = set()
        try:
            yield
        finally:
            self._told = None

    def add(self, message_id: UUID) -> None:
        self._ids[message_id] = None
        if self._job is None or self._job.done:
            self._job = self._tasks.until_done(self._run, "published marks")

    async def flush(self) -> None:
        """Gather no longer; return when the store knows everything."""
        self._hurry.set()
        if self._job is not None:
            await self._job.wait()

    async def close(self) -> None:
        """End at once. What the store was not told stays in its outbox."""
        await self._tasks.close()

    async def _run(self) -> None:
        failures = 0
        while self._ids:
            await self._gather()
            batch = list(islice(self._ids, BATCH))
            try:
                await self._store.mark_published(batch)
            except StoreUnavailable as error:
                failures += 1
                _log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "%d published messages stay in the outbox for now: %s",
                    len(self._ids),
                    error.detail,
                )
                await asyncio.sleep(self._delay(failures))
            else:
                failures = 0
                for message_id in batch:
                    self._ids.pop(message_id, None)
                if self._told is not None:
                    self._told.update(batch)

    async def _gather(self) -> None:
        if len(self._ids) >= BATCH:
            return
        try:
            await asyncio.wait_for(self._hurry.wait(), INTERVAL)
        except TimeoutError:
            return
