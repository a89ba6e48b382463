"""Approval before showing: nobody but hosts and the author meets what waits, by any way to read."""

from __future__ import annotations

import csv
import json
from collections.abc import Awaitable, Callable, Sequence
from io import StringIO
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.integration.http.conftest import Answer, Call, FakeBroker
from tests.integration.http.stomp_talk import TOPIC, Talk

ID = "4e4a66f8-38bd-4cb6-9d63-4a3a2ac6e2f1"
RUDE = "something rude"


async def post(call: Call, room: str, user: str, body: Any, **rest: Any) -> Answer:
    return await call("POST", f"{room}/messages", user=user, json={"body": body, **rest})


async def approve(call: Call, room: str, *, ends: bool = False) -> None:
    body = None if ends else {"approve": True}
    answer = await post(call, room, "anna", body, keep="settings", type="settings")
    assert answer.status == 201, answer.body


async def decide(
    call: Call,
    room: str,
    user: str = "anna",
    *,
    approve: Sequence[int] = (),
    refuse: Sequence[int] = (),
) -> Answer:
    fates = {"approve": list(approve), "refuse": list(refuse)}
    return await call("POST", f"{room}/approvals", user=user, json=fates)


async def waiting(call: Call, room: str, user: str = "anna") -> list[dict[str, Any]]:
    answer = await call("GET", f"{room}/approvals", user=user)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["waiting"]
    return found


async def history(call: Call, room: str, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = (await call("GET", f"{room}/messages?after={after}", user=user)).json
        found += page["messages"]
        after = page.get("next")
    assert [each["seq"] for each in found] == list(range(1, page["head"] + 1))
    return found


@pytest.mark.gen_test
async def test_what_waits_is_in_no_stream_until_a_host_approves_it(
    call: Call, room: str, broker: FakeBroker
) -> None:
    await approve(call, room)
    answer = await post(call, room, "bob", RUDE, id=ID, type="rude")
    assert (answer.status, answer.json["seq"], answer.json["pending"]) == (201, 2, True)
    for user in ("anna", "bob"):
        for way in ("messages", "messages?types=rude", "messages?types=pending", "state"):
            seen = await call("GET", f"{room}/{way}", user=user)
            assert b"rude" not in seen.body
            assert b"bob" not in seen.body
    place = (await history(call, room, "bob"))[1]
    assert place == {
        **{"id": ID, "room": 1, "audience": "public", "seq": 2, "sender": "", "role": None},
        **{"sent_at": answer.json["sent_at"], "type": "pending", "body": None},
    }
    # RabbitMQ, and with it the hosts' queue, has the place alone.
    assert json.loads(broker.published[-1].body) == place
    assert broker.published[-1].headers["sender"] == ""
    assert b"rude" not in (await call("GET", f"{room}/export/page.html", user="anna")).body
    (waits,) = await waiting(call, room)
    assert (waits["seq"], waits["sender"], waits["body"]) == (2, "bob", RUDE)
    assert await waiting(call, room, "bob") == [waits]

    decided = await decide(call, room, approve=[2])
    assert decided.json == {"decided": [{"place": 2, "fate": "approved", "seq": 3}]}
    assert await waiting(call, room) == []
    shown = (await history(call, room, "bob"))[2]
    assert (shown["sender"], shown["type"], shown["body"]) == ("bob", "rude", RUDE)
    assert (shown["place"], shown["role"]) == (2, "participant")
    assert json.loads(broker.published[-1].body) == shown
    text = (await call("GET", f"{room}/export/messages.csv?language=en", user="anna")).body
    rows = list(csv.reader(StringIO(text.decode()[1:], newline="")))
    assert sum(RUDE in row for row in rows) == 1


@pytest.mark.gen_test
async def test_what_is_refused_is_never_shown_and_its_author_hears_of_it(
    call: Call, room: str
) -> None:
    await approve(call, room)
    await post(call, room, "bob", RUDE)
    assert (await decide(call, room, refuse=[2])).json["decided"][0]["fate"] == "refused"
    told = (await history(call, room, "bob"))[2]
    assert (told["type"], told["place"], told["sender"], told["body"]) == (
        *("refused", 2, "anna"),
        None,
    )
    assert await waiting(call, room) == []
    # The first decision counts, whoever decides again.
    again = await decide(call, room, approve=[2, 9])
    assert again.json == {"decided": [{"place": 2, "fate": "refused"}]}
    assert len(await history(call, room, "bob")) == 3


@pytest.mark.gen_test
async def test_nobody_holds_up_a_decision_by_posting_under_an_id_that_it_might_have(
    call: Call, room: str
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    await approve(call, room)
    await post(call, room, "bob", RUDE, id=ID)
    # What everybody can derive from the place, whose id is in the stream.
    for fate in ("approved", "refused"):
        id = str(uuid5(UUID("0d7a6c1e-9b54-4a51-8f0c-6f5a4f1b7c02"), f"{ID}:{fate}"))
        taken = await post(call, room, "carol", "mine", id=id, audience="private")
        assert taken.status == 201
    decided = await decide(call, room, approve=[2])
    assert decided.json == {"decided": [{"place": 2, "fate": "approved", "seq": 3}]}


@pytest.mark.gen_test
async def test_several_are_decided_by_one_call_in_their_order_and_again_without_harm(
    call: Call, room: str
) -> None:
    await approve(call, room)
    for word in ("one", "two", "three"):
        await post(call, room, "bob", word)
    for _ in range(2):
        answer = await decide(call, room, approve=[4, 2], refuse=[3])
        fates = [(each["place"], each["fate"]) for each in answer.json["decided"]]
        assert fates == [(2, "approved"), (3, "refused"), (4, "approved")]
    new = (await history(call, room, "bob"))[4:]
    assert [(each["place"], each["body"]) for each in new] == [(2, "one"), (3, None), (4, "three")]


@pytest.mark.gen_test
async def test_a_repeated_id_gets_its_first_answer_whatever_has_become_of_it(
    call: Call, room: str
) -> None:
    await approve(call, room)
    for _ in range(2):
        answer = await post(call, room, "bob", RUDE, id=ID)
        assert (answer.status, answer.json["seq"], answer.json["pending"]) == (201, 2, True)
        assert (await decide(call, room, approve=[2])).status == 200
    assert (await post(call, room, "bob", "else", id=ID)).problem == (422, "id_reused")
    # And what was said before there was an order is no other thing afterwards.
    await approve(call, room, ends=True)
    first = await post(call, room, "bob", "hi", id=ID.replace("4e", "5e"))
    await approve(call, room)
    assert (await post(call, room, "bob", "hi", id=ID.replace("4e", "5e"))).json == first.json


@pytest.mark.gen_test
async def test_what_is_not_for_everyone_and_what_hosts_say_does_not_wait(
    call: Call, room: str
) -> None:
    await approve(call, room)
    for user, rest in (("anna", {}), ("bob", {"audience": "private"})):
        answer = await post(call, room, user, "hi", **rest)
        assert (answer.status, "pending" in answer.json) == (201, False)
    # What cannot wait is refused.
    for rest in ({"importance": "instant"}, {"keep": "cursor"}):
        refused = await post(call, room, "bob", "hi", **rest)
        assert refused.problem == (403, "approval_needed")
    await post(call, room, "bob", RUDE)
    await approve(call, room, ends=True)
    assert "pending" not in (await post(call, room, "bob", "hi")).json
    # What waits goes on waiting.
    assert [each["body"] for each in await waiting(call, room)] == [RUDE]


@pytest.mark.gen_test
async def test_only_hosts_decide_and_others_see_no_more_than_their_own(
    call: Call, room: str
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    await approve(call, room)
    await post(call, room, "bob", RUDE)
    assert await waiting(call, room, "carol") == []
    assert (await decide(call, room, "bob", approve=[2])).problem == (403, "access_refused")
    stranger = await call("GET", f"{room}/approvals", user="mallory")
    assert stranger.problem == (403, "access_refused")
    root = await call("GET", f"{room}/approvals", user="root", roles=("admin",))
    assert len(root.json["waiting"]) == 1
    for yes, no in (([], []), ([2], [2]), ([0], []), ([], list(range(1, 52)))):
        wrong = await decide(call, room, approve=yes, refuse=no)
        assert wrong.problem == (400, "invalid_request"), yes
    assert (await call("DELETE", room, user="anna")).status == 204
    assert (await decide(call, room, approve=[2])).problem == (410, "room_closed")


@pytest.mark.gen_test
async def test_a_page_of_what_waits_says_where_to_go_on(call: Call, room: str) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    await approve(call, room)
    for number in range(51):
        await post(call, room, ("bob", "carol")[number % 2], number)
    first = (await call("GET", f"{room}/approvals", user="anna")).json
    assert (len(first["waiting"]), first["next"]) == (50, 51)
    rest = (await call("GET", f"{room}/approvals?after=51", user="anna")).json
    assert [each["body"] for each in rest.pop("waiting")] == [50]
    assert rest == {}


@pytest.mark.gen_test
async def test_a_stock_client_of_stomp_gets_the_place_and_then_the_message(
    talk: Callable[[str], Awaitable[Talk]], call: Call, room: str
) -> None:
    await approve(call, room)
    carol = await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    assert carol.status == 200
    listener = await talk("carol")
    await listener.say("SUBSCRIBE", ("destination", TOPIC), ("id", "s"), ("receipt", "r"))
    assert (await listener.hear()).command == "RECEIPT"
    bob = await talk("bob")
    await bob.say("SEND", ("destination", TOPIC), ("receipt", "said"), body=RUDE.encode())
    assert (await bob.hear()).command == "RECEIPT"
    place = await listener.hear()
    assert (place.get("seq"), place.get("sender")) == ("2", "")
    assert json.loads(place.body)["type"] == "pending"
    assert b"rude" not in place.body
    await decide(call, room, approve=[2])
    shown = await listener.hear()
    assert (shown.get("seq"), shown.get("sender")) == ("3", "bob")
    assert json.loads(shown.body)["body"] == RUDE
    # Who comes back later gets the same, without a hole.
    late = await talk("carol")
    await late.say("SUBSCRIBE", ("destination", TOPIC), ("id", "s"), ("resume-after", "1"))
    assert [(await late.hear()).body for _ in range(2)] == [place.body, shown.body]


@pytest.mark.gen_test
async def test_slow_mode_counts_what_waits_and_not_the_moment_of_its_approval(
    call: Call, room: str
) -> None:
    order = {"approve": True, "slow": 3600}
    await post(call, room, "anna", order, keep="settings", type="settings")
    assert (await post(call, room, "bob", "one")).status == 201
    refused = await post(call, room, "bob", "two")
    assert refused.problem == (429, "slow_mode")
