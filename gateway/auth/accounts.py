"""Local accounts: passwords hashed by Argon2id (RFC 9106), off the loop and one at a time."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import Field
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from gateway.auth.guesses import Guesses
from gateway.budget.addresses import network_of
from gateway.budget.budgets import Budgets
from gateway.budget.table import WAITING_LOGINS, Scope
from gateway.domain.guest import account_name
from gateway.domain.identity import Identity
from gateway.errors import LoginsWait, NotAuthenticated, TooManyLogins
from gateway.fair_turns import FairTurns

#: Parameters of a new hash: OWASP's choice for Argon2id on one processor (Password Storage Cheat
#: Sheet), some 20 ms. RFC 9106's first choice takes four processors at once, which others need.
TIME_COST: Final = 2
MEMORY_KIB: Final = 19_456
#: One at a time, whatever parallelism an older hash has: the loop needs a processor, too.
THREADS: Final = 1
#: The thread yields to the loop where both want the same processor (``nice``).
_NICE: Final = 2
_NICEST: Final = 19
#: The part of one processor's time that hashing may take. Between two hashes the thread rests, so
#: that a flood of logins leaves the loop and the broker their turns. At 20 ms a hash, 500 people
#: are through in half a minute.
SHARE: Final = 1 / 3
#: Seconds: the longest rest. A hash that took longer was kept waiting for its processor.
_LONGEST_REST: Final = 0.25
#: The time of one hash and the rest after it in seconds, until one has been measured.
_FIRST_ESTIMATE: Final = 0.05
#: The weight of a new measurement in the mean.
_NEWEST: Final = 0.1
#: Seconds that a login waits for its turn.
_LONGEST_WAIT: Final = 60.0
#: Seconds: the bounds of ``retry_after``.
_SOONEST: Final = 1.0
_LATEST: Final = 60.0

T = TypeVar("T")


class Account(Protocol):
    """An account as the source stores it: a dataclass with these fields."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def user(self) -> str: ...
    @property
    def password_hash(self) -> str: ...
    @property
    def roles(self) -> frozenset[str]: ...


A = TypeVar("A", bound=Account)


class AccountSource(Protocol[A]):
    """The store of accounts."""

    async def account(self, user: str) -> A | None: ...

    async def rehash_account(self, account: A, password_hash: str) -> A | None:
        """Replace the password's hash. None: the account has changed meanwhile."""


class Accounts(Generic[A]):
    """The checking of passwords, one after the other and one address after the other; ``budgets``
    say how many may wait.

    ``guesses`` decides who may try; those who have logged in from an address before have turns of
    their own there, so that they wait neither for neighbours who try names, nor others for them.
    Close it at the end.
    """

    def __init__(
        self,
        source: AccountSource[A],
        *,
        guesses: Guesses,
        budgets: Budgets,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.guesses = guesses
        self._source = source
        self._hasher = hasher or PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1
        )
        self._places = budgets.cap(WAITING_LOGINS)
        self._turns = FairTurns(THREADS, of_user=THREADS)
        #: Those who wait for their turn.
        self._waiting: dict[asyncio.Task[Any], asyncio.AbstractEventLoop] = {}
        self._seconds = _FIRST_ESTIMATE
        #: By ``time.monotonic``: before then the thread rests. Only the thread touches it.
        self._rested = -math.inf
        self._lane = ThreadPoolExecutor(
            THREADS, thread_name_prefix="argon2", initializer=_step_back
        )

    async def check(self, user: str, password: str, *, address: str = "") -> Identity:
        """The identity of a user with this password. It has no end of its own; the session made
        from it has.

        Raises :class:`NotAuthenticated`, for a wrong password and for an unknown user alike and
        after the same time; :class:`TooManyGuesses` after too many wrong ones from the ``address``
        or for the user; :class:`LoginsWait` when too many wait; and the errors of the source.
        """
        account = await self.prove(user, password, address=address)
        return Identity(account.user, account.roles, math.inf)

    async def prove(self, user: str, password: str, *, address: str = "") -> A:
        """The stored account that has this password. Raises the errors of :meth:`check`."""
        account = None
        # By its stored name: otherwise one account could be guessed at under many names.
        name = _name(user)
        self.guesses.check(address, name or user)
        if name is not None:
            account = await self._source.account(name)

        def attempt() -> bool:
            # Checked again, now that it is its turn: the attempts before it have ended by now.
            self.guesses.check(address, name or user)
            right = self._matches(account, password)
            if right:
                self.guesses.right(address, name or user)
            else:
                self.guesses.wrong(address, name or user)
            return right

        known = self.guesses.trusts(address, name or user)
        if not await self._off_the_loop(attempt, address=address, known=known) or account is None:
            raise NotAuthenticated(_WRONG)
        # Waiting logins come first; this account will be rehashed at another login.
        if self._hasher.check_needs_rehash(account.password_hash) and not self.waiting:
            return await self._rehash(account, password)
        return account

    async def hash(self, password: str) -> str:
        """A password's hash for storing. Raises :class:`LoginsWait` when too many wait."""
        return await self._off_the_loop(lambda: self._hasher.hash(_encoded(password)))

    def close(self) -> None:
        """Stop checking passwords; waiting ones are not checked any more. May be called in another
        thread."""
        for task, loop in list(self._waiting.items()):
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        self._lane.shutdown(wait=True, cancel_futures=True)

    async def _rehash(self, account: A, password: str) -> A:
        """Store the password's hash again with today's parameters."""
        password_hash = await self.hash(password)
        # Hashing took its time: an account removed or changed meanwhile must not come back.
        return await self._source.rehash_account(account, password_hash) or account

    def _matches(self, account: A | None, password: str) -> bool:
        if account is None:
            # Hashing takes as long as verifying.
            self._hasher.hash(_encoded(password))
            return False
        try:
            return self._hasher.verify(account.password_hash, _encoded(password))
        except VerifyMismatchError:
            return False

    async def _off_the_loop(
        self, work: Callable[[], T], *, address: str = "", known: bool = False
    ) -> T:
        network = network_of(address)
        turns_of = network, known
        try:
            place = self._places.take(network or None)
        except (LoginsWait, TooManyLogins) as error:
            error.retry_after = self._until_free
            raise
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._waiting[task] = loop
        try:
            await self._turns.begin(turns_of, within=_LONGEST_WAIT)
        except TimeoutError:
            place.give_back()
            raise LoginsWait(
                "too many logins wait before yours; try again", retry_after=self._until_free
            ) from None
        except BaseException:
            place.give_back()
            raise
        finally:
            del self._waiting[task]

        def measured() -> T:
            # Before the work and not after it: nobody waits for the rest after their own login.
            time.sleep(max(0.0, self._rested - time.monotonic()))
            begun = time.monotonic()
            try:
                return work()
            finally:
                ended = time.monotonic()
                rest = min((ended - begun) * (1 / SHARE - 1), _LONGEST_REST)
                self._rested = ended + rest
                self._seconds += _NEWEST * (ended - begun + rest - self._seconds)

        def ended() -> None:
            place.give_back()
            self._turns.end(turns_of)

        def done(_: Future[T]) -> None:
            # The loop is closed if a command that hashed was interrupted.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended)

        try:
            future = self._lane.submit(measured)
        except RuntimeError:
            # It was closed meanwhile.
            ended()
            raise asyncio.CancelledError from None
        # A caller that gives up frees its place only when the thread is free as well.
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    @property
    def _until_free(self) -> float:
        """Seconds after which to try again."""
        return min(max(_SOONEST, self.waiting * self._seconds), _LATEST)

    @property
    def waiting(self) -> int:
        """Passwords that are being hashed or wait for it."""
        return self._places.taken(Scope.ALL)


def _step_back() -> None:
    """Let this thread, and those that an old hash starts from it, yield to the loop."""
    if sys.platform == "linux":
        # On Linux a thread has a priority of its own (sched(7), "The nice value").
        # Relative to the process's own: a gateway that runs at a low priority may not raise it.
        thread = threading.get_native_id()
        nice = min(os.getpriority(os.PRIO_PROCESS, thread) + _NICE, _NICEST)
        os.setpriority(os.PRIO_PROCESS, thread, nice)


_WRONG: Final = "the user name or the password is wrong"


def _name(user: str) -> str | None:
    """The name in its stored form. None: no account can have this name."""
    try:
        return account_name(user)
    except ValueError:
        return None


def _encoded(password: str) -> bytes:
    """The password as bytes. JSON may hold lone surrogates, which are valid in a password."""
    return password.encode(errors="surrogatepass")
