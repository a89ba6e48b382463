"""The kept state by STOMP: SEND with a key, SUBSCRIBE with ``state:true``, over the real socket,
judge and store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.assembly import Gateway
from tests.integration.http.conftest import Call
from tests.integration.http.stomp_talk import TOPIC, Talk

PRIVATE = "/topic/acdm.mo.interact.private.1"


@pytest.mark.gen_test
async def test_a_subscriber_gets_the_state_and_then_what_follows(
    talk: Callable[[str], Awaitable[Talk]], call: Call, room: str
) -> None:
    anna = await talk("anna")
    for key, body in (("poll:1", {"q": "?"}), ("board", 1), ("board", 2), ("gone", 1)):
        assert (await anna.keep(key, body)).command == "RECEIPT"
    assert (await anna.keep("gone", None)).command == "RECEIPT"
    bob = await talk("bob")
    await bob.say(
        "SUBSCRIBE", ("destination", TOPIC), ("id", "s"), ("state", "true"), ("receipt", "r")
    )
    state = [await bob.hear() for _ in range(2)]
    assert [json.loads(frame.body)["body"] for frame in state] == [{"q": "?"}, 2]
    assert [(frame.get("state"), frame.get("seq")) for frame in state] == [
        ("true", "1"),
        ("true", "3"),
    ]
    receipt = await bob.hear()
    assert (receipt.command, receipt.get("seq")) == ("RECEIPT", "5")
    assert (await anna.keep("board", 3)).command == "RECEIPT"
    live = await bob.hear()
    assert (live.get("seq"), live.get("state")) == ("6", None)
    assert json.loads(live.body)["keep"] == "board"
    by_http = (await call("GET", f"{room}/state", user="bob")).json["state"]
    assert by_http == [json.loads(frame.body) for frame in (state[0], live)]


@pytest.mark.gen_test
async def test_refusals_by_stomp_have_the_codes_of_http(
    talk: Callable[[str], Awaitable[Talk]],
) -> None:
    for headers, code in (
        ((("keep", "poll:1"),), "key_refused"),
        ((("keep", "hand"), ("of", "anna")), "key_refused"),
        ((("keep", "hand"), ("while", "voting:1")), "not_open"),
        ((("keep", "a b"),), "invalid_request"),
        ((("keep", "hand"), ("importance", "instant")), "invalid_request"),
    ):
        bob = await talk("bob")
        await bob.say("SEND", ("destination", TOPIC), *headers, body=b"x")
        error = await bob.hear()
        assert (error.command, error.get("message")) == ("ERROR", code), headers


@pytest.mark.gen_test
async def test_a_participant_gets_no_private_state_by_stomp(
    talk: Callable[[str], Awaitable[Talk]],
) -> None:
    bob = await talk("bob")
    await bob.say("SUBSCRIBE", ("destination", PRIVATE), ("id", "s"), ("state", "true"))
    error = await bob.hear()
    assert (error.command, error.get("message")) == ("ERROR", "access_refused")


@pytest.mark.gen_test
async def test_a_hidden_entry_is_in_the_state_of_hosts_alone(
    talk: Callable[[str], Awaitable[Talk]],
) -> None:
    anna, bob = await talk("anna"), await talk("bob")
    assert (await bob.keep("score:his", "rude")).command == "RECEIPT"
    # So that the next one would get it from memory.
    assert await _state(await talk("bob")) == ["score:his"]
    assert (await anna.keep("hidden:1", {"seq": 1})).command == "RECEIPT"
    assert await _state(await talk("bob")) == ["hidden:1"]
    assert await _state(await talk("anna")) == ["score:his", "hidden:1"]
    assert (await anna.keep("hidden:1", None)).command == "RECEIPT"
    assert await _state(await talk("bob")) == ["score:his"]


@pytest.mark.gen_test
async def test_who_is_in_a_room_hears_that_something_in_it_was_deleted(
    talk: Callable[[str], Awaitable[Talk]], call: Call, gateway: Gateway
) -> None:
    bob, anna = await talk("bob"), await talk("anna")
    assert (await bob.keep("score:his", "a secret")).command == "RECEIPT"
    assert await _state(anna) == ["score:his"]
    await gateway.erasures.poll()
    order = {"room": 1, "user": "bob", "reason": "a letter"}
    answer = await call("POST", "/api/admin/erasures", user="root", roles=("admin",), json=order)
    assert answer.status == 200
    await gateway.erasures.poll()
    told = await anna.hear()
    assert (told.get("seq"), told.get("destination")) == (None, TOPIC)
    said = json.loads(told.body)
    wanted = {"room": 1, "seq": None, "sender": "", "role": None, "type": "deleted", "body": None}
    assert {name: said[name] for name in wanted} == wanted


async def _state(who: Talk) -> list[str]:
    """Subscribe; returns the keys of the state that come before the RECEIPT."""
    headers = (("destination", TOPIC), ("id", "s"), ("state", "true"), ("receipt", "r"))
    await who.say("SUBSCRIBE", *headers)
    keys = []
    while (frame := await who.hear()).command == "MESSAGE":
        keys.append(json.loads(frame.body)["keep"])
    assert frame.command == "RECEIPT"
    return keys
