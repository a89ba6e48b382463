"""Order in a room, kept by the gateway: muted participants, no chat, slow mode."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.http.conftest import Answer, Call


async def post(call: Call, room: str, user: str, body: Any = "hi", **rest: Any) -> Answer:
    return await call("POST", f"{room}/messages", user=user, json={"body": body, **rest})


async def settle(call: Call, room: str, **settings: Any) -> Answer:
    return await post(call, room, "anna", settings or None, keep="settings", type="settings")


async def mute(call: Call, room: str, user: str, *, ends: bool = False) -> Answer:
    body = None if ends else {"user": user}
    rest = {"keep": f"muted:{user}", "audience": "private", "type": "muted"}
    return await post(call, room, "anna", body, **rest)


def said(answer: Answer) -> bool:
    return answer.status in (201, 202)


@pytest.mark.gen_test
async def test_a_muted_participant_says_nothing_until_a_host_ends_it(call: Call, room: str) -> None:
    assert said(await mute(call, room, "bob"))
    for audience in ("public", "private"):
        for importance in ("guaranteed", "instant"):
            rest = {"audience": audience, "importance": importance}
            assert (await post(call, room, "bob", **rest)).problem == (403, "muted")
    assert said(await post(call, room, "anna"))
    # Coming back does not help.
    await call("DELETE", f"{room}/members/bob", user="anna")
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "participant"})
    assert (await post(call, room, "bob")).problem == (403, "muted")
    assert (await call("GET", f"{room}/messages", user="bob")).status == 200
    assert said(await mute(call, room, "bob", ends=True))
    assert said(await post(call, room, "bob"))


@pytest.mark.gen_test
async def test_any_name_is_muted_by_an_entry_of_that_user(call: Call, room: str) -> None:
    await call("PUT", f"{room}/members/{quote('안나')}", user="anna", json={"role": "participant"})
    rest = {"keep": "muted", "of": "안나", "audience": "private", "type": "muted"}
    assert said(await post(call, room, "anna", {"user": "안나"}, **rest))
    assert (await post(call, room, "안나")).problem == (403, "muted")
    assert said(await post(call, room, "anna", None, **rest))
    assert said(await post(call, room, "안나"))


@pytest.mark.gen_test
@pytest.mark.parametrize("rest", [{"keep": "muted:bob"}, {"keep": "muted", "of": "bob"}])
async def test_whoever_is_muted_can_know_it_and_nobody_else(
    call: Call, room: str, rest: dict[str, str]
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})

    async def known(user: str, after: int = 0) -> list[Any]:
        path = f"{room}/state?audience=private&after={after}"
        state = (await call("GET", path, user=user)).json["state"]
        return [(each["keep"], each["body"]) for each in state]

    rest |= {"audience": "private", "type": "muted"}
    muted = await post(call, room, "anna", {"user": "bob"}, **rest)
    assert await known("bob") == [(rest["keep"], {"user": "bob"})]
    assert await known("carol") == []
    await post(call, room, "anna", None, **rest)
    assert await known("bob", after=muted.json["seq"]) == [(rest["keep"], None)]
    assert await known("carol", after=muted.json["seq"]) == []


@pytest.mark.gen_test
async def test_a_first_answer_is_repeated_to_somebody_who_was_muted_since(
    call: Call, room: str
) -> None:
    id = "4e4a66f8-38bd-4cb6-9d63-4a3a2ac6e2f1"
    first = await post(call, room, "bob", id=id)
    assert said(first)
    await mute(call, room, "bob")
    again = await post(call, room, "bob", id=id)
    assert (said(again), again.json["seq"]) == (True, first.json["seq"])


@pytest.mark.gen_test
async def test_without_chat_only_hosts_speak_to_everyone_and_questions_go_on(
    call: Call, room: str
) -> None:
    assert said(await settle(call, room, chat=False))
    assert (await post(call, room, "bob")).problem == (403, "chat_off")
    assert said(await post(call, room, "anna"))
    assert said(await post(call, room, "bob", audience="private", type="question"))
    vote = {"audience": "private", "keep": "answer:1", "type": "vote"}
    assert said(await post(call, room, "bob", {"option": 1}, **vote))
    admin = await call(
        "POST", f"{room}/messages", user="root", roles=("admin",), json={"body": "hi"}
    )
    assert said(admin)
    assert said(await settle(call, room))
    assert said(await post(call, room, "bob"))


@pytest.mark.gen_test
async def test_in_slow_mode_a_participant_waits_and_is_told_for_how_long(
    call: Call, room: str
) -> None:
    await call("PUT", f"{room}/members/carol", user="anna", json={"role": "participant"})
    assert said(await settle(call, room, slow=30))
    assert said(await post(call, room, "bob"))
    refused = await post(call, room, "bob")
    assert refused.problem == (429, "slow_mode")
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert said(await post(call, room, "carol"))
    assert said(await post(call, room, "anna"))
    assert said(await post(call, room, "anna"))
    assert said(await post(call, room, "bob", audience="private"))
    # An entry of the kept state is no word.
    for _ in range(2):
        assert said(await post(call, room, "bob", keep="score:1"))
    assert said(await settle(call, room, slow=0))
    assert said(await post(call, room, "bob"))


@pytest.mark.gen_test
async def test_participants_cannot_give_orders(call: Call, room: str) -> None:
    rest = {"keep": "settings", "type": "settings"}
    assert (await post(call, room, "bob", {"chat": False}, **rest)).problem == (403, "key_refused")
    rest = {"keep": "muted:anna", "audience": "private"}
    assert (await post(call, room, "bob", {"user": "anna"}, **rest)).problem == (403, "key_refused")
    # A host is not silenced by another host.
    assert said(await mute(call, room, "anna"))
    assert said(await post(call, room, "anna"))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("key", "audience", "body"),
    [
        ("settings", "public", "no"),
        ("settings", "public", {"chat": 0}),
        ("settings", "public", {"slow": -1}),
        ("settings", "public", {"slow": True}),
        ("settings", "public", {"slow": 3601}),
        ("settings", "public", {"approve": 1}),
        ("settings", "public", {"loud": True}),
        ("muted:bob", "private", {"user": "carol"}),
        ("muted:bob", "private", {"user": "bob", "x": 1}),
        ("muted:", "private", {"user": ""}),
        ("muted", "private", {"user": "bob"}),
    ],
)
async def test_an_order_in_another_form_is_refused_with_what_would_be_right(
    call: Call, room: str, key: str, audience: str, body: Any
) -> None:
    answer = await post(call, room, "anna", body, keep=key, audience=audience)
    assert answer.problem == (400, "bad_body")
    assert said(await post(call, room, "bob"))
