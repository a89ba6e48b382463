"""Pages of other origins: those of the list, exactly, and nobody else (Fetch standard, CORS)."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http.api import ApiHandler
from tests.integration.http.conftest import ORIGIN, Answer, Call, token

FOREIGN = [
    "https://elsewhere.example",
    "null",
    f"{ORIGIN}.elsewhere.example",
    f"{ORIGIN}:8443",
    ORIGIN.replace("https", "http"),
    f"{ORIGIN}/",
    "*",
]
#: Of several words in a path the first.
_FIRST = re.compile(r"\(([a-z]+)\|[^)]*\)")
TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


def shared_with(answer: Answer) -> str | None:
    """The origin whose scripts may read the answer."""
    origin = answer.headers.get("Access-Control-Allow-Origin")
    assert (origin is None) == ("Access-Control-Allow-Credentials" not in answer.headers)
    return origin


def resources(gateway: Gateway) -> list[str]:
    """A path of every resource of the API."""
    rules = gateway.public.default_router.rules[0].target.rules
    patterns = (
        rule.matcher.regex.pattern.rstrip("$")
        for rule in rules
        if issubclass(rule.target, ApiHandler)
    )
    return [
        _FIRST.sub(r"\1", each.replace("([^/]+)", "1")).replace("\\.", ".") for each in patterns
    ]


@pytest.mark.gen_test
async def test_every_resource_is_shared_with_the_list_alone(call: Call, gateway: Gateway) -> None:
    paths = resources(gateway)
    assert len(paths) > 15
    for path in paths:
        for method in ("GET", "OPTIONS"):
            answer = await call(method, path, headers={"Origin": ORIGIN})
            assert shared_with(answer) == ORIGIN, (method, path)
            assert "Origin" in answer.headers.get_list("Vary")
            answer = await call(method, path, headers={"Origin": FOREIGN[0]})
            assert shared_with(answer) is None, (method, path)
            assert "Origin" in answer.headers.get_list("Vary")
            if method == "OPTIONS":
                assert answer.problem == (403, "origin_refused")


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.gen_test
async def test_no_foreign_origin_is_given_back(origin: str, call: Call, room: str) -> None:
    for method, path in (
        ("GET", f"{room}/messages"),
        ("OPTIONS", f"{room}/messages"),
        ("POST", f"{room}/messages"),
        ("GET", f"{room}/events"),
        ("GET", "/static/interact/index.js"),
        ("GET", "/ws"),
    ):
        answer = await call(method, path, user="bob", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers, (method, path)
        assert origin not in str(dict(answer.headers)) or origin in ("*", "null")
    posted = await call(
        "POST", f"{room}/messages", user="bob", json={"body": 1}, headers={"Origin": origin}
    )
    assert posted.problem == (403, "origin_refused")


@pytest.mark.gen_test
async def test_a_preflight_is_remembered_and_names_what_the_library_sends(
    call: Call, room: str
) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = await call("OPTIONS", f"{room}/messages", headers=asked)
    assert (answer.status, shared_with(answer)) == (204, ORIGIN)
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    wanted = {"Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Interact-User"}
    assert set(allowed) == wanted


@pytest.mark.gen_test
async def test_a_listed_page_reads_refusals_too(call: Call, room: str) -> None:
    for user, path, code in (
        (None, f"{room}/messages", "not_authenticated"),
        ("carla", f"{room}/events", "access_refused"),
        ("bob", f"{room}/events?after=99", "invalid_request"),
    ):
        answer = await call("GET", path, user=user, headers={"Origin": ORIGIN})
        assert answer.problem[1] == code
        assert shared_with(answer) == ORIGIN
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


# Cookies of frames


async def cookie_of(call: Call, settings: Config, headers: dict[str, str]) -> Any:
    login = await call(
        "POST", "/api/session", json={"token": token(settings, "anna")}, headers=headers
    )
    jar: SimpleCookie = SimpleCookie()
    line = login.headers["Set-Cookie"]
    # Python 3.11 does not know it.
    jar.load(line.replace("; Partitioned", ""))
    ((_, cookie),) = jar.items()
    return cookie["samesite"], "; Partitioned" in line, cookie["secure"]


@pytest.mark.gen_test
async def test_the_cookie_stays_within_its_site(call: Call, settings: Config) -> None:
    assert await cookie_of(call, settings, TLS) == ("Strict", False, True)


@pytest.fixture
def across_sites(tables: dict[str, Any]) -> None:
    tables["server"]["cookies"] = "cross-site"


@pytest.mark.usefixtures("across_sites")
@pytest.mark.gen_test
async def test_a_cookie_of_frames_goes_across_sites_over_tls_alone(
    call: Call, settings: Config
) -> None:
    assert await cookie_of(call, settings, TLS) == ("None", True, True)
    assert await cookie_of(call, settings, {}) == ("Strict", False, "")


@pytest.mark.usefixtures("across_sites")
@pytest.mark.gen_test
async def test_what_comes_from_another_site_with_it_changes_nothing(
    call: Call, settings: Config, room: str
) -> None:
    login = await call("POST", "/api/session", json={"token": token(settings, "anna")}, headers=TLS)
    sent = TLS | {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    foreign = sent | {"Origin": FOREIGN[0]}
    assert (await call("GET", room, headers=sent)).status == 200
    for method, path in (
        ("POST", f"{room}/messages"),
        ("DELETE", room),
        ("DELETE", "/api/session"),
        ("GET", f"{room}/events"),
    ):
        answer = await call(method, path, headers=foreign)
        assert answer.problem == (403, "origin_refused"), (method, path)
