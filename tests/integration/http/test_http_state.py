"""``/api/rooms/{room}/state`` and the keys of messages."""

from __future__ import annotations

import asyncio
import json as jsons
from typing import Any, Protocol

import pytest

from gateway.assembly import Gateway
from tests.integration.http.conftest import Answer, Call, FakeBroker

ID = "0d6f7b9e-58a1-4a5c-9d59-6a7a5e1f0c11"


class Keep(Protocol):
    async def __call__(self, user: str, key: str | None, body: Any, **more: Any) -> Answer: ...


@pytest.fixture
def keep(call: Call, room: str) -> Keep:
    """Posts a message with a key."""

    async def post(user: str, key: str | None, body: Any, **more: Any) -> Answer:
        named = {} if key is None else {"keep": key}
        return await call(
            "POST", f"{room}/messages", user=user, json={"body": body, **named, **more}
        )

    return post


async def state(call: Call, room: str, user: str = "bob", query: str = "") -> Any:
    answer = await call("GET", f"{room}/state{query}", user=user)
    assert answer.status == 200, answer.body
    return answer.json


def entries(page: Any) -> list[tuple[str, Any]]:
    return [(each["keep"], each["body"]) for each in page["state"]]


@pytest.mark.gen_test
async def test_the_newest_message_of_a_key_is_the_state(
    call: Call, room: str, keep: Keep, broker: FakeBroker
) -> None:
    assert await state(call, room) == {"state": [], "seq": 0, "whole": True, "complete": True}
    await keep("anna", "poll:1", {"question": "?"}, type="poll")
    await keep("bob", None, "what is said beside it")
    await keep("anna", "settings", {"chat": True})
    await keep("anna", "poll:1", {"question": "!"}, type="poll")
    page = await state(call, room)
    assert entries(page) == [("settings", {"chat": True}), ("poll:1", {"question": "!"})]
    assert (page["seq"], page["whole"], page["complete"]) == (4, True, True)
    # The same JSON everywhere.
    history = (await call("GET", f"{room}/messages", user="bob")).json["messages"]
    assert page["state"] == history[2:]
    assert [jsons.loads(each.body) for each in broker.published] == history
    assert [each.get("keep") for each in history] == ["poll:1", None, "settings", "poll:1"]
    assert not any("of" in each for each in history)


@pytest.mark.gen_test
async def test_a_body_of_null_clears_an_entry(call: Call, room: str, keep: Keep) -> None:
    await keep("anna", "poll:1", 1)
    await keep("anna", "poll:2", 2)
    await keep("anna", "poll:1", None)
    assert entries(await state(call, room)) == [("poll:2", 2)]
    changed = await state(call, room, query="?after=2")
    assert entries(changed) == [("poll:1", None)]
    assert (changed["seq"], changed["whole"]) == (3, False)
    assert entries(await state(call, room, query="?after=3")) == []


@pytest.mark.gen_test
async def test_hosts_share_the_rooms_entries_and_participants_have_their_own(
    call: Call, room: str, keep: Keep
) -> None:
    await call("PUT", f"{room}/members/ben", user="anna", json={"role": "participant"})
    await call("PUT", f"{room}/members/ada", user="anna", json={"role": "host"})
    for user in ("bob", "ben", "anna", "ada"):
        await keep(user, "answer:1", user)
    assert [each["sender"] for each in (await state(call, room))["state"]] == ["bob", "ben", "ada"]


@pytest.mark.gen_test
async def test_a_host_writes_a_participants_entry_with_of(
    call: Call, room: str, keep: Keep, broker: FakeBroker
) -> None:
    await keep("bob", "hand", {"up": True}, audience="private")
    assert (await keep("anna", "hand", None, audience="private", of="bob")).status == 201
    private = "?audience=private"
    assert entries(await state(call, room, "anna", private)) == []
    (down,) = (await state(call, room, "anna", f"{private}&after=1"))["state"]
    assert (down["sender"], down["of"], down["body"]) == ("anna", "bob", None)
    assert jsons.loads(broker.published[-1].body) == down


@pytest.mark.gen_test
async def test_participants_see_their_own_private_entries_and_no_others(
    call: Call, room: str, keep: Keep
) -> None:
    await call("PUT", f"{room}/members/ben", user="anna", json={"role": "participant"})
    await keep("bob", "answer:1", "bob's", audience="private")
    await keep("ben", "answer:1", "ben's", audience="private")
    await keep("anna", "fate:1", "the hosts'", audience="private")
    private = "?audience=private"
    assert entries(await state(call, room, "anna", private)) == [
        ("answer:1", "bob's"),
        ("answer:1", "ben's"),
        ("fate:1", "the hosts'"),
    ]
    mine = await state(call, room, "bob", private)
    assert (entries(mine), mine["seq"]) == ([("answer:1", "bob's")], 3)
    assert entries(await state(call, room, "bob", f"{private}&after=1")) == []
    assert entries(await state(call, room)) == []
    for query in ("", private):
        refused = await call("GET", f"{room}/state{query}", user="eve")
        assert refused.problem == (403, "access_refused")


@pytest.mark.gen_test
async def test_the_state_comes_in_pages(call: Call, room: str, keep: Keep) -> None:
    # A page has five at most here.
    for number in range(7):
        await keep("anna", f"poll:{number}", number)
    first = await state(call, room)
    assert (len(first["state"]), first["seq"], first["complete"]) == (5, 5, False)
    # What is on the first page changes before the second one is read.
    await keep("anna", "poll:0", "again")
    second = await state(call, room, query=f"?after={first['seq']}")
    assert entries(second) == [("poll:5", 5), ("poll:6", 6), ("poll:0", "again")]
    assert (second["seq"], second["whole"], second["complete"]) == (8, False, True)
    assert len((await state(call, room, query="?limit=2"))["state"]) == 2


@pytest.mark.gen_test
async def test_a_reader_that_has_begun_from_nothing_says_so(
    call: Call, room: str, keep: Keep
) -> None:
    for n in range(3):
        await keep("anna", f"k{n}", n)
    page = await state(call, room, query="?after=1&limit=1&whole=true")
    assert (entries(page), page["whole"], page["complete"]) == ([("k1", 1)], False, False)
    refused = await call("GET", f"{room}/state?after=1&whole=yes", user="bob")
    assert refused.status == 400


@pytest.mark.gen_test
async def test_a_seq_beyond_the_end_begins_from_nothing(call: Call, room: str, keep: Keep) -> None:
    await keep("anna", "poll:1", 1)
    page = await state(call, room, query="?after=99")
    assert (entries(page), page["whole"], page["seq"]) == ([("poll:1", 1)], True, 1)


@pytest.mark.gen_test
async def test_participants_write_only_the_keys_that_are_theirs(
    call: Call, room: str, keep: Keep, gateway: Gateway
) -> None:
    for key in ("hand", "question:a", "answer:b", "cursor", "score:total"):
        assert (await keep("bob", key, 1)).status == 201, key
    for key in ("poll:1", "hands", "vote", "settings", "cursor:1"):
        assert (await keep("bob", key, 1)).problem == (403, "key_refused"), key
    assert (await keep("bob", "vote:1", 1, of="anna")).problem == (403, "key_refused")
    assert (await keep("bob", "vote:1", 1, of="bob")).problem == (403, "key_refused")
    assert (await call("GET", f"{room}/messages?after=6", user="bob")).json["messages"] == []
    assert gateway.services.intake.keys_refused["key_refused"] == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": ""},
        {"keep": "-a"},
        {"keep": "a b"},
        {"keep": "한글"},
        {"keep": "x" * 151},
        {"keep": "a", "importance": "instant"},
        {"while": "a", "importance": "instant"},
        {"while": "a/b"},
        {"of": "bob"},
        {"keep": "hand", "of": ""},
        {"keep": "hand", "of": "ｂｏｂ"},
        {"keep": 1},
    ],
)
@pytest.mark.gen_test
async def test_a_wrong_key_is_refused(call: Call, room: str, wrong: dict[str, Any]) -> None:
    answer = await call("POST", f"{room}/messages", user="anna", json={"body": 1, **wrong})
    assert answer.problem == (400, "invalid_request")


@pytest.mark.gen_test
async def test_a_message_is_stored_only_while_a_key_stands(
    call: Call, room: str, keep: Keep, gateway: Gateway
) -> None:
    vote = {"audience": "private", "while": "voting:1"}
    assert (await keep("bob", "vote:1", "early", **vote)).problem == (409, "not_open")
    await keep("anna", "voting:1", {"until": None})
    counted = await keep("bob", "vote:1", "in time", **vote, id=ID)
    assert counted.status == 201
    await keep("anna", "voting:1", None)
    assert (await keep("bob", "vote:1", "late", **vote)).problem == (409, "not_open")
    assert (await keep("bob", None, "late, too", **vote)).problem == (409, "not_open")
    # What was counted is said again, though voting is over.
    assert (await keep("bob", "vote:1", "in time", **vote, id=ID)).body == counted.body
    page = await state(call, room, "anna", "?audience=private")
    assert entries(page) == [("vote:1", "in time")]
    assert page["seq"] == 1
    assert "while" not in page["state"][0]
    assert gateway.services.intake.keys_refused["not_open"] == 3


@pytest.mark.gen_test
async def test_only_the_rooms_own_public_entry_opens(call: Call, room: str, keep: Keep) -> None:
    await keep("bob", "score:open", 1)
    await keep("anna", "vote:hidden", 1, audience="private")
    await keep("anna", "vote:his", 1, of="bob")
    for key in ("score:open", "vote:hidden", "vote:his"):
        assert (await keep("bob", "answer:1", 1, **{"while": key})).problem == (409, "not_open")


@pytest.mark.gen_test
async def test_of_posts_at_the_same_moment_only_those_fail_that_come_too_late(
    call: Call, room: str, keep: Keep
) -> None:
    await keep("anna", "voting:1", 1)
    vote = {"while": "voting:1"}
    answers = await asyncio.gather(
        *(keep("bob", f"answer:{n}", n, **vote) for n in range(5)),
        keep("anna", "voting:1", None),
        *(keep("bob", f"answer:late-{n}", n, **vote) for n in range(5)),
        *(keep("bob", None, n) for n in range(5)),
    )
    assert {answer.status for answer in answers[11:]} == {201}
    history = (await call("GET", f"{room}/messages?limit=5", user="bob")).json
    seqs = [answer.json["seq"] for answer in answers if answer.status == 201]
    assert sorted(seqs) == list(range(2, history["head"] + 1))
    closed = answers[5].json["seq"]
    for answer in (*answers[:5], *answers[6:11]):
        if answer.status == 201:
            assert answer.json["seq"] < closed
        else:
            assert answer.problem == (409, "not_open")


@pytest.mark.gen_test
async def test_an_id_with_another_key_is_refused(call: Call, room: str, keep: Keep) -> None:
    await keep("anna", "hand", 1, id=ID, of="bob")
    for other in ({"keep": "cursor", "of": "bob"}, {"keep": "hand"}, {"keep": "hand", "of": "ben"}):
        body = {"body": 1, "id": ID, **other}
        answer = await call("POST", f"{room}/messages", user="anna", json=body)
        assert answer.problem == (422, "id_reused")
    assert (await keep("anna", "hand", 1, id=ID, of="bob")).status == 201


@pytest.mark.gen_test
async def test_the_first_answer_comes_again_to_who_may_not_write_the_key_any_more(
    call: Call, room: str, keep: Keep
) -> None:
    await call("PUT", f"{room}/members/ada", user="anna", json={"role": "host"})
    first = await keep("ada", "poll:1", 1, id=ID)
    await call("PUT", f"{room}/members/ada", user="anna", json={"role": "participant"})
    assert (await keep("ada", "poll:1", 1, id=ID)).body == first.body
    assert (await keep("ada", "poll:1", 2)).problem == (403, "key_refused")
    # What she wrote as a host stays the room's.
    assert entries(await state(call, room)) == [("poll:1", 1)]


@pytest.mark.gen_test
async def test_the_state_of_a_closed_room_can_be_read(call: Call, room: str, keep: Keep) -> None:
    await keep("anna", "result:1", 1)
    await call("DELETE", room, user="anna")
    assert entries(await state(call, room)) == [("result:1", 1)]


@pytest.mark.gen_test
async def test_a_room_that_does_not_exist_has_no_state(call: Call, room: str) -> None:
    assert (await call("GET", "/api/rooms/99/state", user="anna")).problem == (404, "unknown_room")
    known = "?identity=another"
    assert (await call("GET", f"{room}/state{known}", user="anna")).problem == (
        410,
        "room_replaced",
    )


@pytest.mark.gen_test
async def test_a_vote_is_refused_while_none_are_taken_whether_it_says_while_or_not(
    keep: Keep,
) -> None:
    vote = {"audience": "private"}
    assert (await keep("bob", "vote:1", 1, **vote)).problem == (409, "not_open")
    await keep("anna", "voting:1", {"until": None})
    assert (await keep("bob", "vote:1", 2, **vote)).status == 201
    await keep("anna", "voting:1", None)
    assert (await keep("bob", "vote:1", 3, **vote)).problem == (409, "not_open")
    # It is one's own: taking it back is no vote.
    assert (await keep("bob", "vote:1", None, **vote)).status == 201
