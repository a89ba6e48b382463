"""Class codes over HTTP: ``/api/rooms/{room}/code``, ``…/knocks``, ``/api/join``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.auth.permissions import Action
from tests.integration.http.conftest import Answer, Call
from tests.integration.http.live_fake import FakeFollower

Coming = Callable[..., Awaitable[Answer]]


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["limits"]["room_members"] = 6
    return tables


@pytest.fixture
def coming(call: Call, room: str) -> Coming:
    """Come by the room's code, which lets in ``guests``."""

    async def come(guests: str = "yes", cookie: str | None = None, **wanted: str) -> Answer:
        if "code" not in wanted:
            made = await call("POST", f"{room}/code", user="anna", json={"guests": guests})
            assert made.status == 200
            wanted["code"] = made.json["code"]
        headers = {} if cookie is None else {"Cookie": cookie}
        return await call("POST", "/api/join", json=wanted, headers=headers)

    return come


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


@pytest.mark.gen_test
async def test_a_code_is_for_hosts_and_stays_until_it_is_renewed(call: Call, room: str) -> None:
    code = f"{room}/code"
    # A room without a code is nothing wrong: its hosts' pages ask again and again.
    assert (await call("GET", code, user="anna")).status == 204
    for method, body in (("POST", {}), ("GET", None), ("DELETE", None)):
        assert (await call(method, code, user="bob", json=body)).problem == (403, "access_refused")
    made = (await call("POST", code, user="anna", json={"guests": "no"})).json
    assert made == {"code": made["code"], "url": f"/j/{made['code']}", "guests": "no"}
    changed = (await call("POST", code, user="anna", json={"guests": "knock"})).json
    assert changed == made | {"guests": "knock"}
    assert (await call("GET", code, user="anna")).json == changed
    renewed = (await call("POST", code, user="anna", json={"renew": True})).json
    assert renewed["code"] != made["code"]
    for old, status in ((made, 404), (renewed, 403)):
        joined = await call("POST", "/api/join", json={"code": old["code"]})
        assert joined.status == status
    assert (await call("DELETE", code, user="anna")).json == {"ended": 0}
    joined = await call("POST", "/api/join", json={"code": renewed["code"]})
    assert joined.problem == (404, "unknown_code")


@pytest.mark.gen_test
async def test_somebody_with_an_account_becomes_a_participant(call: Call, room: str) -> None:
    code = (await call("POST", f"{room}/code", user="anna", json={"guests": "no"})).json["code"]
    anybody = await call("POST", "/api/join", json={"code": code})
    assert anybody.problem == (403, "guests_refused")
    for _ in range(2):
        joined = await call("POST", "/api/join", user="carol", json={"code": code.lower()})
        assert joined.json["joined"]
        assert (joined.json["room"], joined.json["role"]) == (int(room[11:]), "participant")
    host = await call("POST", "/api/join", user="anna", json={"code": code})
    assert host.json["role"] == "host", "a host stays one"
    assert (await call("GET", room, user="carol")).status == 200
    # A code does not bring back somebody whom a host has removed; the host does.
    assert (await call("DELETE", f"{room}/members/carol", user="anna")).status == 204
    joined = await call("POST", "/api/join", user="carol", json={"code": code})
    assert joined.problem == (403, "turned_away")
    role = {"role": "participant"}
    assert (await call("PUT", f"{room}/members/carol", user="anna", json=role)).status == 200
    joined = await call("POST", "/api/join", user="carol", json={"code": code})
    assert joined.json["joined"]


@pytest.mark.gen_test
async def test_a_guest_has_one_room_and_no_other(call: Call, room: str, coming: Coming) -> None:
    other = (
        await call("POST", "/api/rooms", user="anna", roles=("host",), json={"title": "x"})
    ).json
    asked = await coming()
    assert asked.json == {"joined": False, "title": "Maths", "guests": "yes"}
    came = await coming(nickname=" Mina ")
    assert came.status == 200
    guest = came.json
    assert (guest["joined"], guest["name"], guest["roles"]) == (True, "Mina", [])
    assert guest["user"].startswith(f"guest~{room[11:]}~")
    cookie = cookie_of(came)
    me = await call("GET", "/api/session", headers=cookie)
    assert (me.json["user"], me.json["guest_of"]) == (guest["user"], guest["room"])
    assert (await call("GET", room, headers=cookie)).json["role"] == "participant"
    said = await call("POST", f"{room}/messages", headers=cookie, json={"body": "hello"})
    assert said.status == 201
    seen = (await call("GET", f"{room}/messages", user="anna")).json["messages"][-1]
    assert (seen["sender"], seen["name"]) == (guest["user"], "Mina")
    refused = [
        ("GET", "/api/rooms", None),
        ("POST", "/api/rooms", {"title": "mine"}),
        ("GET", f"/api/rooms/{other['id']}", None),
        ("GET", f"{room}/members", None),
        ("GET", f"{room}/code", None),
        ("GET", f"{room}/knocks", None),
    ]
    for method, path, body in refused:
        answer = await call(method, path, headers=cookie, json=body)
        assert answer.problem == (403, "access_refused"), path
    # Nor by a host who adds them elsewhere.
    elsewhere = f"/api/rooms/{other['id']}/members/{guest['user']}"
    added = await call("PUT", elsewhere, user="anna", json={"role": "participant"})
    assert added.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_a_guest_who_comes_again_is_the_same_and_equal_names_get_numbers(
    call: Call, coming: Coming, room: str
) -> None:
    first = await coming(nickname="Mina")
    cookie = cookie_of(first)["Cookie"]
    again = await coming(cookie=cookie, nickname="Somebody")
    assert again.json["user"] == first.json["user"]
    assert "Set-Cookie" not in again.headers
    names = [(await coming(nickname=name)).json["name"] for name in ("MINA", "anna")]
    assert names == ["MINA 2", "anna 2"]
    members = (await call("GET", f"{room}/members", user="anna")).json["members"]
    assert [each["name"] for each in members if each.get("guest")] != []
    assert not any("unknown" in each for each in members if each.get("guest"))


@pytest.mark.gen_test
async def test_guests_leave_with_removal_with_the_code_and_with_the_room(
    call: Call, coming: Coming, room: str, gateway: Gateway
) -> None:
    removed, sent_away = [await coming(nickname=name) for name in ("Mina", "Juno")]
    user = removed.json["user"]
    live = FakeFollower(gateway, user, 1)
    assert (await call("DELETE", f"{room}/members/{user}", user="anna")).status == 204
    assert live.ended == "removed"
    me = await call("GET", "/api/session", headers=cookie_of(removed))
    assert me.problem == (401, "session_ended")
    live = FakeFollower(gateway, sent_away.json["user"], 1, Action.SUBSCRIBE_PUBLIC)
    withdrawn = await call("DELETE", f"{room}/code?guests=end", user="anna")
    assert withdrawn.json == {"ended": 1}
    me = await call("GET", room, headers=cookie_of(sent_away))
    assert me.problem == (401, "session_ended")
    members = (await call("GET", f"{room}/members", user="anna")).json["members"]
    assert not any(each.get("guest") for each in members)
    last = await coming(nickname="Sora")
    assert (await call("DELETE", room, user="anna")).status in (202, 204)
    me = await call("GET", "/api/session", headers=cookie_of(last))
    assert me.problem == (401, "session_ended")
    # The page tells a guest by these words that there is no way back: static/room/main.js.
    assert "(the room was closed)" in me.json["detail"]
    live.end(None)


@pytest.mark.gen_test
async def test_somebody_knocks_and_the_host_lets_in_one_or_all(
    call: Call, coming: Coming, room: str
) -> None:
    knocked = [await coming("knock", nickname=name) for name in ("Mina", "Juno", "Sora")]
    assert {each.status for each in knocked} == {202}
    assert all(int(each.headers["Retry-After"]) >= 2 for each in knocked)
    code = (await call("GET", f"{room}/code", user="anna")).json["code"]
    ids = [each.json["knock"] for each in knocked]

    async def ask(knock: str) -> Answer:
        return await call("POST", "/api/join", json={"code": code, "knock": knock})

    assert (await ask(ids[0])).status == 202
    waiting = (await call("GET", f"{room}/knocks", user="anna")).json["knocks"]
    assert [each["name"] for each in waiting] == ["Mina", "Juno", "Sora"]
    assert not any("id" in each for each in waiting), "which is the proof of who knocked"
    numbers = [each["number"] for each in waiting]
    answers = {"admit": [numbers[0]], "refuse": [numbers[1]]}
    done = await call("POST", f"{room}/knocks", user="anna", json=answers)
    assert done.json == {"admitted": 1, "refused": 1}
    came = await ask(ids[0])
    assert (came.json["joined"], came.json["name"]) == (True, "Mina")
    assert (await call("GET", room, headers=cookie_of(came))).status == 200
    assert (await ask(ids[0])).problem == (404, "unknown_knock"), "it lets in one person once"
    assert (await ask(ids[1])).problem == (403, "turned_away")
    done = await call("POST", f"{room}/knocks", user="anna", json={"admit": "all"})
    assert done.json == {"admitted": 1, "refused": 0}
    assert (await ask(ids[2])).json["name"] == "Sora"


@pytest.mark.gen_test
async def test_a_full_room_says_so_and_gives_the_places_of_guests_who_have_gone(
    call: Call, coming: Coming, room: str
) -> None:
    came = [await coming(nickname=f"Guest {number}") for number in range(4)]
    assert (await coming(nickname="Late")).problem == (409, "room_full")
    assert (await call("DELETE", "/api/session", headers=cookie_of(came[0]))).status == 204
    assert (await coming(nickname="Late")).json["joined"]


@pytest.mark.gen_test
async def test_the_address_of_a_code_is_a_page(call: Call) -> None:
    page = await call("GET", "/j/BCDFGH")
    assert page.status == 200
    assert b"<!doctype html>" in page.body.lower()
