"""Group commit: drafts that arrive while one transaction runs share the next one.

There is no timer: a lone draft is stored at once, and batches grow with the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final
from uuid import UUID

from broker.timing.tasks import Job, Tasks
from broker.topology import Stream
from gateway.domain.message import Draft, Message
from gateway.errors import StoreUnavailable
from gateway.messages.ports import MessageStore
from gateway.store.records import Appended

#: The most drafts that one transaction takes.
BATCH: Final = 512
#: The ``retry_after`` for clients while the database is away, in seconds.
RETRY_AFTER: Final = 1.0


class GroupCommit:
    """A queue of drafts that stores them in batches, one transaction at a time.

    ``stored`` is called with every new message in ``seq`` order per stream, even if its client no
    longer waits. ``in_doubt`` is called with the streams of a batch that failed: if the database
    went away during the commit, the batch may be stored all the same.
    """

    def __init__(
        self,
        history: MessageStore,
        *,
        stored: Callable[[Sequence[Message]], None],
        in_doubt: Callable[[Stream], None],
        tasks: Tasks,
    ) -> None:
        self._history = history
        self._stored = stored
        self._in_doubt = in_doubt
        self._waiting: dict[asyncio.Future[Appended], Draft] = {}
        self._committing: dict[asyncio.Future[Appended], Draft] = {}
        self._tasks = tasks
        self._job: Job | None = None

    async def append(self, draft: Draft) -> Appended:
        """Store a draft. If the call is cancelled before its transaction begins, the draft is
        withdrawn.

        Raises :class:`StoreUnavailable`, or the history's error for this draft.
        """
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = draft
        if self._job is None or self._job.done:
            self._job = self._tasks.until_done(self._run, "group commit")
        try:
            return await answer
        finally:
            self._waiting.pop(answer, None)

    async def passed(self, message_id: UUID) -> None:
        """Return when no draft with this id that is here now is still to be stored."""
        drafts = (*self._waiting.items(), *self._committing.items())
        under_way = [answer for answer, draft in drafts if draft.id == message_id]
        if under_way:
            await asyncio.wait(under_way)

    async def _run(self) -> None:
        while self._waiting:
            batch = dict(islice(self._waiting.items(), BATCH))
            for answer in batch:
                del self._waiting[answer]
            self._committing = batch
            try:
                await self._commit(batch)
            finally:
                self._committing = {}

    async def _commit(self, batch: dict[asyncio.Future[Appended], Draft]) -> None:
        try:
            results = await self._history.append(list(batch.values()))
            self._stored(
                [
                    result.message
                    for result in results
                    if isinstance(result, Appended) and not result.repeated
                ]
            )
        except asyncio.CancelledError:
            # Whatever has cancelled this: nobody may wait for an answer that never comes.
            self._give_up(batch, StoreUnavailable("the commit was cancelled"))
            raise
        except Exception as error:
            if isinstance(error, StoreUnavailable) or len(batch) == 1:
                self._give_up(batch, error)
            else:
                await self._commit_halves(batch)
            return
        for answer, result in zip(batch, results, strict=True):
            if isinstance(result, Appended):
                if not answer.done():
                    answer.set_result(result)
            else:
                _fail(answer, result)

    async def _commit_halves(self, batch: dict[asyncio.Future[Appended], Draft]) -> None:
        """Store a batch that failed in two: a draft that the store cannot take fails alone, and not
        those that came beside it."""
        # If they are stored all the same, they are only found to be repeated now.
        self._doubt(batch)
        drafts = iter(batch.items())
        try:
            await self._commit(dict(islice(drafts, len(batch) // 2)))
            await self._commit(dict(drafts))
        except asyncio.CancelledError:
            # The second half has not begun.
            self._give_up(batch, StoreUnavailable("the commit was cancelled"))
            raise

    def _give_up(self, batch: dict[asyncio.Future[Appended], Draft], error: Exception) -> None:
        """Fail every draft of the batch."""
        for answer in batch:
            _fail(answer, _for_client(error))
        self._doubt(batch)

    def _doubt(self, batch: dict[asyncio.Future[Appended], Draft]) -> None:
        for stream in {draft.stream for draft in batch.values()}:
            self._in_doubt(stream)


def _fail(answer: asyncio.Future[Appended], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _for_client(error: Exception) -> Exception:
    if isinstance(error, StoreUnavailable):
        # A new exception for each client, because a raised one carries its own traceback.
        fresh = StoreUnavailable(
            error.detail, retry_after=error.retry_after or RETRY_AFTER, reason=error.reason
        )
        fresh.__cause__ = error
        return fresh
    return error
