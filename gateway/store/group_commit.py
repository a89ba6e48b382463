"""Group commit: writes that wait for the same thread are one transaction.

A commit waits for the disk, and the writes behind it for the commit. Together they wait once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from gateway.payer import Bill

T = TypeVar("T")

#: Writes of one transaction at most: an error in one of them makes all be done again.
MOST: Final = 64

#: A transaction: its work, and the time of the monotonic clock after which it is rolled back.
#: Returns what the work has returned.
Transaction = Callable[[Callable[[Connection], Any], float], Any]


@dataclass(slots=True, eq=False)
class _Write:
    """A write that waits; ``late`` is the time after which it is not begun any more."""

    change: Callable[[Connection], Any]
    late: float
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.done.done():
            # Its caller waits no longer.
            return
        if self.error is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(self.error)


class GroupCommit:
    """The writes of one thread.

    ``submit`` runs a function in that thread, after those before it; ``transaction`` runs there.
    """

    def __init__(
        self, submit: Callable[[Callable[[], None]], object], transaction: Transaction
    ) -> None:
        self._submit = submit
        self._transaction = transaction
        self._waiting: deque[_Write] = deque()

    async def write(self, change: Callable[[Connection], T], *, late: float) -> T:
        """Run ``change`` in a transaction, perhaps with others. It is durable when this returns.

        What it raises is raised here, and nothing of it is stored; the others do not notice.
        """
        loop = asyncio.get_running_loop()
        write = _Write(partial(_paid, Bill(), change), late, loop.create_future())
        self._waiting.append(write)
        try:
            self._submit(lambda: self._commit(loop))
            result: T = await write.done
        except BaseException:
            # Also if the thread has ended: an earlier call in it must not do what has failed here.
            write.done.cancel()
            del write
            raise
        return result

    def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Commit what waits, if an earlier call has left anything. It runs in the thread."""
        if not self._waiting:
            return
        group: list[_Write] = []
        while self._waiting and len(group) < MOST:
            write = self._waiting.popleft()
            if not write.done.cancelled():
                group.append(write)
        done = self._together(group) if len(group) > 1 else 0
        if done:
            loop.call_soon_threadsafe(_settle, tuple(group[:done]))
            # There is a call for each of them still to come.
            self._waiting.extendleft(reversed(group[done:]))
        else:
            for write in group:
                # Each is told at once: those behind it may wait long, e.g. for another program.
                if not write.done.cancelled():
                    self._alone(write)
                    loop.call_soon_threadsafe(write.settle)
        # An error's traceback leads to this frame, which must not lead back to the error.
        group.clear()
        del write

    def _together(self, group: Sequence[_Write]) -> int:
        """Run the first ones in one transaction, as many as half of the time allows: all of them
        would fail with one that comes too late. Returns how many; 0: one of them has failed, and
        nothing is stored."""
        late, done = min(write.late for write in group), 0
        enough = (time.monotonic() + late) / 2

        def work(connection: Connection) -> None:
            nonlocal done
            count = 0
            for write in group:
                if count and time.monotonic() > enough:
                    break
                write.result = write.change(connection)
                count += 1
            if time.monotonic() > late:
                raise TimeoutError
            done = count

        try:
            self._transaction(work, late)
        except BaseException as error:
            # Nobody knows what a commit that fails has done.
            for write in group[:done]:
                write.error = error
                del write
        return done

    def _alone(self, write: _Write) -> None:
        try:
            write.result = self._transaction(write.change, write.late)
        except BaseException as error:
            write.error = error
            del write


def _paid(bill: Bill, change: Callable[[Connection], T], connection: Connection) -> T:
    """Make a change, for which its caller pays; the commit is everybody's."""
    return bill.of(lambda: change(connection))


def _settle(group: Sequence[_Write]) -> None:
    for write in group:
        write.settle()
