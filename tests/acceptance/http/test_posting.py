"""One id is one row and one publication, however often and by whichever way it is posted."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import Witness, witness
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

_AT_ONCE = 20


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def topic(room: int) -> str:
    return f"/topic/{PREFIX}.public.{room}"


@pytest.fixture
def hears(cluster_of_session: Cluster, room: int) -> Iterator[Witness]:
    with witness(cluster_of_session, f"{PREFIX}.*.{room}") as heard:
        yield heard


def test_an_id_posted_twenty_times_at_once_is_one_row_and_one_publication(
    gateway: GatewayProcess, room: int, hears: Witness
) -> None:
    id = str(uuid4())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(
            pool.map(lambda _: gateway.post(room, "paul", "once", id=id), range(_AT_ONCE))
        )
    assert {status for status, _ in answers} == {201}
    assert [receipt for _, receipt in answers] == [answers[0][1]] * _AT_ONCE
    assert answers[0][1]["seq"] == 1
    assert [message["id"] for message in gateway.history(room, "hana")["messages"]] == [id]
    ((key, properties, body),) = hears.heard()
    assert key == f"{PREFIX}.public.{room}"
    assert properties.message_id == id
    assert properties.delivery_mode == 2
    assert properties.headers == {
        "seq": "1",
        "room": str(room),
        "audience": "public",
        "sender": "paul",
    }
    assert json.loads(body) == gateway.history(room, "hana")["messages"][0]


def test_an_id_with_other_content_is_refused_and_changes_nothing(
    gateway: GatewayProcess, room: int, hears: Witness
) -> None:
    id = str(uuid4())
    gateway.post(room, "paul", "first", id=id)
    for changed in ({"body": "second"}, {"body": "first", "type": "other"}):
        status, problem = gateway.post(room, "paul", changed.pop("body"), id=id, **changed)
        assert (status, problem["code"]) == (422, "id_reused")
    status, problem = gateway.post(room, "hana", "first", id=id)
    assert (status, problem["code"]) == (422, "id_reused")
    assert gateway.history(room, "hana")["head"] == 1
    assert len(hears.heard()) == 1


def test_the_receipt_of_a_send_means_stored_and_published(
    gateway: GatewayProcess, connect: Connect, room: int, topic: str, hears: Witness
) -> None:
    id = str(uuid4())
    connect("paul").request(
        "SEND",
        {"destination": topic, "id": id, "type": "quiz", "content-type": "application/json"},
        b'{"answer": 42}',
    )
    (stored,) = gateway.history(room, "hana")["messages"]
    assert (stored["id"], stored["type"], stored["body"]) == (id, "quiz", {"answer": 42})
    ((_, properties, _),) = hears.heard()
    assert properties.message_id == id


def test_send_and_post_of_the_same_message_are_one(
    gateway: GatewayProcess, connect: Connect, room: int, topic: str, hears: Witness
) -> None:
    id = str(uuid4())
    gateway.post(room, "paul", "once", id=id)
    paul = connect("paul")
    for _ in range(3):
        paul.request("SEND", {"destination": topic, "id": id}, b"once")
    assert gateway.history(room, "hana")["head"] == 1
    assert len(hears.heard()) == 1


@pytest.mark.parametrize("why", ["removed", "closed"])
def test_a_send_is_answered_again_when_its_sender_may_not_post_any_more(
    gateway: GatewayProcess, room: int, topic: str, hears: Witness, connect: Connect, why: str
) -> None:
    word = {"destination": topic, "id": str(uuid4())}
    paul = connect("paul")
    paul.request("SEND", word, b"hello")
    members = "/members/paul" if why == "removed" else ""
    assert gateway.call("DELETE", f"/api/rooms/{room}{members}", user="hana")[0] == 204
    for _ in range(2):
        paul.request("SEND", word, b"hello")
    assert gateway.post(room, "paul", "hello", id=word["id"])[1]["seq"] == 1
    refused = "access_refused" if why == "removed" else "room_closed"
    for headers, code in ((word, "id_reused"), (word | {"id": str(uuid4())}, refused)):
        client = connect("paul")
        client.send("SEND", headers, b"something else")
        assert client.error()[0].headers["message"] == code
    assert gateway.history(room, "hana")["head"] == 1
    assert len(hears.heard()) == 1


def test_a_send_of_an_id_with_other_content_is_refused(
    gateway: GatewayProcess, connect: Connect, room: int, topic: str
) -> None:
    id = str(uuid4())
    gateway.post(room, "paul", "first", id=id)
    paul = connect("paul")
    paul.send("SEND", {"destination": topic, "id": id, "receipt": "r"}, b"second")
    error, code = paul.error()
    assert (error.headers["message"], error.headers["receipt-id"], code) == ("id_reused", "r", 4003)


def test_an_instant_message_is_heard_and_neither_stored_nor_numbered(
    gateway: GatewayProcess, connect: Connect, room: int, topic: str
) -> None:
    hana = connect("hana")
    hana.subscribe(topic)
    connect("paul").request(
        "SEND", {"destination": topic, "importance": "instant", "type": "clap"}, b"!"
    )
    message = hana.message()
    assert (message.json["type"], message.json["body"]) == ("clap", "!")
    assert message.json.get("seq") is None
    assert "seq" not in message.headers
    assert gateway.history(room, "hana") == {"messages": [], "head": 0, "complete": True}


def test_a_participant_may_ask_the_hosts_by_send(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    hana = connect("hana")
    hana.subscribe(f"/queue/{PREFIX}.private.{room}")
    connect("paul").request("SEND", {"destination": f"/topic/{PREFIX}.private.{room}"}, b"may I?")
    message = hana.message()
    assert (message.json["audience"], message.json["body"]) == ("private", "may I?")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"id": "not-a-uuid"}, b"x"),
        ({"importance": "urgent"}, b"x"),
        ({"transaction": "t"}, b"x"),
        ({"content-type": "application/json"}, b"{"),
        ({"content-type": "application/json"}, b"NaN"),
        ({"content-type": "application/json"}, b"[" * 30_000),
        ({"type": "t" * 101}, b"x"),
        ({}, b"\xff"),
    ],
    ids=["id", "importance", "transaction", "json", "nan", "deep json", "long type", "bytes"],
)
def test_a_send_that_makes_no_message_is_refused_and_nothing_is_stored(
    headers: dict[str, str],
    body: bytes,
    gateway: GatewayProcess,
    connect: Connect,
    room: int,
    topic: str,
    hears: Witness,
) -> None:
    paul = connect("paul")
    paul.send("SEND", {"destination": topic, "receipt": "r", **headers}, body)
    error, code = paul.error()
    assert (error.headers["message"], code) == ("invalid_request", 1002)
    assert error.headers["receipt-id"] == "r"
    assert error.body
    assert gateway.history(room, "hana")["head"] == 0
    assert hears.heard() == []
