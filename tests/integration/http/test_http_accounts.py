"""``/api/admin/accounts``: lists of accounts are checked, made and kept by an admin."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gateway.account_desk import MOST_AT_ONCE
from gateway.assembly import Gateway
from gateway.cluster.session_revocation import SessionRevocation
from gateway.errors import StoreUnavailable
from gateway.http.streams import Guarded
from gateway.store import Store
from tests.integration.http.conftest import Answer, Call

LIST = """아이디;이름;권한;비밀번호
hana;김하나;교사;
paul;;;a good password
paul;;;
a☺;;;
mina;;;short
"""


async def ask(call: Call, method: str, path: str = "", **json: Any) -> Answer:
    path = f"/api/admin/accounts{path}"
    return await call(method, path, user="root", roles=("admin",), json=json or None)


async def make(call: Call, *users: str, **more: Any) -> Answer:
    accounts = [{"user": user, "password": f"the one of {user}"} for user in users]
    return await ask(call, "POST", accounts=accounts, **more)


async def log_in(call: Call, user: str, password: str) -> Answer:
    return await call("POST", "/api/session", json={"user": user, "password": password})


@pytest.mark.gen_test
async def test_a_list_is_checked_and_then_made_and_its_people_log_in(
    call: Call, store: Store, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    checked = (await ask(call, "POST", "/check", text=LIST)).json["entries"]
    assert [(each["line"], each["state"]) for each in checked] == [
        (2, "new"),
        (3, "new"),
        (4, "twice"),
        (5, "wrong"),
        (6, "wrong"),
    ]
    hana, paul = checked[:2]
    assert (hana["user"], hana["name"], hana["roles"]) == ("hana", "김하나", ["host"])
    assert hana["generated"]
    assert (paul["password"], paul["generated"]) == ("a good password", False)
    assert "8 characters" in checked[4]["why"]
    assert await store.accounts() == []
    wanted = [
        {name: each[name] for name in ("user", "name", "roles", "password")}
        for each in (hana, paul)
    ]
    made = await ask(call, "POST", accounts=wanted)
    assert (made.status, made.json) == (201, {"made": ["hana", "paul"]})
    for each in wanted:
        assert (await log_in(call, each["user"], each["password"])).status == 200
    again = (await ask(call, "POST", "/check", text=LIST)).json["entries"]
    assert [each["state"] for each in again[:3]] == ["exists", "exists", "twice"]
    # The audit: who has made whom, and no password anywhere.
    assert "admin root orders: accounts_made: 2 (host: 1): hana, paul" in caplog.text
    events = gateway.services.events.after(0, limit=100)
    assert [each.by for each in events if each.code == "accounts_made"] == ["root"]
    for each in wanted:
        assert each["password"] not in caplog.text + str(events)


@pytest.mark.gen_test
async def test_a_long_list_has_a_turn_of_its_admin_for_each_moment_of_work(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    next_turn = Guarded.next_turn

    async def counted(stream: Guarded) -> None:
        nonlocal turns
        turns += 1
        await next_turn(stream)

    monkeypatch.setattr(Guarded, "next_turn", counted)
    text = "\n".join(["user", *(f"pupil{number}" for number in range(3_000))])
    checked = await ask(call, "POST", "/check", text=text)
    assert len(checked.json["entries"]) == 3_000
    # Making a password alone takes a tenth of one.
    assert turns >= 10


@pytest.mark.gen_test
async def test_an_account_that_exists_is_replaced_only_if_the_admin_says_so(call: Call) -> None:
    await make(call, "hana")
    cookie = (await log_in(call, "hana", "the one of hana")).headers["Set-Cookie"].split(";")[0]
    other = [{"user": "hana", "password": "quite another one"}]
    kept = await ask(call, "POST", accounts=other)
    assert (kept.status, kept.json) == (200, {"made": []})
    assert (await call("GET", "/api/session", headers={"Cookie": cookie})).status == 200
    replaced = await ask(call, "POST", accounts=other, replace=True)
    assert (replaced.status, replaced.json) == (201, {"made": ["hana"]})
    assert (await call("GET", "/api/session", headers={"Cookie": cookie})).status == 401
    assert (await log_in(call, "hana", "quite another one")).status == 200


@pytest.mark.gen_test
async def test_a_new_password_ends_the_sessions_and_keeps_everything_else(call: Call) -> None:
    account = {"user": "hana", "password": "the first one", "roles": ["host"], "name": "김하나"}
    await ask(call, "POST", accounts=[account])
    cookie = (await log_in(call, "hana", "the first one")).headers["Set-Cookie"].split(";")[0]
    [before] = (await ask(call, "GET")).json["accounts"]
    assert before["sessions"] == 1
    given = await ask(call, "POST", "/users/hana/password")
    assert given.status == 201
    assert (await call("GET", "/api/session", headers={"Cookie": cookie})).status == 401
    assert (await log_in(call, "hana", "the first one")).status == 401
    assert (await log_in(call, "hana", given.json["password"])).status == 200
    [after] = (await ask(call, "GET")).json["accounts"]
    assert (
        after
        == before
        == {
            "user": "hana",
            "name": "김하나",
            "roles": ["host"],
            "sessions": 1,
            "kept_out_until": None,
        }
    )


@pytest.mark.gen_test
async def test_accounts_are_found_and_shown_a_page_at_a_time(call: Call) -> None:
    names = [f"pupil {number:02}" for number in range(5)]
    await make(call, *names)
    await ask(call, "POST", accounts=[{"user": "a%", "password": "12345678", "name": "The PUPIL"}])
    first = (await ask(call, "GET", "?search=pupil&size=4")).json
    assert [each["user"] for each in first["accounts"]] == ["a%", *names[:3]]
    assert (first["matching"], first["total"], first["next"]) == (6, 6, names[2])
    rest = (await ask(call, "GET", "?search=pupil&size=4&after=pupil%2002")).json
    assert [each["user"] for each in rest["accounts"]] == names[3:]
    assert "next" not in rest
    found = (await ask(call, "GET", "?search=%25")).json
    assert [each["user"] for each in found["accounts"]] == ["a%"]


@pytest.mark.gen_test
async def test_whom_an_admin_keeps_out_is_shown_so_until_they_are_let_in(call: Call) -> None:
    await make(call, "hana")
    until = "2027-01-01T00:00:00.000000Z"
    order = {"user": "hana", "until": until}
    root: dict[str, Any] = {"user": "root", "roles": ("admin",)}
    await call("POST", "/api/admin/disconnect", json=order, **root)
    [hana] = (await ask(call, "GET")).json["accounts"]
    assert hana["kept_out_until"] == until
    await call("POST", "/api/admin/admit", json={"user": "hana"}, **root)
    [hana] = (await ask(call, "GET")).json["accounts"]
    assert hana["kept_out_until"] is None


@pytest.mark.gen_test
async def test_an_account_that_is_removed_logs_in_no_more(call: Call) -> None:
    await make(call, "hana")
    assert (await ask(call, "DELETE", "/users/hana")).status == 204
    assert (await log_in(call, "hana", "the one of hana")).status == 401
    for method, path in (("DELETE", "/users/hana"), ("POST", "/users/hana/password")):
        assert (await ask(call, method, path)).problem == (404, "unknown_account")


@pytest.mark.gen_test
async def test_what_is_no_list_of_accounts_is_refused_without_quoting_a_password(
    call: Call,
) -> None:
    secret = "p" * 201
    wrong: list[dict[str, Any]] = [
        {"accounts": []},
        {"accounts": [{"user": "a", "password": secret}]},
        {"accounts": [{"user": "guest~1", "password": "12345678"}]},
        {"accounts": [{"user": "a", "password": "12345678", "roles": ["a\nb"]}]},
        {"accounts": [{"user": "a", "password": "12345678"}] * 2},
        {"accounts": [{"user": f"a{n}", "password": "12345678"} for n in range(MOST_AT_ONCE + 1)]},
    ]
    for body in wrong:
        answer = await ask(call, "POST", **body)
        assert answer.problem == (400, "invalid_request")
        assert b"12345678" not in answer.body
        assert secret.encode() not in answer.body
    answer = await ask(call, "POST", "/check", text="hana, paul")
    assert answer.problem == (400, "invalid_request")
    assert "first line" in answer.json["detail"]


@pytest.mark.gen_test
async def test_only_an_admin_sees_and_makes_accounts(call: Call, store: Store) -> None:
    calls = [
        ("GET", "", None),
        ("POST", "", {"accounts": [{"user": "a", "password": "12345678"}]}),
        ("POST", "/check", {"text": LIST}),
        ("POST", "/users/a/password", None),
        ("DELETE", "/users/a", None),
    ]
    for method, path, json in calls:
        whole = f"/api/admin/accounts{path}"
        refused = await call(method, whole, user="anna", roles=("host",), json=json)
        assert refused.problem == (403, "access_refused")
        assert (await call(method, whole, json=json)).problem == (401, "not_authenticated")
    assert await store.accounts() == []


@pytest.mark.gen_test
async def test_two_admins_who_make_the_same_account_at_once_make_it_once(call: Call) -> None:
    answers = await asyncio.gather(*(make(call, "hana", "paul") for _ in range(3)))
    made = [answer.json["made"] for answer in answers]
    assert sorted(made) == [[], [], ["hana", "paul"]]


@pytest.mark.gen_test
async def test_a_new_password_is_told_although_the_database_goes_away_behind_it(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await make(call, "hana")).status == 201

    async def is_away(_: SessionRevocation) -> int:
        raise StoreUnavailable("the database is away")

    monkeypatch.setattr(SessionRevocation, "poll", is_away)
    renewed = await ask(call, "POST", "/users/hana/password")
    assert renewed.status == 201
    assert (await log_in(call, "hana", renewed.json["password"])).status == 200
