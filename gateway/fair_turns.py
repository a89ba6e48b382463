"""Turns at work that costs much: a few at a time, the urgent first, user after user."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from functools import partial

_Turn = asyncio.Future[None]
_Line = OrderedDict[Hashable, deque[_Turn]]


class Urgency:
    """Whether work is urgent, which may turn out while it waits for its turn, or between two."""

    __slots__ = ("_raised", "_urgent")

    def __init__(self, urgent: bool = False) -> None:
        self._urgent = urgent
        self._raised: Callable[[], None] | None = None

    def __bool__(self) -> bool:
        return self._urgent

    def rise(self) -> None:
        """It is urgent from now on; any number of times."""
        if not self._urgent:
            self._urgent = True
            if self._raised is not None:
                self._raised()

    def watch(self, raised: Callable[[], None] | None) -> None:
        """Call this when it rises; None: nothing any more."""
        self._raised = raised


class FairTurns:
    """The queue for one kind of work.

    ``at_once``: turns at the same time, ``kept`` of them for urgent work alone. ``of_user``: turns
    of one user at the same time. Users are served one after the other, so a user with many requests
    delays only their own, urgent or not.
    """

    def __init__(self, at_once: int, *, of_user: int, kept: int = 0) -> None:
        self._at_once = self._free = at_once
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

    @property
    def full(self) -> bool:
        """Whether nobody has a turn at once, or only who is urgent has."""
        return self._free <= self._kept

    def resize(self, at_once: int) -> None:
        """Allow so many turns at the same time from now on; those that are in hand go on."""
        self._free += at_once - self._at_once
        self._at_once = at_once
        self._give()

    @asynccontextmanager
    async def turn(
        self, user: Hashable, *, urgent: bool | Urgency, within: float
    ) -> AsyncIterator[None]:
        """Wait for a turn, and have it. Raises :class:`TimeoutError` after ``within`` seconds."""
        await self.begin(user, urgent=urgent, within=within)
        try:
            yield
        finally:
            self.end(user)

    async def begin(self, user: Hashable, *, within: float, urgent: bool | Urgency = False) -> None:
        """Wait for a turn, to be ended by :meth:`end`. Raises :class:`TimeoutError` after
        ``within`` seconds."""
        given: _Turn = asyncio.get_running_loop().create_future()
        urgency = urgent if isinstance(urgent, Urgency) else Urgency(urgent)
        self._lines[0 if urgency else 1].setdefault(user, deque()).append(given)
        urgency.watch(partial(self._hurry, user, given))
        self._give()
        try:
            async with asyncio.timeout(within):
                await given
        except BaseException:
            if given.cancelled():
                self._withdraw(user, given)
            else:
                # The turn came after the caller had gone.
                self.end(user)
            raise
        finally:
            urgency.watch(None)

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

    def _hurry(self, user: Hashable, given: _Turn) -> None:
        """Let one who waits wait with the urgent ones."""
        if self._withdraw(user, given):
            self._lines[0].setdefault(user, deque()).append(given)
            self._give()

    def _withdraw(self, user: Hashable, given: _Turn) -> bool:
        """Whether it was waiting."""
        for line in self._lines:
            queue = line.get(user)
            if queue is not None and given in queue:
                queue.remove(given)
                if not queue:
                    del line[user]
                return True
        return False
