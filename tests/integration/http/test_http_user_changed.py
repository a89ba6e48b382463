"""A page says who it takes its user for: nothing is done in the name of somebody else."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import pytest

from gateway.auth.session_cookie import SESSION_COOKIE
from gateway.config import Config
from gateway.store import Store
from tests.integration.http.conftest import ORIGIN, Answer, Call, token


def believing(user: str) -> dict[str, str]:
    """As JavaScript's encodeURIComponent writes it."""
    return {"Interact-User": quote(user, safe="!'()*-._~")}


async def cookie(call: Call, settings: Config, user: str, *roles: str) -> dict[str, str]:
    login = await call("POST", "/api/session", json={"token": token(settings, user, *roles)})
    morsel = SimpleCookie(login.headers["Set-Cookie"])[SESSION_COOKIE]
    return {"Cookie": f"{SESSION_COOKIE}={morsel.value}"}


@pytest.mark.gen_test
async def test_a_post_of_the_first_tab_after_a_second_login_is_not_the_second_users(
    call: Call, settings: Config, room: str, store: Store
) -> None:
    headers = await cookie(call, settings, "bob") | believing("anna")
    answer = await call("POST", f"{room}/messages", json={"body": "by anna"}, headers=headers)
    assert answer.problem == (401, "user_changed")
    assert (await call("GET", f"{room}/messages", user="anna")).json["head"] == 0
    bobs = headers | believing("bob")
    assert (
        await call("POST", f"{room}/messages", json={"body": "by bob"}, headers=bobs)
    ).status == 201


@pytest.mark.parametrize(
    ("method", "path", "json"),
    [
        ("GET", "/api/session", None),
        ("GET", "/api/rooms", None),
        ("POST", "/api/rooms", {"title": "Physics"}),
        ("GET", "{room}", None),
        ("DELETE", "{room}", None),
        ("GET", "{room}/members", None),
        ("PUT", "{room}/members/eve", {"role": "host"}),
        ("DELETE", "{room}/members/bob", None),
        ("GET", "{room}/presence", None),
        ("GET", "{room}/messages", None),
        ("GET", "/api/admin/connections", None),
        ("GET", "/api/admin/live", None),
        ("POST", "/api/admin/disconnect", {"user": "bob"}),
        ("GET", "/ws", None),
    ],
)
@pytest.mark.gen_test
async def test_no_call_is_another_users(
    call: Call, settings: Config, room: str, method: str, path: str, json: Any
) -> None:
    headers = await cookie(call, settings, "anna", "host", "admin") | believing("bob")
    if path == "/ws":
        headers |= {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OTAxMjM0NQ==",
        }
    answer = await call(method, path.format(room=room), json=json, headers=headers)
    assert answer.problem == (401, "user_changed")
    members = await call("GET", f"{room}/members", user="anna")
    assert [each["user"] for each in members.json["members"]] == ["anna", "bob"]


@pytest.mark.parametrize("user", ["김하나", "a b", "a:b", "a%b", "a+b", "a/b", "𠮷野", "ann\\cb"])
@pytest.mark.gen_test
async def test_any_name_is_recognised(call: Call, settings: Config, user: str) -> None:
    async def ask(believed: str) -> Answer:
        return await call("GET", "/api/session", user=user, headers=believing(believed))

    assert (await ask(user)).json["user"] == user
    for other in (user + "x", user.upper() + "X", ""):
        assert (await ask(other)).problem == (401, "user_changed")


@pytest.mark.gen_test
async def test_a_name_that_is_no_utf_8_is_told(call: Call) -> None:
    answer = await call("GET", "/api/session", user="anna", headers={"Interact-User": "%ff"})
    assert answer.problem == (400, "invalid_request")
    assert "Interact-User" in answer.json["detail"]


@pytest.mark.gen_test
async def test_pages_of_other_origins_may_say_it(call: Call) -> None:
    answer = await call("OPTIONS", "/api/rooms", headers={"Origin": ORIGIN})
    assert "Interact-User" in answer.headers["Access-Control-Allow-Headers"]
