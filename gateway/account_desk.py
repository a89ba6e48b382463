"""The accounts of a school, as an admin keeps them: lists of new ones are first checked and then
made, a portion at a time; passwords are replaced, accounts removed.

Passwords are hashed at the pace of logins (:mod:`gateway.auth.accounts`), and for one admin at a
time: a class that logs in meanwhile waits for one hash at most.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from gateway.auth.accounts import Accounts
from gateway.auth.permissions import Action, Permissions
from gateway.domain.identity import Identity
from gateway.domain.new_account import Listed, NewAccount, account_lines, listed
from gateway.domain.shown_account import AccountPage
from gateway.domain.spoken_password import spoken_password
from gateway.errors import Invalid, LoginsWait, StoreUnavailable, UnknownAccount
from gateway.fair_turns import FairTurns
from gateway.in_turns import InTurns
from gateway.observe.events import Events, Kind
from gateway.store import Account

log = logging.getLogger(__name__)

#: Accounts that one call makes: a second and a half of hashing.
MOST_AT_ONCE: Final = 20
#: Seconds that a call waits for the one before it.
_LONGEST_WAIT: Final = 15.0
#: Times that an account may change while its new password is hashed.
_ATTEMPTS: Final = 3


class State(StrEnum):
    """The effect of a line of the list. ``exists``: there is such an account, which is replaced
    only if the admin says so."""

    NEW = "new"
    EXISTS = "exists"
    TWICE = "twice"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list, and what it would do."""

    listed: Listed
    state: State


class AccountStore(Protocol):
    """The store of accounts. Every method raises :class:`StoreUnavailable`."""

    async def account(self, user: str) -> Account | None: ...

    async def known_accounts(self, users: Sequence[str]) -> set[str]: ...

    async def account_page(self, *, search: str, after: str | None, size: int) -> AccountPage: ...

    async def add_accounts(self, new: Sequence[Account], *, replace: bool) -> list[str]: ...

    async def change_password(self, account: Account, password_hash: str) -> bool: ...

    async def remove_account(self, user: str) -> bool: ...


class Endings(Protocol):
    """The revocation of sessions."""

    async def poll(self) -> int:
        """Learn from the database whose sessions have ended, and end what they have opened."""


class AccountDesk:
    """The service for accounts. The first argument of every method is the caller, who must be an
    admin: every method raises the errors of :meth:`Permissions.require`."""

    def __init__(
        self,
        *,
        permissions: Permissions,
        store: AccountStore,
        accounts: Accounts[Account],
        endings: Endings,
        events: Events,
    ) -> None:
        self._permissions = permissions
        self._store = store
        self._accounts = accounts
        self._endings = endings
        self._events = events
        self._hashing = FairTurns(1, of_user=1)

    async def page(
        self, who: Identity, *, search: str, after: str | None, size: int
    ) -> AccountPage:
        """A page of the accounts, by user."""
        await self._permissions.require(who, Action.ADMINISTER)
        return await self._store.account_page(search=search, after=after, size=size)

    async def check(self, who: Identity, text: str, *, in_turns: InTurns) -> list[Entry]:
        """The effect of each line of a list; nothing is made. A line without a password has a new
        one, which counts only if the caller makes the account with it. ``in_turns`` does what has
        to be done for each of the many lines. Raises :class:`Invalid`."""
        await self._permissions.require(who, Action.ADMINISTER)
        try:
            read = await in_turns(account_lines(text), partial(listed, choose=secrets.choice))
        except ValueError as error:
            raise Invalid(f"the list: {error}") from error
        users = [each.account.user for each in read if each.account is not None]
        return await in_turns(read, Judge(await self._store.known_accounts(users)).entry)

    async def make(
        self, who: Identity, new: Sequence[NewAccount], *, replace: bool = False
    ) -> list[str]:
        """Make those of the accounts that are not there yet, all in one transaction; ``replace``:
        and replace the others, whose sessions end. Returns the users whose accounts are so now.
        Raises :class:`LoginsWait`."""
        await self._permissions.require(who, Action.ADMINISTER)
        if not replace:
            known = await self._store.known_accounts([each.user for each in new])
            new = [each for each in new if each.user not in known]
        hashed = [
            Account(each.user, password_hash, each.roles, each.display_name)
            for each, password_hash in zip(
                new, await self._hashes(who, [each.password for each in new]), strict=True
            )
        ]
        made = await self._store.add_accounts(hashed, replace=replace) if hashed else []
        if replace:
            await self._end()
        if made:
            roles = Counter(role for each in new if each.user in made for role in each.roles)
            given = ", ".join(f"{role}: {count}" for role, count in sorted(roles.items()))
            self._note(who, "accounts_made", f"{len(made)} ({given or 'no roles'})", *made)
        return made

    async def new_password(self, who: Identity, user: str) -> tuple[Account, str]:
        """Give an account a new password, which ends its sessions. Returns both. Raises
        :class:`UnknownAccount`, :class:`LoginsWait`."""
        await self._permissions.require(who, Action.ADMINISTER)
        password = spoken_password(secrets.choice)
        [password_hash] = await self._hashes(who, [password])
        for _ in range(_ATTEMPTS):
            account = await self._store.account(user)
            if account is not None and await self._store.change_password(account, password_hash):
                break
        else:
            raise UnknownAccount(f"{user} has no account")
        await self._end()
        self._note(who, "password_made", "1", user)
        return account, password

    async def remove(self, who: Identity, user: str) -> None:
        """Remove an account and end its sessions; memberships and messages stay. Raises
        :class:`UnknownAccount`."""
        await self._permissions.require(who, Action.ADMINISTER)
        if not await self._store.remove_account(user):
            raise UnknownAccount(f"{user} has no account")
        await self._end()
        self._note(who, "account_removed", "1", user)

    async def _end(self) -> None:
        """Let the sessions end at once that a change has ended. The change stands, and is answered,
        even if the database is away now: nobody could ask for the password again."""
        try:
            await self._endings.poll()
        except StoreUnavailable as error:
            log.info("sessions of changed accounts end with the next look: %s", error)

    async def _hashes(self, who: Identity, passwords: Sequence[str]) -> list[str]:
        try:
            await self._hashing.begin(who.user, within=_LONGEST_WAIT)
        except TimeoutError:
            raise LoginsWait("other accounts are being made; wait", retry_after=5.0) from None
        try:
            return [await self._accounts.hash(password) for password in passwords]
        finally:
            self._hashing.end(who.user)

    def _note(self, who: Identity, code: str, what: str, *users: str) -> None:
        log.info("admin %s orders: %s: %s: %s", who.user, code, what, ", ".join(users))
        self._events.note(
            Kind.ACTION,
            code,
            f"{what}: {', '.join(users)}",
            user=users[0] if len(users) == 1 else None,
            by=who.user,
        )


class Judge:
    """The judge of a list's lines, one after the other. ``known``: the users who have an
    account."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._seen: set[str] = set()

    def entry(self, listed: Listed) -> Entry:
        """The line with what it would do."""
        if listed.account is None:
            return Entry(listed, State.WRONG)
        user = listed.account.user
        if user in self._seen:
            state = State.TWICE
        else:
            state = State.EXISTS if user in self._known else State.NEW
        self._seen.add(user)
        return Entry(listed, state)
