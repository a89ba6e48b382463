"""``POST /api/rooms/{room}/open`` and ``PATCH /api/rooms/{room}``: opening again, and renaming."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.room import MemberRole
from gateway.store import Store
from gateway.store.records import QueueDue
from tests.integration.http.conftest import Answer, Call, FakeBroker


async def post(call: Call, room: str, user: str = "bob") -> Answer:
    return await call("POST", f"{room}/messages", user=user, json={"body": "hi"})


@pytest.mark.gen_test
async def test_a_closed_room_opens_again_with_its_members_history_and_queue(
    call: Call, room: str, store: Store, broker: FakeBroker
) -> None:
    assert (await post(call, room)).status == 201
    before = await store.private_queue(1)
    assert (await call("DELETE", room, user="anna")).status == 204
    assert (await post(call, room)).problem == (410, "room_closed")
    assert broker.queues == set()
    answer = await call("POST", f"{room}/open", user="anna")
    assert answer.status == 200
    assert (answer.json["closed_at"], answer.json["hosts"]) == (None, ["anna"])
    assert "queue" in answer.json["destinations"]
    # The queue is another one than before, so that nothing of the old one is read.
    after = await store.private_queue(1)
    assert before is not None
    assert after is not None
    assert after.number == before.number + 1
    assert await store.queues_due(9) == {}
    again = await post(call, room)
    assert again.json["seq"] == 2
    assert broker.queues == {1}
    # Once more is no error, and changes nothing.
    assert (await call("POST", f"{room}/open", user="anna")).status == 200
    assert await store.private_queue(1) == after


@pytest.mark.gen_test
async def test_a_room_opens_at_once_and_its_queue_follows(
    call: Call, room: str, broker: FakeBroker
) -> None:
    await call("DELETE", room, user="anna")
    broker.away = True
    assert (await call("POST", f"{room}/open", user="anna")).status == 202
    assert (await call("GET", room, user="bob")).json["closed_at"] is None


@pytest.mark.gen_test
async def test_a_deletion_of_the_queue_that_was_due_is_so_no_more(
    call: Call, room: str, store: Store, broker: FakeBroker
) -> None:
    broker.away = True
    assert (await call("DELETE", room, user="anna")).status == 202
    assert await store.queues_due(9) == {1: QueueDue.DELETION}
    broker.away = False
    assert (await call("POST", f"{room}/open", user="anna")).status == 200
    assert await store.queues_due(9) == {}


@pytest.fixture
def few_rooms(tables: dict[str, Any]) -> None:
    tables["limits"]["open_rooms_per_user"] = 1


@pytest.mark.gen_test
@pytest.mark.usefixtures("few_rooms")
async def test_a_room_that_opens_again_counts_among_the_open_ones(call: Call, room: str) -> None:
    await call("DELETE", room, user="anna")
    new = await call("POST", "/api/rooms", user="anna", roles=("host",), json={"title": "Art"})
    assert new.status == 201
    refused = await call("POST", f"{room}/open", user="anna")
    assert refused.problem == (409, "too_many_open_rooms")
    assert (await call("GET", room, user="anna")).json["closed_at"] is not None


@pytest.mark.gen_test
async def test_a_deleted_room_cannot_be_opened_or_renamed(call: Call, room: str) -> None:
    await call("POST", "/api/admin/erasures", user="root", roles=("admin",), json={"room": 1})
    answer = await call("POST", f"{room}/open", user="root", roles=("admin",))
    assert answer.problem == (404, "unknown_room")
    answer = await call("PATCH", room, user="root", roles=("admin",), json={"title": "x"})
    assert answer.problem == (404, "unknown_room")


@pytest.mark.gen_test
async def test_a_room_has_another_title_and_those_in_it_are_told(
    call: Call, room: str, broker: FakeBroker
) -> None:
    answer = await call("PATCH", room, user="anna", json={"title": "Art"})
    assert (answer.status, answer.json["title"]) == (200, "Art")
    assert (await call("GET", room, user="bob")).json["title"] == "Art"
    (told,) = [json.loads(each.body) for each in broker.published]
    assert (told["type"], told["body"], told["seq"], told["role"]) == (
        "room-renamed",
        {"title": "Art"},
        None,
        MemberRole.HOST,
    )
    # A closed room can be renamed, too.
    await call("DELETE", room, user="anna")
    assert (await call("PATCH", room, user="anna", json={"title": "Music"})).status == 200


@pytest.mark.gen_test
async def test_a_room_may_keep_what_is_said_for_less_long(call: Call, room: str) -> None:
    assert (await call("GET", room, user="bob")).json["keep_days"] is None
    changed = await call("PATCH", room, user="anna", json={"keep_days": 30})
    assert (changed.json["keep_days"], changed.json["title"]) == (30, "Maths")
    # Whoever is there may know for how long.
    assert (await call("GET", room, user="bob")).json["keep_days"] == 30
    copied = await call("POST", f"{room}/copy", user="anna", roles=("host",), json={})
    assert copied.json["keep_days"] == 30
    both = await call("PATCH", room, user="anna", json={"title": "Art", "keep_days": None})
    assert (both.json["keep_days"], both.json["title"]) == (None, "Art")
    for wrong in ({}, {"keep_days": 0}, {"keep_days": "30"}, {"title": None}):
        refused = await call("PATCH", room, user="anna", json=wrong)
        assert refused.problem == (400, "invalid_request")
    assert (await call("PATCH", room, user="bob", json={"keep_days": 1})).status == 403


@pytest.mark.gen_test
async def test_only_hosts_open_and_rename(call: Call, room: str) -> None:
    for user in ("bob", "mallory"):
        opened = await call("POST", f"{room}/open", user=user)
        renamed = await call("PATCH", room, user=user, json={"title": "x"})
        assert opened.problem == renamed.problem == (403, "access_refused")
    for title in ("", "x" * 201, None):
        answer = await call("PATCH", room, user="anna", json={"title": title})
        assert answer.problem == (400, "invalid_request")
