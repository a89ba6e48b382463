"""Token buckets: limits on how often one address, or one user, may do something."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from gateway.errors import RateLimited


class Rate(NamedTuple):
    """A rate of tokens: ``burst`` at once, then ``per_second``."""

    per_second: float
    burst: int


class RateLimiter:
    """A token bucket for each key.

    ``rate`` gives the rate that is in force now; when it changes, tokens taken before stay taken.
    ``clock`` gives seconds and never goes back. At most ``capacity`` keys are remembered; beyond
    that, the key that was longest unused starts afresh.
    """

    def __init__(
        self, rate: Callable[[], Rate], *, clock: Callable[[], float], capacity: int = 10_000
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = capacity
        # One number per bucket: the time when it will be full again. A full one need not be
        # remembered.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def check(self, key: Hashable) -> None:
        """Take one token. Raises :class:`RateLimited` with the seconds until there is one."""
        self.peek(key)
        self.take(key)

    def peek(self, key: Hashable) -> None:
        """As :meth:`check`, without taking one."""
        now, rate = self._clock(), self._rate()
        allowance = (rate.burst - 1) / rate.per_second
        wait = self._full_at.get(key, now) - allowance - now
        if wait > 0:
            raise RateLimited("too many requests; slow down", retry_after=wait)

    def take(self, key: Hashable) -> None:
        """Take one token, whether there is one or not."""
        now = self._clock()
        self._full_at[key] = max(now, self._full_at.get(key, now)) + 1 / self._rate().per_second
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)
