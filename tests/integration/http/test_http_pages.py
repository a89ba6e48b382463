"""The page and its files."""

from __future__ import annotations

from typing import Any

import pytest

from devenv import vendor
from gateway.http.app import STATIC
from gateway.http.handlers.pages import SourceHandler
from gateway.http.listeners import Listener
from tests.integration.http.conftest import ORIGIN, Call


@pytest.mark.gen_test
async def test_the_root_is_the_page(call: Call) -> None:
    answer = await call("GET", "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.body == (await call("GET", "/static/room/index.html")).body


@pytest.mark.gen_test
async def test_the_page_talks_to_its_own_gateway_only(call: Call, public: Listener) -> None:
    policy = (await call("GET", "/")).headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    host = f"127.0.0.1:{public.port}"
    assert directives["default-src"] == "'self'"
    assert directives["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert directives["frame-ancestors"] == "'none'"


@pytest.mark.gen_test
async def test_a_host_header_cannot_widen_the_policy(call: Call) -> None:
    for host in ("a; script-src *", "a b", "*"):
        answer = await call("GET", "/", headers={"Host": host})
        assert host not in answer.headers.get("Content-Security-Policy", "")


@pytest.mark.gen_test
async def test_a_file_is_sent_again_only_when_it_has_changed(call: Call) -> None:
    first = await call("GET", "/static/room/index.html")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await call(
        "GET", "/static/room/index.html", headers={"If-None-Match": first.headers["Etag"]}
    )
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/none.js",
        "/static/../setup.cfg",
        "/static/%2e%2e/setup.cfg",
        "/static/",
        "/index.html",
    ],
)
@pytest.mark.gen_test
async def test_nothing_else_is_served(call: Call, path: str) -> None:
    answer = await call("GET", path)
    assert answer.status in (403, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


# Pages of other origins


@pytest.mark.gen_test
async def test_pages_of_an_allowed_origin_may_import_the_library(call: Call) -> None:
    for path, status in (
        ("/static/interact/index.js", 200),
        ("/static/js/interact.js", 200),
        ("/static/interact/none.js", 404),
    ):
        answer = await call("GET", path, headers={"Origin": ORIGIN})
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.gen_test
async def test_an_import_that_has_not_changed_is_still_allowed(call: Call) -> None:
    path, origin = "/static/interact/index.js", {"Origin": ORIGIN}
    tag = (await call("GET", path, headers=origin)).headers["Etag"]
    answer = await call("GET", path, headers=origin | {"If-None-Match": tag})
    assert answer.status == 304
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/static/interact/index.js", "https://elsewhere.example"),
        ("/static/interact/index.js", "null"),
        ("/static/interact/index.js", f"{ORIGIN}.elsewhere.example"),
        ("/", ORIGIN),
        ("/admin/", ORIGIN),
    ],
)
@pytest.mark.gen_test
async def test_nobody_else_may_and_nobody_a_page(call: Call, path: str, origin: str) -> None:
    answer = await call("GET", path, headers={"Origin": origin})
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-site"


@pytest.mark.gen_test
async def test_a_cache_keeps_the_answers_of_origins_apart(call: Call) -> None:
    assert (await call("GET", "/static/interact/index.js")).headers["Vary"] == "Origin"


@pytest.mark.gen_test
async def test_a_part_of_a_file_can_be_asked_for(call: Call) -> None:
    whole = (await call("GET", "/static/room/index.html")).body
    for wanted, part in (("5-9", whole[5:10]), ("9-", whole[9:]), ("-7", whole[-7:])):
        headers = {"Range": f"bytes={wanted}"}
        answer = await call("GET", "/static/room/index.html", headers=headers)
        assert (answer.status, answer.body) == (206, part)


def test_no_file_stays_open_while_its_client_takes_it() -> None:
    """An iterator would keep it open, and take a descriptor that is kept for something else."""
    path = STATIC / "room" / "index.html"
    assert SourceHandler.get_content(str(path)) == path.read_bytes()


# Frames

AROUND = "https://lms.school.example"


@pytest.fixture(params=["sources", "built"])
def framed(request: pytest.FixtureRequest, tables: dict[str, Any]) -> None:
    """The configuration lets a page show those of rooms in a frame."""
    vendor.ensure(print)
    tables["server"] |= {"pages": request.param, "frame_ancestors": [AROUND]}


@pytest.mark.usefixtures("framed")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", AROUND),
        ("/j/ABCDEF", AROUND),
        ("/admin", "'none'"),
        ("/static/admin/index.html", "'none'"),
        ("/static/room/index.html", "'none'"),
        ("/api/session", "'none'"),
        ("/nothing", "'none'"),
    ],
)
@pytest.mark.gen_test
async def test_only_the_page_of_rooms_is_shown_in_a_frame_of_a_configured_origin(
    path: str, expected: str, call: Call
) -> None:
    policy = (await call("GET", path)).headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["frame-ancestors"] == expected
