"""The bytes that are kept in memory for clients, by connection, by user and in all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from gateway.budget.budgets import most_of, refusal
from gateway.budget.table import Budget, Limit
from gateway.errors import GatewayError
from gateway.limits import LiveLimits

#: When too much is kept in all, connections end until so much of the limit is left free: looking
#: for the right ones takes a walk over all of them.
_FREED: Final = 0.1


class Owner(Protocol):
    """The connection for which bytes are kept."""

    @property
    def is_host(self) -> bool:
        """Whether it is to be spared as long as there are others."""

    def cut_short(self, error: GatewayError) -> None:
        """Drop what is kept, tell the client why, and close; at once and only once."""


class Account:
    """The bytes kept for one connection. Made by :meth:`BytesInHand.account`."""

    __slots__ = ("_closed", "_kept", "_pool", "_share", "owner")

    def __init__(self, pool: BytesInHand, owner: Owner) -> None:
        self.owner = owner
        self._pool = pool
        self._share: _Share | None = None
        self._kept = 0
        self._closed = False

    @property
    def kept(self) -> int:
        return self._kept

    def keep(self, size: int) -> None:
        """So many bytes are kept now; says nothing after :meth:`close`."""
        change = size - self._kept
        if change and not self._closed:
            self._kept = size
            self._pool.changed(self._share, change)

    def belongs_to(self, user: str) -> None:
        """The connection has turned out to be this user's."""
        if self._share is None:
            self._share = self._pool.share(user)
            self._share.join(self)

    def close(self) -> None:
        """Nothing is kept any more; any number of times."""
        self.keep(0)
        self._closed = True
        self._pool.forget(self)
        if self._share is not None:
            self._share.leave(self)
            self._share = None


class _Share:
    """The bytes kept for one user."""

    __slots__ = ("_shares", "_user", "accounts", "kept")

    def __init__(self, user: str, shares: dict[str, _Share]) -> None:
        self._user = user
        self._shares = shares
        self.accounts: set[Account] = set()
        self.kept = 0

    def join(self, account: Account) -> None:
        self.accounts.add(account)
        self.kept += account.kept

    def leave(self, account: Account) -> None:
        """The account keeps nothing any more."""
        self.accounts.discard(account)
        if not self.accounts:
            self._shares.pop(self._user, None)


class BytesInHand:
    """The bytes of one ``budget``, for all connections.

    Beyond one of its limits, the connections with the most bytes end, those of hosts last.
    ``at_least`` gives what every user may have, however low the limit is.
    """

    def __init__(
        self,
        budget: Budget,
        limits: LiveLimits,
        *,
        met: Counter[str],
        at_least: Callable[[], int] = lambda: 0,
    ) -> None:
        self.kept = 0
        self._budget = budget
        self._of_user, self._in_all = budget.limits
        self._limits = limits
        self._met = met
        self._at_least = at_least
        self._accounts: set[Account] = set()
        self._shares: dict[str, _Share] = {}
        self._suspects: set[_Share] = set()
        self._ending: asyncio.Handle | None = None

    def account(self, owner: Owner) -> Account:
        """An account of a new connection, to be closed with it."""
        account = Account(self, owner)
        self._accounts.add(account)
        return account

    def of(self, user: str) -> int:
        """The bytes kept for a user."""
        share = self._shares.get(user)
        return 0 if share is None else share.kept

    def share(self, user: str) -> _Share:
        """A user's part; for accounts."""
        share = self._shares.get(user)
        if share is None:
            share = self._shares[user] = _Share(user, self._shares)
        return share

    def forget(self, account: Account) -> None:
        """The account is closed; for accounts."""
        self._accounts.discard(account)

    def changed(self, share: _Share | None, change: int) -> None:
        """So many more bytes are kept; for accounts."""
        self.kept += change
        if share is not None:
            share.kept += change
        if change <= 0:
            return
        too_many = self.kept > self._most(self._in_all)
        if share is not None and share.kept > self._most(self._of_user):
            self._suspects.add(share)
            too_many = True
        if too_many and self._ending is None:
            # Not here: whoever writes is in the middle of something.
            self._ending = asyncio.get_running_loop().call_soon(self._end_some)

    def _end_some(self) -> None:
        self._ending = None
        suspects, self._suspects = self._suspects, set()
        most = self._most(self._of_user)
        for share in suspects:
            if share.kept > most:
                self._end(share.accounts, self._of_user, kept=share.kept, until=most)
        most = self._most(self._in_all)
        if self.kept > most:
            until = int((1 - _FREED) * most)
            self._end(self._accounts, self._in_all, kept=self.kept, until=until)

    def _most(self, limit: Limit) -> int:
        return max(most_of(limit, self._limits.now), self._at_least())

    def _end(self, accounts: Iterable[Account], limit: Limit, *, kept: int, until: int) -> None:
        """End the connections with the most bytes, until so many are kept."""
        holding = [account for account in accounts if account.kept]
        for account in sorted(holding, key=lambda each: (each.owner.is_host, -each.kept)):
            if kept <= until:
                return
            kept -= account.kept
            account.owner.cut_short(refusal(self._budget, limit, self._met, most=self._most(limit)))
