"""Logging in and out, where accounts, the store and the live connections must agree."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.timing.readings import UnixTime
from gateway.auth.accounts import Accounts
from gateway.auth.sessions import Sessions
from gateway.budget.budgets import Budgets
from gateway.budget.table import USER_LOGINS
from gateway.domain.identity import Identity
from gateway.domain.session import LoginSession, Proof
from gateway.errors import NotAuthenticated
from gateway.store import Account

#: Times that an account may change while its password is being checked.
_ATTEMPTS: Final = 3


class SessionStore(Protocol):
    """The store of logins."""

    async def add_session(self, session: LoginSession, account: Account | None = None) -> bool:
        """Store a login. False, and nothing is stored: the account has changed meanwhile."""


class Endings(Protocol):
    """The revocation of sessions."""

    async def end(self, session: LoginSession) -> None:
        """End the session: on this gateway before this returns, on the others within a second."""


class Logins:
    """Logging in and out. Every method raises :class:`StoreUnavailable`."""

    def __init__(
        self,
        *,
        store: SessionStore,
        accounts: Accounts[Account],
        sessions: Sessions,
        endings: Endings,
        budgets: Budgets,
        clock: UnixTime,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._sessions = sessions
        self._endings = endings
        self._rate = budgets.rate(USER_LOGINS)
        self._clock = clock

    async def by_password(self, user: str, password: str, *, address: str) -> Identity:
        """Open a session for an account, unless the account changes or is removed while the
        password is checked: a revocation of its sessions must not miss this one. Raises the errors
        of :meth:`Accounts.check`, and :class:`TooManyLogins`: only those with the right password
        count, so that nobody keeps out somebody else.
        """
        # Before the password is checked, which costs most.
        self._rate.check(user)
        for _ in range(_ATTEMPTS):
            account = await self._accounts.prove(user, password, address=address)
            proven = Identity(account.user, account.roles, math.inf)
            self._rate.take(account.user)
            opened = self._sessions.open(proven)
            if await self._store.add_session(self._record(opened, Proof.PASSWORD), account):
                return opened
        raise NotAuthenticated("the account has changed meanwhile; log in again")

    async def by_token(self, identity: Identity) -> Identity:
        """Open a session for the user of a token. Raises :class:`TooManyLogins`."""
        self._rate.take(identity.user)
        opened = self._sessions.open(identity)
        await self._store.add_session(self._record(opened, Proof.TOKEN))
        return opened

    async def log_out(self, identity: Identity) -> None:
        """End the session and everything that it has opened."""
        if identity.session is not None:
            await self._endings.end(self._record(identity, Proof.TOKEN))

    def _record(self, identity: Identity, proof: Proof) -> LoginSession:
        return LoginSession(
            id=identity.session or "",
            user=identity.user,
            proof=proof,
            since=datetime.fromtimestamp(self._clock(), UTC),
            until=datetime.fromtimestamp(identity.expires_at, UTC),
        )
