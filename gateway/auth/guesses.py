"""Slowing down of password guessing, without slowing down valid logins, even many from one
address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import RLock
from typing import Final

from broker.timing.readings import Monotonic
from gateway.budget.addresses import network_of
from gateway.budget.budgets import Budgets
from gateway.budget.table import FAILED_LOGINS
from gateway.errors import TooManyGuesses

#: Wrong passwords for one account before guessing is slowed down: from one address, and from all.
FREE_FROM_ONE: Final = 5
FREE_FROM_ALL: Final = 10
#: Seconds to wait after the next wrong one; doubled after each that follows, up to the longest.
_FIRST: Final = 1.0
#: Doublings at most: a large power does not fit a float.
_DOUBLINGS: Final = 20
#: Short enough for a user who knows the password and is kept out by a guessing neighbour behind the
#: same address.
_LONGEST_FROM_ONE: Final = 60.0
_LONGEST_FROM_ALL: Final = 30.0
#: For the first attempt of an address that was never wrong there.
_LONGEST_FRESH: Final = 10.0
#: Seconds after which a wrong password is forgotten.
_FORGOTTEN: Final = 3600.0
#: Accounts, and pairs of account and address, that are remembered.
_CAPACITY: Final = 10_000


@dataclass(slots=True)
class _Count:
    """The wrong passwords for one key."""

    last: float
    wait_until: float
    wrong: int = 0


class _Slowing:
    """A growing pause per key: none for ``free`` wrong passwords, then one that doubles up to
    ``longest`` seconds."""

    def __init__(self, *, free: int, longest: float) -> None:
        self._free = free
        self._longest = longest
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def wait(self, key: Hashable, now: float) -> float:
        count = self._counts.get(key)
        return max(0.0, count.wait_until - now) if count else 0.0

    def wrong(self, key: Hashable, now: float) -> None:
        count = self._counts.setdefault(key, _Count(last=now, wait_until=now))
        if now - count.last > _FORGOTTEN:
            count.wrong = 0
        count.wrong += 1
        count.last = now
        if (beyond := count.wrong - self._free) > 0:
            doublings = min(beyond - 1, _DOUBLINGS)
            count.wait_until = now + min(_FIRST * 2**doublings, self._longest)
        self._counts.move_to_end(key)
        if len(self._counts) > _CAPACITY:
            self._counts.popitem(last=False)

    def has(self, key: Hashable, now: float) -> bool:
        """Whether there was a wrong password for the key within the last hour."""
        count = self._counts.get(key)
        return count is not None and now - count.last <= _FORGOTTEN

    def keep(self, key: Hashable) -> None:
        """Forget this key after all others, when there are too many."""
        if key in self._counts:
            self._counts.move_to_end(key)

    def forget(self, key: Hashable) -> None:
        self._counts.pop(key, None)


class Guesses:
    """Recent failed logins: by address, by account, and by both.

    The ``budgets`` say how many failures are accepted from one address; valid logins are
    not counted, so a school behind one address never notices. Nor does somebody who has logged in
    from there before, when a neighbour's program fails all the time. After some wrong passwords
    from anywhere an account is slowed down for everybody, except for addresses from which it has
    logged in before: its owner goes on.

    Nobody is locked out for good. An address that was wrong at the account waits with all that
    were; one that never was has turns of its own, which an attacker can take once with each
    address. So the right password gets in from anywhere when the attacker's addresses are used up.
    An address is a network of IPv6 (:func:`network_of`). May be used by several threads.
    """

    def __init__(self, budgets: Budgets, *, clock: Monotonic) -> None:
        self._clock = clock
        self._addresses = budgets.rate(FAILED_LOGINS)
        self._accounts = _Slowing(free=FREE_FROM_ALL, longest=_LONGEST_FROM_ALL)
        self._pairs = _Slowing(free=FREE_FROM_ONE, longest=_LONGEST_FROM_ONE)
        self._fresh = _Slowing(free=FREE_FROM_ALL, longest=_LONGEST_FRESH)
        #: Pairs of account and address with a valid login, the latest last.
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = RLock()

    def check(self, address: str, user: str | None = None) -> None:
        """Check that an attempt may be made; ``user`` None: with a token. Raises
        :class:`TooManyGuesses` with the seconds to wait."""
        with self._lock:
            if user is None or not self.trusts(address, user):
                self._addresses.check(address)
            if user is not None and (wait := self._wait(address, user)):
                raise TooManyGuesses(
                    "too many wrong passwords for this account; wait before the next one",
                    retry_after=wait,
                )

    def trusts(self, address: str, user: str) -> bool:
        """Whether the user has logged in from there before."""
        with self._lock:
            return (user, network_of(address)) in self._trusted

    def _wait(self, address: str, user: str) -> float:
        now, pair = self._clock(), (user, network_of(address))
        wait = self._pairs.wait(pair, now)
        if pair in self._trusted:
            return wait
        everybody = self._accounts if self._pairs.has(pair, now) else self._fresh
        return max(wait, everybody.wait(user, now))

    def wrong(self, address: str, user: str | None = None) -> None:
        """Count a failed attempt."""
        with self._lock:
            self._addresses.spend(address)
            if user is not None:
                now, pair = self._clock(), (user, network_of(address))
                if self._pairs.has(pair, now):
                    self._fresh.keep(user)
                else:
                    self._fresh.wrong(user, now)
                self._pairs.wrong(pair, now)
                self._accounts.wrong(user, now)

    def right(self, address: str, user: str) -> None:
        """Note that the password was right."""
        with self._lock:
            pair = user, network_of(address)
            self._pairs.forget(pair)
            self._trusted[pair] = None
            self._trusted.move_to_end(pair)
            if len(self._trusted) > _CAPACITY:
                self._trusted.popitem(last=False)
