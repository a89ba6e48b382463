"""A draining gateway: what it still answers and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

from gateway.drain import Drain
from gateway.http.listeners import Listener
from tests.integration.http.conftest import DRAIN_TOKEN, Call, FakeBroker

MAY = {"Authorization": f"Bearer {DRAIN_TOKEN}"}


@pytest.mark.gen_test
async def test_it_is_asked_once_or_often_and_shows_what_is_left(
    call_internal: Call, drain: Drain
) -> None:
    left = {"connections": 0, "posts": 0, "outbox": 0}
    before = await call_internal("GET", "/drain", headers=MAY)
    assert (before.status, before.json) == (200, {"state": "serving", **left})
    for _ in range(2):
        asked = await call_internal("POST", "/drain", body=b"", headers=MAY)
        assert (asked.status, asked.json) == (202, {"state": "draining", **left})
        assert drain.begun
    after = await call_internal("GET", "/drain", headers=MAY)
    assert (after.status, after.json) == (200, {"state": "draining", **left})


@pytest.mark.gen_test
async def test_no_page_and_nobody_outside_can_ask_for_it(
    call: Call, call_internal: Call, drain: Drain
) -> None:
    by_page = MAY | {"Origin": "http://127.0.0.1:8081"}
    answer = await call_internal("POST", "/drain", body=b"", headers=by_page)
    assert answer.problem == (403, "origin_refused")
    assert (await call("POST", "/drain", body=b"")).problem == (404, "unknown_path")
    assert not drain.begun


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", f"Basic {DRAIN_TOKEN}", f"Bearer {DRAIN_TOKEN}x"],
)
@pytest.mark.gen_test
async def test_nobody_drains_without_the_token(
    call_internal: Call, drain: Drain, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, body in (("POST", b""), ("GET", None)):
        answer = await call_internal(method, "/drain", body=body, headers=headers)
        assert answer.problem == (401, "not_authenticated")
    assert not drain.begun


@pytest.fixture
def no_token(tables: dict[str, Any]) -> None:
    del tables["server"]["drain_token"]


@pytest.mark.usefixtures("no_token")
@pytest.mark.gen_test
async def test_without_a_token_in_the_configuration_nobody_drains_over_http(
    call_internal: Call, drain: Drain
) -> None:
    answer = await call_internal("POST", "/drain", body=b"", headers=MAY)
    assert answer.problem == (403, "access_refused")
    assert "server.drain_token" in answer.json["detail"]
    assert not drain.begun


@pytest.mark.gen_test
async def test_it_is_not_ready_at_once_and_only_says_why_inside(
    call: Call, call_internal: Call, drain: Drain
) -> None:
    drain.begin("a test")
    outside = await call("GET", "/readyz")
    assert (outside.status, outside.body) == (503, b"unavailable")
    inside = await call_internal("GET", "/readyz")
    assert inside.status == 503
    assert (inside.json["ready"], inside.json["problems"]) == (False, {"gateway": "draining"})
    assert (await call("GET", "/healthz")).status == 200
    assert b"gateway_draining 1.0" in (await call_internal("GET", "/metrics")).body


@pytest.mark.gen_test
async def test_nothing_new_is_taken_and_the_client_is_told_to_come_again(
    call: Call, room: str, drain: Drain, broker: FakeBroker
) -> None:
    drain.begin("a test")
    for method, path in (
        ("POST", f"{room}/messages"),
        ("PUT", f"{room}/members/carl"),
        ("POST", "/api/session"),
    ):
        answer = await call(method, path, user="anna", json={"body": 1})
        assert answer.problem == (503, "draining")
        assert answer.headers["Retry-After"] == "1"
    assert not broker.published
    # What changes nothing is still answered: the messages of others are read to the end.
    assert (await call("GET", f"{room}/messages", user="anna")).json["messages"] == []


@pytest.mark.gen_test
async def test_a_handshake_is_refused_before_there_is_a_websocket(call: Call, drain: Drain) -> None:
    drain.begin("a test")
    answer = await call(
        "GET",
        "/ws",
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    assert answer.problem == (503, "draining")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.gen_test
async def test_a_connection_that_is_kept_alive_ends_with_its_next_answer(public: Listener) -> None:
    stream = await TCPClient().connect("127.0.0.1", public.port)
    try:
        assert b"Connection: close" not in await answer_on(stream)
        public.no_keep_alive()
        assert b"Connection: close" in await answer_on(stream)
        with pytest.raises(StreamClosedError):
            await stream.read_bytes(1)
    finally:
        stream.close()


async def answer_on(stream: IOStream) -> bytes:
    """Head and body of ``/healthz``."""
    await stream.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    return await stream.read_until(b"\r\n\r\nok", max_bytes=4096)
