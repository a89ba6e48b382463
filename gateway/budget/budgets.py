"""The enforcement of the table's rows, and the counts of where they were met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final, NoReturn

from broker.timing.readings import Monotonic
from gateway.budget.addresses import network_of
from gateway.budget.cap import IN_ALL, Lease, Places
from gateway.budget.rank import Rank
from gateway.budget.rate import CAPACITY, Buckets, Rate
from gateway.budget.table import TABLE, Budget, Form, Limit, Scope
from gateway.config import Limits
from gateway.errors import GatewayError
from gateway.limits import LiveLimits

#: Seconds in the time that a rate's key names.
_SECONDS: Final = {"second": 1, "minute": 60}


def rate_of(limit: Limit, limits: Limits) -> Rate:
    """The rate that the configuration gives to a limit."""
    key, *burst = limit.keys
    amount = getattr(limits, key)
    return Rate(
        amount / _SECONDS[key.rpartition("_")[2]],
        getattr(limits, burst[0]) if burst else max(1, int(amount)),
    )


def most_of(limit: Limit, limits: Limits) -> int:
    """The number that the configuration gives to a limit of what stands."""
    most: int = getattr(limits, limit.keys[0])
    return most


class Budgets:
    """All budgets of a gateway. ``limits`` are those in force, ``clock`` must never go back."""

    def __init__(self, limits: LiveLimits, *, clock: Monotonic) -> None:
        #: How often each limit was met since the start: refused, or made to wait.
        self.met: Counter[str] = Counter(
            {budget.met(limit): 0 for budget in TABLE for limit in budget.limits}
        )
        self._limits = limits
        self._clock = clock
        self._rates: dict[str, RateBudget] = {}
        self._caps: dict[str, CapBudget] = {}

    def rate(self, budget: Budget, *, capacity: int = CAPACITY) -> RateBudget:
        """The enforcement of a rate, the same one for everybody who asks."""
        if budget.name not in self._rates:
            self._rates[budget.name] = RateBudget(
                budget, self._limits, self.met, clock=self._clock, capacity=capacity
            )
        return self._rates[budget.name]

    def cap(self, budget: Budget) -> CapBudget:
        """The enforcement of a cap, the same one for everybody who asks."""
        if budget.name not in self._caps:
            self._caps[budget.name] = CapBudget(budget, self._limits, self.met)
        return self._caps[budget.name]


class RateBudget:
    """The buckets of one row, by its scopes. :class:`Budgets` makes it."""

    __slots__ = (
        "_buckets",
        "_budget",
        "_by_address",
        "_clock",
        "_in_force",
        "_keys",
        "_limits",
        "_met",
        "_shares",
    )

    def __init__(
        self,
        budget: Budget,
        limits: LiveLimits,
        met: Counter[str],
        *,
        clock: Monotonic,
        capacity: int,
    ) -> None:
        if budget.form is not Form.RATE:
            raise ValueError(f"{budget.name} is no rate")
        self._budget = budget
        self._met = met
        self._limits = limits
        self._in_force = limits.now
        self._clock = clock
        self._buckets = tuple(
            Buckets(rate_of(limit, limits.now), capacity=capacity) for limit in budget.limits
        )
        self._keys = _all_last(budget)
        self._by_address = _address_at(budget)
        self._shares = tuple(limit.hosts_first for limit in budget.limits)

    def take(self, *keys: Hashable, cost: float = 1.0, rank: Rank = Rank.PARTICIPANT) -> None:
        """Take ``cost`` from the bucket of each key, or nothing. Raises the row's error."""
        now = self._clock()
        if self._limits.now is not self._in_force:
            self._replace()
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        for number, key in enumerate(keys + self._keys if self._keys else keys):
            if key is not None and not self._buckets[number].take(
                key, now, cost, rank / 100 if self._shares[number] else 0.0
            ):
                self._take(now, (keys + self._keys)[:number], -cost)
                self._refuse(*self._longest(now, keys, cost, rank))

    def check(self, *keys: Hashable, cost: float = 1.0, rank: Rank = Rank.PARTICIPANT) -> None:
        """As :meth:`take`, and take nothing: for what costs only if it fails, or whose cost is
        known later."""
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        limit, wait = self._longest(self._clock(), keys, cost, rank)
        if wait:
            self._refuse(limit, wait)

    def take_if_there(self, *keys: Hashable, cost: float = 1.0) -> bool:
        """Take ``cost`` if it is there, for what nobody has asked for: no refusal is counted."""
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        now = self._clock()
        _, wait = self._longest(now, keys, cost, Rank.PARTICIPANT)
        if not wait:
            self._take(now, keys + self._keys, cost)
        return not wait

    def spend(self, *keys: Hashable, cost: float = 1.0) -> None:
        """Take ``cost``, whether it is there or not: it was done already."""
        if self._limits.now is not self._in_force:
            self._replace()
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        self._take(self._clock(), keys + self._keys, cost)

    def reserve(
        self,
        *keys: Hashable,
        within: float,
        cost: float = 1.0,
        rank: Rank = Rank.PARTICIPANT,
    ) -> float:
        """Take ``cost``, which may be there only later; the seconds until then, for the caller to
        wait. Raises the row's error, and takes nothing, if they are more than ``within``."""
        now = self._clock()
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        limit, wait = self._longest(now, keys, cost, rank)
        if wait > within:
            self._refuse(limit, wait - within)
        if wait:
            self._met[self._budget.met(limit)] += 1
        self._take(now, keys + self._keys, cost)
        return wait

    def _longest(
        self, now: float, keys: tuple[Hashable, ...], cost: float, rank: Rank
    ) -> tuple[Limit, float]:
        """The limit that makes one wait longest, and the seconds."""
        if self._limits.now is not self._in_force:
            self._replace()
        waits = [
            0.0 if key is None else buckets.wait(key, now, cost, rank / 100 if share else 0.0)
            for buckets, key, share in zip(
                self._buckets, keys + self._keys, self._shares, strict=True
            )
        ]
        longest = max(waits)
        return self._budget.limits[waits.index(longest)], longest

    def _take(self, now: float, keys: tuple[Hashable, ...], cost: float) -> None:
        """Take from the first buckets, as many as there are ``keys``."""
        for buckets, key in zip(self._buckets, keys, strict=False):
            if key is not None:
                buckets.spend(key, now, cost)

    def _replace(self) -> None:
        """Other limits are in force."""
        self._in_force = self._limits.now
        now = self._clock()
        for limit, buckets in zip(self._budget.limits, self._buckets, strict=True):
            buckets.replace(rate_of(limit, self._in_force), now)

    def _refuse(self, limit: Limit, seconds: float) -> NoReturn:
        _refuse(self._budget, limit, self._met, retry_after=seconds, most=0)


class CapBudget:
    """The places of one row, by its scopes. :class:`Budgets` makes it."""

    __slots__ = ("_budget", "_by_address", "_keys", "_limits", "_met", "_places")

    def __init__(self, budget: Budget, limits: LiveLimits, met: Counter[str]) -> None:
        if budget.form is not Form.CAP:
            raise ValueError(f"{budget.name} is no cap")
        self._budget = budget
        self._limits = limits
        self._met = met
        self._places = tuple(Places() for _ in budget.limits)
        self._keys = _all_last(budget)
        self._by_address = _address_at(budget)

    def take(self, *keys: Hashable, amount: int = 1, rank: Rank = Rank.PARTICIPANT) -> Lease:
        """A place for each key. Raises the row's error, and takes none."""
        self.check(*keys, amount=amount, rank=rank)
        return self.hold(*keys, amount=amount)

    def check(self, *keys: Hashable, amount: int = 1, rank: Rank = Rank.PARTICIPANT) -> None:
        """As :meth:`take`, and take none."""
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        limits = self._limits.now
        for limit, places, key in zip(
            self._budget.limits, self._places, keys + self._keys, strict=True
        ):
            if key is None:
                continue
            most = most_of(limit, limits)
            if places.taken(key) + amount > _open_to(rank, limit, most):
                _refuse(self._budget, limit, self._met, retry_after=limit.retry_after, most=most)

    def hold(self, *keys: Hashable, amount: int = 1) -> Lease:
        """A place for each key, whether there is one or not: for what was checked before."""
        if self._by_address is not None:
            keys = _by_network(keys, self._by_address)
        return Lease(
            [
                (places, key)
                for places, key in zip(self._places, keys + self._keys, strict=True)
                if key is not None
            ],
            amount,
        )

    def check_counted(self, *standing: int | None, rank: Rank = Rank.PARTICIPANT) -> None:
        """As :meth:`check` for one more, where the caller itself knows how many there are: so many
        by each of the row's scopes, None where one does not count."""
        if (error := self.against(*standing, rank=rank)) is not None:
            self.count(error)
            raise error

    def against(self, *standing: int | None, rank: Rank = Rank.PARTICIPANT) -> GatewayError | None:
        """The error that :meth:`check_counted` would raise. It is not counted: callers that can
        make room :meth:`count` it when they refuse."""
        limits = self._limits.now
        for limit, count in zip(self._budget.limits, standing, strict=True):
            most = most_of(limit, limits)
            if count is not None and count >= _open_to(rank, limit, most):
                return _error(self._budget, limit, retry_after=limit.retry_after, most=most)
        return None

    def count(self, error: GatewayError) -> None:
        """Count a refusal by this budget."""
        if (name := error.budget) is not None and name in self._met:
            self._met[name] += 1

    def taken(self, scope: Scope, key: Hashable = IN_ALL) -> int:
        """The places that are taken now by one key of a scope."""
        for limit, places in zip(self._budget.limits, self._places, strict=True):
            if limit.scope is scope:
                by_network = scope is Scope.ADDRESS and isinstance(key, str)
                return places.taken(network_of(key) if by_network else key)
        raise LookupError(f"{self._budget.name} is not counted by {scope}")


def _open_to(rank: Rank, limit: Limit, most: int) -> int:
    """The part of a limit that is not kept for others."""
    return most - (most * rank // 100 if limit.hosts_first else 0)


def _address_at(budget: Budget) -> int | None:
    """The place of the address among a row's scopes."""
    scopes = [limit.scope for limit in budget.limits]
    return scopes.index(Scope.ADDRESS) if Scope.ADDRESS in scopes else None


def _by_network(keys: tuple[Hashable, ...], at: int) -> tuple[Hashable, ...]:
    address = keys[at]
    if not isinstance(address, str):
        return keys
    return (*keys[:at], network_of(address), *keys[at + 1 :])


def _all_last(budget: Budget) -> tuple[Hashable, ...]:
    """The key of the scope "in all", which no caller gives; it stands last in its row."""
    scopes = [limit.scope for limit in budget.limits]
    if Scope.ALL in scopes[:-1]:
        raise ValueError(f"{budget.name}: the scope 'all' must be the last one")
    return (IN_ALL,) if scopes[-1] is Scope.ALL else ()


def _refuse(
    budget: Budget, limit: Limit, met: Counter[str], *, retry_after: float | None, most: int
) -> NoReturn:
    met[budget.met(limit)] += 1
    raise _error(budget, limit, retry_after=retry_after, most=most)


def _error(budget: Budget, limit: Limit, *, retry_after: float | None, most: int) -> GatewayError:
    name = budget.met(limit)
    if limit.error is None:
        raise TypeError(f"{name} refuses nothing: reserve, and wait")
    error = limit.error(limit.says.format(most=most), retry_after=retry_after)
    error.budget = name
    return error


def refusal(budget: Budget, limit: Limit, met: Counter[str], *, most: int) -> GatewayError:
    """The error for who has met a limit that another module enforces; it is counted."""
    met[budget.met(limit)] += 1
    return _error(budget, limit, retry_after=limit.retry_after, most=most)
