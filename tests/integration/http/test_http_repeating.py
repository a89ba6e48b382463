"""The same id again gets the first answer again, whatever has become of its sender since."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from tornado.websocket import websocket_connect

from broker.protocol.stomp import serialise
from broker.topology import DEFAULT_PREFIX
from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.store import Store
from tests.integration.http.conftest import Answer, Call, FakeBroker, token

ID = "0190a5a0-0000-7000-8000-000000000001"
WORD = {"id": ID, "body": {"text": "hello"}}
#: Why the sender may not post any more, and how that is told.
REFUSALS = {
    "closed": (410, "room_closed"),
    "removed": (403, "access_refused"),
    "host type": (403, "access_refused"),
    "too large": (413, "too_large"),
}


@pytest.fixture(params=REFUSALS)
def refused(
    request: pytest.FixtureRequest, call: Call, room: str, gateway: Gateway
) -> Callable[[], Awaitable[tuple[int, str]]]:
    """Ends what bob may, and tells how he is refused."""

    async def end() -> tuple[int, str]:
        match request.param:
            case "closed":
                assert (await call("DELETE", room, user="anna")).status == 204
            case "removed":
                assert (await call("DELETE", f"{room}/members/bob", user="anna")).status == 204
            case "too large":
                limits = gateway.services.limits
                limits.replace(limits.now.model_copy(update={"body_bytes": 60}))
            case _:
                gateway.services.intake.host_types = frozenset({"message"})
        return REFUSALS[request.param]

    return end


async def post(call: Call, room: str, user: str, message: dict[str, Any]) -> Answer:
    return await call("POST", f"{room}/messages", user=user, json=message)


@pytest.mark.gen_test
async def test_the_first_answer_comes_again_when_the_sender_may_not_post_any_more(
    call: Call, room: str, refused: Callable[[], Awaitable[tuple[int, str]]]
) -> None:
    first = await post(call, room, "bob", WORD)
    assert first.status == 201
    told = await refused()
    for _ in range(2):
        again = await post(call, room, "bob", WORD)
        assert (again.status, again.json) == (201, first.json)
    other = await post(call, room, "bob", WORD | {"body": "something else"})
    assert other.problem == (422, "id_reused")
    for unknown in (str(uuid4()), None):
        answer = await post(call, room, "bob", {"id": unknown, "body": 1})
        assert answer.problem == told
    instant = await post(call, room, "bob", WORD | {"importance": "instant"})
    assert instant.problem == told
    assert (await call("POST", f"{room}/messages", json=WORD)).problem == (401, "not_authenticated")
    assert (await call("GET", f"{room}/messages", user="anna")).json["head"] == 1


@pytest.mark.gen_test
async def test_nobody_learns_of_somebody_elses_id(
    call: Call, room: str, refused: Callable[[], Awaitable[tuple[int, str]]]
) -> None:
    word = await post(call, room, "anna", WORD)
    assert word.status == 201
    told = await refused()
    for user, problem in (("bob", told), ("eve", (403, "access_refused"))):
        same, unknown = [
            await post(call, room, user, WORD | {"id": id}) for id in (ID, str(uuid4()))
        ]
        assert same.problem == problem
        assert same.json == unknown.json
    nowhere = await post(call, "/api/rooms/999", "eve", WORD)
    assert nowhere.problem == (404, "unknown_room")


@pytest.mark.gen_test
async def test_a_former_host_gets_the_answer_to_what_a_host_has_said(
    call: Call, room: str, gateway: Gateway
) -> None:
    host_type = {**WORD, "type": "poll.open", "audience": "private"}
    gateway.services.intake.host_types = frozenset({"poll.open"})
    assert (
        await call("PUT", f"{room}/members/bob", user="anna", json={"role": "host"})
    ).status == 200
    first = await post(call, room, "bob", host_type)
    assert first.status == 201
    await call("PUT", f"{room}/members/bob", user="anna", json={"role": "participant"})
    again = await post(call, room, "bob", host_type)
    assert (again.status, again.json) == (201, first.json)
    assert (await post(call, room, "bob", host_type | {"id": str(uuid4())})).status == 403


@pytest.mark.gen_test
async def test_messages_confirmed_meanwhile_are_reported_as_published(
    call: Call, room: str, broker: FakeBroker, store: Store
) -> None:
    broker.away = True
    first = await post(call, room, "bob", WORD)
    assert (first.status, first.json["published"]) == (202, False)
    await call("DELETE", f"{room}/members/bob", user="anna")
    waiting = await post(call, room, "bob", WORD)
    assert (waiting.status, waiting.json) == (202, first.json)
    await store.mark_published([UUID(ID)])
    again = await post(call, room, "bob", WORD)
    assert (again.status, again.json) == (201, first.json | {"published": True})


@pytest.fixture
def send(public: Listener, settings: Config) -> Callable[..., Awaitable[str]]:
    """Sends a message to a room's public topic as a user by STOMP, on a connection of its own; the
    first line of the answer, and the code of an ERROR."""

    async def send(room: str, user: str, id: str, text: str = "hello") -> str:
        url = f"{public.url.replace('http', 'ws')}/ws"
        client = await websocket_connect(url, subprotocols=["v12.stomp"])
        connect = [("accept-version", "1.2"), ("passcode", token(settings, user))]
        await client.write_message(serialise("CONNECT", connect), binary=True)
        assert str(await client.read_message()).startswith("CONNECTED")
        headers = [
            ("destination", f"/topic/{DEFAULT_PREFIX}.public.{room.rpartition('/')[2]}"),
            ("content-type", "application/json"),
            ("id", id),
            ("receipt", "r"),
        ]
        body = json.dumps({"text": text}).encode()
        await client.write_message(serialise("SEND", headers, body), binary=True)
        command, _, rest = str(await client.read_message()).partition("\n")
        client.close()
        error = dict(line.split(":", 1) for line in rest.split("\n\n")[0].split("\n"))
        return command if command == "RECEIPT" else f"{command} {error['message']}"

    return send


@pytest.mark.gen_test
async def test_a_receipt_comes_again_as_an_answer_does(
    call: Call,
    room: str,
    send: Callable[..., Awaitable[str]],
    refused: Callable[[], Awaitable[tuple[int, str]]],
) -> None:
    assert await send(room, "bob", ID) == "RECEIPT"
    told = f"ERROR {(await refused())[1]}"
    for _ in range(2):
        assert await send(room, "bob", ID) == "RECEIPT"
    # What was sent by STOMP is found by HTTP as well.
    again = await post(call, room, "bob", WORD | {"body": {"text": "hello"}})
    assert (again.status, again.json["seq"]) == (201, 1)
    assert await send(room, "bob", ID, "something else") == "ERROR id_reused"
    assert await send(room, "bob", str(uuid4())) == told
    assert await send(room, "eve", ID) == "ERROR access_refused"
    assert await send(room, "eve", str(uuid4())) == "ERROR access_refused"
    assert (await call("GET", f"{room}/messages", user="anna")).json["head"] == 1


class TestLimitedRates:
    """Tests of repeated posts beyond the rate."""

    @pytest.fixture
    def tables(self, tables: dict[str, Any]) -> dict[str, Any]:
        tables["limits"] |= {"posts_per_second": 0.001, "posts_burst": 1}
        return tables

    @pytest.mark.gen_test
    async def test_beyond_the_rate_a_repetition_gets_its_answer_until_it_is_too_often_itself(
        self, call: Call, room: str
    ) -> None:
        first = await post(call, room, "bob", WORD)
        assert first.status == 201
        again = await post(call, room, "bob", WORD)
        assert (again.status, again.json) == (201, first.json)
        await call("DELETE", f"{room}/members/bob", user="anna")
        refused = await post(call, room, "bob", WORD)
        assert refused.problem == (429, "rate_limited"), "no final answer, and no wrong one"
        assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.gen_test
async def test_a_post_that_is_allowed_costs_no_look_for_a_first_one(
    call: Call, room: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asked(_: object) -> None:
        raise AssertionError("a read for each post")

    monkeypatch.setattr(store, "stored", asked)
    for _ in range(2):
        assert (await post(call, room, "bob", WORD)).status == 201
