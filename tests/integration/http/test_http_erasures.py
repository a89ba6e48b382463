"""``/api/admin/erasures``: deletion by request, and the record of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.store import Store
from tests.integration.http.conftest import Answer, Call
from tests.integration.http.live_fake import FakeFollower

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


async def say(call: Call, room: str, user: str, body: str) -> None:
    answer = await call("POST", f"{room}/messages", user=user, json={"body": body})
    assert answer.status in (201, 202)


async def erase(call: Call, **what: Any) -> Answer:
    return await call("POST", "/api/admin/erasures", user="root", roles=("admin",), json=what)


@pytest.mark.gen_test
async def test_a_persons_messages_are_gone_and_the_record_says_how_many(
    call: Call, room: str, store: Store
) -> None:
    await say(call, room, "bob", "a secret")
    await say(call, room, "anna", "hello")
    await store.note_stays([Stay(1, "bob", MemberRole.PARTICIPANT, NOON, None, NOON)])
    answer = await erase(call, user="bob", reason="letter of 4 May")
    assert answer.status == 200
    entry = answer.json
    assert {name: entry[name] for name in ("room", "user", "by", "reason")} == {
        "room": None,
        "user": "bob",
        "by": "root",
        "reason": "letter of 4 May",
    }
    assert (entry["messages"], entry["stays"], entry["rooms"]) == (1, 1, 1)
    assert entry["done_at"] is not None
    page = (await call("GET", f"{room}/messages", user="anna")).json
    first, second = page["messages"]
    assert {name: first[name] for name in ("seq", "sender", "role", "type", "body")} == {
        "seq": 1,
        "sender": "",
        "role": None,
        "type": "deleted",
        "body": None,
    }
    assert (second["seq"], second["body"], page["head"]) == (2, "hello", 2)
    for name in ("messages.csv", "attendance.csv", "page.html"):
        shown = await call("GET", f"{room}/export/{name}", user="anna")
        assert b"secret" not in shown.body
        assert b"bob" not in shown.body
    listed = await call("GET", "/api/admin/erasures", user="root", roles=("admin",))
    assert listed.json == {"erasures": [entry]}
    assert "secret" not in str(listed.json)


@pytest.mark.gen_test
async def test_a_room_is_gone_with_its_members(call: Call, room: str, gateway: Gateway) -> None:
    await say(call, room, "bob", "a secret")
    bob = FakeFollower(gateway, "bob", 1)
    answer = await erase(call, room=1)
    assert (answer.status, answer.json["messages"]) == (200, 1)
    assert bob.ended is not None
    for user in ("anna", "bob"):
        assert (await call("GET", f"{room}/messages", user=user)).problem == (403, "access_refused")
        assert (await call("GET", "/api/rooms", user=user)).json == {"rooms": []}
    page = await call("GET", f"{room}/messages", user="root", roles=("admin",))
    assert (page.json["messages"], page.json["complete"]) == ([], False)
    assert (await call("GET", room, user="root", roles=("admin",))).json["title"] == ""


@pytest.mark.gen_test
@pytest.mark.parametrize("type", ["deleted", "presence"])
async def test_nobody_can_say_that_something_was_deleted(call: Call, room: str, type: str) -> None:
    body = {"type": type, "body": None}
    answer = await call("POST", f"{room}/messages", user="anna", json=body)
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_only_an_admin_may(call: Call, room: str) -> None:
    for method, json in (("POST", {"room": 1}), ("GET", None)):
        path = "/api/admin/erasures"
        refused = await call(method, path, user="anna", roles=("host",), json=json)
        assert refused.problem == (403, "access_refused")
    assert (await erase(call, room=99)).problem == (404, "unknown_room")
    assert (await erase(call)).problem == (400, "invalid_request")
