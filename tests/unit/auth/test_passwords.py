"""Local accounts: real Argon2 with parameters that take a millisecond."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError

from gateway.auth import accounts as passwords
from gateway.auth.accounts import Accounts
from gateway.auth.guesses import FREE_FROM_ALL, Guesses
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.domain.identity import Identity
from gateway.errors import LoginsWait, NotAuthenticated, TooManyGuesses
from gateway.limits import LiveLimits
from tests.budgets import budgets_of
from tests.fake_clock import FakeClock

HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
STRONGER = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)


@dataclass(frozen=True)
class Account:
    """An account as a source stores it."""

    user: str
    password_hash: str
    roles: frozenset[str]


KIM = Account("kim", HASHER.hash("비밀"), frozenset({"host"}))


class Source:
    """A source of accounts in memory."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.user: account for account in accounts}
        self.asked: list[str] = []

    async def account(self, user: str) -> Account | None:
        self.asked.append(user)
        return self.accounts.get(user)

    async def rehash_account(self, account: Account, password_hash: str) -> Account | None:
        if self.accounts.get(account.user) != account:
            return None
        self.accounts[account.user] = replace(account, password_hash=password_hash)
        return self.accounts[account.user]


class CountingHasher(PasswordHasher):
    """Counts what it costs."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.work = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.work += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.work += 1
        return super().verify(hash, password)


Scene = Callable[[Accounts[Account]], Awaitable[None]]


def guesses_of(clock: Callable[[], float]) -> Guesses:
    return Guesses(Budgets(LiveLimits(Limits()), clock=clock), clock=clock)


def play(
    scene: Scene,
    source: Source,
    *,
    hasher: PasswordHasher = HASHER,
    waiting: int = 8,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    async def run() -> None:
        guesses = guesses_of(clock)
        accounts = Accounts(
            source, hasher=hasher, guesses=guesses, budgets=budgets_of(waiting_logins=waiting)
        )
        try:
            await scene(accounts)
        finally:
            accounts.close()

    asyncio.run(run())


def test_the_right_password_says_who_it_is() -> None:
    async def scene(accounts: Accounts[Account]) -> None:
        assert await accounts.check("kim", "비밀") == Identity("kim", KIM.roles, math.inf)

    play(scene, Source(KIM))


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("kim", "비밀 "),
        ("kim", ""),
        ("kim", "\ud800"),
        ("Kim", "비밀"),
        ("lee", "비밀"),
        ("", "비밀"),
        ("k\0im", "비밀"),
        ("k" * 201, "비밀"),
    ],
)
def test_a_wrong_password_and_an_unknown_user_look_and_cost_the_same(
    user: str, password: str
) -> None:
    hasher = CountingHasher()

    async def scene(accounts: Accounts[Account]) -> None:
        with pytest.raises(NotAuthenticated) as caught:
            await accounts.check(user, password)
        assert caught.value.detail == "the user name or the password is wrong"
        assert hasher.work == 1

    play(scene, Source(KIM), hasher=hasher)


def test_a_name_that_nobody_can_have_does_not_reach_the_store() -> None:
    source = Source()

    async def scene(accounts: Accounts[Account]) -> None:
        with pytest.raises(NotAuthenticated):
            await accounts.check("a\0", "x")

    play(scene, source)
    assert source.asked == []


def test_a_new_password_can_be_checked() -> None:
    async def scene(accounts: Accounts[Account]) -> None:
        for password in ("새 비밀", "\ud800", "p" * 100_000):
            source.accounts["lee"] = Account("lee", await accounts.hash(password), frozenset())
            assert (await accounts.check("lee", password)).user == "lee"

    source = Source()
    play(scene, source)


def test_a_password_with_the_parameters_of_yesterday_is_hashed_again() -> None:
    source = Source(KIM)

    async def scene(accounts: Accounts[Account]) -> None:
        await accounts.check("kim", "비밀")
        renewed = source.accounts["kim"]
        assert renewed.roles == KIM.roles
        assert not STRONGER.check_needs_rehash(renewed.password_hash)
        await accounts.check("kim", "비밀")
        assert source.accounts["kim"] is renewed

    play(scene, source, hasher=STRONGER)


def test_a_wrong_password_is_not_hashed_again() -> None:
    source = Source(KIM)

    async def scene(accounts: Accounts[Account]) -> None:
        with pytest.raises(NotAuthenticated):
            await accounts.check("kim", "falsch")

    play(scene, source, hasher=STRONGER)
    assert source.accounts["kim"] is KIM


@pytest.mark.parametrize("now", [None, replace(KIM, roles=frozenset())])
def test_hashing_again_brings_nothing_back(now: Account | None) -> None:
    """The account is removed, or loses its roles, between the check and the second hash."""

    class Changing(Source):
        """A source whose account changes, or goes, after the first read."""

        async def account(self, user: str) -> Account | None:
            found = await super().account(user)
            self.accounts = {} if now is None else {"kim": now}
            return found

    source = Changing(KIM)

    async def scene(accounts: Accounts[Account]) -> None:
        await accounts.check("kim", "비밀")

    play(scene, source, hasher=STRONGER)
    assert source.accounts.get("kim") == now


class HeldHasher(PasswordHasher):
    """Hashes only when it is let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.go = threading.Event()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        assert self.go.wait(10)
        return super().hash(password, salt=salt)


def test_no_more_wait_than_there_is_room_for() -> None:
    hasher = HeldHasher()

    async def scene(accounts: Accounts[Account]) -> None:
        waiting = [asyncio.create_task(accounts.hash("x")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(LoginsWait) as caught:
            await accounts.hash("x")
        assert caught.value.retry_after == 1.0
        hasher.go.set()
        await asyncio.gather(*waiting)
        await accounts.hash("x")

    play(scene, Source(), hasher=hasher, waiting=3)


def test_a_caller_that_gives_up_does_not_make_room_while_the_thread_is_busy() -> None:
    hasher = HeldHasher()

    async def scene(accounts: Accounts[Account]) -> None:
        task = asyncio.create_task(accounts.hash("x"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(LoginsWait):
            await accounts.hash("x")
        hasher.go.set()

    play(scene, Source(), hasher=hasher, waiting=1)


def test_addresses_take_turns_and_so_do_those_who_are_known_there() -> None:
    """One machine that tries names all the time keeps nobody else out for long, nor does a school
    that comes back."""
    hasher, ended = HeldHasher(), list[str]()

    async def try_from(accounts: Accounts[Account], address: str, user: str) -> None:
        with suppress(NotAuthenticated):
            await accounts.check(user, "x", address=address)
        ended.append(f"{user} at {address}")

    async def scene(accounts: Accounts[Account]) -> None:
        for number in range(4):
            accounts.guesses.right("the school", f"pupil{number}")
        tries = [
            *(("the school", f"nobody{number}") for number in range(4)),
            *(("the school", f"pupil{number}") for number in range(4)),
            ("home", "lee"),
        ]
        tasks = [asyncio.create_task(try_from(accounts, *each)) for each in tries]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        hasher.go.set()
        await asyncio.gather(*tasks)

    play(scene, Source(), hasher=hasher, waiting=9)
    assert ended[:5] == [
        "nobody0 at the school",
        "nobody1 at the school",
        "pupil0 at the school",
        "lee at home",
        "nobody2 at the school",
    ]


def test_the_loop_goes_on_while_a_password_is_hashed() -> None:
    hasher = HeldHasher()

    async def scene(accounts: Accounts[Account]) -> None:
        task = asyncio.create_task(accounts.hash("x"))
        await asyncio.sleep(0)
        hasher.go.set()
        await task

    play(scene, Source(), hasher=hasher)


def test_hashing_has_its_share_of_a_processor_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = 0.0, []

    def rest(seconds: float) -> None:
        nonlocal now
        now += seconds
        rests.append(seconds)

    class SlowHasher(CountingHasher):
        """One whose hash takes 20 ms."""

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            nonlocal now
            now += 0.02
            return super().hash(password, salt=salt)

    async def scene(accounts: Accounts[Account]) -> None:
        nonlocal now
        for pause in (0.0, 0.0, 0.03, 60.0):
            now += pause
            await accounts.hash("비밀")

    monkeypatch.setattr(passwords, "time", SimpleNamespace(monotonic=lambda: now, sleep=rest))
    play(scene, Source(), hasher=SlowHasher())
    assert rests == [0.0, pytest.approx(0.04), pytest.approx(0.01), 0.0]


def test_closing_leaves_no_thread_and_nothing_waiting() -> None:
    hasher = HeldHasher()

    async def run() -> None:
        accounts = Accounts(
            Source(),
            guesses=guesses_of(FakeClock()),
            budgets=budgets_of(),
            hasher=hasher,
        )
        waiting = [asyncio.create_task(accounts.hash("x")) for _ in range(4)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(accounts.close))
        results = await asyncio.gather(*waiting[1:], return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3
        hasher.go.set()
        await asyncio.gather(closing, *waiting[:1])

    asyncio.run(run())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("argon2")]


def test_a_hash_that_is_none_is_the_operators_to_mend() -> None:
    async def scene(accounts: Accounts[Account]) -> None:
        with pytest.raises(InvalidHashError):
            await accounts.check("kim", "비밀")

    play(scene, Source(replace(KIM, password_hash="plain")))


def test_the_real_parameters_are_not_weak() -> None:
    accounts = Accounts(
        Source(),
        guesses=guesses_of(FakeClock()),
        budgets=budgets_of(),
    )
    accounts.close()
    assert accounts._hasher.type.name == "ID"
    # https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
    assert accounts._hasher.memory_cost * accounts._hasher.time_cost >= 2 * 19_456
    assert accounts._hasher.parallelism == 1


class RunningHasher(PasswordHasher):
    """Notes how many hash at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=4)
        self.running = self.most = 0
        self.nice: set[int] = set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.running += 1
        self.most = max(self.most, self.running)
        self.nice.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        try:
            return super().verify(hash, password)
        finally:
            self.running -= 1


def test_a_school_behind_one_address_logs_in_at_once_one_password_after_the_other() -> None:
    hasher = RunningHasher()
    pupils = [Account(f"pupil{n}", HASHER.hash("비밀"), frozenset()) for n in range(500)]

    async def scene(accounts: Accounts[Account]) -> None:
        found = await asyncio.gather(
            *(accounts.check(pupil.user, "비밀", address="school") for pupil in pupils)
        )
        assert [identity.user for identity in found] == [pupil.user for pupil in pupils]

    play(scene, Source(*pupils), hasher=hasher, waiting=Limits().waiting_logins)
    assert hasher.most == 1
    lowest = 19
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert all(nice > ours or nice == lowest for nice in hasher.nice)


def test_sixty_guesses_at_one_account_from_sixty_addresses_are_slowed_at_once() -> None:
    hasher = CountingHasher()
    clock = FakeClock()

    async def scene(accounts: Accounts[Account]) -> None:
        guesses = [accounts.check("kim", f"guess {n}", address=f"at {n}") for n in range(60)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        refused = [result for result in results if isinstance(result, TooManyGuesses)]
        assert len(refused) == 60 - FREE_FROM_ALL - 1
        assert all(error.retry_after == 1.0 for error in refused)
        # Who was kept out cost no hash.
        assert hasher.work == FREE_FROM_ALL + 1
        # Whoever knows it waits as told, and comes in from an address that was never seen.
        clock.now += 1.0
        assert (await accounts.check("kim", "비밀", address="at home")).user == "kim"

    play(scene, Source(KIM), hasher=hasher, waiting=100, clock=clock)


@pytest.mark.parametrize("user", ["nobody", "no\0body"])
def test_guessing_at_an_account_that_is_none_looks_the_same(user: str) -> None:
    async def scene(accounts: Accounts[Account]) -> None:
        guesses = [accounts.check(user, "x", address=f"at {n}") for n in range(20)]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(result) for result in results] == (
            [NotAuthenticated] * (FREE_FROM_ALL + 1) + [TooManyGuesses] * (20 - FREE_FROM_ALL - 1)
        )

    play(scene, Source(KIM), waiting=100, clock=FakeClock())


def test_while_others_wait_nothing_is_hashed_again() -> None:
    hasher = CountingHasher()
    old = [Account(f"u{n}", STRONGER.hash("비밀"), frozenset()) for n in range(10)]

    async def scene(accounts: Accounts[Account]) -> None:
        await asyncio.gather(*(accounts.check(account.user, "비밀") for account in old))
        assert hasher.work == 11

    play(scene, Source(*old), hasher=hasher, waiting=20)
