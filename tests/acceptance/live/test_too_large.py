"""A foreign producer's message that is too large for hosts is kept in RabbitMQ, out of the way."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pika
import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import EXCHANGE, amqp, wait_for, waiting
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

_LARGE = 17 * 1024 * 1024
_PARKED = f"{PREFIX}.parked"
#: As an application may set them.
_PROPERTIES: dict[str, Any] = {
    "content_type": "application/x-film",
    "correlation_id": "c-1",
    "delivery_mode": 2,
    "headers": {"scene": "12", "take": 3},
    "message_id": "film-1",
    "timestamp": 1_700_000_000,
    "type": "film",
}


@pytest.fixture(autouse=True, scope="module")
def large(cluster_of_session: Cluster) -> Iterator[None]:
    """RabbitMQ 4 takes 16 MiB at most by default, and keeps that in a second place."""

    def take(size: str) -> str:
        given = "application:get_env(rabbit, max_message_size, 134217728)"
        kept = "persistent_term:get(max_message_size, none)"
        change = (
            f"Before = {given}, application:set_env(rabbit, max_message_size, {size}), case {kept}"
            f" of none -> ok; _ -> persistent_term:put(max_message_size, {size}) end, Before."
        )
        (before,) = {node.control("eval", change) for node in cluster_of_session.nodes}
        return before

    before = take("134217728")
    assert before.isdigit()
    yield
    take(before)


@pytest.fixture(autouse=True)
def parked(cluster_of_session: Cluster) -> Iterator[None]:
    """Nothing is parked before a test."""
    yield
    with amqp(cluster_of_session) as channel:
        channel.queue_purge(_PARKED)


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def name(room: int) -> str:
    return f"{PREFIX}.private.{room}"


def _publish(cluster: Cluster, key: str, body: bytes) -> None:
    with amqp(cluster) as channel:
        channel.confirm_delivery()
        properties = pika.BasicProperties(**_PROPERTIES)
        channel.basic_publish(EXCHANGE, key, body, properties, mandatory=True)


def _in_parked(cluster: Cluster) -> list[tuple[pika.BasicProperties, bytes]]:
    """What is parked; it stays there."""
    found: list[tuple[pika.BasicProperties, bytes]] = []
    with amqp(cluster) as channel:
        while True:
            method, properties, body = channel.basic_get(_PARKED)
            if method is None:
                return found
            found.append((properties, body))


def _exchanges(cluster: Cluster) -> set[str]:
    listed = cluster.nodes[0].control("-q", "list_exchanges", "name", "--no-table-headers")
    return {line.strip() for line in listed.splitlines()}


@pytest.mark.parametrize("ack", ["client-individual", "client"])
def test_it_is_parked_once_with_its_properties_and_nobody_else_notices(
    ack: str,
    gateway: GatewayProcess,
    connect: Connect,
    room: int,
    name: str,
    cluster_of_session: Cluster,
) -> None:
    paul = connect("paul")
    paul.subscribe(f"/topic/{PREFIX}.public.{room}", "t")
    body = b"reel " * (_LARGE // 5)
    # At the head of the queue; topics leave it out, because there is nothing to be kept for them.
    _publish(cluster_of_session, f"{PREFIX}.public.{room}", body)
    gateway.post(room, "paul", "first")
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack=ack)
    instead, behind = hana.message(), hana.message()
    told: dict[str, Any] = instead.json
    assert (told["type"], int(instead.headers["too-large"])) == ("too_large", told["bytes"])
    assert told["bytes"] > len(body)
    assert (behind.json["body"], paul.message().json["body"]) == ("first", "first")
    # It needs no word of the client.
    wait_for(lambda: waiting(cluster_of_session, _PARKED) == 1)
    ((properties, kept),) = _in_parked(cluster_of_session)
    assert kept == body
    for field, value in _PROPERTIES.items():
        if field != "headers":
            assert getattr(properties, field) == value
    headers = dict(properties.headers or {})
    assert _PROPERTIES["headers"].items() <= headers.items()
    (death,) = headers["x-death"]
    assert (death["queue"], death["reason"], death["exchange"]) == (name, "rejected", EXCHANGE)
    assert death["routing-keys"] == [f"{PREFIX}.public.{room}"]
    # An acknowledgement of what came in its place is fine, and reaches nobody.
    hana.request("ACK", {"id": instead.headers["ack"]})
    hana.request("ACK", {"id": behind.headers["ack"]})
    hana.socket.shutdown()  # type: ignore[no-untyped-call]
    gateway.post(room, "paul", "second")
    again = connect("hana")
    again.subscribe(f"/queue/{name}", ack=ack)
    assert again.message().json["body"] == "second"
    assert waiting(cluster_of_session, _PARKED) == 1
    wait_for(lambda: "gateway_private_queues_parked 1.0" in gateway.metrics())
    _, report = _ready(gateway)
    assert f"the queue {_PARKED} holds 1 messages" in report["problems"]["private queues"]
    assert f"private queue of room {room}" in report["problems"]["private queues"]
    gateway.await_logged(f"it is to be kept in the queue {_PARKED}, see `gateway parked list`")
    assert "feed_lost" not in gateway.metrics()


def test_an_operator_looks_at_it_puts_it_back_and_drops_it(
    gateway: GatewayProcess,
    connect: Connect,
    room: int,
    name: str,
    cluster_of_session: Cluster,
    tmp_path: Path,
) -> None:
    assert gateway.command("parked", "list") == (0, f"0 parked messages in {_PARKED}\n")
    _publish(cluster_of_session, name, b"x" * _LARGE)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    assert hana.message().json["type"] == "too_large"
    wait_for(lambda: waiting(cluster_of_session, _PARKED) == 1)
    code, told = gateway.command("parked", "list")
    assert code == 0
    id = told.split()[0]
    assert f"{_LARGE} bytes from the queue {name} (rejected), published to {EXCHANGE}" in told
    assert "          message_id: film-1\n" in told
    assert "x-death" not in told
    _, told = gateway.command("doctor")
    assert f"WRONG  messages that were too large for hosts (the queue {_PARKED}): 1 are p" in told
    assert f"{_LARGE} bytes from {name}\n" in told
    file = tmp_path / "film"
    assert gateway.command("parked", "save", id, str(file))[0] == 0
    assert file.read_bytes() == b"x" * _LARGE
    code, told = gateway.command("parked", "drop", "12345678")
    assert (code, "no parked message has the id 12345678" in told) == (1, True)
    assert gateway.command("parked", "drop")[0] == 2
    # As long as the limit is what it is, it only comes back.
    code, told = gateway.command("parked", "put-back", id)
    assert (code, told.startswith(f"put back into {name}: {id}\n")) == (0, True)
    assert hana.message().json["type"] == "too_large"
    wait_for(lambda: waiting(cluster_of_session, _PARKED) == 1)
    ((properties, _),) = _in_parked(cluster_of_session)
    assert len(dict(properties.headers or {})["x-death"]) == 1
    code, told = gateway.command("parked", "drop", "--all")
    assert (code, told.startswith("dropped: ")) == (0, True)
    _, orders = gateway.call("GET", "/api/admin/events?kind=action", user="o", roles=("observer",))
    codes = [each["code"] for each in orders["events"]]
    assert codes[:2] == ["parked_dropped", "parked_put_back"]
    assert waiting(cluster_of_session, _PARKED) == 0


def test_what_cannot_be_put_back_stays_parked(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    _publish(cluster_of_session, name, b"x" * _LARGE)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    assert hana.message().json["type"] == "too_large"
    wait_for(lambda: waiting(cluster_of_session, _PARKED) == 1)
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] in (202, 204)
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
    code, told = gateway.command("parked", "put-back", "--all")
    assert (code, f"stays parked: there is no queue '{name}' any more" in told) == (1, True)
    assert waiting(cluster_of_session, _PARKED) == 1


def test_a_queue_that_refuses_it_gets_nothing_and_nothing_is_left_behind(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    _publish(cluster_of_session, name, b"x" * _LARGE)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    assert hana.message().json["type"] == "too_large"
    wait_for(lambda: waiting(cluster_of_session, _PARKED) == 1)
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] in (202, 204)
    full = {"x-max-length-bytes": 1, "x-overflow": "reject-publish"}
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
        channel.queue_declare(name, durable=True, arguments=full)
    before = _exchanges(cluster_of_session)
    code, told = gateway.command("parked", "put-back", "--all")
    assert (code, f"stays parked: the queue '{name}' does not take it" in told) == (1, True)
    assert waiting(cluster_of_session, _PARKED) == 1
    assert _exchanges(cluster_of_session) == before
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)


def test_neither_what_a_full_queue_drops_nor_what_a_host_discards_is_parked(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    with amqp(cluster_of_session) as channel:
        channel.confirm_delivery()
        for number in range(10_010):
            channel.basic_publish(EXCHANGE, name, b"%d" % number)
    wait_for(lambda: waiting(cluster_of_session, name) == 10_000)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual", prefetch_count="2")
    first, second = hana.message(), hana.message()
    assert (first.body, second.body) == (b"10", b"11")
    hana.request("NACK", {"id": first.headers["ack"], "requeue": "false"})
    hana.request("ACK", {"id": second.headers["ack"]})
    hana.request("DISCONNECT", {})
    wait_for(lambda: waiting(cluster_of_session, name) == 9_998)
    assert waiting(cluster_of_session, _PARKED) == 0


def _ready(gateway: GatewayProcess) -> tuple[int, dict[str, Any]]:
    """Status and report of `/readyz` on the internal listener."""
    with closing(HTTPConnection("127.0.0.1", gateway.internal_port, timeout=10)) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
