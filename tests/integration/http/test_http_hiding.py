"""Hidden messages: hosts see them, everybody else their place, in every way to read."""

from __future__ import annotations

import asyncio
import csv
from io import StringIO
from typing import Any

import pytest

from gateway.assembly import Gateway
from tests.integration.http.conftest import Answer, Call

PLACE = {"seq": 1, "sender": "", "role": None, "type": "hidden", "body": None}


async def post(call: Call, room: str, user: str, body: Any, **rest: Any) -> Answer:
    return await call("POST", f"{room}/messages", user=user, json={"body": body, **rest})


async def hide(call: Call, room: str, seq: int, *, ends: bool = False) -> None:
    body = None if ends else {"seq": seq}
    answer = await post(call, room, "anna", body, keep=f"hidden:{seq}", type="hidden")
    assert answer.status in (201, 202), answer.body


async def first(call: Call, room: str, user: str, *roles: str) -> dict[str, Any]:
    page = (await call("GET", f"{room}/messages", user=user, roles=roles)).json
    assert [each["seq"] for each in page["messages"]] == list(range(1, page["head"] + 1))
    message = page["messages"][0]
    return {name: message[name] for name in PLACE}


@pytest.mark.gen_test
async def test_others_than_hosts_see_only_its_place_until_it_is_shown_again(
    call: Call, room: str
) -> None:
    await post(call, room, "bob", "something rude")
    await hide(call, room, 1)
    said = {**PLACE, "sender": "bob", "role": "participant", "type": "message"}
    said["body"] = "something rude"
    # The sender, too; and who may create rooms elsewhere is a participant here.
    assert await first(call, room, "bob") == PLACE
    assert await first(call, room, "bob", "host") == PLACE
    assert await first(call, room, "anna") == said
    assert await first(call, room, "root", "admin") == said
    # Whatever one asks for, its type is not told.
    for types in ("message", "message,hidden", "hidden"):
        typed = (await call("GET", f"{room}/messages?types={types}", user="bob")).json
        assert all(each["seq"] != 1 for each in typed["messages"])
        typed = (await call("GET", f"{room}/messages?types={types}", user="anna")).json
        assert any(each["seq"] == 1 for each in typed["messages"]) is ("message" in types)
    text = (await call("GET", f"{room}/export/messages.csv?language=en", user="anna")).body
    _, row, _ = csv.reader(StringIO(text.decode()[1:], newline=""))
    assert row[-2:] == ["something rude", "hidden by a host"]
    page = await call("GET", f"{room}/export/page.html", user="anna")
    assert b"rude" not in page.body
    await hide(call, room, 1, ends=True)
    assert await first(call, room, "bob") == said


@pytest.mark.gen_test
async def test_a_hidden_entry_of_the_state_is_told_to_hosts_alone(call: Call, room: str) -> None:
    async def state(user: str, *roles: str, after: int = 0) -> list[tuple[int, Any]]:
        path = f"{room}/state?after={after}"
        answer = await call("GET", path, user=user, roles=roles)
        return [(each["seq"], each["body"]) for each in answer.json["state"]]

    await call("PUT", f"{room}/members/ben", user="anna", json={"role": "participant"})
    await post(call, room, "bob", "rude", keep="score:bob")
    await post(call, room, "ben", "kind", keep="score:ben")
    await hide(call, room, 1)
    hiding, kind = (3, {"seq": 1}), (2, "kind")
    for user in ("bob", "ben"):
        assert await state(user) == [kind, hiding]
    assert await state("anna") == await state("root", "admin") == [(1, "rude"), kind, hiding]
    assert await state("bob", "admin") == [(1, "rude"), kind, hiding]
    # Shown again, whoever has come meanwhile asks for it by its number.
    await hide(call, room, 1, ends=True)
    assert await state("ben") == [(1, "rude"), kind]
    assert await state("ben", after=3) == [(4, None)]
    path = f"{room}/state?after=0&limit=1&whole=true"
    assert (await call("GET", path, user="ben")).json["state"][0]["body"] == "rude"
    # What its author says anew is another message.
    await hide(call, room, 1)
    await post(call, room, "bob", "better", keep="score:bob")
    assert await state("ben") == [kind, (5, {"seq": 1}), (6, "better")]
    # The room's own can be hidden, too, but not what keeps order.
    await post(call, room, "anna", {"text": "?"}, keep="board")
    await post(call, room, "anna", {"slow": 1}, keep="settings")
    for seq in (5, 7, 8):
        await hide(call, room, seq)
    told = [seq for after in (0, 5) for seq, _ in await state("ben", after=after)]
    assert told == [2, 5, 6, 8, 9, 6, 8, 9, 10, 11]


@pytest.mark.gen_test
async def test_every_gateway_forgets_what_it_has_in_memory(
    call: Call, room: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgot = asyncio.Event()
    monkeypatch.setattr(gateway.erasures, "_forget", forgot.set)
    await post(call, room, "bob", "something rude")
    await gateway.erasures.poll()
    await gateway.erasures.poll()
    assert not forgot.is_set()
    await hide(call, room, 1)
    await gateway.erasures.poll()
    assert forgot.is_set()


@pytest.mark.gen_test
async def test_a_repeated_post_of_a_hidden_message_gets_its_answer(call: Call, room: str) -> None:
    id = "4e4a66f8-38bd-4cb6-9d63-4a3a2ac6e2f1"
    await post(call, room, "bob", "something rude", id=id)
    await hide(call, room, 1)
    again = await post(call, room, "bob", "something rude", id=id)
    assert (again.status, again.json["seq"]) == (201, 1)


@pytest.mark.gen_test
async def test_only_hosts_hide_and_only_by_a_number_that_fits(call: Call, room: str) -> None:
    await post(call, room, "bob", "hi")
    refused = await post(call, room, "bob", {"seq": 1}, keep="hidden:1", type="hidden")
    assert refused.status == 403
    for key, seq in (("hidden:x", 1), ("hidden:1", 2), ("hidden:", 1)):
        body = {"seq": seq}
        refused = await post(call, room, "anna", body, keep=key, type="hidden")
        assert refused.problem == (400, "bad_body"), key
    # A number that no message has hides nothing.
    await hide(call, room, 10**15)
    assert (await first(call, room, "bob"))["body"] == "hi"
