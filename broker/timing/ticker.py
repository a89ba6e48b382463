"""One timer for all connections: their heart-beats and deadlines cost no timers of their own."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from broker.timing.tasks import Failures

#: Seconds within which what is due is done.
RESOLUTION: Final = 0.25
#: Seconds until an entry has its turn again that has failed.
AGAIN: Final = 1.0
#: Parts in which the entries have their turn, one after the other, so that thousands of them do
#: not stop the loop at once.
_PARTS: Final = 8


class Timed(Protocol):
    """``due``: the time, on the loop's clock, from which :meth:`check` wants to be called."""

    due: float

    def check(self, now: float) -> None:
        """Do what is due and set the next ``due``."""


class Ticker:
    """Runs while there is something to time."""

    def __init__(self, failures: Failures | None = None) -> None:
        self._failures = failures or Failures()
        self._loop = asyncio.get_running_loop()
        self._parts: list[dict[Timed, None]] = [{} for _ in range(_PARTS)]
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._planned = 0.0
        self._late = False

    def add(self, entry: Timed) -> None:
        min(self._parts, key=len)[entry] = None
        if self._timer is None:
            self._wait()

    def remove(self, entry: Timed) -> None:
        """At once; one that is not there is no error."""
        for part in self._parts:
            part.pop(entry, None)

    def _wait(self) -> None:
        self._planned = self._loop.time() + RESOLUTION / _PARTS
        self._timer = self._loop.call_at(self._planned, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late = now - self._planned > RESOLUTION
        if late and not self._late:
            # The loop stood still: first it hears what has come meanwhile, then silence counts.
            self._late = True
            self._wait()
            return
        self._late = False
        part = self._parts[self._next]
        self._next = (self._next + 1) % _PARTS
        # Before anything can fail: time must not end for the others.
        if any(self._parts):
            self._wait()
        else:
            self._timer = None
        for entry in part:
            if entry.due <= now:
                # By themselves: one that fails must not stop the time of all others.
                self._loop.call_soon(self._check, part, entry, now)

    def _check(self, part: dict[Timed, None], entry: Timed, now: float) -> None:
        if entry not in part:
            return
        try:
            entry.check(now)
        except Exception as error:
            self._failures.note(f"timer of a {type(entry).__name__}", error)
            entry.due = now + AGAIN
