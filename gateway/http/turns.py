"""Whose turn it is to read the history: few at a time, and one user after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import ReadsBusy, TooManyReads

#: Seconds that somebody waits for a turn before they are told to come again.
PATIENCE: Final = 5.0
#: What they are told to wait, in seconds.
RETRY_AFTER: Final = 1.0


class Turns:
    """``at_once``: reads at the same time.

    Who waits is served user by user, so that one with many requests holds up only their own.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._in_all = 0
        self._of_user: dict[str, int] = {}
        #: Users in the order of their next turns; nobody in here has an empty queue.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def in_hand(self) -> int:
        """Reads that go on or wait for their turn."""
        return self._in_all

    @asynccontextmanager
    async def turn(self, user: str, *, of_user: int, in_all: int) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        ``of_user``: reads that a user may have in hand; raises :class:`TooManyReads` beyond it.
        ``in_all``: as many of all users; raises :class:`ReadsBusy`, as after :data:`PATIENCE`.
        """
        mine = self._of_user.get(user, 0)
        if mine >= of_user:
            raise TooManyReads(
                f"{of_user} reads of the history at a time are enough for one user",
                retry_after=RETRY_AFTER,
            )
        if self._in_all >= in_all:
            raise ReadsBusy("too many read the history at once", retry_after=RETRY_AFTER)
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
            if given.done() and not given.cancelled():
                # The turn came, and nobody is there to take it.
                self._end()
            else:
                self._withdraw(user, given)
            if isinstance(error, TimeoutError):
                raise ReadsBusy(
                    "the history is read by many just now", retry_after=RETRY_AFTER
                ) from None
            raise

    def _end(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        user, queue = next(iter(self._waiting.items()))
        queue.popleft().set_result(None)
        if queue:
            self._waiting.move_to_end(user)
        else:
            del self._waiting[user]

    def _withdraw(self, user: str, given: asyncio.Future[None]) -> None:
        queue = self._waiting[user]
        queue.remove(given)
        if not queue:
            del self._waiting[user]
