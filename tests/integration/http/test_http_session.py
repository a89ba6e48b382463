"""``/api/session``: local logins, traded tokens, the cookie, the limits."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from argon2 import PasswordHasher
from tornado.ioloop import IOLoop

from gateway.assembly import Gateway
from gateway.auth.accounts import Accounts
from gateway.auth.session_cookie import SESSION_COOKIE
from gateway.config import Config, Log
from gateway.errors import StoreUnavailable
from gateway.limits import LiveLimits
from gateway.observe import logs
from gateway.store import Account, Store
from tests.integration.http.conftest import Answer, Call, token
from tests.integration.http.live_fake import FakeLive

PASSWORD = "correct horse battery"


@pytest.fixture
def anna(accounts: Accounts[Any], store: Store, io_loop: IOLoop) -> str:
    async def add() -> None:
        password_hash = await accounts.hash(PASSWORD)
        await store.put_account(Account("anna", password_hash, frozenset({"host"})))

    io_loop.run_sync(add)
    return "anna"


def cookie_of(answer: Answer) -> str:
    morsel = SimpleCookie(answer.headers["Set-Cookie"])[SESSION_COOKIE]
    return f"{SESSION_COOKIE}={morsel.value}"


@pytest.mark.gen_test
async def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(
    call: Call, anna: str
) -> None:
    answer = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    assert answer.status == 200
    assert (answer.json["user"], answer.json["roles"]) == ("anna", ["host"])
    attributes = {part.strip() for part in answer.headers["Set-Cookie"].split(";")}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
    assert "Secure" not in attributes
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.gen_test
async def test_the_cookie_says_who_i_am_and_until_when(call: Call, anna: str) -> None:
    login = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    answer = await call("GET", "/api/session", headers={"Cookie": cookie_of(login)})
    assert answer.json == login.json
    assert answer.json["expires_at"].endswith("Z")


@pytest.mark.gen_test
async def test_behind_tls_at_a_trusted_proxy_the_cookie_is_secure(call: Call, anna: str) -> None:
    answer = await call(
        "POST",
        "/api/session",
        json={"user": anna, "password": PASSWORD},
        headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"},
    )
    assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.gen_test
async def test_a_token_is_traded_for_a_cookie_that_ends_no_later(
    call: Call, settings: Config
) -> None:
    mine = token(settings, "bob", "host", "role-that-means-nothing", lifetime=30)
    login = await call("POST", "/api/session", json={"token": mine})
    assert (login.json["user"], login.json["roles"]) == ("bob", ["host"])
    max_age = int(SimpleCookie(login.headers["Set-Cookie"])[SESSION_COOKIE]["max-age"])
    assert 25 <= max_age <= 30


@pytest.mark.gen_test
async def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(
    call: Call, anna: str
) -> None:
    wrong = await call("POST", "/api/session", json={"user": anna, "password": "x"})
    unknown = await call("POST", "/api/session", json={"user": "nobody", "password": "x"})
    assert wrong.problem == unknown.problem == (401, "not_authenticated")
    assert wrong.json == unknown.json
    assert "Set-Cookie" not in wrong.headers
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.gen_test
async def test_an_expired_or_forged_token_is_told_apart(call: Call, settings: Config) -> None:
    expired = await call(
        "POST", "/api/session", json={"token": token(settings, "bob", lifetime=-60)}
    )
    assert expired.problem == (401, "token_expired")
    forged = token(settings, "bob")[:-4] + "AAAA"
    assert (await call("POST", "/api/session", json={"token": forged})).problem == (
        401,
        "token_invalid",
    )


@pytest.mark.gen_test
async def test_without_credentials_nobody_is_anybody(call: Call) -> None:
    answer = await call("GET", "/api/session")
    assert answer.problem == (401, "not_authenticated")
    assert "POST /api/session" in answer.json["detail"]


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "x"])
@pytest.mark.gen_test
async def test_an_authorization_of_another_kind_is_refused(call: Call, header: str) -> None:
    answer = await call("GET", "/api/session", headers={"Authorization": header})
    assert answer.problem == (401, "not_authenticated")


@pytest.mark.gen_test
async def test_a_bad_bearer_is_not_saved_by_a_good_cookie(call: Call, anna: str) -> None:
    login = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    answer = await call(
        "GET",
        "/api/session",
        headers={"Cookie": cookie_of(login), "Authorization": "Bearer e.y.J"},
    )
    assert answer.problem == (401, "token_invalid")


async def logged_in(call: Call, user: str = "anna") -> dict[str, str]:
    """The headers of somebody who has logged in by password."""
    login = await call("POST", "/api/session", json={"user": user, "password": PASSWORD})
    assert login.status == 200, login.body
    return {"Cookie": cookie_of(login)}


@pytest.mark.gen_test
async def test_logging_out_ends_the_cookie_for_reading_and_posting(
    call: Call, anna: str, room: str
) -> None:
    headers, other = await logged_in(call), await logged_in(call)
    assert (await call("GET", "/api/session", headers=headers)).status == 200
    answer = await call("DELETE", "/api/session", headers=headers)
    assert answer.status == 204
    morsel = SimpleCookie(answer.headers["Set-Cookie"])[SESSION_COOKIE]
    assert (morsel.value, morsel["max-age"], morsel["path"]) == ("", "0", "/")
    for method, path, json in (
        ("GET", "/api/session", None),
        ("GET", f"{room}/messages", None),
        ("POST", f"{room}/messages", {"body": "still here"}),
    ):
        refused = await call(method, path, json=json, headers=headers)
        assert refused.problem == (401, "session_ended")
    assert (await call("GET", f"{room}/messages", user="anna")).json["head"] == 0
    assert (await call("GET", "/api/session", headers=other)).status == 200


@pytest.mark.parametrize("cookie", [None, "", "nonsense", "ended"])
@pytest.mark.gen_test
async def test_logging_out_without_a_session_is_no_error(
    call: Call, anna: str, cookie: str | None
) -> None:
    headers = {} if cookie is None else {"Cookie": f"{SESSION_COOKIE}={cookie}"}
    if cookie == "ended":
        headers = await logged_in(call)
        await call("DELETE", "/api/session", headers=headers)
    answer = await call("DELETE", "/api/session", headers=headers)
    assert answer.status == 204
    assert SimpleCookie(answer.headers["Set-Cookie"])[SESSION_COOKIE].value == ""


@pytest.mark.gen_test
async def test_logging_out_of_one_tab_does_not_log_out_who_has_come_since(
    call: Call, anna: str
) -> None:
    headers = await logged_in(call)
    answer = await call("DELETE", "/api/session", headers=headers | {"Interact-User": "bob"})
    assert answer.problem == (401, "user_changed")
    assert "Set-Cookie" not in answer.headers
    assert (await call("GET", "/api/session", headers=headers)).status == 200


@pytest.mark.gen_test
async def test_logging_out_closes_the_sessions_sockets_and_dashboards(
    call: Call, anna: str, gateway: Gateway, accounts: Accounts[Any], store: Store
) -> None:
    await store.put_account(Account("anna", await accounts.hash(PASSWORD), frozenset({"admin"})))
    headers = await logged_in(call)
    stream = asyncio.ensure_future(call("GET", "/api/admin/live", headers=headers))
    while not len(gateway.admin.dashboard):  # noqa: ASYNC110 - it opens in its own time
        await asyncio.sleep(0.01)
    (viewer,) = gateway.admin.dashboard._viewers
    own = FakeLive(rooms=set(), id="own", user="anna", session=viewer.session)
    others = [FakeLive(rooms=set(), id=name, user="anna", session=name) for name in ("x", "y")]
    bearer = FakeLive(rooms=set(), id="bearer", user="anna")
    for fake in (own, *others, bearer):
        gateway.live.registry.serve(fake, address="", user="anna")
    await call("DELETE", "/api/session", headers=headers)
    assert own.ended == "session_ended"
    assert [fake.ended for fake in (*others, bearer)] == [None, None, None]
    assert (await stream).status == 200, "the stream has come to its end"
    assert not len(gateway.admin.dashboard)
    for fake in (*others, bearer):
        fake.end(None)


@pytest.mark.parametrize("change", ["removed", "password", "roles"])
@pytest.mark.gen_test
async def test_changing_an_account_by_the_command_line_ends_its_sessions(
    call: Call, anna: str, accounts: Accounts[Any], store: Store, gateway: Gateway, change: str
) -> None:
    headers = await logged_in(call)
    if change == "removed":
        await store.remove_account("anna")
    else:
        password = "another" if change == "password" else PASSWORD
        roles = frozenset[str]() if change == "roles" else frozenset({"host"})
        await store.put_account(Account("anna", await accounts.hash(password), roles))
    await gateway.cluster.session_revocation.poll()
    answer = await call("GET", "/api/session", headers=headers)
    assert answer.problem == (401, "session_ended")
    # Whoever has a token of that name is another user.
    assert (await call("GET", "/api/session", user="anna")).status == 200
    login = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    assert login.status == (200 if change == "roles" else 401)


@pytest.mark.gen_test
async def test_a_removed_account_does_not_end_what_a_token_of_that_name_was_traded_for(
    call: Call, anna: str, settings: Config, store: Store, gateway: Gateway
) -> None:
    login = await call("POST", "/api/session", json={"token": token(settings, "anna")})
    await store.remove_account("anna")
    await gateway.cluster.session_revocation.poll()
    assert (await call("GET", "/api/session", headers={"Cookie": cookie_of(login)})).status == 200


@pytest.mark.gen_test
async def test_without_the_database_nobody_is_logged_out_by_half(
    call: Call, anna: str, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    headers = await logged_in(call)

    async def away(_: object) -> None:
        raise StoreUnavailable("the database is not available", retry_after=1.0)

    monkeypatch.setattr(store, "end_session", away)
    answer = await call("DELETE", "/api/session", headers=headers)
    assert answer.problem == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "Set-Cookie" not in answer.headers
    assert (await call("GET", "/api/session", headers=headers)).status == 200


@pytest.mark.gen_test
async def test_a_request_asks_the_database_nothing_about_its_session(
    call: Call, anna: str, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    headers = await logged_in(call)

    async def asked(*_: object) -> None:
        raise AssertionError("a read for each request")

    for name in ("read", "write"):
        monkeypatch.setattr(store._database, name, asked)
    assert (await call("GET", "/api/session", headers=headers)).status == 200


@pytest.mark.parametrize(
    "json",
    [
        {},
        {"user": "anna"},
        {"password": "x"},
        {"user": "anna", "token": "t"},
        {"user": "anna", "password": "x", "token": "t"},
        {"user": None, "password": None, "token": None},
        {"user": 5, "password": "x"},
        {"user": "anna", "password": "x", "remember": True},
        {"user": "", "password": "x"},
    ],
)
@pytest.mark.gen_test
async def test_a_login_that_is_neither_is_refused(call: Call, json: dict[str, Any]) -> None:
    assert (await call("POST", "/api/session", json=json)).problem == (400, "invalid_request")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()
    logs.set_up(Log(level="debug"), known_secrets=[], stream=stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.gen_test
async def test_neither_the_password_nor_the_cookie_nor_the_query_gets_into_the_log(
    call: Call, anna: str, log: io.StringIO
) -> None:
    login = await call("POST", "/api/session", json={"user": anna, "password": PASSWORD})
    await call("GET", "/api/session?token=hunter2", headers={"Cookie": cookie_of(login)})
    await call("GET", "/nothing?password=hunter2")
    await call("POST", "/api/session", json={"user": anna, "password": PASSWORD, "x": PASSWORD})
    written = log.getvalue()
    assert "POST /api/session 200" in written
    assert login.headers["X-Request-Id"] in written
    for secret in (PASSWORD, cookie_of(login).removeprefix(f"{SESSION_COOKIE}="), "hunter2", "?"):
        assert secret not in written


@pytest.mark.gen_test
async def test_failed_logins_of_one_address_are_limited_and_right_ones_and_others_are_not(
    call: Call, anna: str, settings: Config, limits: LiveLimits
) -> None:
    limits.now = limits.now.model_copy(update={"logins_per_minute": 6.0})

    async def try_from(address: str, **proof: str) -> Answer:
        return await call(
            "POST", "/api/session", json=proof, headers={"X-Forwarded-For": f"1.2.3.4, {address}"}
        )

    for _ in range(15):
        right = await try_from("203.0.113.7", user=anna, password=PASSWORD)
        assert right.status == 200
    # Tokens too: their failures are counted together.
    for _ in range(6):
        assert (await try_from("203.0.113.7", token="x.y.z")).status == 401
    for proof in ({"token": "x.y.z"}, {"user": "bo", "password": PASSWORD}):
        limited = await try_from("203.0.113.7", **proof)
        assert limited.problem == (429, "too_many_guesses")
        assert 1 <= int(limited.headers["Retry-After"]) <= 10
    # A neighbour who fails all the time keeps out neither who has come from there before, ...
    assert (await try_from("203.0.113.7", user=anna, password=PASSWORD)).status == 200
    # ... nor who has a token, which nobody can guess.
    assert (await try_from("203.0.113.7", token=token(settings, "bo"))).status == 200
    assert (await try_from("203.0.113.8", user=anna, password=PASSWORD)).status == 200
    assert (await try_from("203.0.113.8", token=token(settings, "bo"))).status == 200


@pytest.mark.gen_test
async def test_forty_five_pupils_behind_one_address_log_in_at_once(
    call: Call, store: Store, accounts: Accounts[Any]
) -> None:
    # What is counted here is the refusals, not the seconds.
    accounts._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hashed = await accounts.hash(PASSWORD)
    pupils = [f"pupil{number}" for number in range(45)]
    for pupil in pupils:
        await store.put_account(Account(pupil, hashed, frozenset()))
    answers = await asyncio.gather(
        *(call("POST", "/api/session", json={"user": p, "password": PASSWORD}) for p in pupils)
    )
    assert [answer.status for answer in answers] == [200] * 45


@pytest.mark.gen_test
async def test_a_guesser_waits_and_the_account_s_owner_comes_in_from_known_addresses(
    call: Call, anna: str
) -> None:
    async def try_from(address: str, password: str) -> Answer:
        return await call(
            "POST",
            "/api/session",
            json={"user": anna, "password": password},
            headers={"X-Forwarded-For": address},
        )

    assert (await try_from("203.0.113.7", PASSWORD)).status == 200
    guesses = [await try_from(f"198.51.100.{n}", "guess") for n in range(30)]
    assert {answer.problem for answer in guesses[15:]} == {(429, "too_many_guesses")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in guesses[15:])
    assert (await try_from("203.0.113.7", PASSWORD)).status == 200
