"""``gateway serve`` that is told to leave while clients are there; without a broker."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from tests.acceptance.broker_view import wait_for
from tests.acceptance.stomp_client import StompClient
from tests.integration.process.conftest import DRAIN_TOKEN, JWT_SECRET
from tests.integration.process.test_serving import get, serving

Arrive = Callable[[str], StompClient]


@pytest.fixture
def arrive() -> Iterator[Arrive]:
    """Connects a client by the public URL; it is gone with the test."""
    now = time.time()
    claims = {"sub": "ann", "iss": "school", "aud": "interact", "iat": now, "exp": now + 600}
    token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
    with ExitStack() as stack:

        def arrive(public: str) -> StompClient:
            url = f"ws{public.removeprefix('http')}/ws"
            client = stack.enter_context(StompClient(url))
            assert client.connect(token).command == "CONNECTED"
            return client

        yield arrive


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def drain(internal: str, method: str = "POST") -> tuple[int, Any]:
    parts = urlsplit(internal)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, "/drain", headers={"Authorization": f"Bearer {DRAIN_TOKEN}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def call(public: str, path: str, body: object) -> int:
    """The status of a host's POST."""
    parts = urlsplit(public)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    now = time.time()
    claims = {"sub": "kim", "iss": "school", "aud": "interact", "iat": now, "exp": now + 600}
    token = jwt.encode(claims | {"roles": ["host"]}, JWT_SECRET, algorithm="HS256")
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def told_to_leave(client: StompClient) -> float:
    """Read to the end; the seconds after which the client shall come back."""
    frame, code = client.error()
    assert (frame.headers["message"], code) == ("draining", 1012)
    return int(frame.headers["retry-after"]) / 1000


def ended_well(process: subprocess.Popen[str]) -> None:
    assert process.wait(timeout=30) == 0
    assert process.stderr is not None
    rest = process.stderr.read()
    assert "stopped" in rest
    assert "Traceback" not in rest


def test_clients_leave_over_the_drain_time_and_each_comes_back_at_a_time_of_its_own(
    environment: dict[str, str], arrive: Arrive
) -> None:
    environment["GATEWAY_SERVER__DRAIN_TIME"] = "2"
    with serving(environment) as (process, public, _):
        clients = [arrive(public) for _ in range(4)]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        waits = {told_to_leave(client) for client in clients}
        assert len(waits) == len(clients)
        assert all(1.0 <= wait <= 7.0 for wait in waits)
        # The last of four has three quarters of the time.
        assert 1.4 < time.monotonic() - began < 8.0
        ended_well(process)


def test_while_balancers_notice_it_is_only_not_ready(
    environment: dict[str, str], arrive: Arrive
) -> None:
    environment["GATEWAY_SERVER__NOTICE_TIME"] = "600"
    with serving(environment) as (process, public, internal):
        room = {"title": "a lesson", "members": [{"user": "kim", "role": "host"}]}
        # 202: stored, and to be published when there is a broker.
        assert call(public, "/api/rooms", room) in (201, 202)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: drain(internal, "GET")[1]["state"] == "leaving")
        assert get(public, "/readyz") == (503, "unavailable")
        assert json.loads(get(internal, "/readyz")[1])["problems"]["gateway"] == "leaving"
        client = arrive(public)
        assert call(public, "/api/rooms/1/messages", {"body": "still here"}) == 202
        process.send_signal(signal.SIGTERM)
        told_to_leave(client)
        ended_well(process)


def test_a_drain_by_post_is_shown_until_the_process_ends(
    environment: dict[str, str], arrive: Arrive
) -> None:
    environment["GATEWAY_SERVER__DRAIN_TIME"] = "600"
    with serving(environment) as (process, public, internal):
        assert drain(internal, "GET")[1]["state"] == "serving"
        clients = [arrive(public) for _ in range(3)]
        for _ in range(2):
            status, shown = drain(internal)
            assert (status, shown["state"]) == (202, "draining")
        assert get(public, "/readyz") == (503, "unavailable")
        assert json.loads(get(internal, "/readyz")[1])["problems"]["gateway"] == "draining"
        assert get(public, "/healthz") == (200, "ok")
        # One left at once; the others have most of ten minutes.
        wait_for(lambda: drain(internal, "GET")[1]["connections"] == 2)
        # As from Kubernetes after a preStop hook: nobody is hurried.
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        for line in process.stderr:
            if "SIGTERM: leaving already" in line:
                break
        assert drain(internal, "GET")[1] | {"outbox": 0} == {
            "state": "draining",
            "connections": 2,
            "posts": 0,
            "outbox": 0,
        }
        with within(10):
            process.send_signal(signal.SIGTERM)
            for client in clients:
                told_to_leave(client)
            ended_well(process)


def test_ctrl_c_waits_for_nobody(environment: dict[str, str], arrive: Arrive) -> None:
    environment["GATEWAY_SERVER__DRAIN_TIME"] = "600"
    with serving(environment) as (process, public, _):
        clients = [arrive(public) for _ in range(3)]
        with within(10):
            process.send_signal(signal.SIGINT)
            told_to_leave(clients[0])
            # As from a manager of the terminal's: what is in hand is finished all the same.
            process.send_signal(signal.SIGTERM)
            for client in clients[1:]:
                told_to_leave(client)
            ended_well(process)
