"""``/api/rooms/{room}/members``: the members of a room, and the end of a membership."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.assembly import Gateway
from gateway.auth.permissions import Action
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.store import Store
from tests.integration.http.conftest import Call
from tests.integration.http.live_fake import FakeFollower


@pytest.mark.gen_test
async def test_a_host_adds_a_member_who_is_in_at_once(call: Call, room: str) -> None:
    assert (await call("GET", room, user="carol")).problem == (403, "access_refused")
    answer = await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    assert (answer.status, answer.json) == (200, {"user": "carol", "role": "participant"})
    assert (await call("GET", room, user="carol")).status == 200


@pytest.mark.gen_test
async def test_a_member_whose_name_is_in_their_token_alone_is_shown_as_when_they_were_there(
    call: Call, room: str, store: Store
) -> None:
    async def shown() -> dict[str, str | None]:
        answer = await call("GET", f"{room}/members", user="anna")
        return {each["user"]: each.get("name") for each in answer.json["members"]}

    assert await shown() == {"anna": None, "bob": None}
    for hours, name in ((0, "Robert"), (1, "Bob B."), (2, None)):
        at = datetime(2026, 5, 4, 9 + hours, tzinfo=UTC)
        await store.note_stays([Stay(1, "bob", MemberRole.PARTICIPANT, at, at, at, name)])
    assert await shown() == {"anna": None, "bob": "Bob B."}


@pytest.mark.gen_test
async def test_a_name_in_the_path_is_percent_decoded(call: Call, room: str) -> None:
    path = f"{room}/members/%EC%95%88%EB%82%98%20%2F%20kim%40school"
    answer = await call("PUT", path, user="anna", json={"role": "participant"})
    assert answer.json["user"] == "안나 / kim@school"


@pytest.mark.gen_test
async def test_removing_a_member_ends_their_access_and_their_connections(
    call: Call, room: str, gateway: Gateway
) -> None:
    bob, bob_elsewhere = FakeFollower(gateway, "bob", 1), FakeFollower(gateway, "bob", 2)
    anna = FakeFollower(gateway, "anna", 1)
    assert (await call("GET", room, user="bob")).status == 200
    assert (await call("DELETE", f"{room}/members/bob", user="anna")).status == 204
    assert (bob.ended, bob_elsewhere.ended, anna.ended) == ("removed", None, None)
    assert (await call("GET", room, user="bob")).problem == (403, "access_refused")
    assert (await call("POST", f"{room}/messages", user="bob", json={"body": 1})).problem == (
        403,
        "access_refused",
    )
    for connection in (bob_elsewhere, anna):
        connection.end(None)


@pytest.mark.gen_test
async def test_a_host_who_becomes_a_participant_loses_the_hosts_subscriptions(
    call: Call, room: str, gateway: Gateway
) -> None:
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "host"})
    hosts, public = (
        FakeFollower(gateway, "bob", 1, Action.CONSUME_PRIVATE),
        FakeFollower(gateway, "bob", 1),
    )
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "host"})
    assert hosts.ended is None
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "participant"})
    assert hosts.ended == "removed"
    assert public.ended is None
    public.end(None)
    private = await call("GET", f"{room}/messages?audience=private", user="bob")
    assert private.json["messages"] == []


@pytest.mark.gen_test
async def test_the_last_host_stays(call: Call, room: str) -> None:
    answer = await call("DELETE", f"{room}/members/anna", user="anna")
    assert answer.problem == (409, "last_host")
    answer = await call("PUT", f"{room}/members/anna", user="anna", json={"role": "participant"})
    assert answer.problem == (409, "last_host")


@pytest.mark.gen_test
async def test_a_user_who_is_no_member_cannot_be_removed(call: Call, room: str) -> None:
    answer = await call("DELETE", f"{room}/members/mallory", user="anna")
    assert answer.problem == (404, "unknown_member")


@pytest.mark.gen_test
async def test_only_hosts_see_and_change_members(call: Call, room: str) -> None:
    for user in ("bob", "mallory"):
        for method, path, json in (
            ("GET", f"{room}/members", None),
            ("PUT", f"{room}/members/bob", {"role": "host"}),
            ("DELETE", f"{room}/members/anna", None),
        ):
            answer = await call(method, path, user=user, json=json)
            assert answer.problem == (403, "access_refused"), (user, method)
    assert len((await call("GET", f"{room}/members", user="anna")).json["members"]) == 2


@pytest.mark.gen_test
async def test_a_room_that_is_full_takes_no_further_member_but_changes_of_role(
    call: Call, room: str
) -> None:
    for user in ("carol", "dave"):
        path = f"{room}/members/{user}"
        assert (await call("PUT", path, user="anna", json={"role": "participant"})).status == 200
    answer = await call("PUT", f"{room}/members/eve", user="anna", json={"role": "participant"})
    assert answer.problem == (409, "room_full")
    assert "at most 4 members" in answer.json["detail"]
    answer = await call("PUT", f"{room}/members/dave", user="anna", json={"role": "host"})
    assert answer.status == 200


@pytest.mark.parametrize("json", [{}, {"role": "boss"}, {"role": "host", "x": 1}, {"role": None}])
@pytest.mark.gen_test
async def test_a_role_that_does_not_exist_is_refused(
    call: Call, room: str, json: dict[str, Any]
) -> None:
    answer = await call("PUT", f"{room}/members/carol", user="anna", json=json)
    assert answer.problem == (400, "invalid_request")


@pytest.mark.parametrize("name", ["%20", "a%0Ab", "x" * 201])
@pytest.mark.gen_test
async def test_a_name_that_nobody_can_have_is_refused(call: Call, room: str, name: str) -> None:
    answer = await call("PUT", f"{room}/members/{name}", user="anna", json={"role": "host"})
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_a_closed_room_takes_no_member(call: Call, room: str) -> None:
    await call("DELETE", room, user="anna")
    answer = await call("PUT", f"{room}/members/carol", user="anna", json={"role": "host"})
    assert answer.problem == (410, "room_closed")
