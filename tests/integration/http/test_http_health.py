"""``/healthz``, ``/readyz``, ``/metrics``: one word outside, details inside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from broker.publishing.publication import Refused
from broker.timing.tasks import Tasks
from gateway.errors import StoreUnavailable
from gateway.store import Store
from tests.integration.http.conftest import Call, FakeBroker


@pytest.mark.gen_test
async def test_a_gateway_with_store_and_broker_is_ready(call: Call, call_internal: Call) -> None:
    assert ((await call("GET", "/healthz")).body) == b"ok"
    ready = await call("GET", "/readyz")
    assert (ready.status, ready.body) == (200, b"ready")
    inside = (await call_internal("GET", "/readyz")).json
    assert (inside["ready"], inside["problems"]) == (True, {})
    assert {"store: reading", "store: writing", "broker node r1", "publisher", "bus"} <= {
        state["part"] for state in inside["states"] if state["works"]
    }


@pytest.mark.gen_test
async def test_a_gateway_that_never_reached_the_broker_is_not_ready(
    call: Call, call_internal: Call, broker: FakeBroker
) -> None:
    broker.away, broker.has_been_connected = True, False
    answer = await call("GET", "/readyz")
    assert (answer.status, answer.body) == (503, b"unavailable")
    inside = await call_internal("GET", "/readyz")
    assert inside.status == 503
    assert inside.json["ready"] is False
    assert inside.json["problems"] == {"publisher": "not connected: nobody is there"}
    assert (await call("GET", "/healthz")).status == 200


@pytest.mark.gen_test
async def test_a_broker_that_goes_away_later_is_named_but_posts_are_still_taken(
    call: Call, call_internal: Call, broker: FakeBroker
) -> None:
    broker.away = True
    assert (await call("GET", "/readyz")).status == 200
    inside = await call_internal("GET", "/readyz")
    assert (inside.status, set(inside.json["problems"])) == (200, {"publisher"})


@pytest.mark.gen_test
async def test_without_its_database_a_gateway_is_not_ready_and_only_says_why_inside(
    call: Call, call_internal: Call, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> Any:
        raise StoreUnavailable("db.internal does not answer")

    monkeypatch.setattr(store, "ping", away)
    answer = await call("GET", "/readyz")
    assert (answer.status, answer.body) == (503, b"unavailable")
    inside = await call_internal("GET", "/readyz")
    assert inside.json["problems"] == {"store: writing": "db.internal does not answer"}


@pytest.mark.gen_test
async def test_work_that_fails_again_and_again_is_shown_until_it_works_and_makes_unready_if_needed(
    call: Call,
    call_internal: Call,
    tasks: Tasks,
    failures: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.timing.tasks.LASTING", 0.3)
    broken = asyncio.Event()
    broken.set()

    async def work() -> None:
        if broken.is_set():
            raise KeyError("a secret")
        await asyncio.Event().wait()

    async def needed() -> str:
        return str((await call_internal("GET", "/readyz")).json["problems"].get("the lease"))

    part = tasks.part()
    part.forever(work, "dashboard")
    await asyncio.sleep(0)
    inside = await call_internal("GET", "/readyz")
    assert inside.status == 200
    assert inside.json["problems"]["task dashboard"].startswith("failed once: KeyError in test_")
    part.forever(work, "outbox lease", needed="the lease")
    async with asyncio.timeout(10):
        while (await call("GET", "/readyz")).status == 200:
            pass
    assert "goes on restarting it" in await needed()
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert 'gateway_task_failures_total{task="outbox lease"} ' in metrics
    assert "a secret" not in (await call_internal("GET", "/readyz")).body.decode()
    broken.clear()
    monkeypatch.setattr("broker.timing.tasks.WELL", 0.3)
    async with asyncio.timeout(10):
        while (await call("GET", "/readyz")).status != 200:
            pass
    inside = await call_internal("GET", "/readyz")
    assert (inside.json["ready"], inside.json["problems"]) == (True, {})
    await part.close()
    failures.clear()


@pytest.mark.gen_test
async def test_a_message_that_the_broker_refuses_is_202_and_named_inside(
    call: Call, call_internal: Call, broker: FakeBroker, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Refused("PRECONDITION_FAILED - message size 30000 is larger than 20000")

    with monkeypatch.context() as patch:
        patch.setattr(broker, "publish", refuse)
        answer = await call("POST", f"{room}/messages", user="bob", json={"body": "long"})
    assert (answer.status, answer.json["published"], answer.json["seq"]) == (202, False, 1)
    inside = await call_internal("GET", "/readyz")
    assert inside.status == 200
    assert "the last is 1 of public.1: PRECONDITION_FAILED" in inside.json["problems"]["outbox"]
    assert "gateway_outbox_parked 1.0" in (await call_internal("GET", "/metrics")).body.decode()
    again = await call("POST", f"{room}/messages", user="bob", json={"body": "short"})
    assert (again.status, again.json["seq"]) == (201, 2)
    synced = (await call("GET", f"{room}/messages?audience=public", user="bob")).json
    assert [each["body"] for each in synced["messages"]] == ["long", "short"]


@pytest.mark.gen_test
async def test_metrics_are_inside_only_and_name_nodes_and_messages(
    call: Call, call_internal: Call, room: str
) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": 1})
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert 'gateway_messages_posted_total{published="true"} 1.0' in metrics
    assert 'gateway_node_available{node="r1"} 1.0' in metrics
    assert "gateway_connections 0.0" in metrics
    requests = 'gateway_http_requests_total{method="POST",route="messages",status="201"} 1.0'
    assert requests in metrics
    assert 'gateway_http_request_seconds_count{route="messages"} 1.0' in metrics


@pytest.mark.gen_test
async def test_invented_methods_and_paths_do_not_grow_the_metrics(
    call: Call, call_internal: Call
) -> None:
    for number in range(5):
        await call(f"METHOD{number}", f"/path/{number}")
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert "METHOD" not in metrics
    assert "/path/" not in metrics
    assert 'gateway_http_requests_total{method="other",route="nothinghere",' in metrics


@pytest.mark.parametrize("path", ["/metrics", "/broker/auth/user", "/broker/auth/vhost"])
@pytest.mark.gen_test
async def test_internal_resources_are_not_public(call: Call, path: str) -> None:
    assert (await call("GET", path)).problem == (404, "unknown_path")


@pytest.mark.parametrize("path", ["/", "/static/room/index.html", "/api/rooms", "/ws"])
@pytest.mark.gen_test
async def test_public_resources_are_not_internal(call_internal: Call, path: str) -> None:
    assert (await call_internal("GET", path)).problem == (404, "unknown_path")


@pytest.mark.gen_test
async def test_a_store_that_takes_nothing_is_not_ready_and_only_insiders_learn_why(
    call: Call,
    call_internal: Call,
    room: str,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def be_full(connection: Connection) -> None:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    await store._database.write(be_full)
    for _ in range(3):
        answer = await call("POST", f"{room}/messages", user="bob", json={"body": "x" * 60_000})
        assert answer.problem == (503, "store_unavailable")
        assert b"SQLITE" not in answer.body
    outside = await call("GET", "/readyz")
    assert (outside.status, outside.body) == (503, b"unavailable")
    inside = await call_internal("GET", "/readyz")
    assert inside.status == 503
    full = "database or disk is full (SQLITE_FULL)"
    assert inside.json["problems"] == {"store: writing": full}
    (state,) = [each for each in inside.json["states"] if not each["works"]]
    assert (state["part"], state["reason"], state["needed"]) == ("store: writing", full, True)
    assert "503" in state["follows"]
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert 'gateway_state{part="store: writing"} 0.0' in metrics
    assert 'gateway_state{part="store: reading"} 1.0' in metrics
    assert "gateway_ready 0.0" in metrics
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert sum("database or disk is full" in line for line in warnings) == 1
