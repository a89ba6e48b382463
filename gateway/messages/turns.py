"""Turns for reading the history: few reads at a time, and one user after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import ReadsBusy, TooManyReads

#: Seconds that a read waits for a turn before it is refused.
PATIENCE: Final = 5.0
#: The ``retry_after`` of a refused read, in seconds.
RETRY_AFTER: Final = 1.0


class Turns:
    """The queue of reads. ``at_once``: the number of reads at the same time.

    Users are served one after the other, so a user with many requests delays only their own.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._in_all = 0
        self._of_user: dict[str, int] = {}
        #: Users in the order of their next turns; nobody in here has an empty queue.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def in_hand(self) -> int:
        """Reads that are being carried out or wait for their turn."""
        return self._in_all

    @asynccontextmanager
    async def turn(self, user: str, *, of_user: int, in_all: int) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        ``of_user``: reads that a user may have in hand; raises :class:`TooManyReads` beyond it.
        ``in_all``: the same for all users together; raises :class:`ReadsBusy`, as after
        :data:`PATIENCE`.
        """
        mine = self._of_user.get(user, 0)
        if mine >= of_user:
            raise TooManyReads(
                f"at most {of_user} reads of the history at a time are allowed for one user",
                retry_after=RETRY_AFTER,
            )
        if self._in_all >= in_all:
            raise ReadsBusy("too many clients are reading the history", retry_after=RETRY_AFTER)
        self._of_user[user] = mine + 1
        self._in_all += 1
        try:
            await self._begin(user)
            try:
                yield
            finally:
                self._end()
        finally:
            self._in_all -= 1
            self._of_user[user] -= 1
            if not self._of_user[user]:
                del self._of_user[user]

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
