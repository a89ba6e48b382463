"""Turns for reading the history: few reads at a time, and one user after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.budget.budgets import CapBudget
from gateway.budget.rank import Rank
from gateway.budget.table import Scope
from gateway.errors import ReadsBusy

#: Seconds that a read waits for a turn before it is refused.
PATIENCE: Final = 5.0
#: The ``retry_after`` of a refused read, in seconds.
RETRY_AFTER: Final = 1.0


class Turns:
    """The queue of reads. ``at_once``: the number of reads at the same time; ``places``: how many
    may be carried out or wait.

    Users are served one after the other, so a user with many requests delays only their own.
    """

    def __init__(self, at_once: int, places: CapBudget) -> None:
        self._free = at_once
        self._places = places
        #: Users in the order of their next turns; nobody in here has an empty queue.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def in_hand(self) -> int:
        """Reads that are being carried out or wait for their turn."""
        return self._places.taken(Scope.ALL)

    @asynccontextmanager
    async def turn(self, user: str, rank: Rank = Rank.PARTICIPANT) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises :class:`TooManyReads` beyond what one user may have in hand, and :class:`ReadsBusy`
        beyond what all may have together, or after :data:`PATIENCE`.
        """
        with self._places.take(user, rank=rank):
            await self._begin(user)
            try:
                yield
            finally:
                self._end()

    async def _begin(self, user: str) -> None:
        if self._free:
            self._free -= 1
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(given)
        try:
            async with asyncio.timeout(PATIENCE):
                await given
        except BaseException as error:
            if given.cancelled():
                self._withdraw(user, given)
            else:
                # The turn came after the caller had gone.
                self._end()
            if isinstance(error, TimeoutError):
                raise ReadsBusy(
                    "too many clients are reading the history", retry_after=RETRY_AFTER
                ) from None
            raise

    def _end(self) -> None:
        while self._waiting:
            user, queue = next(iter(self._waiting.items()))
            given = queue.popleft()
            if queue:
                self._waiting.move_to_end(user)
            else:
                del self._waiting[user]
            # It is cancelled if its caller is just going, and has not withdrawn it yet.
            if not given.done():
                given.set_result(None)
                return
        self._free += 1

    def _withdraw(self, user: str, given: asyncio.Future[None]) -> None:
        queue = self._waiting.get(user)
        if queue is None or given not in queue:
            return
        queue.remove(given)
        if not queue:
            del self._waiting[user]
