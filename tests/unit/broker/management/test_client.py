"""The management API as an operator's command meets it: refusals are told apart and say what to do,
and the password stands in none of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from broker.management.client import (
    Administrator,
    ManagementApi,
    ManagementFailed,
    ManagementRefused,
    address_of,
    is_address,
)
from broker.management.inspection import carry_out, inspect
from broker.topology import Topology

PASSWORD = "the administrator's own password"
ADMINISTRATOR = Administrator("root", PASSWORD)
Answer = tuple[int, Any]


class _Node(RequestHandler):
    def initialize(self, answers: dict[str, Answer], asked: list[tuple[str, str, Any]]) -> None:
        self._answers, self._asked = answers, asked

    def prepare(self) -> None:
        body = json.loads(self.request.body or "{}")
        path = self.request.path
        self._asked.append((self.request.method or "", path, body))
        if self.request.method == "PUT":
            self._answers["/api/policies/%2F"] = 200, [{"name": path.split("/")[-1], **body}]
            self.set_status(201)
            self.finish()
            return
        status, answer = self._answers.get(path, (404, {"reason": "Not Found"}))
        self.set_status(status)
        self.finish(json.dumps(answer))


def answers(version: str = "4.3.6", tags: Any = ("administrator",)) -> dict[str, Answer]:
    return {
        "/api/whoami": (200, {"name": "root", "tags": tags}),
        "/api/overview": (200, {"rabbitmq_version": version}),
        "/api/policies/%2F": (200, []),
        "/api/operator-policies/%2F": (200, []),
    }


Asked = list[tuple[str, str, Any]]


def play(
    scenario: Callable[[ManagementApi], Awaitable[None]], given: dict[str, Answer]
) -> list[tuple[str, str, Any]]:
    asked: Asked = []

    async def whole() -> None:
        server = HTTPServer(Application([(".*", _Node, {"answers": given, "asked": asked})]))
        listening, port = bind_unused_port(address="127.0.0.1")
        server.add_socket(listening)
        try:
            api = ManagementApi(f"http://127.0.0.1:{port}/", ADMINISTRATOR, timeout=5)
            async with asyncio.timeout(10):
                await scenario(api)
        finally:
            server.stop()
            await server.close_all_connections()

    asyncio.run(whole())
    return asked


@contextmanager
def refused(match: str, kind: type[ManagementFailed] = ManagementRefused) -> Iterator[None]:
    with pytest.raises(kind, match=match) as caught:
        yield
    assert PASSWORD not in repr(caught.value)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("version", "tags"), [("3.10.8", ["administrator"]), ("4.3.6", "monitoring,administrator")]
)
def test_what_is_missing_is_set_once_and_seen_afterwards(version: str, tags: Any) -> None:
    async def scenario(api: ManagementApi) -> None:
        before = await inspect(api, Topology(), vhost="/")
        assert before.plan is not None
        await carry_out(api, before.plan, vhost="/")
        assert (await inspect(api, Topology(), vhost="/")).plan is None

    asked = play(scenario, answers(version, tags))
    [(path, body)] = [(path, body) for method, path, body in asked if method == "PUT"]
    assert path == "/api/policies/%2F/acdm.mo.interact.private"
    assert body["definition"]["delivery-limit"] == 1_000_000
    assert ("consumer-disconnected-timeout" in body["definition"]) == version.startswith("4.3")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (
            {"/api/whoami": (401, {"error": "not_authorised", "reason": "Login failed"})},
            r"user 'root' is unknown to RabbitMQ, or the password is wrong \(Login failed\)",
        ),
        (
            {"/api/whoami": (401, {"error": "not_authorised", "reason": "Not management user"})},
            "no tag administrator; run: rabbitmqctl set_user_tags root administrator",
        ),
        (
            {"/api/whoami": (200, {"name": "root", "tags": ["management", "policymaker"]})},
            "no tag administrator; run: rabbitmqctl set_user_tags root administrator",
        ),
        ({"/api/policies/%2F": (404, {"reason": "vhost unknown"})}, "404 vhost unknown"),
    ],
)
def test_a_login_that_is_not_enough_says_why(changed: dict[str, Answer], match: str) -> None:
    async def scenario(api: ManagementApi) -> None:
        with refused(match):
            await inspect(api, Topology(), vhost="/")

    asked = play(scenario, answers() | changed)
    assert "PUT" not in {method for method, _, _ in asked}


def test_a_node_that_fails_is_no_refusal() -> None:
    """Another node may answer."""

    async def scenario(api: ManagementApi) -> None:
        with refused("500 Internal Server Error", ManagementFailed):
            await api.get("overview")

    play(scenario, {"/api/overview": (500, "no JSON object")})


def test_a_node_that_is_down_is_no_refusal() -> None:
    async def ask() -> None:
        with refused("http://127.0.0.1:1: connection refused", ManagementFailed):
            await ManagementApi("http://127.0.0.1:1", ADMINISTRATOR, timeout=5).get("overview")

    asyncio.run(ask())


def test_a_node_that_hangs_is_left_in_time() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def ask() -> None:
        silent = await asyncio.start_server(lambda _, came: writers.append(came), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        try:
            api = ManagementApi(f"http://127.0.0.1:{port}", ADMINISTRATOR, timeout=0.05)
            async with asyncio.timeout(10):
                with refused("Timeout", ManagementFailed):
                    await api.get("overview")
        finally:
            silent.close()
            for writer in writers:
                writer.transport.abort()

    asyncio.run(ask())


def test_the_password_is_not_in_the_login_s_text() -> None:
    assert PASSWORD not in repr(ADMINISTRATOR)


@pytest.mark.parametrize(
    ("amqp", "address"),
    [
        ("amqp://rabbit1:5672", "http://rabbit1:15672"),
        ("amqps://rabbit1.example", "https://rabbit1.example:15671"),
        ("amqp://[::1]:5672", "http://[::1]:15672"),
    ],
)
def test_the_usual_address_follows_from_that_of_amqp(amqp: str, address: str) -> None:
    assert address_of(amqp) == address
    assert is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:15672",
        "rabbit1",
        "amqp://rabbit1:5672",
        "http://",
        "http://root:secret@rabbit1",
        "http://rabbit1:0",
        "http://rabbit1:port",
        "http://rabbit1:99999",
        "http://rabbit1/?a=b",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_known_before_it_is_dialled(text: str) -> None:
    assert not is_address(text)
