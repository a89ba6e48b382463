"""`[auth.hook]`: the same person at the handshake of /ws and at the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.integration.http.conftest import ORIGIN, Call
from tests.integration.http.test_every_budget import UPGRADE


class Users(RequestHandler):
    """The application: a cookie names its user."""

    answers: dict[str, tuple[int, Any]]

    def initialize(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers = answers

    def get(self) -> None:
        cookie = self.request.headers.get("Cookie", "")
        status, body = self.answers.get(cookie, (401, {}))
        self.set_status(status)
        self.finish(json.dumps(body))


@pytest.fixture
def answers() -> dict[str, tuple[int, Any]]:
    return {
        "sid=mina": (200, {"user": "mina", "roles": ["host"], "expires_in": 600}),
        "sid=broken": (500, {}),
    }


@pytest.fixture
def tables(
    tables: dict[str, Any], io_loop: Any, answers: dict[str, tuple[int, Any]]
) -> Iterator[dict[str, Any]]:
    sock, port = bind_unused_port()
    server = HTTPServer(Application([("/whoami", Users, {"answers": answers})]))
    server.add_socket(sock)
    tables["auth"]["hook"] = {"url": f"http://127.0.0.1:{port}/whoami", "cookies": ["sid"]}
    yield tables
    server.stop()
    io_loop.run_sync(server.close_all_connections)


@pytest.mark.gen_test
async def test_the_api_knows_the_applications_user(call: Call) -> None:
    me = await call("GET", "/api/session", headers={"Cookie": "sid=mina"})
    assert (me.status, me.json["user"], me.json["roles"]) == (200, "mina", ["host"])
    room = await call(
        "POST",
        "/api/rooms",
        json={"title": "a room"},
        headers={"Cookie": "sid=mina", "Origin": ORIGIN},
    )
    assert room.status == 201


@pytest.mark.gen_test
async def test_a_page_of_another_origin_cannot_use_the_applications_cookie(call: Call) -> None:
    for headers in ({**UPGRADE, "Cookie": "sid=mina"}, {"Cookie": "sid=mina"}):
        method, path = ("GET", "/ws") if "Upgrade" in headers else ("POST", "/api/rooms")
        answer = await call(
            method,
            path,
            body=None if method == "GET" else b"{}",
            headers={**headers, "Origin": "https://evil.example"},
        )
        assert answer.problem == (403, "origin_refused")


@pytest.mark.parametrize(
    ("cookie", "problem"),
    [("sid=nobody", (401, "not_authenticated")), ("sid=broken", (503, "identity_unavailable"))],
)
@pytest.mark.gen_test
async def test_nobody_else_is_let_in(cookie: str, problem: tuple[int, str], call: Call) -> None:
    for path, headers in (("/ws", UPGRADE), ("/api/rooms", dict[str, str]())):
        answer = await call("GET", path, headers={**headers, "Cookie": cookie})
        assert answer.problem == problem
        assert ("Retry-After" in answer.headers) is (problem[0] == 503)


@pytest.mark.gen_test
async def test_a_token_comes_before_the_application(call: Call) -> None:
    me = await call("GET", "/api/session", user="paul", headers={"Cookie": "sid=mina"})
    assert me.json["user"] == "paul"


@pytest.mark.gen_test
async def test_an_old_cookie_of_the_gateways_own_does_not_hide_the_application(call: Call) -> None:
    me = await call("GET", "/api/session", headers={"Cookie": "interact_session=old; sid=mina"})
    assert me.json["user"] == "mina"
    refused = await call("GET", "/api/session", headers={"Cookie": "interact_session=old"})
    assert refused.status == 401


@pytest.mark.gen_test
async def test_a_guests_cookie_of_an_earlier_lesson_does_not_hide_who_the_application_knows(
    call: Call,
) -> None:
    mina = {"Cookie": "sid=mina", "Origin": ORIGIN}
    room = (await call("POST", "/api/rooms", json={"title": "a room"}, headers=mina)).json["id"]
    code = await call("POST", f"/api/rooms/{room}/code", json={"guests": "yes"}, headers=mina)
    wanted = {"code": code.json["code"], "nickname": "Nobody"}
    came = await call("POST", "/api/join", json=wanted)
    cookie = came.headers["Set-Cookie"].partition(";")[0]
    for sid, user in (("mina", "mina"), ("nobody", came.json["user"])):
        me = await call("GET", "/api/session", headers={"Cookie": f"{cookie}; sid={sid}"})
        assert me.json["user"] == user
    # Nobody becomes somebody else while the application cannot say.
    broken = await call("GET", "/api/session", headers={"Cookie": f"{cookie}; sid=broken"})
    assert broken.problem == (503, "identity_unavailable")
    # A page of the guest goes on meanwhile, and asks the application nothing.
    guest = {"Cookie": f"{cookie}; sid=broken", "Interact-User": quote(came.json["user"])}
    assert (await call("GET", f"/api/rooms/{room}", headers=guest)).status == 200
    other = guest | {"Cookie": f"{cookie}; sid=mina", "Interact-User": "paul"}
    assert (await call("GET", "/api/session", headers=other)).problem[1] == "user_changed"
    both = {"Cookie": f"{cookie}; sid=mina", "Interact-User": "mina"}
    assert (await call("DELETE", "/api/session", headers=both)).status == 204
