"""Turns at work that costs much: a few at a time, the urgent first, user after user."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

_Line = OrderedDict[Hashable, deque[asyncio.Future[None]]]


class FairTurns:
    """The queue for one kind of work.

    ``at_once``: turns at the same time, ``kept`` of them for urgent work alone. ``of_user``: turns
    of one user at the same time. Users are served one after the other, so a user with many requests
    delays only their own, urgent or not.
    """

    def __init__(self, at_once: int, *, of_user: int, kept: int = 0) -> None:
        self._free = at_once
        self._kept = kept
        self._of_user = of_user
        self._in_hand: Counter[Hashable] = Counter()
        #: Those who wait, the urgent ones first; users in the order of their next turns. Nobody in
        #: here has an empty queue.
        self._lines: tuple[_Line, _Line] = (OrderedDict(), OrderedDict())

    @property
    def waiting(self) -> int:
        """The number of those who wait for a turn."""
        return sum(len(queue) for line in self._lines for queue in line.values())

    @property
    def has_one(self) -> bool:
        """Whether somebody who has none would have a turn at once, if it is not urgent."""
        return self._free > self._kept and not self.waiting

    @asynccontextmanager
    async def turn(self, user: Hashable, *, urgent: bool, within: float) -> AsyncIterator[None]:
        """Wait for a turn, and have it. Raises :class:`TimeoutError` after ``within`` seconds."""
        await self.begin(user, urgent=urgent, within=within)
        try:
            yield
        finally:
            self.end(user)

    async def begin(self, user: Hashable, *, within: float, urgent: bool = False) -> None:
        """Wait for a turn, to be ended by :meth:`end`. Raises :class:`TimeoutError` after
        ``within`` seconds."""
        line = self._lines[0 if urgent else 1]
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.setdefault(user, deque()).append(given)
        self._give()
        try:
            async with asyncio.timeout(within):
                await given
        except BaseException:
            if given.cancelled():
                self._withdraw(line, user, given)
            else:
                # The turn came after the caller had gone.
                self.end(user)
            raise

    def end(self, user: Hashable) -> None:
        """End the user's turn."""
        self._free += 1
        self._in_hand[user] -= 1
        if not self._in_hand[user]:
            del self._in_hand[user]
        self._give()

    def _give(self) -> None:
        """Give the turns that are free."""
        for line, kept in zip(self._lines, (0, self._kept), strict=True):
            while self._free > kept and (user := self._next(line)) is not None:
                given = line[user].popleft()
                if line[user]:
                    line.move_to_end(user)
                else:
                    del line[user]
                # It is cancelled if its caller is just going, and has not withdrawn it yet.
                if not given.done():
                    self._free -= 1
                    self._in_hand[user] += 1
                    given.set_result(None)

    def _next(self, line: _Line) -> Hashable | None:
        """The first user with fewer turns than one may have; those before it have turns, so there
        are few of them."""
        return next((user for user in line if self._in_hand[user] < self._of_user), None)

    def _withdraw(self, line: _Line, user: Hashable, given: asyncio.Future[None]) -> None:
        queue = line.get(user)
        if queue is None or given not in queue:
            return
        queue.remove(given)
        if not queue:
            del line[user]
