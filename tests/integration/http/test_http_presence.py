"""``/api/rooms/{room}/presence``: the members who are in the room now."""

import re

import pytest

from gateway.assembly import Gateway
from tests.integration.http.conftest import Call
from tests.integration.http.live_fake import FakeFollower


@pytest.mark.gen_test
async def test_members_see_who_is_there_and_since_when(
    call: Call, room: str, gateway: Gateway
) -> None:
    assert (await call("GET", f"{room}/presence", user="bob")).json == {"present": []}
    here, elsewhere = FakeFollower(gateway, "bob", 1), FakeFollower(gateway, "anna", 2)
    answer = await call("GET", f"{room}/presence", user="anna")
    (bob,) = answer.json["present"]
    assert (answer.status, bob["user"], bob["role"]) == (200, "bob", "participant")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", bob["since"])
    for each in (here, elsewhere):
        each.end(None)


@pytest.mark.gen_test
async def test_nobody_else_sees_who_is_there(call: Call, room: str) -> None:
    answer = await call("GET", f"{room}/presence", user="mallory")
    assert answer.problem == (403, "access_refused")
    assert (await call("GET", f"{room}/presence")).problem == (401, "not_authenticated")
    answer = await call("GET", "/api/rooms/99/presence", user="anna")
    assert answer.problem == (404, "unknown_room")
