"""``/api/rooms``: create, list, show, close."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.store import Store
from tests.integration.http.conftest import Call, FakeBroker
from tests.integration.http.live_fake import FakeFollower

HOST = ("host",)


@pytest.mark.gen_test
async def test_a_new_room_comes_with_its_destinations_and_its_queue(
    call: Call, broker: FakeBroker
) -> None:
    members = [{"user": "bob", "role": "participant"}, {"user": "carol"}]
    answer = await call(
        "POST", "/api/rooms", user="anna", roles=HOST, json={"title": "수학", "members": members}
    )
    assert answer.status == 201
    assert answer.headers["Location"] == "/api/rooms/1"
    assert answer.json == {
        "id": 1,
        "identity": answer.json["identity"],
        "title": "수학",
        "created_at": answer.json["created_at"],
        "closed_at": None,
        "keep_days": None,
        "role": "host",
        "destinations": {
            "public": "/topic/acdm.mo.interact.public.1",
            "private": "/topic/acdm.mo.interact.private.1",
            "queue": "/queue/acdm.mo.interact.private.1",
        },
    }
    assert len(answer.json["identity"]) == 16
    assert broker.queues == {1}


@pytest.mark.gen_test
async def test_the_creator_hosts_a_room_that_names_no_host(call: Call, room: str) -> None:
    answer = await call("GET", f"{room}/members", user="anna")
    assert answer.json == {
        "members": [{"user": "anna", "role": "host"}, {"user": "bob", "role": "participant"}]
    }


@pytest.mark.gen_test
async def test_the_creator_is_no_member_of_a_room_with_another_host(call: Call) -> None:
    answer = await call(
        "POST",
        "/api/rooms",
        user="anna",
        roles=HOST,
        json={"title": "x", "members": [{"user": "carol", "role": "host"}]},
    )
    assert answer.json["role"] is None
    assert set(answer.json["destinations"]) == {"public"}
    assert (await call("GET", "/api/rooms/1", user="anna")).problem == (403, "access_refused")


@pytest.mark.gen_test
async def test_a_participant_does_not_learn_where_private_messages_go(
    call: Call, room: str
) -> None:
    answer = await call("GET", room, user="bob")
    assert answer.json["role"] == "participant"
    assert set(answer.json["destinations"]) == {"public"}


@pytest.mark.gen_test
async def test_every_member_learns_who_the_hosts_are(call: Call, room: str) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "host"})
    for user in ("anna", "bob"):
        assert (await call("GET", room, user=user)).json["hosts"] == ["anna", "carol"]


@pytest.mark.gen_test
async def test_everybody_lists_their_own_rooms(call: Call, room: str) -> None:
    rooms = {
        user: [each["role"] for each in (await call("GET", "/api/rooms", user=user)).json["rooms"]]
        for user in ("anna", "bob", "mallory")
    }
    assert rooms == {"anna": ["host"], "bob": ["participant"], "mallory": []}


@pytest.mark.gen_test
async def test_only_who_has_the_role_host_creates_rooms(call: Call, broker: FakeBroker) -> None:
    answer = await call("POST", "/api/rooms", user="bob", json={"title": "x"})
    assert answer.problem == (403, "access_refused")
    assert broker.queues == set()


@pytest.mark.gen_test
async def test_without_the_broker_a_room_is_there_and_its_queue_follows(
    call: Call, broker: FakeBroker, store: Store
) -> None:
    broker.away = True
    answer = await call("POST", "/api/rooms", user="anna", roles=HOST, json={"title": "x"})
    assert answer.status == 202
    assert answer.headers["Location"] == "/api/rooms/1"
    assert answer.json["destinations"]["queue"] == "/queue/acdm.mo.interact.private.1"
    assert await store.open_rooms() == [1]
    assert (await call("GET", "/api/rooms/1", user="anna")).status == 200


@pytest.mark.parametrize(
    ("json", "told"),
    [
        ({}, "title: this field is required"),
        ({"title": ""}, "title: must have at least 1 character"),
        ({"title": "x" * 201}, "title: must have at most 200 characters"),
        ({"title": 5}, "title: must be a valid string"),
        ({"title": "x", "topic": "y"}, "topic: this field is unknown"),
        ({"title": "x", "members": "bob"}, "members: must be a valid tuple"),
        (
            {"title": "x", "members": [{"user": ""}]},
            "members.0.user: a user name must be a non-empty",
        ),
        (
            {"title": "x", "members": [{"user": "a\nb"}]},
            "members.0.user: a user name must have print",
        ),
        (
            {"title": "x", "members": [{"user": "b", "role": "boss"}]},
            "members.0.role: must be 'host' or 'participant'",
        ),
        (
            {"title": "x", "members": [{"user": "b"}, {"user": "b"}]},
            "members: a user is given twice",
        ),
    ],
)
@pytest.mark.gen_test
async def test_a_room_that_makes_no_sense_is_refused(
    call: Call, broker: FakeBroker, json: dict[str, Any], told: str
) -> None:
    answer = await call("POST", "/api/rooms", user="anna", roles=HOST, json=json)
    assert answer.problem == (400, "invalid_request")
    assert told in answer.json["detail"]
    assert broker.queues == set()


@pytest.mark.gen_test
async def test_a_room_with_more_members_than_a_room_may_have_is_not_made(
    call: Call, broker: FakeBroker
) -> None:
    members = [{"user": f"u{n}"} for n in range(5)]
    json = {"title": "x", "members": members}
    answer = await call("POST", "/api/rooms", user="anna", roles=HOST, json=json)
    assert answer.problem == (409, "room_full")
    assert "at most 4 members" in answer.json["detail"]
    assert broker.queues == set()


@pytest.mark.parametrize(
    "path", ["/api/rooms/99", "/api/rooms/abc", "/api/rooms/01", "/api/rooms/0"]
)
@pytest.mark.gen_test
async def test_a_room_that_does_not_exist_is_not_found(call: Call, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await call(method, path, user="anna")).problem == (404, "unknown_room")


@pytest.mark.gen_test
async def test_an_outsider_neither_sees_nor_closes_a_room(call: Call, room: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await call(method, room, user="mallory")).problem == (403, "access_refused")
    assert (await call("DELETE", room, user="bob")).problem == (403, "access_refused")
    assert (await call("GET", room, user="anna")).json["closed_at"] is None


@pytest.mark.gen_test
async def test_closing_ends_the_live_connections_and_deletes_the_queue(
    call: Call, room: str, broker: FakeBroker, gateway: Gateway
) -> None:
    inside, elsewhere = FakeFollower(gateway, "bob", 1), FakeFollower(gateway, "bob", 2)
    assert (await call("DELETE", room, user="anna")).status == 204
    assert broker.queues == set()
    assert inside.ended == "room_closed"
    assert elsewhere.ended is None
    elsewhere.end(None)
    assert (await call("GET", room, user="bob")).json["closed_at"].endswith("Z")


@pytest.mark.gen_test
async def test_a_closed_room_takes_no_message_and_keeps_its_history(call: Call, room: str) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": "hello"})
    await call("DELETE", room, user="anna")
    answer = await call("POST", f"{room}/messages", user="bob", json={"body": "late"})
    assert answer.problem == (410, "room_closed")
    history = await call("GET", f"{room}/messages", user="bob")
    assert [message["body"] for message in history.json["messages"]] == ["hello"]


@pytest.mark.gen_test
async def test_a_room_closes_at_once_and_its_queue_follows_when_the_broker_is_back(
    call: Call, room: str, broker: FakeBroker
) -> None:
    broker.away = True
    answer = await call("DELETE", room, user="anna")
    assert answer.status == 202
    assert (await call("GET", room, user="anna")).json["closed_at"] is not None
    broker.away = False
    assert (await call("DELETE", room, user="anna")).status == 204
    assert broker.queues == set()


@pytest.mark.gen_test
async def test_an_admin_may_see_and_close_any_room(call: Call, room: str) -> None:
    seen = await call("GET", room, user="root", roles=("admin",))
    assert seen.json["role"] is None
    assert (await call("DELETE", room, user="root", roles=("admin",))).status == 204


@pytest.mark.gen_test
async def test_who_means_another_room_of_this_number_reads_and_posts_nothing(
    call: Call, room: str
) -> None:
    """Its messages would be mixed with those that the client has."""
    (here,) = (await call("GET", "/api/rooms", user="anna")).json["rooms"]
    messages = f"{room}/messages?identity="
    posted = await call("POST", messages + "0" * 16, user="bob", json={"body": "for another one"})
    assert posted.problem == (410, "room_replaced")
    read = await call("GET", messages + "0" * 16, user="bob")
    assert read.problem == (410, "room_replaced")
    said = await call("POST", messages + here["identity"], user="bob", json={"body": "here"})
    assert said.status == 201
    page = (await call("GET", messages + here["identity"], user="bob")).json
    assert [message["body"] for message in page["messages"]] == ["here"]


@pytest.mark.gen_test
async def test_who_may_not_see_a_room_does_not_learn_whether_it_is_another_one(
    call: Call, room: str
) -> None:
    read = await call("GET", f"{room}/messages?identity={'0' * 16}", user="mallory")
    assert read.problem == (403, "access_refused")
