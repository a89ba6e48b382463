"""Token buckets: how often, or how much, each key may have. Pure: the time is handed in."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import nsmallest
from typing import Final, NamedTuple

#: Keys that are remembered for each scope of a budget.
CAPACITY: Final = 10_000
#: The part of them that is forgotten at a time, so that a sweep is rare.
_SWEPT: Final = 8
#: Seconds below which a wait is a rounding error.
_ROUNDING: Final = 1e-9


class Rate(NamedTuple):
    """A rate: ``burst`` at once, then ``per_second``."""

    per_second: float
    burst: float


class Buckets:
    """A token bucket for each key, all with one rate.

    A bucket is one number: the time when it will be full again, so a full one need not be
    remembered. At most ``capacity`` keys are. Beyond that, those that are nearest to full are
    forgotten, and from then on a key that is not known counts as the emptiest of them, but never
    as quite empty: nobody gets a fresh bucket by pushing their own key out with others, and nobody
    who is new is kept out.
    """

    __slots__ = ("_burst", "_capacity", "_floor", "_full_at", "_interval")

    def __init__(self, rate: Rate, *, capacity: int = CAPACITY) -> None:
        self._full_at: dict[Hashable, float] = {}
        #: When the bucket of a key that is not known will be full.
        self._floor = 0.0
        self._capacity = capacity
        self._interval = 1 / rate.per_second
        self._burst = rate.burst * self._interval

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._full_at)

    def replace(self, rate: Rate, now: float) -> None:
        """Use this rate from now on. What was taken before stays taken, and comes back as fast as
        this rate says, if that is faster."""
        faster = min(1.0, 1 / rate.per_second / self._interval)
        self._interval = 1 / rate.per_second
        self._burst = rate.burst * self._interval
        for key, full_at in self._full_at.items():
            self._full_at[key] = now + (full_at - now) * faster
        self._floor = min(now + (self._floor - now) * faster, self._empty(now))

    def wait(self, key: Hashable, now: float, cost: float = 1.0, kept: float = 0.0) -> float:
        """Seconds until ``cost`` may be taken; 0: now. A cost above the burst needs a full bucket.

        ``kept``: the part of the bucket, from 0 to 1, that is kept for others. ``now`` never goes
        back.
        """
        owed = max(self._full_at.get(key, self._floor) - now, 0.0)
        room = self._burst * (1.0 - kept)
        wait = owed + min(cost * self._interval, room) - room
        return wait if wait > _ROUNDING else 0.0

    def take(self, key: Hashable, now: float, cost: float = 1.0, kept: float = 0.0) -> bool:
        """Take ``cost`` if it is there. False: it is not, see :meth:`wait`."""
        full_at = self._full_at.get(key)
        if full_at is None:
            full_at = self._floor
        full_at = max(full_at, now)
        after = full_at + cost * self._interval
        room = self._burst * (1.0 - kept) if kept else self._burst
        if after - now > room + _ROUNDING and self.wait(key, now, cost, kept):
            return False
        self._put(key, now, after)
        return True

    def spend(self, key: Hashable, now: float, cost: float = 1.0) -> None:
        """Take ``cost``, whether it is there or not; give it back, if it is below zero."""
        full_at = max(now, self._full_at.get(key, self._floor)) + cost * self._interval
        self._put(key, now, full_at)

    def _put(self, key: Hashable, now: float, full_at: float) -> None:
        if key not in self._full_at and len(self._full_at) >= self._capacity:
            self._sweep(now)
        self._full_at[key] = full_at

    def _sweep(self, now: float) -> None:
        """Forget full buckets; if that is not enough, those that are nearest to it."""
        full_at = self._full_at
        enough = self._capacity - max(1, self._capacity // _SWEPT)
        for key in [key for key, at in full_at.items() if at <= now]:
            del full_at[key]
        beyond = len(full_at) - enough
        for key in nsmallest(beyond, full_at, key=full_at.__getitem__):
            self._floor = max(self._floor, full_at.pop(key))
        self._floor = min(self._floor, self._empty(now))

    def _empty(self, now: float) -> float:
        """The time at which a bucket that has one left will be full."""
        return now + self._burst - self._interval
