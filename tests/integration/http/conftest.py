"""A gateway's two listeners over a real SQLite store; only the broker is a fake in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

from broker.feeds.feeds import Feeds
from broker.nodes.balancer import Balancer
from broker.nodes.rendezvous import LinkState
from broker.publishing.link import Link, LinkFailed
from broker.publishing.links import LinkReport
from broker.publishing.provision import QueueFailed, QueueSize
from broker.publishing.publication import NotConfirmed, Publication
from broker.timing.tasks import Tasks
from broker.topology import Topology
from gateway import config, tls
from gateway.assembly import Gateway, assemble
from gateway.auth import tokens
from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.budget.budgets import Budgets
from gateway.config import Config
from gateway.drain import Drain
from gateway.foundation import Foundation
from gateway.http.listeners import Listener
from gateway.http.server import Capacity
from gateway.http.sockets import Place
from gateway.http.trusted_proxies import TrustedProxies
from gateway.limits import LiveLimits
from gateway.messages.outbox import Outbox
from gateway.queues.assembly import private_queues
from gateway.rabbitmq import Broker
from gateway.store import Store
from tests.fake_feeds import FakeFeeds
from tests.integration.conftest import SqliteTables
from tests.integration.http.contract import Contract, contract_of
from tests.integration.http.stomp_talk import Talk
from tests.rotations import rotation

JWT_SECRET = "the issuer's secret, long enough for HS256"
ORIGIN = "https://school.example"
LOOPBACK = Place("server.address and port", "public", "127.0.0.1", 0)
DRAIN_TOKEN = "whoever-has-this-may-drain"


@dataclass
class FakeBroker:
    """A publisher in memory; ``away`` makes everything fail as without a broker."""

    published: list[Publication] = field(default_factory=list)
    queues: set[int] = field(default_factory=set)
    away: bool = False
    has_been_connected: bool = True
    links: list[LinkReport] = field(
        default_factory=lambda: [LinkReport("r1", LinkState.UP, unanswered=0, problem=None)]
    )

    @property
    def problem(self) -> str | None:
        return "not connected: nobody is there" if self.away else None

    async def publish(self, publication: Publication, timeout: float) -> None:  # noqa: ASYNC109 - the port's own
        if self.away:
            raise NotConfirmed("nobody is there")
        self.published.append(publication)

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        return []

    @property
    def sound_for(self) -> float:
        return 0.0

    async def dial(self, key: str) -> Link:
        raise LinkFailed("r1", "nobody is there")

    async def has_private_queue(self, room: int, mark: str) -> bool:
        """Every queue that is asked for is there at once."""
        if self.away:
            raise QueueFailed("nobody is there")
        self.queues.add(room)
        return True

    async def missing_private_queues(self, marks: Mapping[int, str]) -> list[int]:
        return []

    async def private_queue_size(self, room: int) -> QueueSize | None:
        if self.away:
            raise QueueFailed("nobody is there")
        return QueueSize(3, 1) if room in self.queues else None

    async def parked_messages(self) -> int:
        if self.away:
            raise QueueFailed("nobody is there")
        return 0

    async def parks_rejected(self, room: int) -> bool:
        return True

    async def delete_private_queue(self, room: int) -> None:
        if self.away:
            raise QueueFailed("nobody is there")
        self.queues.discard(room)


class Answer:
    """An answer, with its JSON at hand."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status = response.code
        self.headers = response.headers
        self.body = response.body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """Status and code, if this is a problem document as it should be."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        assert self.json["title"]
        assert self.json["detail"]
        return self.status, self.json["code"]


class Call(Protocol):
    """A function that sends a request to the gateway and returns the answer.

    ``user``: with a token of that user, whose roles follow; ``json``: sent as the body.
    """

    def __call__(
        self,
        method: str,
        path: str,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = (),
        json: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Awaitable[Answer]: ...


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Any]:
    """The configuration; tests may change it before they ask for ``gateway``."""
    return {
        "server": {
            "address": "127.0.0.1",
            "port": 0,
            "internal_port": 0,
            "drain_token": DRAIN_TOKEN,
            "origins": [ORIGIN],
            "trusted_proxies": ["127.0.0.1"],
            # Whatever was built, the sources are there.
            "pages": "sources",
        },
        "broker": {
            "nodes": [
                {"name": "r1", "web_stomp": "ws://127.0.0.1:9/ws", "amqp": "amqp://127.0.0.1:9"}
            ],
            "user": "gateway",
            "password": "hunter2",
            # Long enough for a busy machine to confirm: what is away fails by then, too.
            "confirm_timeout": 0.5,
        },
        "store": {"url": f"sqlite:///{tmp_path}/interact.db"},
        "auth": {
            "secret": "the gateway's own secret, long enough",
            "jwt": {
                "algorithms": ["HS256"],
                "secret": JWT_SECRET,
                "issuer": "school",
                "audience": "interact",
            },
        },
        "limits": {"page_size": 5, "room_members": 4},
    }


@pytest.fixture
def settings(tables: dict[str, Any]) -> Config:
    return config.parse(tables, source="test")


@pytest.fixture
def store(settings: Config, io_loop: IOLoop, sqlite_tables: SqliteTables) -> Iterator[Store]:
    url = settings.store.url.get_secret_value()
    sqlite_tables(Path(url.removeprefix("sqlite:///")))
    opened: Store = io_loop.run_sync(partial(Store.open, url))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def limits(settings: Config) -> LiveLimits:
    return LiveLimits(settings.limits)


@pytest.fixture
def budgets(limits: LiveLimits) -> Budgets:
    return Budgets(limits, clock=time.monotonic)


@pytest.fixture
def accounts(store: Store, budgets: Budgets) -> Iterator[Accounts[Any]]:
    made = Accounts(store, guesses=Guesses(budgets, clock=time.monotonic), budgets=budgets)
    yield made
    made.close()


@pytest.fixture
def drain() -> Drain:
    return Drain(lasts=0.0, rng=SystemRandom())


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def gateway(  # noqa: PLR0917 - fixtures
    settings: Config,
    limits: LiveLimits,
    budgets: Budgets,
    store: Store,
    accounts: Accounts[Any],
    broker: FakeBroker,
    drain: Drain,
    tasks: Tasks,
    io_loop: IOLoop,
) -> Iterator[Gateway]:
    """Assembled as in production; the outbox has started."""
    balancer = Balancer(settings.broker.listed, clock=time.monotonic, rng=SystemRandom())

    async def start() -> tuple[Gateway, Outbox]:
        made_with = replace(Foundation.of(settings, tasks=tasks), limits=limits, budgets=budgets)
        queues = private_queues(made_with, store=store, publisher=broker)
        outbox = Outbox(
            store,
            broker,
            Topology(),
            queues=queues.mender,
            rng=SystemRandom(),
            tasks=tasks.part(),
        )
        await outbox.start()
        seen = Broker(
            balancer=balancer,
            publisher=broker,
            feeds=cast("Feeds", FakeFeeds()),
            tls=tls.for_broker(settings.broker.tls),
        )
        assembled = assemble(
            made_with,
            store=store,
            accounts=accounts,
            outbox=outbox,
            queues=queues,
            broker=seen,
            drain=drain,
        )
        return assembled, outbox

    assembled, outbox = io_loop.run_sync(start)
    yield assembled
    io_loop.run_sync(assembled.messages.pipeline.close)
    io_loop.run_sync(partial(outbox.close, within=0.1))


@pytest.fixture
def public(
    gateway: Gateway, settings: Config, budgets: Budgets, io_loop: IOLoop
) -> Iterator[Listener]:
    listener = Listener(
        gateway.public,
        what="server.port",
        events=gateway.services.events,
        capacity=Capacity(
            budgets,
            TrustedProxies(settings.server.trusted_proxies),
            rotation=rotation(),
            known=gateway.services.credentials.claimed,
            headers=settings.server.proxy_protocol,
        ),
        path=settings.server.path,
    )
    io_loop.run_sync(partial(_open, listener))
    yield listener
    io_loop.run_sync(listener.close)


@pytest.fixture
def internal(gateway: Gateway, io_loop: IOLoop) -> Iterator[Listener]:
    listener = Listener(
        gateway.internal, what="server.internal_port", events=gateway.services.events
    )
    io_loop.run_sync(partial(_open, listener))
    yield listener
    io_loop.run_sync(listener.close)


async def _open(listener: Listener) -> None:
    listener.open(LOOPBACK)


@pytest.fixture
def call(public: Listener, gateway: Gateway, settings: Config, io_loop: IOLoop) -> Iterator[Call]:
    """Calls the public listener."""
    yield from _caller(public, settings, io_loop, contract_of(gateway.public))


@pytest.fixture
def call_internal(
    internal: Listener, gateway: Gateway, settings: Config, io_loop: IOLoop
) -> Iterator[Call]:
    """Calls the internal listener."""
    yield from _caller(internal, settings, io_loop, contract_of(gateway.internal))


def token(settings: Config, user: str, *roles: str, lifetime: float = 60.0) -> str:
    """A token of the surrounding system."""
    assert settings.auth.jwt is not None
    now = time.time()
    return tokens.issue(
        settings.auth.jwt, user, roles=frozenset(roles), expires_at=now + lifetime, now=now
    )


def _caller(
    listener: Listener, settings: Config, io_loop: IOLoop, contract: Contract
) -> Iterator[Call]:
    async def make() -> AsyncHTTPClient:
        return AsyncHTTPClient(force_instance=True)

    client: AsyncHTTPClient = io_loop.run_sync(make)

    async def call(
        method: str,
        path: str,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = (),
        json: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = f"Bearer {token(settings, user, *roles)}"
        if json is not None:
            body = _encoded(json)
            sent.setdefault("Content-Type", "application/json")
        response = await client.fetch(
            listener.url + path,
            method=method,
            headers=sent,
            body=body,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            # It would ask for gzip alone, and hide that it got it.
            decompress_response=False,
        )
        answer = Answer(response)
        whole = urlsplit(listener.url + path).path
        contract.check(method, whole, answer.status, answer.headers, answer.body)
        return answer

    yield call
    client.close()


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def room(call: Call, io_loop: IOLoop) -> str:
    """The path of a room: anna is its host, bob a participant."""

    async def create() -> str:
        members = [{"user": "bob", "role": "participant"}]
        answer = await call(
            "POST",
            "/api/rooms",
            user="anna",
            roles=("host",),
            json={"title": "Maths", "members": members},
        )
        assert answer.status == 201, answer.body
        return answer.headers["Location"]

    path: str = io_loop.run_sync(create)
    return path


@pytest.fixture
def talk(
    public: Listener, settings: Config, room: str, io_loop: IOLoop
) -> Iterator[Callable[[str], Awaitable[Talk]]]:
    del room
    opened: list[Talk] = []

    async def connect(user: str) -> Talk:
        headers = {"Authorization": f"Bearer {token(settings, user)}"}
        url = f"{public.url.replace('http', 'ws')}/ws"
        request = HTTPRequest(url, headers=headers)
        made = Talk(await websocket_connect(request, subprotocols=["v12.stomp"]))
        await made.say("CONNECT", ("accept-version", "1.2"))
        assert (await made.hear()).command == "CONNECTED"
        opened.append(made)
        return made

    yield connect
    for each in opened:
        io_loop.run_sync(each.hang_up)
