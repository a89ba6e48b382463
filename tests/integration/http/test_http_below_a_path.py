"""A gateway below a path of its host (``server.path``): all is there, and nothing is elsewhere."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

from devenv import vendor
from gateway.auth.accounts import Accounts
from gateway.drain import Drain
from gateway.http.listeners import Listener
from gateway.store import Account, Store
from tests.integration.http.conftest import ORIGIN, Call

BASE = "/school/interact"
TLS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(autouse=True)
def _below(tables: dict[str, Any]) -> None:
    tables["server"]["path"] = BASE
    tables["server"]["stomp_paths"] = ["/stomp/websocket"]


@pytest.fixture
def at_root(public: Listener) -> Any:
    """Asks the host's root; the fixture ``call`` asks below the path."""
    parts = urlsplit(public.url)
    assert parts.path == BASE

    async def ask(method: str, path: str) -> tuple[int, bytes]:
        response = await AsyncHTTPClient().fetch(
            f"{parts.scheme}://{parts.netloc}{path}",
            method=method,
            raise_error=False,
            allow_nonstandard_methods=True,
        )
        return response.code, response.body or b""

    return ask


@pytest.mark.gen_test
async def test_probes_are_at_the_root_too_and_nothing_else_is(
    call: Call, at_root: Any, drain: Drain
) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await call("GET", path)).status == (await at_root("GET", path))[0] == 200
    assert (await at_root("OPTIONS", "/"))[0] == 204
    for path in ("/", "/api/session", "/ws", "/static/shared/icon.svg", f"{BASE}x/", "/school/"):
        assert (await at_root("GET", path))[0] == 404
    drain.begin("test")
    assert (await at_root("OPTIONS", "/"))[0] == 503
    assert (await at_root("GET", "/readyz"))[0] == 503


@pytest.fixture(params=["sources", "built"])
def _pages(tables: dict[str, Any], request: pytest.FixtureRequest) -> None:
    vendor.ensure(print)
    tables["server"]["pages"] = request.param


@pytest.mark.usefixtures("_pages")
@pytest.mark.parametrize("path", ["", "/", "/j/ABCDEF", "/admin", "/admin/", "/admin/accounts"])
@pytest.mark.gen_test
async def test_a_page_names_its_files_below_the_path(path: str, call: Call) -> None:
    page = await call("GET", path, headers={"Accept-Encoding": "identity"})
    assert page.status == 200
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode())
    assert named
    for each in named:
        assert each.startswith(f"{BASE}/static/")
        assert (await call("GET", each.removeprefix(BASE))).status == 200


@pytest.mark.gen_test
async def test_what_the_api_answers_leads_below_the_path(call: Call) -> None:
    made = await call("POST", "/api/rooms", user="anna", roles=("host",), json={"title": "Maths"})
    where = made.headers["Location"]
    assert where == f"{BASE}/api/rooms/{made.json['id']}"
    room = where.removeprefix(BASE)
    assert (await call("GET", room, user="anna")).status == 200
    copy = await call("POST", f"{room}/copy", user="anna", roles=("host",), json={})
    assert copy.headers["Location"].startswith(f"{BASE}/api/rooms/")
    code = (await call("POST", f"{room}/code", user="anna", json={"guests": "yes"})).json
    assert code["url"] == f"{BASE}/j/{code['code']}"
    assert (await call("GET", code["url"].removeprefix(BASE))).status == 200


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "interact_session.school.interact"),
        (TLS, "__Secure-interact_session.school.interact"),
    ],
)
@pytest.mark.gen_test
async def test_the_session_cookie_is_for_the_path_alone(
    call: Call, accounts: Accounts[Any], store: Store, headers: dict[str, str], name: str
) -> None:
    password_hash = await accounts.hash("correct horse battery")
    await store.put_account(Account("anna", password_hash, frozenset({"host"})))
    body = {"user": "anna", "password": "correct horse battery"}
    login = await call("POST", "/api/session", json=body, headers=headers)
    assert login.status == 200
    (cookie,) = SimpleCookie(login.headers["Set-Cookie"]).values()
    assert (cookie.key, cookie["path"]) == (name, BASE)
    # A gateway at the root of the same host has a cookie that comes here, too.
    given = headers | {"Cookie": f"interact_session=another; {name}={cookie.value}"}
    assert (await call("GET", "/api/session", headers=given)).json["user"] == "anna"


@pytest.mark.parametrize("path", ["/ws", "/stomp/websocket"])
@pytest.mark.gen_test
async def test_a_websocket_is_below_the_path(public: Listener, path: str) -> None:
    client = await websocket_connect(
        f"{public.url.replace('http', 'ws')}{path}", subprotocols=["v12.stomp"]
    )
    assert client.selected_subprotocol == "v12.stomp"
    client.close()
    assert await client.read_message() is None


@pytest.mark.gen_test
async def test_the_library_may_be_imported_from_there_by_other_origins(call: Call) -> None:
    answer = await call("GET", "/static/interact/index.js", headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
