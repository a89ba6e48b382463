"""A relay whose node is lost goes on at another one; its client sees a pause."""

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import nodes_of, nodes_of_feeds, wait_for
from tests.acceptance.conftest import Connect, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Received, StompClient


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def host(connect: Connect, room: int) -> StompClient:
    """Hana, on the room's private queue."""
    client = connect("hana")
    client.subscribe(f"/queue/{PREFIX}.private.{room}", ack="client-individual")
    return client


def node_of(cluster: Cluster, user: str) -> int:
    (node,) = wait_for(lambda: nodes_of(cluster, user), wanted=lambda nodes: len(nodes) == 1)
    return int(node.removeprefix("r").partition("@")[0])


def _is_confirmed(status: int) -> bool:
    assert status in (201, 202)
    return status == 201


def heard(client: StompClient, body: object) -> Received:
    """The message with this body; whatever comes before it is passed over."""
    while (message := client.message()).json["body"] != body:
        pass
    return message


@pytest.mark.parametrize("loss", ["kill", "stop", "hang"])
def test_the_host_goes_on_when_the_node_is_lost(
    loss: str, gateway: GatewayProcess, cluster: Cluster, room: int, host: StompClient
) -> None:
    gateway.post(room, "paul", "before")
    before = heard(host, "before")
    lost = node_of(cluster, "hana")
    match loss:
        case "kill":
            cluster.kill_node(lost)
        case "stop":
            cluster.stop_node(lost)
        case "hang":
            cluster.pause_node(lost)
    # The client does not wait for longer than 15 s: RabbitMQ 4.3 would make it a minute by default.
    status, _ = gateway.post(room, "paul", "after")
    assert status in (201, 202)
    again = heard(host, "before")
    assert again.headers["redelivered"] == "true"
    assert again.headers["ack"] != before.headers["ack"]
    after = heard(host, "after")
    # The old acknowledgement means nothing to the new node, and is answered all the same.
    host.request("ACK", {"id": before.headers["ack"]})
    host.request("ACK", {"id": again.headers["ack"]})
    host.request("ACK", {"id": after.headers["ack"]})
    # Killed, it rejoins; woken up, it might stay apart from the others.
    cluster.kill_node(lost)
    assert node_of(cluster, "hana") != lost


@pytest.mark.parametrize("loss", ["kill", "hang"])
def test_messages_are_confirmed_while_a_node_that_a_feed_was_on_stays_away(
    loss: str, gateway: GatewayProcess, cluster: Cluster, room: int, host: StompClient
) -> None:
    with connected(gateway, "paul") as paul:
        topic = f"/topic/{PREFIX}.public.{room}"
        paul.subscribe(topic)
        assert gateway.post(room, "hana", "before")[0] == 201
        heard(host, "before")
        lost = next(each for each in nodes_of_feeds(cluster) if each != node_of(cluster, "hana"))
        (cluster.kill_node if loss == "kill" else cluster.pause_node)(lost)
        try:
            # RabbitMQ 4.3 keeps the feed's queue, and whatever is routed to that gets a nack.
            wait_for(lambda: gateway.post(room, "hana", "meanwhile")[0], wanted=_is_confirmed)
            assert gateway.post(room, "hana", "after")[0] == 201
            heard(host, "after")
            heard(paul, "after")
        finally:
            cluster.kill_node(lost)


def test_frames_that_cannot_be_moved_are_reported(
    gateway: GatewayProcess, cluster: Cluster, room: int, connect: Connect
) -> None:
    client = connect("hana")
    client.subscribe(f"/topic/{PREFIX}.public.{room}", ack="client")
    cluster.kill_node(node_of(cluster, "hana"))
    error = client.receive()
    assert error.command == "ERROR"
    assert error.headers["message"] == "broker_unavailable"
    assert int(error.headers["retry-after"]) > 0
    assert client.closed() == 1012


def test_nobody_is_kept_waiting_for_a_cluster_that_is_gone(
    gateway: GatewayProcess, cluster: Cluster, host: StompClient
) -> None:
    for node in (1, 2, 3):
        cluster.stop_node(node)
    assert host.receive().headers["message"] == "broker_unavailable"
    assert host.closed() == 1012
