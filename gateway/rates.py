"""Token buckets: limits on how often one address, or one user, may do something."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from broker.timing.readings import Monotonic
from gateway.errors import RateLimited

#: Keys that are remembered.
CAPACITY: Final = 10_000


class Rate(NamedTuple):
    """A rate of tokens: ``burst`` at once, then ``per_second``."""

    per_second: float
    burst: int


class RateLimiter:
    """A token bucket for each key.

    ``rate`` gives the rate that is in force now; when it changes, tokens taken before stay taken.
    At most ``capacity`` keys are remembered; beyond that, the key that was longest unused starts
    afresh.
    """

    def __init__(
        self, rate: Callable[[], Rate], *, clock: Monotonic, capacity: int = CAPACITY
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = capacity
        # One number per bucket: the time when it will be full again. A full one need not be
        # remembered.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def check(self, key: Hashable) -> None:
        """Take one token. Raises :class:`RateLimited` with the seconds until there is one."""
        now, rate = self._clock(), self._rate()
        self._take(key, now, rate, self._full_at_or_raise(key, now, rate))

    def peek(self, key: Hashable) -> None:
        """As :meth:`check`, without taking one."""
        self._full_at_or_raise(key, self._clock(), self._rate())

    def take(self, key: Hashable) -> None:
        """Take one token, whether there is one or not."""
        now = self._clock()
        self._take(key, now, self._rate(), self._full_at.get(key, now))

    def _full_at_or_raise(self, key: Hashable, now: float, rate: Rate) -> float:
        """The time at which the bucket will be full again, if there is a token in it."""
        full_at = self._full_at.get(key, now)
        wait = full_at - (rate.burst - 1) / rate.per_second - now
        if wait > 0:
            raise RateLimited("too many requests; slow down", retry_after=wait)
        return full_at

    def _take(self, key: Hashable, now: float, rate: Rate, full_at: float) -> None:
        self._full_at[key] = max(now, full_at) + 1 / rate.per_second
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)
