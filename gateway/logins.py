"""Logging in and out, where accounts, the store and the live connections must agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.auth.accounts import Accounts
from gateway.auth.sessions import Sessions
from gateway.domain.identity import Identity
from gateway.domain.session import LoginSession, Proof
from gateway.errors import NotAuthenticated
from gateway.store import Account

#: Times that an account may change while its password is being checked.
_ATTEMPTS: Final = 3


class SessionStore(Protocol):
    async def add_session(self, session: LoginSession, account: Account | None = None) -> bool:
        """False: the account is not what it was any more, and nothing is remembered."""


class Endings(Protocol):
    async def end(self, session: LoginSession) -> None:
        """Here it has ended when this returns, on the other gateways within a second."""


class Logins:
    """Everything raises :class:`StoreUnavailable`. ``clock`` is Unix time."""

    def __init__(
        self,
        *,
        store: SessionStore,
        accounts: Accounts[Account],
        sessions: Sessions,
        endings: Endings,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._sessions = sessions
        self._endings = endings
        self._clock = clock

    async def by_password(self, user: str, password: str, *, address: str) -> Identity:
        """A session of the account, unless it changes or goes while the password is checked: what
        ends its sessions then must not miss this one. Raises what :meth:`Accounts.check` raises."""
        for _ in range(_ATTEMPTS):
            account = await self._accounts.prove(user, password, address=address)
            proven = Identity(account.user, account.roles, math.inf)
            opened = self._sessions.open(proven)
            if await self._store.add_session(self._record(opened, Proof.PASSWORD), account):
                return opened
        raise NotAuthenticated("the account has changed meanwhile: log in again")

    async def by_token(self, identity: Identity) -> Identity:
        """A session for the user of a token."""
        opened = self._sessions.open(identity)
        await self._store.add_session(self._record(opened, Proof.TOKEN))
        return opened

    async def log_out(self, identity: Identity) -> None:
        """End the session, with all that was opened by it."""
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
