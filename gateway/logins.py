"""Logging in and out, where accounts, the store and the live connections must agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from broker.timing.readings import UnixTime
from gateway.auth import revocations
from gateway.auth.accounts import Accounts
from gateway.auth.known_sessions import KnownSessions
from gateway.auth.sessions import Sessions
from gateway.budget.budgets import Budgets
from gateway.budget.table import USER_LOGINS
from gateway.domain.identity import Identity
from gateway.domain.revocation import Revocation, TokenMark
from gateway.domain.session import LoginSession, Proof
from gateway.errors import (
    GatewayError,
    NoCapacity,
    NotAuthenticated,
    RateLimited,
    UnknownSession,
)
from gateway.store import Account
from gateway.store.sessions import SessionRefusal

#: Times that an account may change while its password is being checked.
_ATTEMPTS: Final = 3


class LoginOutcome(StrEnum):
    """The outcomes of logins that are counted: by a password or a token; a wrong one; refused by a
    limit, unchecked."""

    PASSWORD = "password"  # noqa: S105 - the kind, not one
    TOKEN = "token"  # noqa: S105
    WRONG = "wrong"
    REFUSED = "refused"


class SessionStore(Protocol):
    """The store of logins."""

    async def add_session(
        self,
        session: LoginSession,
        account: Account | None = None,
        *,
        most: int | None,
        refusal: SessionRefusal | None,
    ) -> bool:
        """Store a login. False, and nothing is stored: the account has changed meanwhile."""

    async def sessions_of(
        self, user: str, proof: Proof | None = None, *, most: int
    ) -> list[LoginSession]:
        """The user's sessions that go on, the last seen first."""

    async def name_members(self, user: str, name: str | None) -> None:
        """Show this name beside the user's name, in all rooms."""


class Endings(Protocol):
    """The revocation of sessions: on this gateway before a method returns, on the others within a
    second."""

    async def end(self, session: LoginSession) -> None: ...

    async def end_own(
        self, user: str, proof: Proof, *, only: str | None = None, but: str | None = None
    ) -> int: ...


class Logins:
    """Logging in and out. Every method raises :class:`StoreUnavailable`.

    ``most``: sessions of one user; beyond it, the longest unused ones end.
    """

    def __init__(  # noqa: PLR0913 - the parts that must agree
        self,
        *,
        store: SessionStore,
        accounts: Accounts[Account],
        sessions: Sessions,
        known: KnownSessions,
        endings: Endings,
        budgets: Budgets,
        most: int,
        clock: UnixTime,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._sessions = sessions
        self._known = known
        self._endings = endings
        self._rate = budgets.rate(USER_LOGINS)
        self._most = most
        self._clock = clock
        self.counts: Counter[str] = Counter(dict.fromkeys(LoginOutcome, 0))

    async def by_password(
        self, user: str, password: str, *, address: str, device: str = ""
    ) -> Identity:
        """Open a session for an account, unless the account changes or is removed while the
        password is checked: a revocation of its sessions must not miss this one. Raises the errors
        of :meth:`Accounts.check`, :class:`KeptOut`, and :class:`TooManyLogins`: only those with the
        right password count, so that nobody keeps out somebody else. ``device``: the browser's
        ``User-Agent``.
        """
        try:
            opened = await self._by_password(user, password, address=address, device=device)
        except NotAuthenticated:
            self.counts[LoginOutcome.WRONG] += 1
            raise
        except (RateLimited, NoCapacity):
            self.counts[LoginOutcome.REFUSED] += 1
            raise
        self.counts[LoginOutcome.PASSWORD] += 1
        return opened

    async def _by_password(
        self, user: str, password: str, *, address: str, device: str
    ) -> Identity:
        # Before the password is checked, which costs most.
        self._rate.check(user)
        for _ in range(_ATTEMPTS):
            account = await self._accounts.prove(user, password, address=address)
            proven = Identity(
                account.user, account.roles, math.inf, display_name=account.display_name
            )
            self._rate.take(account.user)
            opened = self._sessions.open(proven)
            record = self._record(opened, Proof.PASSWORD, address=address, device=device)
            if await self._add(record, account):
                return opened
        raise NotAuthenticated("the account has changed meanwhile; log in again")

    async def by_token(
        self, identity: Identity, *, address: str = "", device: str = ""
    ) -> Identity:
        """Open a session for the user of a token. Raises :class:`TooManyLogins`, and
        :class:`SessionEnded`, :class:`KeptOut` if the token was revoked meanwhile."""
        try:
            self._rate.take(identity.user)
        except RateLimited:
            self.counts[LoginOutcome.REFUSED] += 1
            raise
        opened = self._sessions.open(identity)
        token = identity.token
        await self._add(
            self._record(opened, Proof.TOKEN, address=address, device=device, token=token)
        )
        if identity.display_name is not None:
            await self._store.name_members(identity.user, identity.display_name)
        self.counts[LoginOutcome.TOKEN] += 1
        return opened

    def wrong_token(self) -> None:
        """Count a token that could not be traded for a session."""
        self.counts[LoginOutcome.WRONG] += 1

    @property
    def succeeded(self) -> int:
        """The logins since the start."""
        return self.counts[LoginOutcome.PASSWORD] + self.counts[LoginOutcome.TOKEN]

    @property
    def failed(self) -> int:
        """The logins since the start that were wrong, or refused by a limit."""
        return self.counts[LoginOutcome.WRONG] + self.counts[LoginOutcome.REFUSED]

    async def log_out(self, identity: Identity) -> None:
        """End the session and everything that it has opened."""
        if identity.session is not None:
            await self._endings.end(self._record(identity, self._proof(identity)))

    async def own(self, identity: Identity) -> list[LoginSession]:
        """The user's sessions, the last seen first: those with the same proof, because an account
        and a token of one name may be two people."""
        return await self._store.sessions_of(
            identity.user, self._proof(identity), most=2 * self._most
        )

    async def end_own(self, identity: Identity, id: str) -> None:
        """End one of the user's sessions. Raises :class:`UnknownSession`, and
        :class:`TooManyLogins`: it costs as much as a login does."""
        self._rate.take(identity.user)
        if not await self._endings.end_own(identity.user, self._proof(identity), only=id):
            raise UnknownSession("you have no such session, or it has ended")

    async def end_others(self, identity: Identity) -> int:
        """End all of the user's sessions but the one that asks. Returns how many. Raises
        :class:`TooManyLogins`."""
        self._rate.take(identity.user)
        proof = self._proof(identity)
        return await self._endings.end_own(identity.user, proof, but=identity.session or "")

    async def _add(self, record: LoginSession, account: Account | None = None) -> bool:
        def refusal(named: Sequence[Revocation]) -> GatewayError | None:
            return revocations.refusal(named, record.token, now=record.since.timestamp())

        added = await self._store.add_session(record, account, most=self._most, refusal=refusal)
        if added:
            self._known.add(record)
        return added

    def _proof(self, identity: Identity) -> Proof:
        known = None if identity.session is None else self._known.proof(identity.session)
        return known or Proof.TOKEN

    def _record(
        self,
        identity: Identity,
        proof: Proof,
        *,
        address: str = "",
        device: str = "",
        token: TokenMark | None = None,
    ) -> LoginSession:
        return LoginSession(
            id=identity.session or "",
            user=identity.user,
            proof=proof,
            since=datetime.fromtimestamp(self._clock(), UTC),
            until=datetime.fromtimestamp(identity.expires_at, UTC),
            address=address,
            device=device,
            token=token,
        )
