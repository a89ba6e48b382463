"""The marking of messages as published: those that the broker has confirmed leave the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final
from uuid import UUID

from broker.timing.tasks import Job, Tasks
from gateway.errors import StoreUnavailable
from gateway.messages.ports import StoredOutbox

#: The most messages that one transaction removes from the outbox.
BATCH: Final = 512
#: Seconds for which confirms gather. If the gateway dies now, a message that is confirmed and not
#: yet marked is published again, which subscribers do not notice.
INTERVAL: Final = 0.5

_log = logging.getLogger(__name__)


class PublishedMarks:
    """Confirmed messages that the store's outbox still has; they are removed in batches, until it
    works."""

    def __init__(
        self,
        store: StoredOutbox,
        *,
        delay: Callable[[int], float],
        written: Callable[[Sequence[UUID]], None] = lambda _: None,
        tasks: Tasks,
    ) -> None:
        """Make one; ``delay`` gives the seconds to wait after so many failures in a row.

        ``written`` is called with the messages that have left the store's outbox.
        """
        self._store = store
        self._delay = delay
        self._tell = written
        # A dict, because a set has no order.
        self._ids: dict[UUID, None] = {}
        #: The marks written while somebody reads the store; None: nobody does.
        self._marked_meanwhile: set[UUID] | None = None
        self._tasks = tasks
        self._job: Job | None = None
        self._hurry = asyncio.Event()
        #: Set when a batch has left the store's outbox.
        self._written = asyncio.Event()

    @property
    def depth(self) -> int:
        """The number of confirmed messages that the store still has in its outbox."""
        return len(self._ids)

    def __contains__(self, message_id: object) -> bool:
        """Whether the message is confirmed, but the store does not know it yet or its current
        reader may not see it yet."""
        return message_id in self._ids or (
            self._marked_meanwhile is not None and message_id in self._marked_meanwhile
        )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the marks while somebody reads the store's outbox (one reader at a time): messages
        that are marked meanwhile may still be in the answer."""
        self._marked_meanwhile = set()
        try:
            yield
        finally:
            self._marked_meanwhile = None

    def add(self, message_id: UUID) -> None:
        self._ids[message_id] = None
        if self._job is None or self._job.done:
            self._job = self._tasks.until_done(self._run, "published marks")

    async def flush(self) -> None:
        """Stop gathering; return when the store knows everything."""
        self._hurry.set()
        if self._job is not None:
            await self._job.wait()

    async def caught_up(self) -> None:
        """Return when the store knows of everything that is confirmed now."""
        waiting = list(self._ids)
        while any(each in self._ids for each in waiting):
            self._written.clear()
            await self._written.wait()

    async def close(self) -> None:
        """End at once. Messages that are not marked yet stay in the store's outbox."""
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
                    "%d published messages could not be removed from the outbox, trying again: %s",
                    len(self._ids),
                    error,
                )
                await asyncio.sleep(self._delay(failures))
            else:
                failures = 0
                for message_id in batch:
                    self._ids.pop(message_id, None)
                if self._marked_meanwhile is not None:
                    self._marked_meanwhile.update(batch)
                self._tell(batch)
                self._written.set()

    async def _gather(self) -> None:
        if len(self._ids) >= BATCH:
            return
        try:
            await asyncio.wait_for(self._hurry.wait(), INTERVAL)
        except TimeoutError:
            return
