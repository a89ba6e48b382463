"""SIGHUP and the limits: each of them counts at once when it is changed, or the log says that it
does not. So a new limit that nobody reads when it matters fails here by its name."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from itertools import count
from typing import Any, Final

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from broker.protocol.stomp import Frame, serialise
from broker.topology import Audience, Stream
from gateway import config
from gateway.assembly import Gateway
from gateway.auth.accounts import Accounts
from gateway.budget.budgets import Budgets, rate_of
from gateway.budget.rank import Rank
from gateway.budget.table import (
    ALL_WRONG_CODES,
    BODIES,
    BROKER_SUBSCRIPTIONS,
    COPIES,
    DIALS,
    ENTRIES,
    EXPORT_BYTES,
    EXPORTS,
    GUESTS,
    HTTP_CONNECTS,
    JOINS,
    LOGIN_CONNECTIONS,
    MEMBER_CHANGES,
    OUTBOX,
    OUTBOX_BYTES,
    POST_BYTES,
    READ_BYTES,
    ROOM_POSTS,
    ROOMS,
    STATE_BYTES,
    UPGRADES,
    USER_LOGINS,
    WAITING_BYTES,
    WAITING_LOGINS,
    WAITING_POSTS,
    WRONG_CODES,
    Budget,
    Scope,
)
from gateway.config import Config, Limits
from gateway.domain.identity import Identity
from gateway.errors import (
    ExportsBusy,
    GatewayError,
    NoCapacity,
    PostsBusy,
    RateLimited,
    ReadsBusy,
    SubscriptionsFull,
    TooManyCopies,
    TooManyDashboards,
    TooManyExports,
    TooManyOfUser,
    TooManyPosts,
    TooManyQueues,
    TooManyReads,
    TooManyUnknown,
)
from gateway.http.listeners import Listener
from gateway.limits import UNTIL_RESTART, LiveLimits
from gateway.live.bytes_in_hand import BytesInHand
from gateway.live.client.connection import Connection
from gateway.live.client.requests import Subscribe
from gateway.live.destinations import RoomTopic
from gateway.live.relay.declared_queues import DeclaredQueues
from gateway.reload import Reload
from gateway.reports.cells import Style
from gateway.reports.exports import Kind
from gateway.reports.words import WORDS
from tests.integration.http.conftest import Call, token
from tests.integration.http.live_fake import FakeLive

BOB: Final = Identity("bob", frozenset(), 2.0**40)
ANNA: Final = Identity("anna", frozenset(), 2.0**40)
_names = count(1)


class Keeper:
    """A connection for which bytes are kept."""

    is_host = False
    ended = False

    def cut_short(self, error: GatewayError) -> None:
        self.ended = True


@dataclass
class Stage:
    """A gateway whose limits are changed while it serves."""

    gateway: Gateway
    call: Call
    room: str
    public: Listener
    settings: Config
    accounts: Accounts[Any]
    budgets: Budgets

    @property
    def services(self) -> Any:
        return self.gateway.services

    async def connected(self) -> WebSocketClientConnection:
        url = f"{self.public.url.replace('http', 'ws')}/ws"
        return await websocket_connect(url, subprotocols=["v12.stomp"])

    async def answer_to_connect(self, *, padding: int = 0) -> tuple[str, Connection]:
        """The first frame that a client gets, and its connection."""
        before = set(self.gateway.live.registry)
        client = await self.connected()
        (connection,) = set(self.gateway.live.registry) - before
        headers = [("passcode", token(self.settings, "bob")), ("x", "x" * padding)]
        frame = serialise("CONNECT", [("accept-version", "1.2"), *headers])
        await client.write_message(frame, binary=True)
        answer = await client.read_message()
        assert isinstance(connection, Connection)
        client.close()
        async with asyncio.timeout(10):
            while connection in set(self.gateway.live.registry):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        return str(answer), connection


@asynccontextmanager
async def present(stage: Stage, user: str | None) -> AsyncIterator[None]:
    """Somebody's connection, which has not said CONNECT yet."""
    fake = FakeLive(rooms=set())
    stage.gateway.live.registry.serve(fake, address="1.2.3.4", user=user)
    try:
        yield
    finally:
        fake.end(None)
        await asyncio.sleep(0)


async def refuses_one_more(stage: Stage, user: str | None, *by: type[Exception]) -> bool:
    async with present(stage, user):
        try:
            stage.gateway.live.registry.check_capacity(address="1.2.3.4", user=user, rank=Rank.HOST)
        except by:
            return True
    return False


async def post(stage: Stage, body: Any) -> int:
    answer = await stage.call("POST", f"{stage.room}/messages", user="bob", json={"body": body})
    return answer.status


async def body_bytes(stage: Stage) -> bool:
    return await post(stage, "x" * 2_000) == 413


async def frame_bytes(stage: Stage) -> bool:
    answer, _ = await stage.answer_to_connect(padding=2_000)
    return answer.startswith("ERROR")


async def connections(stage: Stage) -> bool:
    return await refuses_one_more(stage, "paul", TooManyOfUser, NoCapacity)


async def unknown_connections(stage: Stage) -> bool:
    return await refuses_one_more(stage, None, TooManyUnknown, NoCapacity)


async def login_connections(stage: Stage) -> bool:
    """Whether a second CONNECT with a login of RabbitMQ is refused before RabbitMQ is asked."""
    with stage.budgets.cap(LOGIN_CONNECTIONS).hold("127.0.0.1"):
        client = await stage.connected()
        login = [("accept-version", "1.2"), ("login", "app"), ("passcode", "p")]
        await client.write_message(serialise("CONNECT", login), binary=True)
        answer = str(await client.read_message())
        client.close()
    return "too_many_of_user" in answer


async def http_connections(stage: Stage) -> bool:
    """Whether one that waits for a request has to make room for another."""
    where = stage.public.url.rpartition("/")[2].split(":")
    waiting, first = await asyncio.open_connection(*where)
    reader, second = await asyncio.open_connection(*where)
    second.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 200 " in await reader.readline()
    made_room = waiting.at_eof()
    for writer in (first, second):
        writer.close()
    async with asyncio.timeout(10):
        while len(stage.public._server._places):  # noqa: ASYNC110 - they close in their own time
            await asyncio.sleep(0.01)
    return made_room


async def wait_of_a_client(stage: Stage) -> float:
    """Seconds until the next turn of a client that has sent twenty thousand units at once."""
    _, connection = await stage.answer_to_connect()
    allowance = connection._socket.allowance
    allowance.end_turn(0.0)
    allowance.spend(20_000)
    return allowance.end_turn(1_000_000.0)


Proof = Callable[[Stage], Awaitable[bool]]


async def wait_beyond(stage: Stage, budget: Budget, scope: Scope, *, part: float) -> float:
    """Seconds that somebody has to wait who has had a part of the default burst at once."""
    limit = next(limit for limit in budget.limits if limit.scope is scope)
    keyed = [each.scope for each in budget.limits if each.scope is not Scope.ALL]
    keys = [f"somebody {next(_names)}" if each is scope else None for each in keyed]
    rate = stage.budgets.rate(budget)
    rate.spend(*keys, cost=part * rate_of(limit, Limits()).burst)
    try:
        rate.check(*keys, rank=Rank.HOST)
    except GatewayError as error:
        return error.retry_after or 0.0
    return 0.0


def a_rate(budget: Budget, scope: Scope) -> Proof:
    """A proof for the key of a rate, which is lowered to nearly nothing."""

    async def counts(stage: Stage) -> bool:
        return await wait_beyond(stage, budget, scope, part=1.01) > 600

    return counts


def a_burst(budget: Budget, scope: Scope) -> Proof:
    """A proof for the key of a burst, which is lowered to 1."""

    async def counts(stage: Stage) -> bool:
        return await wait_beyond(stage, budget, scope, part=0.1) > 0

    return counts


async def wait_after_bytes(stage: Stage) -> float:
    """Seconds until the next turn of a client that has sent more than the default at once."""
    _, connection = await stage.answer_to_connect()
    allowance = connection._socket.allowance
    allowance.end_turn(0.0)
    return allowance.end_turn(1_000_000.0, 17 * 1024 * 1024)


async def bytes_per_second(stage: Stage) -> bool:
    return await wait_after_bytes(stage) > 60


async def bytes_burst(stage: Stage) -> bool:
    return await wait_after_bytes(stage) > 2


async def frames_per_second(stage: Stage) -> bool:
    return await wait_of_a_client(stage) > 100


async def frames_burst(stage: Stage) -> bool:
    return await wait_of_a_client(stage) > 7


async def subscriptions(stage: Stage) -> bool:
    _, connection = await stage.answer_to_connect()
    topic = RoomTopic(Stream(Audience.PUBLIC, 1))
    for id in ("1", "2"):
        try:
            connection.session._subscribe(Subscribe(id, topic, Frame("SUBSCRIBE", (), b"")))
        except SubscriptionsFull:
            return True
    return False


def wait_of_a_sender(stage: Stage) -> float:
    """Seconds that somebody waits who has posted two hundred messages at once."""
    rates, who = stage.services.intake._posts, next(_names)
    for _ in range(200):
        rates.spend(who)
    try:
        rates.check(who)
    except RateLimited as error:
        return error.retry_after or 0.0
    return 0.0


async def posts_per_second(stage: Stage) -> bool:
    return wait_of_a_sender(stage) > 10


async def posts_burst(stage: Stage) -> bool:
    return wait_of_a_sender(stage) > 3


async def logins_per_minute(stage: Stage) -> bool:
    address = f"address {next(_names)}"
    for _ in range(20):
        stage.accounts.guesses.wrong(address)
    try:
        stage.accounts.guesses.check(address)
    except RateLimited:
        return True
    return False


async def refuses_another_post(stage: Stage, *senders: str, by: type[Exception]) -> bool:
    """Whether one of two posts that are large, but not too large, is not taken."""
    with ExitStack() as stack:
        try:
            for sender in senders:
                for row, amount in ((WAITING_POSTS, 1), (WAITING_BYTES, 70_000)):
                    place = stage.gateway.budgets.cap(row).take(
                        sender, amount=amount, rank=Rank.HOST
                    )
                    stack.callback(place.give_back)
        except by:
            return True
    return False


async def body_bytes_per_user(stage: Stage) -> bool:
    """Whether a body is not read because its user has others under way."""
    with stage.budgets.cap(BODIES).take("bob", amount=130_000, rank=Rank.HOST):
        return await post(stage, "x" * 2_000) == 429


async def body_bytes_in_all(stage: Stage) -> bool:
    with stage.budgets.cap(BODIES).take("anna", amount=130_000, rank=Rank.HOST):
        return await post(stage, "x" * 2_000) == 503


async def waiting_posts(stage: Stage) -> bool:
    return await refuses_another_post(stage, "anna", "bob", by=PostsBusy)


async def waiting_posts_per_user(stage: Stage) -> bool:
    return await refuses_another_post(stage, "bob", "bob", by=TooManyPosts)


async def keeps_too_much(stage: Stage, which: str, *users: str) -> bool:
    """Whether somebody's connection ends for four million bytes that two have together."""
    pool: BytesInHand = getattr(stage.gateway.live, which)
    keepers = [Keeper() for _ in users]
    accounts = [pool.account(keeper) for keeper in keepers]
    for account, user in zip(accounts, users, strict=True):
        account.belongs_to(user)
        account.keep(2_000_000)
    await asyncio.sleep(0)
    for account in accounts:
        account.close()
    return any(keeper.ended for keeper in keepers)


async def backlog_bytes_in_all(stage: Stage) -> bool:
    return await keeps_too_much(stage, "backlog", "anna", "bob")


async def backlog_bytes_per_user(stage: Stage) -> bool:
    return await keeps_too_much(stage, "backlog", "bob", "bob")


async def half_read_bytes(stage: Stage) -> bool:
    return await keeps_too_much(stage, "half_read", "anna", "bob")


async def half_read_bytes_per_user(stage: Stage) -> bool:
    return await keeps_too_much(stage, "half_read", "bob", "bob")


async def copies(stage: Stage, *connections: str) -> bool:
    """Whether one of two subscriptions to the same topic is refused."""
    with ExitStack() as stack:
        try:
            for connection in connections or ("one", "one"):
                place = stage.gateway.budgets.cap(COPIES).take(connection, "bob")
                stack.callback(place.give_back)
        except TooManyCopies:
            return True
    return False


async def copies_per_user(stage: Stage) -> bool:
    return await copies(stage, "one", "two")


async def dashboards(stage: Stage) -> bool:
    """Whether the second dashboard of an admin is refused."""
    viewer = stage.gateway.admin.dashboard.watch("admin", expires_at=2e9)
    try:
        stage.gateway.admin.dashboard.watch("admin", expires_at=2e9).close()
    except (TooManyDashboards, NoCapacity):
        return True
    else:
        return False
    finally:
        viewer.close()


async def page_size(stage: Stage) -> bool:
    for number in range(2):
        await post(stage, number)
    page = await stage.call("GET", f"{stage.room}/messages", user="bob")
    return len(page.json["messages"]) == 1


async def refuses_another_read(stage: Stage, of: str, by: type[Exception]) -> bool:
    history = stage.services.history
    with history._turns._places.hold(of):
        try:
            await history.page(BOB, Stream(Audience.PUBLIC, 1), after=0, limit=None, types=None)
        except by:
            return True
    return False


async def refuses_another_state_read(stage: Stage, of: str, by: type[Exception]) -> bool:
    state = stage.services.state
    with state._turns._places.hold(of):
        try:
            await state.page(BOB, Stream(Audience.PUBLIC, 1), after=0, limit=None)
        except by:
            return True
    return False


async def state_reads(stage: Stage) -> bool:
    return await refuses_another_state_read(stage, "anna", ReadsBusy)


async def state_reads_per_user(stage: Stage) -> bool:
    return await refuses_another_state_read(stage, "bob", TooManyReads)


async def keep(stage: Stage, user: str, key: str, body: Any = "x") -> int:
    answer = await stage.call(
        "POST", f"{stage.room}/messages", user=user, json={"body": body, "keep": key}
    )
    return answer.status


def keys(user: str) -> Proof:
    """A proof that with the lower limit a second key of the same author is refused."""

    async def counts(stage: Stage) -> bool:
        return [await keep(stage, user, f"answer:{next(_names)}") for _ in range(2)][1] == 409

    return counts


async def kept_bytes(stage: Stage) -> bool:
    return await keep(stage, "bob", "answer:1", "x" * 1_000) == 413


async def reads(stage: Stage) -> bool:
    return await refuses_another_read(stage, "anna", ReadsBusy)


async def reads_per_user(stage: Stage) -> bool:
    return await refuses_another_read(stage, "bob", TooManyReads)


async def room_knocks(stage: Stage) -> bool:
    """Whether the last of two who knock has to come again later."""
    path = f"{stage.room}/code"
    answer = await stage.call("POST", path, user="anna", json={"guests": "knock"})
    for name in ("Mina", "Juno"):
        who = {"code": answer.json["code"], "nickname": name}
        answer_to_knock = await stage.call("POST", "/api/join", json=who)
    return answer_to_knock.status == 429


async def room_members(stage: Stage) -> bool:
    path = f"{stage.room}/members/user{next(_names)}"
    return (await stage.call("PUT", path, user="anna", json={"role": "host"})).status == 409


def full(
    budget: Budget, amount: int, call: Callable[[Stage], Awaitable[int]], *keys: str, by: int = 503
) -> Proof:
    """A proof for a cap: with so much held by the keys, the call is refused."""

    async def counts(stage: Stage) -> bool:
        with stage.budgets.cap(budget).hold(*keys, amount=amount):
            return await call(stage) == by

    return counts


async def a_post(stage: Stage) -> int:
    return await post(stage, "x")


async def a_login(stage: Stage) -> int:
    body = {"user": "nobody", "password": "x"}
    return (await stage.call("POST", "/api/session", json=body)).status


async def open_rooms(stage: Stage) -> bool:
    """Whether a user who has made a room may not make another."""
    answers = [
        await stage.call("POST", "/api/rooms", user="rita", roles=("host",), json={"title": "x"})
        for _ in range(2)
    ]
    return answers[1].status in (409, 503)


async def broker_queues(stage: Stage) -> bool:
    """Whether a second durable queue is refused to one user."""
    queues = DeclaredQueues(stage.budgets)
    try:
        for name in ("/queue/a", "/queue/b"):
            queues.count(BOB, Frame("SEND", (("destination", name),)))
    except TooManyQueues:
        return True
    return False


async def backlog_bytes(stage: Stage) -> bool:
    budget: int = stage.gateway.live.hub.fan_out._budget()
    return budget == 1_000


def refuses_another_export(of: str, by: type[Exception]) -> Proof:
    async def counts(stage: Stage) -> bool:
        with stage.budgets.cap(EXPORTS).hold(of):
            parts = stage.services.exports.csv(ANNA, 1, Kind.POLLS, Style(WORDS["en"], UTC))
            try:
                await anext(parts)
            except by:
                return True
            finally:
                await parts.aclose()
        return False

    return counts


def exports_wait(within: float) -> Proof:
    """A proof for a rate beyond which nothing is refused."""

    async def counts(stage: Stage) -> bool:
        user, rate = f"somebody {next(_names)}", stage.budgets.rate(EXPORT_BYTES)
        rate.spend(user, cost=within * Limits().export_bytes_burst)
        return rate.reserve(user, within=math.inf) > (600 if within > 1 else 0)

    return counts


#: By limit: a lower value, and what tells whether it counts.
PROOFS: Final[dict[str, tuple[float, Callable[[Stage], Awaitable[bool]]]]] = {
    "backlog_bytes_in_all": (200_000, backlog_bytes_in_all),
    "backlog_bytes_per_user": (200_000, backlog_bytes_per_user),
    "body_bytes": (1_000, body_bytes),
    "body_bytes_in_all": (131_072, body_bytes_in_all),
    "body_bytes_per_user": (131_072, body_bytes_per_user),
    "broker_queues": (1, broker_queues),
    "broker_queues_per_user": (1, broker_queues),
    "broker_subscriptions_burst": (1, a_burst(BROKER_SUBSCRIPTIONS, Scope.USER)),
    "broker_subscriptions_per_second": (0.001, a_rate(BROKER_SUBSCRIPTIONS, Scope.USER)),
    "connections": (1, connections),
    "connections_per_user": (1, connections),
    "copies": (1, copies),
    "copies_per_user": (1, copies_per_user),
    "dashboards": (1, dashboards),
    "dashboards_per_user": (1, dashboards),
    "dials_burst": (1, a_burst(DIALS, Scope.USER)),
    "dials_per_second": (0.001, a_rate(DIALS, Scope.USER)),
    "exports": (1, refuses_another_export("bob", ExportsBusy)),
    "exports_per_user": (1, refuses_another_export("anna", TooManyExports)),
    "export_bytes_burst": (1, exports_wait(0.1)),
    "export_bytes_per_second": (0.001, exports_wait(1.01)),
    "frame_bytes": (1_000, frame_bytes),
    "frames_burst": (1, frames_burst),
    "frames_per_second": (1.0, frames_per_second),
    "half_read_bytes": (200_000, half_read_bytes),
    "half_read_bytes_per_user": (200_000, half_read_bytes_per_user),
    "http_connections": (1, http_connections),
    "http_connections_per_address": (1, http_connections),
    "http_connects_burst": (1, a_burst(HTTP_CONNECTS, Scope.ADDRESS)),
    "http_connects_per_second": (0.001, a_rate(HTTP_CONNECTS, Scope.ADDRESS)),
    "user_http_connects_burst": (1, a_burst(HTTP_CONNECTS, Scope.USER)),
    "user_http_connects_per_second": (0.001, a_rate(HTTP_CONNECTS, Scope.USER)),
    "logins_per_minute": (6.0, logins_per_minute),
    "page_size": (1, page_size),
    "all_read_bytes_burst": (1, a_burst(READ_BYTES, Scope.ALL)),
    "all_read_bytes_per_second": (0.001, a_rate(READ_BYTES, Scope.ALL)),
    "read_bytes_burst": (1, a_burst(READ_BYTES, Scope.USER)),
    "read_bytes_per_second": (0.001, a_rate(READ_BYTES, Scope.USER)),
    "joins_burst": (1, a_burst(JOINS, Scope.ADDRESS)),
    "joins_per_second": (0.001, a_rate(JOINS, Scope.ADDRESS)),
    "all_joins_burst": (1, a_burst(JOINS, Scope.ALL)),
    "all_joins_per_second": (0.001, a_rate(JOINS, Scope.ALL)),
    "room_joins_burst": (1, a_burst(ENTRIES, Scope.ROOM)),
    "room_joins_per_second": (0.001, a_rate(ENTRIES, Scope.ROOM)),
    "room_guests_burst": (1, a_burst(GUESTS, Scope.ROOM)),
    "room_guests_per_minute": (0.001, a_rate(GUESTS, Scope.ROOM)),
    "wrong_codes_per_minute": (0.001, a_rate(WRONG_CODES, Scope.ADDRESS)),
    "all_wrong_codes_per_minute": (0.001, a_rate(ALL_WRONG_CODES, Scope.ALL)),
    "room_knocks": (1, room_knocks),
    "upgrades_burst": (1, a_burst(UPGRADES, Scope.ADDRESS)),
    "upgrades_per_second": (0.001, a_rate(UPGRADES, Scope.ADDRESS)),
    "user_upgrades_burst": (1, a_burst(UPGRADES, Scope.USER)),
    "user_upgrades_per_second": (0.001, a_rate(UPGRADES, Scope.USER)),
    "user_logins_burst": (1, a_burst(USER_LOGINS, Scope.USER)),
    "user_logins_per_minute": (0.001, a_rate(USER_LOGINS, Scope.USER)),
    "bytes_burst": (1, bytes_burst),
    "bytes_per_second": (1000.0, bytes_per_second),
    "post_bytes_burst": (1, a_burst(POST_BYTES, Scope.USER)),
    "post_bytes_per_second": (0.001, a_rate(POST_BYTES, Scope.USER)),
    "room_post_bytes_burst": (1, a_burst(POST_BYTES, Scope.ROOM)),
    "room_post_bytes_per_second": (0.001, a_rate(POST_BYTES, Scope.ROOM)),
    "room_posts_burst": (1, a_burst(ROOM_POSTS, Scope.ROOM)),
    "room_posts_per_second": (0.001, a_rate(ROOM_POSTS, Scope.ROOM)),
    "posts_burst": (1, posts_burst),
    "posts_per_second": (0.001, posts_per_second),
    "reads": (1, reads),
    "reads_per_user": (1, reads_per_user),
    "kept_bytes": (1_000, kept_bytes),
    "kept_of_room": (1, keys("anna")),
    "kept_of_user": (1, keys("bob")),
    "kept_bytes_of_user": (5, keys("bob")),
    "kept_bytes_of_users": (5, keys("bob")),
    "state_reads": (1, state_reads),
    "state_reads_per_user": (1, state_reads_per_user),
    "all_state_bytes_burst": (1, a_burst(STATE_BYTES, Scope.ALL)),
    "all_state_bytes_per_second": (0.001, a_rate(STATE_BYTES, Scope.ALL)),
    "state_bytes_burst": (1, a_burst(STATE_BYTES, Scope.USER)),
    "state_bytes_per_second": (0.001, a_rate(STATE_BYTES, Scope.USER)),
    "room_members": (2, room_members),
    "backlog_bytes": (1_000, backlog_bytes),
    "member_changes_burst": (1, a_burst(MEMBER_CHANGES, Scope.USER)),
    "member_changes_per_second": (0.001, a_rate(MEMBER_CHANGES, Scope.USER)),
    "open_rooms": (1, open_rooms),
    "open_rooms_per_user": (1, open_rooms),
    "outbox_bytes": (131_072, full(OUTBOX_BYTES, 131_072, a_post)),
    "outbox_messages": (1, full(OUTBOX, 1, a_post)),
    "waiting_logins": (1, full(WAITING_LOGINS, 1, a_login, "elsewhere")),
    "waiting_logins_per_address": (1, full(WAITING_LOGINS, 1, a_login, "127.0.0.1", by=429)),
    "rooms_burst": (1, a_burst(ROOMS, Scope.USER)),
    "rooms_per_minute": (0.01, a_rate(ROOMS, Scope.USER)),
    "login_connections_per_address": (1, login_connections),
    "subscriptions": (1, subscriptions),
    "unknown_connections": (1, unknown_connections),
    "unknown_connections_per_address": (1, unknown_connections),
    "waiting_bytes": (131_072, waiting_posts),
    "waiting_bytes_per_user": (131_072, waiting_posts_per_user),
    "waiting_posts": (1, waiting_posts),
    "waiting_posts_per_user": (1, waiting_posts_per_user),
}


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    # The defaults; and the address of these tests is one like every other.
    tables["limits"] = {}
    tables["server"]["trusted_proxies"] = []
    tables["auth"]["rabbitmq"] = {}
    return tables


@pytest.fixture
def stage(
    gateway: Gateway,
    call: Call,
    room: str,
    public: Listener,
    settings: Config,
    accounts: Accounts[Any],
    budgets: Budgets,
) -> Stage:
    return Stage(gateway, call, room, public, settings, accounts, budgets)


@pytest.fixture
def reload(
    gateway: Gateway,
    public: Listener,
    settings: Config,
    tables: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> Callable[[str, float], str]:
    """Gives a limit a value in the file, and the gateway the signal; what it says to that."""

    def reload(name: str, value: float) -> str:
        changed = config.parse({**tables, "limits": {name: value}}, source="test")
        changes = gateway.reloadable.changes(public, [])
        # The log of the tests stays as it is.
        changes = {change: keys for change, keys in changes.items() if "log.level" not in keys}
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="gateway.reload"):
            Reload(settings, read=lambda: changed, changes=changes)()
        return "\n".join(caplog.messages)

    return reload


def test_every_limit_has_a_proof_or_waits_for_a_restart() -> None:
    assert PROOFS.keys() | set(UNTIL_RESTART) == Limits.model_fields.keys()
    assert not PROOFS.keys() & set(UNTIL_RESTART)


@pytest.mark.parametrize("name", PROOFS)
@pytest.mark.gen_test
async def test_a_limit_counts_as_soon_as_it_is_reloaded(
    name: str, stage: Stage, reload: Callable[[str, float], str]
) -> None:
    value, counts = PROOFS[name]
    assert not await counts(stage)
    assert f"reloaded: limits.{name}" in reload(name, value)
    assert await counts(stage)


@pytest.mark.parametrize("name", UNTIL_RESTART)
@pytest.mark.gen_test
async def test_a_limit_that_waits_for_a_restart_says_so_and_stays(
    name: str, limits: LiveLimits, reload: Callable[[str, float], str]
) -> None:
    before = getattr(limits.now, name)
    assert re.search(rf"need a restart: limits\.{name}$", reload(name, before + 1))
    assert getattr(limits.now, name) == before
