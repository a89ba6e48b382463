"""Guessing passwords is slowed; logging in rightly is not, however many do it from one address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import RLock
from typing import Final

from gateway.errors import RateLimited, TooManyGuesses
from gateway.rates import RateLimiter

#: Wrong passwords for one account before guessing is slowed: from one address, and from everywhere.
FREE_FROM_ONE: Final = 5
FREE_FROM_ALL: Final = 10
#: Seconds to wait after the next one; twice as long after each that follows, up to the longest.
_FIRST: Final = 1.0
#: No longer than somebody waits who knows the password, and whom a neighbour behind the same
#: address keeps out by guessing.
_LONGEST_FROM_ONE: Final = 60.0
_LONGEST_FROM_ALL: Final = 30.0
#: Seconds after which a wrong password is forgotten.
_FORGOTTEN: Final = 3600.0
#: Accounts, and pairs of account and address, that are remembered.
_CAPACITY: Final = 10_000


@dataclass(slots=True)
class _Count:
    wrong: int = 0
    last: float = 0.0
    wait_until: float = 0.0


class _Slowing:
    """``free`` wrong ones for each key, then a pause that doubles up to ``longest`` seconds."""

    def __init__(self, *, free: int, longest: float) -> None:
        self._free = free
        self._longest = longest
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def wait(self, key: Hashable, now: float) -> float:
        count = self._counts.get(key)
        return max(0.0, count.wait_until - now) if count else 0.0

    def wrong(self, key: Hashable, now: float) -> None:
        count = self._counts.setdefault(key, _Count())
        if now - count.last > _FORGOTTEN:
            count.wrong = 0
        count.wrong += 1
        count.last = now
        if (beyond := count.wrong - self._free) > 0:
            # The exponent is bounded, too: the power of a large one is no float any more.
            count.wait_until = now + min(_FIRST * 2 ** min(beyond - 1, 20), self._longest)
        self._counts.move_to_end(key)
        if len(self._counts) > _CAPACITY:
            self._counts.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self._counts.pop(key, None)


class Guesses:
    """What was proven wrong lately: by address, by account, and by both.

    ``per_minute`` failures of one address are taken; right ones are not counted, so a school that
    logs in behind one address never notices. An account is slowed for everybody after some wrong
    passwords from wherever they come, but not for the addresses from which it has logged in
    rightly: its owner goes on. Nobody is locked out for good. ``clock`` gives seconds and never
    goes back. May be used by several threads.
    """

    def __init__(self, *, per_minute: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses = RateLimiter(per_minute / 60, max(1, int(per_minute)), clock=clock)
        self._accounts = _Slowing(free=FREE_FROM_ALL, longest=_LONGEST_FROM_ALL)
        self._pairs = _Slowing(free=FREE_FROM_ONE, longest=_LONGEST_FROM_ONE)
        #: Pairs of account and address that have logged in rightly, the last one last.
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = RLock()

    def replace(self, *, per_minute: float) -> None:
        """Let this count for addresses from now on."""
        with self._lock:
            self._addresses.replace(per_minute / 60, max(1, int(per_minute)))

    def check(self, address: str, user: str | None = None) -> None:
        """Whether an attempt may be made; ``user`` None: with a token. Raises
        :class:`TooManyGuesses` with the seconds to wait."""
        with self._lock:
            try:
                self._addresses.peek(address)
            except RateLimited as error:
                raise TooManyGuesses(
                    "too many failed logins from your address", retry_after=error.retry_after
                ) from None
            if user is None:
                return
            now, pair = self._clock(), (user, address)
            wait = self._pairs.wait(pair, now)
            if pair not in self._trusted:
                wait = max(wait, self._accounts.wait(user, now))
            if wait:
                raise TooManyGuesses(
                    "too many wrong passwords for this account; wait before the next one",
                    retry_after=wait,
                )

    def wrong(self, address: str, user: str | None = None) -> None:
        """An attempt has failed."""
        with self._lock:
            self._addresses.take(address)
            if user is not None:
                now = self._clock()
                self._pairs.wrong((user, address), now)
                self._accounts.wrong(user, now)

    def right(self, address: str, user: str) -> None:
        """The password was the account's."""
        with self._lock:
            pair = user, address
            self._pairs.forget(pair)
            self._trusted[pair] = None
            self._trusted.move_to_end(pair)
            if len(self._trusted) > _CAPACITY:
                self._trusted.popitem(last=False)
