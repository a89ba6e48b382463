"""Every limit of every budget, met at the front door: the status or close code, the code of its
own, when to try again, the count in the metrics, and the event for the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from broker.protocol.stomp import serialise
from gateway.assembly import Gateway
from gateway.budget.budgets import Budgets
from gateway.budget.table import EXPORTS, LOGIN_CONNECTIONS, TABLE
from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.observe.events import Event, Kind
from tests.integration.http.conftest import Answer, Call, FakeBroker, token

UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Stage:
    """A gateway with one limit that is easily met."""

    gateway: Gateway
    call: Call
    room: str
    public: Listener
    settings: Config
    broker: FakeBroker
    _tokens: dict[str, str] = field(default_factory=dict)

    async def dial(self, user: str | None = None) -> WebSocketClientConnection:
        headers = {} if user is None else {"Authorization": self.bearer(user)}
        url = f"{self.public.url.replace('http', 'ws')}/ws"
        request = HTTPRequest(url, headers=headers)
        return await websocket_connect(request, subprotocols=["v12.stomp"])

    async def connect(self, user: str) -> WebSocketClientConnection:
        client = await self.dial(user)
        await client.write_message(serialise("CONNECT", [("accept-version", "1.2")]), binary=True)
        assert str(await client.read_message()).startswith("CONNECTED")
        return client

    async def hang_up(self, client: WebSocketClientConnection) -> None:
        """Close, and wait until the gateway has taken notice."""
        client.close()
        async with asyncio.timeout(10):
            while len(self.gateway.live.registry):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.005)

    async def handshake(self, user: str | None = None) -> Answer:
        headers = dict(UPGRADE)
        if user is not None:
            headers["Authorization"] = self.bearer(user)
        return await self.call("GET", "/ws", headers=headers)

    async def post(self, size: int = 1) -> Answer:
        return await self.call(
            "POST", f"{self.room}/messages", user="bob", json={"body": "x" * size}
        )

    async def read(self, user: str = "bob") -> Answer:
        return await self.call("GET", f"{self.room}/messages", user=user)

    async def log_in(self, proof: str) -> Answer:
        return await self.call("POST", "/api/session", json={"token": proof})

    def bearer(self, user: str) -> str:
        # Always the same: one of the next second is not known yet.
        if user not in self._tokens:
            self._tokens[user] = token(self.settings, user)
        return f"Bearer {self._tokens[user]}"


@dataclass(frozen=True)
class Refusal:
    """What the client sees: an HTTP status or a close code, and the code of the problem."""

    status: int
    code: str
    retries: bool = True


def answered(answer: Answer) -> Refusal:
    status, code = answer.problem
    seconds = answer.headers.get("Retry-After")
    assert seconds is None or int(seconds) >= 1
    return Refusal(status, code, seconds is not None)


async def stomp_refusal(client: WebSocketClientConnection) -> Refusal:
    """The refusal of a connection: its ERROR, then its Close."""
    while not str(frame := await client.read_message()).startswith("ERROR"):
        assert frame is not None
    headers = dict(
        line.partition(":")[::2] for line in str(frame).partition("\n\n")[0].splitlines()[1:]
    )
    assert await client.read_message() is None
    assert client.close_code is not None
    return Refusal(client.close_code, headers["message"], "retry-after" in headers)


async def two_of_one_user(stage: Stage) -> Refusal:
    client = await stage.dial("bob")
    refused = answered(await stage.handshake("bob"))
    await stage.hang_up(client)
    return refused


async def two_of_different_users(stage: Stage) -> Refusal:
    client = await stage.dial("bob")
    refused = answered(await stage.handshake("anna"))
    await stage.hang_up(client)
    return refused


async def two_of_nobody(stage: Stage) -> Refusal:
    client = await stage.dial()
    refused = answered(await stage.handshake())
    await stage.hang_up(client)
    return refused


async def two_with_a_login_of_rabbitmq(stage: Stage) -> Refusal:
    """The first one is there for as long as RabbitMQ takes to answer."""
    with stage.gateway.budgets.cap(LOGIN_CONNECTIONS).hold("127.0.0.1"):
        client = await stage.dial()
        login = [("accept-version", "1.2"), ("login", "app"), ("passcode", "p")]
        await client.write_message(serialise("CONNECT", login), binary=True)
        refused = await stomp_refusal(client)
        await stage.hang_up(client)
    return refused


async def two_http_connections(stage: Stage) -> Refusal:
    """The first one is busy: it waits for the broker, so it makes no room."""
    stage.broker.away = True
    busy = asyncio.ensure_future(stage.post())
    async with asyncio.timeout(10):
        while not stage.gateway.messages.pipeline.in_hand:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)
    refused = await new_connection(stage)
    await busy
    return refused


async def new_connection(stage: Stage, *lines: str) -> Refusal:
    """The answer to a request on a connection of its own."""
    where = stage.public.url.rpartition("/")[2].split(":")
    reader, writer = await asyncio.open_connection(*where)
    head = "\r\n".join(["GET /api/session HTTP/1.1", "Host: x", "Connection: close", *lines])
    writer.write(f"{head}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    body = (await reader.read()).decode()
    writer.close()
    code = body.partition('"code": "')[2].partition('"')[0]
    return Refusal(int(head.split()[1]), code, "Retry-After: " in head)


async def two_connections_of_somebody_known(stage: Stage) -> Refusal:
    """The answers to requests on new connections from an address that has none left."""
    bearer = f"Authorization: {stage.bearer('bob')}"
    await stage.gateway.services.credentials.verify(bearer.rpartition(" ")[2])
    first = await new_connection(stage, bearer)
    assert first.status == 200
    return await new_connection(stage, bearer)


async def two_subscriptions(stage: Stage) -> Refusal:
    client = await stage.connect("bob")
    topic = f"/topic/acdm.mo.interact.public.{stage.room.rpartition('/')[2]}"
    for id in ("1", "2"):
        frame = serialise("SUBSCRIBE", [("destination", topic), ("id", id)])
        await client.write_message(frame, binary=True)
    refused = await stomp_refusal(client)
    await stage.hang_up(client)
    return refused


async def two_relays(stage: Stage) -> Refusal:
    """A host's two connections to the private queue, while no node can be reached."""
    queue = f"/queue/acdm.mo.interact.private.{stage.room.rpartition('/')[2]}"
    refused = []
    for _ in range(2):
        client = await stage.connect("anna")
        frame = serialise("SUBSCRIBE", [("destination", queue), ("id", "q"), ("ack", "client")])
        await client.write_message(frame, binary=True)
        refused.append(await stomp_refusal(client))
        await stage.hang_up(client)
    assert refused[0].code == "broker_unavailable"
    return refused[1]


async def another_room(stage: Stage) -> Refusal:
    """The first one is that of the stage."""
    return answered(
        await stage.call("POST", "/api/rooms", user="anna", roles=("host",), json={"title": "x"})
    )


async def two_posts(stage: Stage) -> Refusal:
    assert (await stage.post()).status in (201, 202)
    return answered(await stage.post())


async def two_posts_without_broker(stage: Stage) -> Refusal:
    stage.broker.away = True
    assert (await stage.post()).status == 202
    return answered(await stage.post())


async def a_member_who_comes_and_goes(stage: Stage) -> Refusal:
    carol = f"{stage.room}/members/carol"
    put = await stage.call("PUT", carol, user="anna", json={"role": "participant"})
    assert put.status < 300
    return answered(await stage.call("DELETE", carol, user="anna"))


async def a_host_then_a_participant(stage: Stage) -> Refusal:
    answer = await stage.call("POST", f"{stage.room}/messages", user="anna", json={"body": "x"})
    assert answer.status in (201, 202)
    return answered(await stage.post())


async def two_posts_at_once(stage: Stage) -> Refusal:
    stage.broker.away = True
    answers = await asyncio.gather(stage.post(1000), stage.post(1000))
    return answered(max(answers, key=lambda answer: answer.status))


async def three_posts_at_once(stage: Stage) -> Refusal:
    stage.broker.away = True
    answers = await asyncio.gather(*(stage.post(1000) for _ in range(3)))
    return answered(max(answers, key=lambda answer: answer.status))


async def two_wrong_logins(stage: Stage) -> Refusal:
    assert (await stage.log_in("wrong")).status == 401
    return answered(await stage.log_in("wrong"))


async def two_right_logins(stage: Stage) -> Refusal:
    assert (await stage.log_in(token(stage.settings, "bob"))).status == 200
    return answered(await stage.log_in(token(stage.settings, "bob")))


async def two_passwords_at_once(stage: Stage) -> Refusal:
    body = {"user": "nobody", "password": "x"}
    calls = (stage.call("POST", "/api/session", json=body) for _ in range(2))
    answers = sorted(await asyncio.gather(*calls), key=lambda answer: answer.status)
    assert answers[0].status == 401
    return answered(answers[1])


def two_reads_at_once(first: str) -> Proof:
    async def met(stage: Stage) -> Refusal:
        with stage.gateway.services.history._turns._places.hold(first):
            return answered(await stage.read("bob"))

    return met


def two_exports_at_once(first: str) -> Proof:
    async def met(stage: Stage) -> Refusal:
        with stage.gateway.budgets.cap(EXPORTS).hold(first):
            path = f"{stage.room}/export/polls.csv"
            return answered(await stage.call("GET", path, user="anna"))

    return met


def two_dashboards(first: str) -> Proof:
    async def met(stage: Stage) -> Refusal:
        viewer = stage.gateway.admin.dashboard.watch(first, expires_at=2e9)
        try:
            live = "/api/admin/live"
            return answered(await stage.call("GET", live, user="admin", roles=("admin",)))
        finally:
            stage.gateway.admin.dashboard.leave(viewer)

    return met


async def two_reads(stage: Stage) -> Refusal:
    await stage.post()
    assert (await stage.read()).status == 200
    return answered(await stage.read())


def two_keys(user: str, beginning: str) -> Proof:
    async def met(stage: Stage) -> Refusal:
        for number in range(2):
            body = {"body": 1, "keep": f"{beginning}{number}"}
            answer = await stage.call("POST", f"{stage.room}/messages", user=user, json=body)
        return answered(answer)

    return met


def two_state_reads_at_once(first: str) -> Proof:
    async def met(stage: Stage) -> Refusal:
        with stage.gateway.services.state._turns._places.hold(first):
            return answered(await stage.call("GET", f"{stage.room}/state", user="bob"))

    return met


async def two_state_reads(stage: Stage) -> Refusal:
    body = {"body": 1, "keep": "answer:1"}
    await stage.call("POST", f"{stage.room}/messages", user="bob", json=body)
    assert (await stage.call("GET", f"{stage.room}/state", user="bob")).status == 200
    return answered(await stage.call("GET", f"{stage.room}/state", user="bob"))


async def one_member_more(stage: Stage) -> Refusal:
    answer = await stage.call(
        "PUT", f"{stage.room}/members/carol", user="anna", json={"role": "participant"}
    )
    return answered(answer)


async def code_of(stage: Stage, guests: str = "yes") -> str:
    made = await stage.call("POST", f"{stage.room}/code", user="anna", json={"guests": guests})
    assert made.status == 200
    return str(made.json["code"])


async def join(stage: Stage, code: str, nickname: str | None = None) -> Answer:
    wanted = {"code": code} if nickname is None else {"code": code, "nickname": nickname}
    return await stage.call("POST", "/api/join", json=wanted)


async def two_looks_at_a_code(stage: Stage) -> Refusal:
    code = await code_of(stage)
    assert (await join(stage, code)).status == 200
    return answered(await join(stage, code))


async def two_guests(stage: Stage) -> Refusal:
    code = await code_of(stage)
    assert (await join(stage, code, "Mina")).status == 200
    return answered(await join(stage, code, "Juno"))


async def two_knocks(stage: Stage) -> Refusal:
    code = await code_of(stage, "knock")
    assert (await join(stage, code, "Mina")).status == 202
    return answered(await join(stage, code, "Juno"))


async def two_wrong_codes(stage: Stage) -> Refusal:
    code = await code_of(stage)
    assert (await join(stage, "BCDFGH")).status == 404
    refusal = answered(await join(stage, "BCDFGJ"))
    # The class of a host at the same address comes in, whatever a neighbour guesses.
    assert (await join(stage, code)).status == 200
    return refusal


async def two_handshakes_of_one_user(stage: Stage) -> Refusal:
    # Whoever is known to be valid counts for themselves.
    assert (await stage.read()).status == 200
    await stage.hang_up(await stage.dial("bob"))
    refusal = answered(await stage.handshake("bob"))
    # Others at the address do not notice.
    await stage.hang_up(await stage.dial())
    return refusal


async def two_handshakes_beside_one_who_is_known(stage: Stage) -> Refusal:
    assert (await stage.read()).status == 200
    await stage.hang_up(await stage.dial())
    refusal = answered(await stage.handshake())
    await stage.hang_up(await stage.dial("bob"))
    return refusal


Proof = Callable[[Stage], Awaitable[Refusal]]

#: By limit: the configuration with which it is met, how, and what the client sees.
PROOFS: Final[dict[str, tuple[dict[str, float], Proof, Refusal]]] = {
    "connections/user": (
        {"connections_per_user": 1},
        two_of_one_user,
        Refusal(429, "too_many_of_user"),
    ),
    "connections/all": (
        {"connections": 1},
        two_of_different_users,
        Refusal(503, "no_capacity"),
    ),
    "unknown_connections/address": (
        {"unknown_connections_per_address": 1},
        two_of_nobody,
        Refusal(429, "too_many_unknown"),
    ),
    "unknown_connections/all": (
        {"unknown_connections": 1},
        two_of_nobody,
        Refusal(503, "no_capacity"),
    ),
    "login_connections/address": (
        {"login_connections_per_address": 1},
        two_with_a_login_of_rabbitmq,
        Refusal(1013, "too_many_of_user"),
    ),
    "upgrades/address": (
        {"upgrades_burst": 1, "upgrades_per_second": 0.01},
        two_handshakes_beside_one_who_is_known,
        Refusal(429, "too_many_upgrades"),
    ),
    "upgrades/user": (
        {"user_upgrades_burst": 1, "user_upgrades_per_second": 0.01},
        two_handshakes_of_one_user,
        Refusal(429, "too_many_upgrades"),
    ),
    "http_connections/address": (
        {"http_connections_per_address": 1},
        two_http_connections,
        Refusal(429, "too_many_connections"),
    ),
    "http_connections/all": (
        {"http_connections": 1},
        two_http_connections,
        Refusal(503, "no_capacity"),
    ),
    "http_connects/address": (
        # The stage's room was made by the first one.
        {"http_connects_burst": 1, "http_connects_per_second": 0.01},
        new_connection,
        Refusal(429, "too_many_connects"),
    ),
    "http_connects/user": (
        {
            "http_connects_burst": 1,
            "http_connects_per_second": 0.01,
            "user_http_connects_burst": 1,
            "user_http_connects_per_second": 0.01,
        },
        two_connections_of_somebody_known,
        Refusal(429, "too_many_connects"),
    ),
    "subscriptions/connection": (
        {"subscriptions": 1},
        two_subscriptions,
        Refusal(1013, "subscriptions_full"),
    ),
    "posts/user": (
        {"posts_burst": 1, "posts_per_second": 0.01},
        two_posts,
        Refusal(429, "rate_limited"),
    ),
    "room_posts/room": (
        {"room_posts_burst": 1, "room_posts_per_second": 0.01},
        a_host_then_a_participant,
        Refusal(429, "room_busy"),
    ),
    "post_bytes/user": (
        {"post_bytes_burst": 100, "post_bytes_per_second": 0.01},
        two_posts,
        Refusal(429, "too_many_bytes"),
    ),
    "post_bytes/room": (
        {"room_post_bytes_burst": 100, "room_post_bytes_per_second": 0.01},
        two_posts,
        Refusal(429, "room_busy"),
    ),
    "exports/user": (
        {"exports_per_user": 1},
        two_exports_at_once("anna"),
        Refusal(429, "too_many_exports"),
    ),
    "exports/all": (
        {"exports": 1},
        two_exports_at_once("bob"),
        Refusal(503, "exports_busy"),
    ),
    "failed_logins/address": (
        {"logins_per_minute": 1.0},
        two_wrong_logins,
        Refusal(429, "too_many_guesses"),
    ),
    "user_logins/user": (
        {"user_logins_burst": 1, "user_logins_per_minute": 1.0},
        two_right_logins,
        Refusal(429, "too_many_logins"),
    ),
    "waiting_logins/address": (
        {"waiting_logins_per_address": 1},
        two_passwords_at_once,
        Refusal(429, "too_many_logins"),
    ),
    "waiting_logins/all": (
        {"waiting_logins": 1},
        two_passwords_at_once,
        Refusal(503, "logins_wait"),
    ),
    "joins/address": (
        {"joins_burst": 1, "joins_per_second": 0.01},
        two_looks_at_a_code,
        Refusal(429, "too_many_joins"),
    ),
    "joins/all": (
        {"all_joins_burst": 1, "all_joins_per_second": 0.01},
        two_looks_at_a_code,
        Refusal(429, "too_many_joins"),
    ),
    "entries/room": (
        {"room_joins_burst": 1, "room_joins_per_second": 0.01},
        two_guests,
        Refusal(429, "joins_wait"),
    ),
    "guests/room": (
        {"room_guests_burst": 1, "room_guests_per_minute": 0.5},
        two_guests,
        Refusal(429, "too_many_joins"),
    ),
    "wrong_codes/address": (
        {"wrong_codes_per_minute": 1.0},
        two_wrong_codes,
        Refusal(429, "too_many_codes"),
    ),
    "all_wrong_codes/all": (
        {"all_wrong_codes_per_minute": 1.0},
        two_wrong_codes,
        Refusal(429, "too_many_codes"),
    ),
    "knocks/room": ({"room_knocks": 1}, two_knocks, Refusal(429, "too_many_knocks")),
    "waiting_posts/all": (
        {"waiting_posts": 1},
        two_posts_at_once,
        Refusal(503, "posts_busy"),
    ),
    "waiting_posts/user": (
        {"waiting_posts_per_user": 1},
        two_posts_at_once,
        Refusal(429, "too_many_posts"),
    ),
    "waiting_bytes/user": (
        {"body_bytes": 1500, "waiting_bytes_per_user": 1500},
        two_posts_at_once,
        Refusal(429, "too_many_posts"),
    ),
    "waiting_bytes/all": (
        {"body_bytes": 1500, "waiting_bytes": 3000},
        three_posts_at_once,
        Refusal(503, "posts_busy"),
    ),
    "outbox/all": (
        {"outbox_messages": 1},
        two_posts_without_broker,
        Refusal(503, "publishing_behind"),
    ),
    "outbox_bytes/all": (
        {"body_bytes": 1500, "outbox_bytes": 3000},
        three_posts_at_once,
        Refusal(503, "publishing_behind"),
    ),
    "bodies/user": (
        {"body_bytes": 1500, "body_bytes_per_user": 1500},
        two_posts_at_once,
        Refusal(429, "too_many_posts"),
    ),
    "bodies/all": (
        {"body_bytes": 1500, "body_bytes_in_all": 3000},
        three_posts_at_once,
        Refusal(503, "posts_busy"),
    ),
    "copies/connection": (
        {"copies": 1},
        two_subscriptions,
        Refusal(1013, "too_many_copies"),
    ),
    "copies/user": (
        {"copies_per_user": 1},
        two_subscriptions,
        Refusal(1013, "too_many_copies"),
    ),
    "dashboards/user": (
        {"dashboards_per_user": 1},
        two_dashboards("admin"),
        Refusal(429, "too_many_dashboards"),
    ),
    "dashboards/all": (
        {"dashboards": 1},
        two_dashboards("another"),
        Refusal(503, "no_capacity"),
    ),
    "dials/user": (
        {"dials_burst": 1, "dials_per_second": 0.01},
        two_relays,
        Refusal(1013, "too_many_dials"),
    ),
    "rooms/user": (
        {"rooms_burst": 1, "rooms_per_minute": 1.0},
        another_room,
        Refusal(429, "too_many_rooms"),
    ),
    "open_rooms/user": (
        {"open_rooms_per_user": 1},
        another_room,
        Refusal(409, "too_many_open_rooms", retries=False),
    ),
    "open_rooms/all": ({"open_rooms": 1}, another_room, Refusal(503, "rooms_full")),
    "member_changes/user": (
        {"member_changes_burst": 1, "member_changes_per_second": 0.01},
        a_member_who_comes_and_goes,
        Refusal(429, "too_many_changes"),
    ),
    "kept/room": (
        {"kept_of_room": 1},
        two_keys("anna", "poll:"),
        Refusal(409, "too_many_keys", retries=False),
    ),
    "kept/user": (
        {"kept_of_user": 1},
        two_keys("bob", "answer:"),
        Refusal(409, "too_many_keys", retries=False),
    ),
    "kept_bytes/room": (
        {"kept_bytes_of_users": 1},
        two_keys("bob", "answer:"),
        Refusal(409, "state_full", retries=False),
    ),
    "kept_bytes/user": (
        {"kept_bytes_of_user": 1},
        two_keys("bob", "answer:"),
        Refusal(409, "state_full", retries=False),
    ),
    "state_reads/user": (
        {"state_reads_per_user": 1},
        two_state_reads_at_once("bob"),
        Refusal(429, "too_many_reads"),
    ),
    "state_reads/all": (
        {"state_reads": 1},
        two_state_reads_at_once("anna"),
        Refusal(503, "reads_busy"),
    ),
    "state_bytes/user": (
        {"state_bytes_burst": 1, "state_bytes_per_second": 0.01},
        two_state_reads,
        Refusal(429, "too_much_read"),
    ),
    "state_bytes/all": (
        {"all_state_bytes_burst": 1, "all_state_bytes_per_second": 0.01},
        two_state_reads,
        Refusal(503, "reads_busy"),
    ),
    "reads/user": (
        {"reads_per_user": 1},
        two_reads_at_once("bob"),
        Refusal(429, "too_many_reads"),
    ),
    "reads/all": ({"reads": 1}, two_reads_at_once("anna"), Refusal(503, "reads_busy")),
    "read_bytes/user": (
        {"read_bytes_burst": 1, "read_bytes_per_second": 0.01},
        two_reads,
        Refusal(429, "too_much_read"),
    ),
    "read_bytes/all": (
        {"all_read_bytes_burst": 1, "all_read_bytes_per_second": 0.01},
        two_reads,
        Refusal(503, "reads_busy"),
    ),
    "room_members/room": (
        {"room_members": 2},
        one_member_more,
        Refusal(409, "room_full", retries=False),
    ),
}


#: Limits that tests of their own meet: for bytes in hand a client has to be slow for long
#: (test_every_limit.py, tests/unit/live/test_bytes_in_hand.py), for subscriptions and queues at the
#: broker there must be one (tests/integration/live/relay/test_uplink.py).
ELSEWHERE: Final = {
    "backlog/user",
    "backlog/all",
    "broker_queues/all",
    "broker_queues/user",
    "broker_subscriptions/user",
    "half_read/user",
    "half_read/all",
}


@pytest.fixture
def tables(tables: dict[str, Any], limit: str) -> dict[str, Any]:
    tables["limits"] = PROOFS[limit][0]
    # The address of these tests is one like every other.
    tables["server"]["trusted_proxies"] = []
    tables["broker"]["confirm_timeout"] = 1.0
    tables["auth"]["rabbitmq"] = {}
    return tables


@pytest.fixture
def stage(
    gateway: Gateway, call: Call, room: str, public: Listener, settings: Config, broker: FakeBroker
) -> Stage:
    return Stage(gateway, call, room, public, settings, broker)


def test_every_limit_that_refuses_is_met_at_the_front_door() -> None:
    refusing = {
        budget.met(limit) for budget in TABLE for limit in budget.limits if limit.error is not None
    }
    assert PROOFS.keys() | ELSEWHERE == refusing


@pytest.mark.parametrize("limit", PROOFS)
@pytest.mark.gen_test
async def test_a_limit_is_met_counted_and_shown(
    limit: str, stage: Stage, budgets: Budgets, call_internal: Call
) -> None:
    _, meet, expected = PROOFS[limit]
    assert not budgets.met[limit]
    assert await meet(stage) == expected
    assert budgets.met[limit] == 1
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert f'gateway_budget_met_total{{budget="{limit}"}} 1.0' in metrics
    (event,) = shown(stage, limit)
    assert (event.code, event.status) == (expected.code, expected.status)


def shown(stage: Stage, limit: str) -> list[Event]:
    """The dashboard's events of a limit."""
    events = stage.gateway.services.events.after(0, limit=99)
    return [
        event
        for event in events
        if event.budget == limit and event.kind in (Kind.REFUSAL, Kind.CLOSE)
    ]
