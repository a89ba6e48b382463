"""Local accounts: passwords by Argon2id (RFC 9106), off the loop and never many at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import Field
from threading import BoundedSemaphore
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from gateway.auth.names import user_name
from gateway.domain.identity import Identity
from gateway.errors import NotAuthenticated, RateLimited

#: Each hash takes a processor and 64 MiB for some 50 ms.
THREADS: Final = 2
#: Passwords being hashed or waiting for it: about a second's work.
MAX_WAITING: Final = 32

T = TypeVar("T")


class Account(Protocol):
    """A dataclass with these fields."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def user(self) -> str: ...
    @property
    def password_hash(self) -> str: ...
    @property
    def roles(self) -> frozenset[str]: ...


A = TypeVar("A", bound=Account)


class AccountSource(Protocol[A]):
    async def account(self, user: str) -> A | None: ...

    async def rehash_account(self, account: A, password_hash: str) -> A | None:
        """None: the account is not what it was any more."""


class Accounts(Generic[A]):
    """Checks passwords; at most ``waiting`` at once are accepted. Close it in the end."""

    def __init__(
        self,
        source: AccountSource[A],
        *,
        hasher: PasswordHasher | None = None,
        waiting: int = MAX_WAITING,
    ) -> None:
        self._source = source
        self._hasher = hasher or PasswordHasher()
        self._places = BoundedSemaphore(waiting)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")

    async def check(self, user: str, password: str) -> Identity:
        """Who this is; a password's proof has no end of its own, the session made from it has.

        Raises :class:`NotAuthenticated`, for a wrong password and for an unknown user alike and
        after the same time; :class:`RateLimited` when too many wait; what the source raises.
        """
        account = await self.prove(user, password)
        return Identity(account.user, account.roles, math.inf)

    async def prove(self, user: str, password: str) -> A:
        """The account whose password this is, as it is stored. Raises what :meth:`check` raises."""
        try:
            account = await self._source.account(user_name(user))
        except ValueError:
            account = None
        if account is None:
            # Hashing takes as long as verifying.
            await self.hash(password)
            raise NotAuthenticated(_WRONG)
        if not await self._off_the_loop(lambda: self._matches(account.password_hash, password)):
            raise NotAuthenticated(_WRONG)
        if self._hasher.check_needs_rehash(account.password_hash):
            return await self._rehash(account, password)
        return account

    async def hash(self, password: str) -> str:
        """For storing. Raises :class:`RateLimited` when too many wait."""
        return await self._off_the_loop(lambda: self._hasher.hash(_encoded(password)))

    def close(self) -> None:
        """Passwords still waiting are not checked any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _rehash(self, account: A, password: str) -> A:
        """Store the password with the parameters of today."""
        password_hash = await self.hash(password)
        # Hashing took its time: an account removed or changed meanwhile must not come back.
        return await self._source.rehash_account(account, password_hash) or account

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _encoded(password))
        except VerifyMismatchError:
            return False

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise RateLimited("too many logins at once; try again", retry_after=1.0)
        future = self._threads.submit(work)
        # A caller that gives up frees its place only when the thread is free as well.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[Any]) -> None:
        self._places.release()


_WRONG: Final = "the user or the password is wrong"


def _encoded(password: str) -> bytes:
    """JSON may hold lone surrogates; they are as good in a password as anything."""
    return password.encode(errors="surrogatepass")
