"""The kept state by STOMP: SEND with a key, SUBSCRIBE with ``state:true``, over the real socket,
judge and store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

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
