"""``/broker/auth/…`` as ``rabbitmq_auth_backend_http`` asks: GET or POST, text, always 200."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.assembly import Gateway
from gateway.auth.passcodes import Passcodes
from gateway.auth.shared_secret import SharedSecret
from gateway.config import Config
from gateway.domain.identity import Identity
from gateway.domain.session import LoginSession, Proof
from gateway.http.listeners import Listener
from tests.integration.http.conftest import Answer, Call

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def passcode(settings: Config) -> str:
    passcodes = Passcodes(SharedSecret(*settings.auth.secrets), clock=time.time)
    return passcodes.issue(Identity("bob", frozenset(), time.time() + 60))


async def ask(call: Call, method: str, question: str, **fields: Any) -> Answer:
    encoded = urlencode(fields)
    if method == "GET":
        return await call("GET", f"/broker/auth/{question}?{encoded}")
    return await call("POST", f"/broker/auth/{question}", body=encoded.encode(), headers=FORM)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.gen_test
async def test_a_signed_passcode_is_let_in_and_a_forged_one_is_not(
    call_internal: Call, passcode: str, method: str
) -> None:
    answer = await ask(call_internal, method, "user", username="bob", password=passcode)
    assert (answer.status, answer.body) == (200, b"allow")
    for user, secret in (("anna", passcode), ("bob", passcode[:-2] + "xx"), ("bob", "")):
        answer = await ask(call_internal, method, "user", username=user, password=secret)
        assert (answer.status, answer.body) == (200, b"deny")


@pytest.mark.gen_test
async def test_a_relay_of_a_login_that_has_ended_is_not_let_in(
    call_internal: Call, settings: Config, gateway: Gateway
) -> None:
    """Its passcode was signed a moment before, and would be good for a minute."""
    passcodes = Passcodes(SharedSecret(*settings.auth.secrets), clock=time.time)
    until = time.time() + 60
    secrets = {id: passcodes.issue(Identity("bob", frozenset(), until, id)) for id in "xy"}
    now = datetime.now(UTC)
    login = LoginSession("x", "bob", Proof.PASSWORD, now, now + timedelta(minutes=1))
    await gateway.cluster.session_revocation.end(login)
    for id, told in (("x", b"deny"), ("y", b"allow")):
        answer = await ask(call_internal, "POST", "user", username="bob", password=secrets[id])
        assert answer.body == told


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.gen_test
async def test_topics_are_decided_by_the_membership_in_the_store(
    call: Call, call_internal: Call, room: str, method: str
) -> None:
    async def may_read(user: str, key: str) -> bytes:
        answer = await ask(
            call_internal,
            method,
            "topic",
            username=user,
            vhost="/",
            resource="topic",
            name="amq.topic",
            permission="read",
            routing_key=key,
            tags="",
        )
        assert answer.status == 200
        return answer.body

    public, private = "acdm.mo.interact.public.1", "acdm.mo.interact.private.1"
    assert await may_read("bob", public) == b"allow"
    assert await may_read("bob", private) == b"deny"
    assert await may_read("anna", private) == b"allow"
    assert await may_read("mallory", public) == b"deny"
    assert await may_read("bob", "acdm.mo.interact.public.*") == b"deny"
    await call("DELETE", f"{room}/members/bob", user="anna")
    assert await may_read("bob", public) == b"deny"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/broker/auth/user", b""),
        ("/broker/auth/nothing", b"username=a"),
        ("/broker/auth/vhost", b"username=a&username=b&vhost=/"),
        ("/broker/auth/topic", b"username=%ff&vhost=%2F"),
        ("/broker/auth/resource", b"\x00\xff=&&&=%"),
    ],
)
@pytest.mark.gen_test
async def test_a_question_that_makes_no_sense_is_denied_with_200(
    call_internal: Call, path: str, body: bytes
) -> None:
    for method in ("GET", "POST"):
        answer = await call_internal(method, path, body=body, headers=FORM)
        assert (answer.status, answer.body) == (200, b"deny")


@pytest.mark.gen_test
async def test_a_fault_of_the_gateway_denies_and_is_logged(
    call_internal: Call,
    monkeypatch: pytest.MonkeyPatch,
    passcode: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Passcodes, "verify", broken)
    answer = await ask(call_internal, "POST", "user", username="bob", password=passcode)
    assert (answer.status, answer.body) == (200, b"deny")
    assert "denied a question of RabbitMQ, because answering it has failed" in caplog.text


@pytest.mark.gen_test
async def test_what_is_no_question_is_denied_with_200(call_internal: Call, passcode: str) -> None:
    path = f"/broker/auth/user?username=bob&password={passcode}"
    assert (await call_internal("GET", path)).body == b"allow"
    for method in ("PUT", "DELETE", "METHOD"):
        answer = await call_internal(method, path, body=b"")
        assert (answer.status, answer.body) == (200, b"deny")


@pytest.mark.gen_test
async def test_a_question_by_head_is_answered_without_a_body(internal: Listener) -> None:
    """It is none of RabbitMQ's; a scanner's must not look like a fault of the gateway."""
    reader, writer = await asyncio.open_connection("127.0.0.1", internal.port)
    writer.write(b"HEAD /broker/auth/user HTTP/1.1\r\nHost: localhost\r\n\r\n")
    writer.write(b"GET /broker/auth/user HTTP/1.0\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        first, second, body = (await reader.read()).split(b"\r\n\r\n")
    writer.close()
    for head in (first, second):
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"Content-Length: 4" in head
    assert body == b"deny"
