"""Who is meant by a CONNECT, and how wrong logins are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from broker.feeds.reading import Source
from broker.nodes.credentials import Credentials
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from gateway.auth.guesses import FREE_FROM_ALL, FREE_FROM_ONE, Guesses
from gateway.auth.rabbitmq_logins import RabbitmqLogins, refusal
from gateway.auth.rabbitmq_rights import BrokerRights
from gateway.budget.budgets import Budgets
from gateway.budget.table import LOGIN_CONNECTIONS
from gateway.config import Limits
from gateway.errors import TooManyGuesses, UnknownVirtualHost, WrongLogin
from gateway.limits import LiveLimits
from tests.fake_clock import FakeClock

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
HOME = "10.0.0.5"


async def _nothing(login: Credentials, sources: Sequence[Source]) -> Mapping[Source, str | None]:
    return {}


class Stage:
    def __init__(self, *, with_tokens: bool = True) -> None:
        self.clock = FakeClock()
        tasks = Tasks()
        budgets = Budgets(LiveLimits(Limits()), clock=self.clock.monotonic)
        self.guesses = Guesses(budgets, clock=self.clock.monotonic)
        rights = BrokerRights(
            _nothing,
            lifetime=60,
            ticker=Ticker(tasks.failures),
            tasks=tasks,
            rng=Random(1),  # noqa: S311
        )
        self.logins = RabbitmqLogins(
            rights,
            self.guesses,
            vhost="/",
            own="gateway",
            with_tokens=lambda: with_tokens,
            places=budgets.cap(LOGIN_CONNECTIONS),
        )

    async def log_in(self, error: Exception | None = None, *, address: str = HOME) -> None:
        identity = self.logins.identity(
            "app",
            "passcode" if error is None else "wrong",
            vhost=None,
            address=address,
            connection="1",
        )
        assert identity.login is not None
        async with self.logins.logging_in(identity.login, address=address):
            if error is not None:
                raise error


@pytest.mark.parametrize(
    ("login", "passcode", "meant"),
    [
        ("app", "password", True),
        ("app", None, True),
        ("app", TOKEN, False),
        ("app", "eyJ", True),
        ("app", "eyJx.y z.z", True),
        ("", "password", False),
        (None, "password", False),
        (None, TOKEN, False),
    ],
)
def test_a_login_is_rabbitmqs_unless_its_passcode_is_a_token(
    login: str | None, passcode: str | None, meant: bool
) -> None:
    async def scenario() -> None:
        assert Stage().logins.is_meant(login, passcode) is meant

    asyncio.run(scenario())


def test_without_an_issuer_no_passcode_is_a_token() -> None:
    async def scenario() -> None:
        assert Stage(with_tokens=False).logins.is_meant("app", TOKEN)

    asyncio.run(scenario())


@pytest.mark.parametrize("login", ["gateway", "a\nb", " app", "x" * 300])
def test_the_gateways_own_account_and_impossible_names_are_wrong_logins(login: str) -> None:
    async def scenario() -> None:
        with pytest.raises(WrongLogin, match="Access refused for user"):
            Stage().logins.identity(login, "p", vhost=None, address=HOME, connection="1")

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [refusal("app"), UnknownVirtualHost("no")])
def test_wrong_logins_are_slowed_down_as_wrong_passwords_are(error: Exception) -> None:
    async def scenario() -> None:
        stage = Stage()
        for _ in range(FREE_FROM_ONE + 1):
            with pytest.raises(type(error)):
                await stage.log_in(error)
        with pytest.raises(TooManyGuesses):
            await stage.log_in()
        await stage.log_in(address="10.0.0.6")

    asyncio.run(scenario())


def test_guesses_at_a_login_do_not_slow_down_the_account_of_that_name() -> None:
    async def scenario() -> None:
        stage = Stage()
        for number in range(FREE_FROM_ALL + 5):
            with pytest.raises((WrongLogin, TooManyGuesses)):
                await stage.log_in(refusal("app"), address=f"10.0.1.{number}")
        stage.guesses.check("10.0.0.7", "app")

    asyncio.run(scenario())


def test_a_fault_of_the_broker_is_no_guess() -> None:
    async def scenario() -> None:
        stage = Stage()
        for _ in range(20):
            with pytest.raises(RuntimeError):
                await stage.log_in(RuntimeError("away"))
        await stage.log_in()

    asyncio.run(scenario())


def test_each_connection_of_a_shared_login_pays_for_itself() -> None:
    async def scenario() -> None:
        logins = Stage().logins
        one, two = (
            logins.identity("app", "p", vhost=None, address=HOME, connection=number)
            for number in "12"
        )
        assert one.user == two.user == "app"
        assert one.payer != two.payer

    asyncio.run(scenario())
