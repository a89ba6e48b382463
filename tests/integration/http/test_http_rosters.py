"""Lists of people: ``/api/rooms/{room}/roster`` and ``/api/roster``."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.roster import MOST_BYTES, MOST_CHARACTERS, MOST_LINES
from gateway.http.streams import Guarded
from gateway.store import Account, Store
from tests.integration.http.conftest import Answer, Call


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["limits"]["room_members"] = 6
    return tables


@pytest.mark.gen_test
async def test_a_list_is_checked_before_anybody_is_added(call: Call, room: str) -> None:
    text = "user;name;role\nbob;;\ncarol;Carol C.;host\ncarol;;\na☺;;\ndave;;king\n"
    checked = await call("POST", f"{room}/roster", user="anna", json={"text": text})
    assert [(each["line"], each["state"]) for each in checked.json["entries"]] == [
        (2, "member"),
        (3, "new"),
        (4, "twice"),
        (5, "wrong"),
        (6, "wrong"),
    ]
    assert "king" in checked.json["entries"][-1]["why"]
    assert "added" not in checked.json
    assert (await call("GET", room, user="carol")).status == 403
    done = await call("POST", f"{room}/roster", user="anna", json={"text": text, "add": True})
    assert done.json["added"] == ["carol"]
    assert (await call("GET", room, user="carol")).json["role"] == "host"
    members = (await call("GET", f"{room}/members", user="anna")).json["members"]
    assert {each["user"]: each.get("name") for each in members}["carol"] == "Carol C."


@pytest.mark.gen_test
async def test_three_names_with_commas_are_three_members(call: Call, room: str) -> None:
    body = {"text": "aa, bb, cc", "add": True}
    done = await call("POST", f"{room}/roster", user="anna", json=body)
    assert done.json["added"] == ["aa", "bb", "cc"]
    again = await call("POST", f"{room}/roster", user="anna", json=body)
    assert again.json["added"] == []


@pytest.mark.gen_test
async def test_a_list_that_does_not_fit_adds_nobody(call: Call, room: str) -> None:
    before = (await call("GET", f"{room}/members", user="anna")).json
    body = {"text": "a,b,c,d,e,f", "add": True}
    full = await call("POST", f"{room}/roster", user="anna", json=body)
    assert full.problem == (409, "room_full")
    assert (await call("GET", f"{room}/members", user="anna")).json == before


@pytest.mark.gen_test
async def test_a_long_list_has_a_turn_of_its_user_for_each_moment_of_work(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    next_turn = Guarded.next_turn

    async def counted(stream: Guarded) -> None:
        nonlocal turns
        turns += 1
        await next_turn(stream)

    monkeypatch.setattr(Guarded, "next_turn", counted)
    body = {"text": "\n".join(f"학생 {number}" for number in range(3_000))}
    read = await call("POST", "/api/roster", user="anna", roles=("host",), json=body)
    assert len(read.json["entries"]) == 3_000
    # Reading a name alone takes a hundredth of one.
    assert turns >= 10


@pytest.mark.gen_test
async def test_a_list_has_its_own_bounds_whatever_a_message_may_have(call: Call) -> None:
    async def check(text: str) -> Answer:
        path = "/api/roster"
        return await call("POST", path, user="anna", roles=("host",), json={"text": text})

    # Each letter of the names is six bytes of this JSON.
    most = "\n".join(f"{number:04}\t{'김' * 30}" for number in range(MOST_LINES))
    read = await check(most)
    assert (read.status, len(read.json["entries"])) == (200, MOST_LINES)
    assert (await check("a" * (MOST_CHARACTERS + 1))).problem == (400, "invalid_request")
    assert (await check("a" * (MOST_BYTES + 1))).problem == (413, "too_large")


@pytest.mark.gen_test
async def test_a_list_is_a_hosts_business(call: Call, room: str) -> None:
    body = {"text": "carol"}
    assert (await call("POST", f"{room}/roster", user="bob", json=body)).status == 403
    assert (await call("POST", "/api/roster", user="bob", json=body)).status == 403
    fresh = await call("POST", "/api/roster", user="anna", roles=("host",), json=body)
    assert [each["state"] for each in fresh.json["entries"]] == ["new"]
    broken = {"text": 'user,user\na,"b'}
    assert (await call("POST", f"{room}/roster", user="anna", json=broken)).status == 400


class TestWhereAccountsAreTheOnlyUsers:
    @pytest.fixture
    def tables(self, tables: dict[str, Any]) -> dict[str, Any]:
        del tables["auth"]["jwt"]
        return tables

    @pytest.mark.gen_test
    async def test_who_cannot_log_in_is_added_only_if_the_host_says_so(
        self, call: Call, store: Store, accounts: Any
    ) -> None:
        hashed = await accounts.hash("a good password")
        for user, roles in (("anna", ("host",)), ("bob", ())):
            await store.put_account(Account(user, hashed, frozenset(roles)))
        login = await call(
            "POST", "/api/session", json={"user": "anna", "password": "a good password"}
        )
        cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
        made = await call("POST", "/api/rooms", json={"title": "Maths"}, headers=cookie)
        roster = f"/api/rooms/{made.json['id']}/roster"
        body: dict[str, Any] = {"text": "bob, carl, dora eve", "add": True}
        first = await call("POST", roster, json=body, headers=cookie)
        states = [each["state"] for each in first.json["entries"]]
        assert states == ["new", "unknown", "blanks"]
        assert first.json["added"] == ["bob"]
        second = await call("POST", roster, json=body | {"unknown": True}, headers=cookie)
        assert second.json["added"] == ["carl", "dora eve"]
