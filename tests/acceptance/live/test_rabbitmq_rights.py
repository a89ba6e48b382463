"""RabbitMQ's word about one of its users, while the administrator changes what that user may."""

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from random import SystemRandom

import pytest

from broker.nodes.balancer import Balancer
from broker.nodes.node import Node
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from devenv.cluster import Cluster
from gateway.auth.rabbitmq_questions import Questions
from gateway.auth.rabbitmq_rights import BrokerRights, Held
from gateway.domain.identity import Identity
from gateway.errors import BrokerRefused, GatewayError, WrongLogin
from tests.acceptance.broker_accounts import Accounts

pytestmark = pytest.mark.cluster

_USER = "follower"
_LIFETIME = 4.0
#: While a node hangs, RabbitMQ declares and binds nothing for some seconds (`net_ticktime`).
_THROUGH_A_HANG = 12.0
_NEWS = ("amq.topic", "news.#")
_NO_TLS: ssl.SSLContext | None = None


@pytest.fixture
def accounts(cluster: Cluster) -> Iterator[Accounts]:
    made = Accounts(cluster)
    yield made
    made.clean_up()


@pytest.fixture
def passcode(accounts: Accounts) -> str:
    chosen = secrets.token_urlsafe(12)
    accounts.user(_USER, chosen)
    accounts.permit(_USER)
    return chosen


class Follower:
    """Somebody who relies on a right; ``ended`` is why it is no more."""

    def __init__(self, rights: BrokerRights, passcode: str) -> None:
        login = rights.login(_USER, passcode, vhost="/", payer="1")
        self.who = Identity(_USER, frozenset(), 2e9, login=login)
        self._rights = rights
        self.ended: asyncio.Future[GatewayError] = asyncio.get_running_loop().create_future()

    async def follow(self, exchange: str, key: str) -> Held:
        return await self._rights.hold(self.who, exchange, key, ended=self.ended.set_result)

    async def end(self) -> GatewayError:
        async with asyncio.timeout(self._rights.lifetime + 1):
            return await asyncio.shield(self.ended)


@asynccontextmanager
async def following(cluster: Cluster, passcode: str, lifetime: float) -> AsyncIterator[Follower]:
    tasks, rng = Tasks(), SystemRandom()
    nodes = [Node(node.name, node.web_stomp_url, node.amqp_url) for node in cluster.nodes]
    balancer = Balancer(nodes, clock=time.monotonic, rng=rng)
    rights = BrokerRights(
        Questions(balancer, 1.0, _NO_TLS, rng),
        lifetime=lifetime,
        ticker=Ticker(tasks.failures),
        tasks=tasks,
        rng=rng,
    )
    try:
        yield Follower(rights, passcode)
    finally:
        await tasks.close()


def run(
    cluster: Cluster,
    passcode: str,
    course: Callable[[Follower], Awaitable[None]],
    *,
    lifetime: float = _LIFETIME,
) -> None:
    async def with_rights() -> None:
        async with following(cluster, passcode, lifetime) as follower:
            await course(follower)

    asyncio.run(with_rights())


def test_a_permission_that_is_withdrawn_ends_what_it_gave(
    cluster: Cluster, accounts: Accounts, passcode: str
) -> None:
    async def course(follower: Follower) -> None:
        await follower.follow(*_NEWS)
        accounts.permit_topics(_USER, read="^weather")
        error = await follower.end()
        assert isinstance(error, BrokerRefused)
        assert "access to topic 'news.#' in exchange 'amq.topic'" in error.detail

    run(cluster, passcode, course)


def test_a_user_who_is_removed_loses_what_was_followed(
    cluster: Cluster, accounts: Accounts, passcode: str
) -> None:
    async def course(follower: Follower) -> None:
        await follower.follow(*_NEWS)
        accounts.remove(_USER)
        assert isinstance(await follower.end(), WrongLogin)

    run(cluster, passcode, course)


def test_a_permission_that_is_not_there_is_refused_and_counts_when_it_comes(
    cluster: Cluster, accounts: Accounts, passcode: str
) -> None:
    accounts.permit(_USER, read="^stomp-subscription-")

    async def course(follower: Follower) -> None:
        with pytest.raises(BrokerRefused, match="access to exchange"):
            await follower.follow(*_NEWS)
        accounts.permit(_USER)
        await follower.follow(*_NEWS)

    run(cluster, passcode, course)


def test_a_node_that_hangs_ends_no_right(cluster: Cluster, passcode: str) -> None:
    async def course(follower: Follower) -> None:
        await follower.follow(*_NEWS)
        cluster.pause_node(1)
        try:
            with pytest.raises(TimeoutError):
                await follower.end()
        finally:
            cluster.resume_node(1)

    run(cluster, passcode, course, lifetime=_THROUGH_A_HANG)
