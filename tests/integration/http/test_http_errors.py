"""The common parts of all answers: problem documents, headers, origins, bodies that are too
large."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.config import Log
from gateway.errors import StoreUnavailable
from gateway.http.listeners import Listener
from gateway.observe import logs
from gateway.store import Store
from tests.integration.http.conftest import ORIGIN, Call

FOREIGN = "https://evil.example"


@pytest.mark.gen_test
async def test_an_unknown_path_is_a_problem_document(call: Call) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await call(method, "/api/nothing?token=hunter2", body=b"x")
        assert answer.problem == (404, "unknown_path")
        assert b"hunter2" not in answer.body


@pytest.mark.gen_test
async def test_a_method_that_is_not_served_names_those_that_are(call: Call) -> None:
    answer = await call("PATCH", "/api/session", json={})
    assert answer.problem == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST, DELETE, OPTIONS"


@pytest.mark.gen_test
async def test_a_path_that_is_not_utf8_is_refused(call: Call) -> None:
    assert (await call("GET", "/api/rooms/%ff", user="anna")).problem == (400, "invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "/api/session",
        "/api/rooms/1",
        "/api/rooms/%ff",
        "/api/x",
        "/healthz",
        "/",
        "/static/none.js",
    ],
)
@pytest.mark.gen_test
async def test_every_answer_has_an_id_and_the_security_headers(call: Call, path: str) -> None:
    answer = await call("GET", path)
    assert len(answer.headers["X-Request-Id"]) == 12
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()
    logs.set_up(Log(), known_secrets=[], stream=stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.gen_test
async def test_the_log_names_the_client_behind_a_trusted_proxy(
    call: Call, log: io.StringIO
) -> None:
    await call("GET", "/api/session", headers={"X-Forwarded-For": "203.0.113.7"})
    assert "GET /api/session 401 not_authenticated " in log.getvalue()
    assert "from 203.0.113.7" in log.getvalue()


@pytest.mark.gen_test
async def test_frequent_requests_of_machines_do_not_fill_the_log(
    call: Call, call_internal: Call, log: io.StringIO
) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/broker/auth/user"):
        await call_internal("GET", path)
    await call("GET", "/readyz")
    assert log.getvalue() == ""


@pytest.mark.gen_test
async def test_a_fault_of_the_gateway_is_told_by_its_id_only_and_logged_in_full(
    call: Call, store: Store, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: str) -> Any:
        raise ZeroDivisionError("a secret inside")

    monkeypatch.setattr(store, "rooms_of", broken)
    answer = await call("GET", "/api/rooms", user="anna")
    assert answer.problem == (500, "internal_error")
    assert b"secret" not in answer.body
    assert b"ZeroDivision" not in answer.body
    written = log.getvalue()
    assert f"[{answer.headers['X-Request-Id']}] GET /api/rooms failed" in written
    assert "ZeroDivisionError" in written


@pytest.mark.parametrize(("retry_after", "header"), [(1.2, "2"), (0.0, "1"), (None, "2")])
@pytest.mark.gen_test
async def test_a_database_that_is_away_is_503_with_retry_after(
    call: Call,
    store: Store,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    retry_after: float | None,
    header: str,
) -> None:
    async def away(_: str) -> Any:
        cause = ConnectionRefusedError("port 5432")
        raise StoreUnavailable("the database is away", retry_after=retry_after) from cause

    monkeypatch.setattr(store, "rooms_of", away)
    answer = await call("GET", "/api/rooms", user="anna")
    assert answer.problem == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == header
    assert b"5432" not in answer.body
    # Why is said by the store itself, once a minute; here only that it was so.
    assert "GET /api/rooms 503 store_unavailable" in log.getvalue()
    assert "5432" not in log.getvalue()


# Origins


@pytest.mark.gen_test
async def test_pages_of_an_allowed_origin_may_read_answers_and_errors(call: Call) -> None:
    for path in ("/api/rooms", "/api/rooms/9", "/api/rooms/x"):
        answer = await call("GET", path, user="anna", headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Vary"] == "Origin"
        # Without these a library elsewhere knows neither when to come again, nor the time.
        for name in ("Retry-After", "Date"):
            assert name in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.gen_test
async def test_pages_of_a_foreign_origin_may_read_nothing(call: Call) -> None:
    answer = await call("GET", "/api/rooms", user="anna", headers={"Origin": FOREIGN})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "", f"{ORIGIN}.evil.example", f"{ORIGIN}:444"])
@pytest.mark.gen_test
async def test_pages_of_a_foreign_origin_may_change_nothing(
    call: Call, room: str, origin: str
) -> None:
    for method, path, json in (
        ("POST", f"{room}/messages", {"body": 1}),
        ("PUT", f"{room}/members/carol", {"role": "host"}),
        ("DELETE", room, None),
        ("POST", "/api/session", {}),
    ):
        answer = await call(method, path, user="anna", json=json, headers={"Origin": origin})
        assert answer.problem == (403, "origin_refused")
    assert (await call("GET", f"{room}/messages", user="anna")).json["head"] == 0


@pytest.mark.gen_test
async def test_a_preflight_is_answered_for_allowed_origins_only(call: Call) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = await call("OPTIONS", "/api/rooms", headers=headers)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "Interact-User"):
        assert name in answer.headers["Access-Control-Allow-Headers"]
    answer = await call("OPTIONS", "/api/rooms", headers=headers | {"Origin": FOREIGN})
    assert answer.problem == (403, "origin_refused")
    assert "Access-Control-Allow-Origin" not in answer.headers


# Bodies on the wire


async def exchange(listener: Listener, *chunks: bytes) -> bytes:
    """Send the chunks, then read until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.gen_test
async def test_a_body_that_announces_too_much_is_refused_unread(public: Listener) -> None:
    head = b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    answer = await exchange(public, head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "too_large"' in answer


@pytest.mark.gen_test
async def test_a_body_in_chunks_is_too_large_as_well(public: Listener) -> None:
    head = (
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    answer = await exchange(public, head, chunk, chunk, chunk, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.gen_test
async def test_a_content_length_that_is_no_number_is_refused(public: Listener) -> None:
    answer = await exchange(
        public, b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 4")
