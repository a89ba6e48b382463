"""The host's queue: everything said in the room, acknowledged, kept while the host is away."""

from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, max_length, queues, wait_for, waiting
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def name(room: int) -> str:
    return f"{PREFIX}.private.{room}"


def test_a_host_who_comes_later_gets_everything_in_order(
    gateway: GatewayProcess, connect: Connect, room: int, name: str
) -> None:
    said = []
    for number in range(20):
        audience = ("public", "private")[number % 2]
        status, _ = gateway.post(room, "paul", number, audience=audience)
        assert status == 201
        said.append((audience, number // 2 + 1, number))
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    heard = []
    for _ in said:
        message = hana.message()
        heard.append((message.json["audience"], message.json["seq"], message.json["body"]))
        assert message.headers["redelivered"] == "false"
        hana.send("ACK", {"id": message.headers["ack"]})
    assert heard == said


@pytest.mark.parametrize("kind", ["/queue/", "/amq/queue/"])
def test_unacknowledged_messages_come_again_and_acknowledged_ones_do_not(
    kind: str, gateway: GatewayProcess, connect: Connect, room: int, name: str
) -> None:
    for number in range(1, 6):
        gateway.post(room, "paul", number)
    first = connect("hana")
    first.subscribe(kind + name, ack="client-individual")
    messages = [first.message() for _ in range(5)]
    first.request("ACK", {"id": messages[0].headers["ack"]})
    first.request("ACK", {"id": messages[2].headers["ack"]})
    first.socket.shutdown()  # type: ignore[no-untyped-call]
    second = connect("hana")
    second.subscribe(kind + name, ack="client-individual")
    again = [second.message() for _ in range(3)]
    assert [message.json["body"] for message in again] == [2, 4, 5]
    assert {message.headers["redelivered"] for message in again} == {"true"}


@pytest.fixture
def short_queue(cluster_of_session: Cluster, name: str) -> Iterator[None]:
    """A policy may make private queues shorter than the gateway does; they drop the oldest."""
    node, admin = cluster_of_session.node(1), cluster_of_session.admin
    policy = {"pattern": f"^{name}$", "definition": {"max-length": 4}, "apply-to": "queues"}
    node.management("PUT", "/api/policies/%2F/short", admin, policy | {"priority": 99})
    yield
    node.management("DELETE", "/api/policies/%2F/short", admin)


@pytest.mark.usefixtures("short_queue")
@pytest.mark.parametrize("prefetch", ["1", "100"])
def test_what_the_queue_has_dropped_the_host_gets_from_the_history(
    prefetch: str,
    gateway: GatewayProcess,
    connect: Connect,
    room: int,
    name: str,
    cluster_of_session: Cluster,
) -> None:
    """In order, once, acknowledged like the rest, and as if RabbitMQ had delivered it again."""
    wait_for(lambda: max_length(cluster_of_session, name) == 4)
    for number in range(1, 13):
        gateway.post(room, "paul", number)
        if number % 3 == 0:
            gateway.post(room, "paul", f"? {number}", audience="private")
    wait_for(lambda: waiting(cluster_of_session, name) == 4)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", "q", ack="client-individual", prefetch_count=prefetch)
    heard: dict[str, list[int]] = {"public": [], "private": []}
    redelivered = []
    for _ in range(10):
        message = hana.message()
        heard[message.json["audience"]].append(message.json["seq"])
        redelivered.append(message.headers["redelivered"])
        assert message.headers["subscription"] == "q"
        hana.send("ACK", {"id": message.headers["ack"]})
    hana.request("DISCONNECT", {})
    # The rest, and nothing that was acknowledged.
    again = connect("hana")
    again.subscribe(f"/queue/{name}", "q", ack="client-individual")
    for _ in range(6):
        message = again.message()
        heard[message.json["audience"]].append(message.json["seq"])
        again.send("ACK", {"id": message.headers["ack"]})
    assert heard == {"public": list(range(1, 13)), "private": [1, 2, 3, 4]}
    assert redelivered.count("true") >= 8
    gateway.post(room, "paul", "later")
    assert again.message().json["body"] == "later"


def test_ack_client_is_cumulative(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    for number in range(1, 6):
        gateway.post(room, "paul", number)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client")
    messages = [hana.message() for _ in range(5)]
    hana.request("ACK", {"id": messages[3].headers["ack"]})
    hana.request("DISCONNECT", {})
    wait_for(lambda: waiting(cluster_of_session, name) == 1)
    again = connect("hana")
    again.subscribe(f"/queue/{name}", ack="client")
    assert again.message().json["body"] == 5


def test_a_refused_message_comes_again(
    gateway: GatewayProcess, connect: Connect, room: int, name: str
) -> None:
    gateway.post(room, "paul", "later, please")
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    hana.send("NACK", {"id": hana.message().headers["ack"]})
    message = hana.message()
    assert (message.json["body"], message.headers["redelivered"]) == ("later, please", "true")


def test_a_prefetch_count_bounds_what_comes_unacknowledged(
    gateway: GatewayProcess, connect: Connect, room: int, name: str
) -> None:
    topic = f"/topic/{PREFIX}.public.{room}"
    hana = connect("hana")
    for number in range(3):
        gateway.post(room, "paul", number)
    hana.subscribe(f"/queue/{name}", "queue", ack="client-individual", prefetch_count="1")
    first = hana.message()
    hana.subscribe(topic, "topic")
    gateway.post(room, "paul", "on the topic")
    second = hana.message()
    assert (first.json["body"], second.json["body"]) == (0, "on the topic")
    hana.send("ACK", {"id": first.headers["ack"]})
    assert hana.message().json["body"] == 1


def test_of_two_hosts_one_reads_and_the_other_takes_over(
    gateway: GatewayProcess, connect: Connect, room: int, name: str
) -> None:
    gateway.call("PUT", f"/api/rooms/{room}/members/hugo", {"role": "host"}, user="hana")
    hana, hugo = connect("hana"), connect("hugo")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    hugo.subscribe(f"/queue/{name}", ack="client-individual")
    gateway.post(room, "paul", "one")
    assert hana.message().json["body"] == "one"
    hana.socket.shutdown()  # type: ignore[no-untyped-call]
    message = hugo.message()
    assert (message.json["body"], message.headers["redelivered"]) == ("one", "true")


def test_a_queue_deleted_behind_our_back_is_declared_again_for_a_host(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
    assert name not in queues(cluster_of_session)
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}")
    gateway.post(room, "paul", "still here")
    assert hana.message().json["body"] == "still here"


def test_a_queue_deleted_under_its_consumer_sends_it_to_connect_again(
    connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    hana: StompClient = connect("hana")
    hana.subscribe(f"/queue/{name}")
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
    _, code = hana.error()
    assert code == 1012


def test_a_closed_room_has_no_queue(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
    assert name not in queues(cluster_of_session)
    hana = connect("hana")
    hana.send("SUBSCRIBE", {"destination": f"/queue/{name}", "id": "s"})
    error, code = hana.error()
    assert (error.headers["message"], code) == ("room_closed", 4003)
    assert name not in queues(cluster_of_session)


def test_a_room_that_opens_again_has_its_queue_with_what_was_not_acknowledged(
    gateway: GatewayProcess, connect: Connect, room: int, name: str, cluster_of_session: Cluster
) -> None:
    gateway.post(room, "paul", "before")
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
    assert name not in queues(cluster_of_session)
    status, opened = gateway.call("POST", f"/api/rooms/{room}/open", user="hana")
    assert (status, opened["closed_at"]) == (200, None)
    assert name in queues(cluster_of_session)
    assert gateway.post(room, "paul", "after")[0] == 201
    hana = connect("hana")
    hana.subscribe(f"/queue/{name}", ack="client-individual")
    heard = [hana.message() for _ in range(2)]
    assert [(each.json["body"], each.headers["redelivered"]) for each in heard] == [
        ("before", "true"),
        ("after", "false"),
    ]
