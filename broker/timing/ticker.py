"""One timer for the heart-beats and deadlines of all connections, so that none needs its own."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from broker.timing.tasks import Failures

#: Seconds that an entry may be checked late.
RESOLUTION: Final = 0.25
#: Seconds until an entry that failed is checked again.
AGAIN: Final = 1.0
#: Groups of entries that are checked one after the other, so that thousands of them do not block
#: the event loop at once.
_PARTS: Final = 8


class Timed(Protocol):
    """An entry of the ticker. ``due``: the time, on the loop's clock, from which :meth:`check` is
    called."""

    due: float

    def check(self, now: float) -> None:
        """Do what is due and set the next ``due``."""


class Ticker:
    """The timer, which runs while it has entries.

    ``failures`` keeps what a check raises; its entry is checked again later.
    """

    def __init__(self, failures: Failures | None = None) -> None:
        self._failures = failures or Failures()
        self._loop = asyncio.get_running_loop()
        self._parts: list[dict[Timed, None]] = [{} for _ in range(_PARTS)]
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._planned = 0.0
        self._late = False

    def add(self, entry: Timed) -> None:
        """Check an entry from now on, whenever it is due."""
        min(self._parts, key=len)[entry] = None
        if self._timer is None:
            self._wait()

    def remove(self, entry: Timed) -> None:
        """Check an entry no more, from now on; an unknown entry is no error."""
        for part in self._parts:
            part.pop(entry, None)

    def _wait(self) -> None:
        self._planned = self._loop.time() + RESOLUTION / _PARTS
        self._timer = self._loop.call_at(self._planned, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late = now - self._planned > RESOLUTION
        if late and not self._late:
            # The event loop stood still. Whatever came meanwhile is read first; only silence after
            # that counts.
            self._late = True
            self._wait()
            return
        self._late = False
        part = self._parts[self._next]
        self._next = (self._next + 1) % _PARTS
        # Before a check can fail: the others must be checked on.
        if any(self._parts):
            self._wait()
        else:
            self._timer = None
        for entry in part:
            if entry.due <= now:
                # Each by itself: a check that fails must not stop the others.
                self._loop.call_soon(self._check, part, entry, now)

    def _check(self, part: dict[Timed, None], entry: Timed, now: float) -> None:
        if entry not in part:
            return
        try:
            entry.check(now)
        except Exception as error:
            self._failures.note(f"timer of a {type(entry).__name__}", error)
            entry.due = now + AGAIN
