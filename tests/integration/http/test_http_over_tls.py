"""What changes when browsers come over TLS, which may end at a trusted proxy: the cookie, HSTS."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest

from gateway.auth.session_cookie import SECURE_COOKIE, SESSION_COOKIE
from gateway.config import Config
from tests.integration.http.conftest import Answer, Call, token

TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


async def logged_in(call: Call, settings: Config, headers: dict[str, str]) -> Answer:
    answer = await call(
        "POST", "/api/session", json={"token": token(settings, "anna")}, headers=headers
    )
    assert answer.status == 200, answer.body
    return answer


def cookies_of(answer: Answer) -> dict[str, Any]:
    """The morsels of all Set-Cookie headers, by name."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        jar.load(line)
    return dict(jar)


@pytest.mark.gen_test
async def test_over_tls_the_cookie_is_of_this_host_alone(call: Call, settings: Config) -> None:
    login = await logged_in(call, settings, TLS)
    (cookie,) = cookies_of(login).values()
    assert cookie.key == SECURE_COOKIE == "__Host-interact_session"
    # What the prefix demands (RFC 6265bis, section 4.1.3.2): otherwise browsers drop the cookie.
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    headers = TLS | {"Cookie": f"{cookie.key}={cookie.value}"}
    me = await call("GET", "/api/session", headers=headers)
    assert me.json["user"] == "anna"


@pytest.mark.gen_test
async def test_a_login_from_before_tls_or_an_upgrade_goes_on_and_can_be_ended(
    call: Call, settings: Config
) -> None:
    before = cookies_of(await logged_in(call, settings, {}))[SESSION_COOKIE].value
    old = {"Cookie": f"{SESSION_COOKIE}={before}"}
    assert (await call("GET", "/api/session", headers=TLS | old)).json["user"] == "anna"
    left = await call("DELETE", "/api/session", headers=TLS | old)
    assert {name: morsel.value for name, morsel in cookies_of(left).items()} == {
        SECURE_COOKIE: "",
        SESSION_COOKIE: "",
    }
    gone = await call("GET", "/api/session", headers=TLS | old)
    assert gone.problem == (401, "session_ended")


@pytest.mark.gen_test
async def test_a_login_over_tls_leaves_no_older_cookie_behind(call: Call, settings: Config) -> None:
    before = cookies_of(await logged_in(call, settings, {}))[SESSION_COOKIE].value
    old = {"Cookie": f"{SESSION_COOKIE}={before}"}
    given = cookies_of(await logged_in(call, settings, TLS | old))
    assert (given[SESSION_COOKIE].value, given[SESSION_COOKIE]["max-age"]) == ("", "0")
    assert given[SECURE_COOKIE].value


@pytest.mark.gen_test
async def test_what_was_given_over_tls_is_not_valid_under_a_name_that_others_can_plant(
    call: Call, settings: Config
) -> None:
    value = cookies_of(await logged_in(call, settings, TLS))[SECURE_COOKIE].value
    plain = cookies_of(await logged_in(call, settings, {}))[SESSION_COOKIE].value
    # Known under its own name first: what was verified there counts for nothing here.
    headers = TLS | {"Cookie": f"{SECURE_COOKIE}={value}"}
    assert (await call("GET", "/api/session", headers=headers)).status == 200
    for planted in (f"{SESSION_COOKIE}={value}", f"{SECURE_COOKIE}={plain}"):
        refused = await call("GET", "/api/session", headers=TLS | {"Cookie": planted})
        assert refused.problem == (401, "token_invalid"), planted


@pytest.mark.gen_test
async def test_the_cookie_of_tls_wins_over_a_planted_one(call: Call, settings: Config) -> None:
    mine = cookies_of(await logged_in(call, settings, TLS))[SECURE_COOKIE].value
    other = await call("POST", "/api/session", json={"token": token(settings, "mallory")})
    planted = cookies_of(other)[SESSION_COOKIE].value
    both = f"{SESSION_COOKIE}={planted}; {SECURE_COOKIE}={mine}"
    me = await call("GET", "/api/session", headers=TLS | {"Cookie": both})
    assert me.json["user"] == "anna"


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/session", "/static/none.js", "/nothing"])
@pytest.mark.gen_test
async def test_browsers_are_told_to_use_nothing_but_tls_and_only_over_tls(
    call: Call, path: str
) -> None:
    over_tls = await call("GET", path, headers=TLS)
    assert over_tls.headers["Strict-Transport-Security"] == "max-age=31536000"
    # RFC 6797, section 7.2: anybody on the way could have written it.
    assert "Strict-Transport-Security" not in (await call("GET", path)).headers


@pytest.fixture
def another_proxy(tables: dict[str, Any]) -> None:
    tables["server"]["trusted_proxies"] = ["192.0.2.1"]


@pytest.mark.usefixtures("another_proxy")
@pytest.mark.gen_test
async def test_nobody_but_a_trusted_proxy_is_believed_that_it_is_tls(
    settings: Config, call: Call
) -> None:
    login = await logged_in(call, settings, TLS)
    assert list(cookies_of(login)) == [SESSION_COOKIE]
    assert "Strict-Transport-Security" not in login.headers


@pytest.mark.gen_test
async def test_a_window_that_has_opened_a_page_has_no_hold_of_it(call: Call) -> None:
    for path in ("/", "/admin", "/static/room/index.html"):
        answer = await call("GET", path)
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
