"""``POST /api/rooms/{room}/copy``: a room for the next lesson, with what was prepared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.store import Store, copies
from tests.integration.http.conftest import Answer, Call, FakeBroker


async def keep(
    call: Call, room: str, key: str, body: Any, *, audience: str = "private", **rest: Any
) -> None:
    wanted = {"keep": key, "body": body, "audience": audience, "type": "x", **rest}
    answer = await call("POST", f"{room}/messages", user="anna", json=wanted)
    assert answer.status == 201, answer.body


async def copy(call: Call, room: str, user: str = "anna", **wanted: str) -> Answer:
    return await call("POST", f"{room}/copy", user=user, roles=("host",), json=wanted)


async def state(call: Call, room: str, audience: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rest = ""
    while True:
        path = f"{room}/state?audience={audience}{rest}"
        page = (await call("GET", path, user="anna")).json
        found |= {each["keep"]: each["body"] for each in page["state"]}
        if page["complete"]:
            return found
        rest = f"&whole=true&after={page['seq']}"


@pytest.mark.gen_test
async def test_a_copy_has_members_order_and_prepared_sets_and_not_what_was_said(
    call: Call, room: str, store: Store, broker: FakeBroker
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "host"})
    await store.set_member(1, "guest~1~abc", (await store.members(1))[1].role, None)
    order = {"chat": True, "slow": 30, "approve": True}
    await keep(call, room, "settings", order, audience="public")
    await keep(call, room, "muted", {"user": "bob"}, of="bob")
    await keep(call, room, "set:a", {"title": "Leaves"})
    await keep(call, room, "set:a:1", {"question": "?"})
    await keep(call, room, "set:gone", {"title": "x"})
    await keep(call, room, "set:gone", None)
    await keep(call, room, "right:1", {"right": [0]})
    await keep(call, room, "poll:1", {"question": "?"}, audience="public")
    assert (await call("DELETE", room, user="anna")).status == 204

    made = await copy(call, room)
    assert made.status == 201
    new = made.headers["Location"]
    assert (made.json["id"], made.json["title"], made.json["role"]) == (2, "Maths", "host")
    assert made.json["closed_at"] is None
    members = (await call("GET", f"{new}/members", user="anna")).json["members"]
    assert [(each["user"], each["role"]) for each in members] == [
        *(("anna", "host"), ("bob", "participant"), ("carol", "host"))
    ]
    assert await state(call, new, "public") == {"settings": order}
    assert await state(call, new, "private") == {
        **{"muted": {"user": "bob"}, "set:a": {"title": "Leaves"}},
        **{"set:a:1": {"question": "?"}},
    }
    # The order is in force, and the queue is there.
    muted = await call("POST", f"{new}/messages", user="bob", json={"body": "hi"})
    assert muted.problem == (403, "muted")
    assert broker.queues == {2}
    # What was copied is in the new room's streams, and published like all else.
    said = await call("POST", f"{new}/messages", user="anna", json={"body": "hi"})
    assert (said.json["seq"], said.json["published"]) == (2, True)
    published = [json.loads(each.body) for each in broker.published]
    assert sum(each["room"] == 2 and each.get("keep") == "settings" for each in published) == 1


@pytest.mark.gen_test
async def test_it_has_another_title_if_that_is_asked_for(call: Call, room: str) -> None:
    assert (await copy(call, room, title="Art")).json["title"] == "Art"
    assert (await copy(call, room, title="")).problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_who_copies_hosts_the_room_and_may_create_rooms(call: Call, room: str) -> None:
    assert (await copy(call, room, "bob")).problem == (403, "access_refused")
    pupil = await call("POST", f"{room}/copy", user="anna", json={})
    assert pupil.problem == (403, "access_refused")
    root = await call("POST", f"{room}/copy", user="root", roles=("admin",), json={})
    assert (root.status, root.json["role"]) == (201, "host")
    assert (await copy(call, "/api/rooms/99")).problem == (404, "unknown_room")


@pytest.mark.gen_test
async def test_nothing_is_left_of_a_copy_that_would_be_too_large(
    call: Call, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST_CHARACTERS", 30)
    await keep(call, room, "set:a", {"title": "x" * 30})
    assert (await copy(call, room)).problem == (409, "too_many_keys")
    rooms = (await call("GET", "/api/rooms", user="anna")).json["rooms"]
    assert len(rooms) == 1
