"""The dashboard's resources, and the users who may read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

from gateway.assembly import Gateway
from gateway.config import Config
from gateway.drain import Drain, leaving
from gateway.http.listeners import Listener
from gateway.observe.events import Kind
from tests.integration.http.conftest import ORIGIN, Call, token
from tests.integration.http.live_fake import FakeLive

ORDERS = ["disconnect", "drain", "resume"]


@pytest.fixture
def admin(call: Call) -> Call:
    """Calls as an admin does."""
    return partial(call, user="root", roles=("admin",))


@pytest.fixture
def ticking(
    gateway: Gateway, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gateway]:
    """With a ticker that is in a hurry."""
    monkeypatch.setattr("gateway.admin.dashboard.TICK", 0.02)

    async def start() -> None:
        gateway.admin.dashboard.start()

    io_loop.run_sync(start)
    yield gateway
    io_loop.run_sync(gateway.admin.dashboard.close)


async def connected(gateway: Gateway, id: str, user: str, *rooms: int) -> FakeLive:
    """A connection of the user's."""
    connection = FakeLive(rooms=set(rooms), id=id, user=user)
    gateway.live.registry.serve(connection, address="", user=user)
    gateway.live.registry.admit(connection, user)
    return connection


@asynccontextmanager
async def following(public: Listener, settings: Config) -> AsyncIterator[IOStream]:
    """An open dashboard's events, the head read."""
    stream = await TCPClient().connect("127.0.0.1", public.port)
    try:
        bearer = token(settings, "root", "admin")
        await stream.write(
            "GET /api/admin/live HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {bearer}\r\n\r\n".encode()
        )
        head = await stream.read_until(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0], head
        assert b"Content-Type: text/event-stream" in head
        yield stream
    finally:
        stream.close()


async def told(stream: IOStream) -> Any:
    """The next event's JSON."""
    text = await stream.read_until(b"\n\n")
    return json.loads(text[text.index(b"data: ") + 6 :])


@pytest.mark.gen_test
async def test_only_an_admin_sees_or_does_anything(call: Call) -> None:
    calls = [("GET", "live"), ("GET", "connections"), *(("POST", order) for order in ORDERS)]
    for method, path in calls:
        for user, refusal in (
            (None, (401, "not_authenticated")),
            ("hana", (403, "access_refused")),
        ):
            answer = await call(
                method, f"/api/admin/{path}", user=user, roles=("host",), json={"user": "paul"}
            )
            assert answer.problem == refusal, path


@pytest.mark.gen_test
async def test_the_page_is_there_for_everyone(call: Call, admin: Call) -> None:
    for answer in (await admin("GET", "/admin"), await call("GET", "/admin/")):
        assert answer.status == 200
        assert answer.body == (await call("GET", "/static/admin/index.html")).body


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.gen_test
async def test_no_page_of_another_origin_gives_orders(call: Call, admin: Call, order: str) -> None:
    foreign = {"Origin": "https://evil.example"}
    answer = await call("POST", f"/api/admin/{order}", json={}, headers=foreign)
    assert answer.problem == (403, "origin_refused")
    answer = await admin("GET", "/api/admin/live", headers=foreign)
    assert answer.problem == (403, "origin_refused")


@pytest.mark.gen_test
async def test_connections_are_searched_sorted_and_paged_by_the_gateway(
    admin: Call, gateway: Gateway
) -> None:
    for number in range(5):
        await connected(gateway, f"{number:012x}", f"user-{number}", 40 + number)
    first = (await admin("GET", "/api/admin/connections?sort=user&size=2")).json
    assert [each["user"] for each in first["connections"]] == ["user-0", "user-1"]
    assert (first["total"], first["matching"], first["missing"]) == (5, 5, {})
    assert first["connections"][0] == {
        "gateway": gateway.cluster.bus.gateway,
        "id": "000000000000",
        "user": "user-0",
        "rooms": [40],
        "address": "192.0.2.1",
        "since": "1970-01-01T00:16:40.000000Z",
        "node": None,
        "frames_in": 1,
        "frames_out": 2,
        "bytes_in": 10,
        "bytes_out": 20,
        "backlog": 0,
        "heard_at": "1970-01-01T00:16:41.000000Z",
        "expires_at": None,
    }
    path = f"/api/admin/connections?sort=user&size=2&after={first['next']}"
    second = (await admin("GET", path)).json
    assert [each["user"] for each in second["connections"]] == ["user-2", "user-3"]
    by_room = (await admin("GET", "/api/admin/connections?search=44")).json
    assert [each["user"] for each in by_room["connections"]] == ["user-4"]
    assert "next" not in by_room
    await gateway.live.registry.close(leaving(), within=1)


@pytest.mark.parametrize(
    "query",
    [
        "sort=password",
        "size=0",
        "size=101",
        "order=up",
        "after=x",
        "after=WzEsMiwzXQ==",
        "after=W05hTiwiYSIsImIiXQ==",
    ],
)
@pytest.mark.gen_test
async def test_a_query_that_makes_no_sense_is_refused(admin: Call, query: str) -> None:
    answer = await admin("GET", f"/api/admin/connections?{query}")
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_a_user_is_disconnected_and_all_of_it_is_told(admin: Call, gateway: Gateway) -> None:
    paul = [await connected(gateway, f"p{number}", "paul") for number in range(2)]
    mina = await connected(gateway, "m", "mina")
    answer = await admin("POST", "/api/admin/disconnect", json={"user": "paul"})
    assert answer.json == {"done": {gateway.cluster.bus.gateway: 2}, "missing": {}}
    assert [each.ended for each in (*paul, mina)] == ["kicked", "kicked", None]
    (event,) = [e for e in gateway.services.events.after(0, limit=9) if e.kind is Kind.ACTION]
    assert (event.code, event.user, event.by) == ("end_user", "paul", "root")
    assert event.detail == f"end all connections of paul: {gateway.cluster.bus.gateway} 2"
    await gateway.live.registry.close(leaving(), within=1)


@pytest.mark.gen_test
async def test_one_connection_is_ended_and_again_is_no_error(admin: Call, gateway: Gateway) -> None:
    paul, again = [await connected(gateway, id, "paul") for id in ("p0", "p1")]
    target = {"gateway": gateway.cluster.bus.gateway, "connection": "p0"}
    for ended in (1, 0):
        answer = await admin("POST", "/api/admin/disconnect", json=target)
        assert answer.json == {"done": {gateway.cluster.bus.gateway: ended}, "missing": {}}
        await asyncio.sleep(0)
    assert (paul.ended, again.ended) == ("kicked", None)
    elsewhere = {"gateway": "nowhere", "connection": "p1"}
    answer = await admin("POST", "/api/admin/disconnect", json=elsewhere)
    assert answer.problem == (404, "unknown_gateway")
    await gateway.live.registry.close(leaving(), within=1)


@pytest.mark.gen_test
async def test_a_node_is_drained_and_resumed(admin: Call, call_internal: Call) -> None:
    async def available() -> str:
        metrics = (await call_internal("GET", "/metrics")).body.decode()
        (line,) = [each for each in metrics.splitlines() if each.startswith("gateway_node_avail")]
        return line.split()[-1]

    for order, expected in (("drain", "0.0"), ("resume", "1.0")):
        answer = await admin("POST", f"/api/admin/{order}", json={"node": "r1"})
        assert list(answer.json["done"].values()) == [1]
        assert await available() == expected
        answer = await admin("POST", f"/api/admin/{order}", json={"node": "r9"})
        assert answer.problem == (404, "unknown_node")


@pytest.mark.gen_test
async def test_the_gateway_is_drained(admin: Call, gateway: Gateway, drain: Drain) -> None:
    answer = await admin("POST", "/api/admin/drain", json={"gateway": gateway.cluster.bus.gateway})
    assert answer.json == {"done": {gateway.cluster.bus.gateway: 1}, "missing": {}}
    assert drain.begun


@pytest.mark.parametrize(
    ("order", "target"),
    [
        ("disconnect", {}),
        ("disconnect", {"user": "paul", "gateway": "a"}),
        ("disconnect", {"connection": "c"}),
        ("drain", {}),
        ("drain", {"node": "r1", "gateway": "a"}),
        ("resume", {"gateway": "a"}),
    ],
)
@pytest.mark.gen_test
async def test_an_order_names_one_target(admin: Call, order: str, target: dict[str, str]) -> None:
    answer = await admin("POST", f"/api/admin/{order}", json=target)
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_a_dashboard_begins_with_the_past_and_goes_on_with_what_is_new(
    public: Listener, settings: Config, ticking: Gateway
) -> None:
    ticking.services.events.note(Kind.FAILOVER, "feed_lost", "feed 0: silent", node="r1")
    async with following(public, settings) as stream:
        begin = await told(stream)
        assert begin["own"] == ticking.cluster.bus.gateway
        (own,) = begin["gateways"]
        assert [event["code"] for event in own["events"]] == ["feed_lost"]
        assert [node["name"] for node in own["nodes"]] == ["r1"]
        assert "past" in own
        await told(stream)
        ticking.services.events.note(Kind.CLOSE, "left", "as asked", status=1000)
        codes: list[str] = []
        async with asyncio.timeout(20):
            while "left" not in codes:
                (own,) = (await told(stream))["gateways"]
                assert "past" not in own
                codes += [event["code"] for event in own["events"]]
        (own,) = (await told(stream))["gateways"]
        assert own["events"] == [], "once is enough"


@pytest.mark.gen_test
async def test_a_dashboard_ends_with_its_token(
    public: Listener, settings: Config, ticking: Gateway
) -> None:
    async with following(public, settings) as stream:
        await told(stream)
        ticking.admin.dashboard._clock = lambda: 2e10
        # RFC 9112, section 7.1: the last chunk.
        assert await stream.read_until(b"\r\n0\r\n\r\n")
        assert len(ticking.admin.dashboard) == 0


@pytest.mark.gen_test
async def test_a_dashboard_that_is_closed_is_forgotten(
    public: Listener, settings: Config, ticking: Gateway
) -> None:
    async with following(public, settings) as stream:
        await told(stream)
        assert len(ticking.admin.dashboard) == 1
    for _ in range(400):
        if not len(ticking.admin.dashboard):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it is still there")


@pytest.mark.gen_test
async def test_there_is_room_for_so_many_dashboards(admin: Call, gateway: Gateway) -> None:
    viewers = [gateway.admin.dashboard.watch(f"admin{n % 5}", expires_at=2e9) for n in range(50)]
    assert (await admin("GET", "/api/admin/live")).problem == (503, "no_capacity")
    for viewer in viewers:
        gateway.admin.dashboard.leave(viewer)


@pytest.mark.gen_test
async def test_an_allowed_origin_may_ask(admin: Call) -> None:
    answer = await admin("GET", "/api/admin/connections", headers={"Origin": ORIGIN})
    assert answer.status == 200
