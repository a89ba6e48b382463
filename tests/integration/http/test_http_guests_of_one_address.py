"""A script that fills a room with guests: what one address may, and what the host can do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.http.conftest import Answer, Call


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["limits"] |= {"room_members": 20, "room_guests_burst": 3}
    return tables


@pytest.mark.gen_test
async def test_one_address_leaves_places_to_others_and_the_host_ends_it(
    call: Call, room: str
) -> None:
    async def open_door(guests: str) -> str:
        made = await call("POST", f"{room}/code", user="anna", json={"guests": guests})
        return str(made.json["code"])

    async def come(number: int, address: str, code: str) -> Answer:
        wanted = {"code": code, "nickname": f"Pupil {number}"}
        headers = {"X-Forwarded-For": address}
        return await call("POST", "/api/join", json=wanted, headers=headers)

    code = await open_door("yes")
    came = [await come(number, "203.0.113.5", code) for number in range(4)]
    assert [each.status for each in came] == [200, 200, 200, 429]
    assert came[3].problem == (429, "too_many_joins")
    assert int(came[3].headers["Retry-After"]) >= 1
    assert (await come(4, "203.0.113.6", code)).status == 200
    # Who is in and scans the code again is no new guest.
    cookie = came[0].headers["Set-Cookie"].partition(";")[0]
    headers = {"X-Forwarded-For": "203.0.113.5", "Cookie": cookie}
    again = await call("POST", "/api/join", json={"code": code}, headers=headers)
    assert again.json["user"] == came[0].json["user"]
    # The host locks the door, for those who are not in yet; then sends the guests away.
    assert await open_door("no") == code
    assert (await come(5, "203.0.113.6", code)).problem == (403, "guests_refused")
    assert (await call("GET", room, headers={"Cookie": cookie})).status == 200
    gone = await call("DELETE", f"{room}/code?guests=end", user="anna")
    assert gone.json == {"ended": 4}
    assert (await call("GET", room, headers={"Cookie": cookie})).status == 401


@pytest.mark.gen_test
async def test_whom_the_gateway_could_not_let_in_has_taken_nothing_of_the_share(
    call: Call, room: str
) -> None:
    made = await call("POST", f"{room}/code", user="anna", json={"guests": "yes"})
    for number in range(18):
        member = f"{room}/members/member{number}"
        assert (await call("PUT", member, user="anna", json={"role": "participant"})).status == 200
    wanted = {"code": made.json["code"], "nickname": "Pupil"}
    for _ in range(4):
        refused = await call("POST", "/api/join", json=wanted)
        assert refused.problem == (409, "room_full")
    assert (await call("DELETE", f"{room}/members/member0", user="anna")).status == 204
    assert (await call("POST", "/api/join", json=wanted)).status == 200
