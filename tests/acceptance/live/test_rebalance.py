"""Relays are moved off a node on purpose; their clients see a short pause and lose nothing."""

import time
from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import nodes_of, wait_for
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Received, StompClient

#: Seconds that nothing may be heard while messages come all the time: the goal is a tenth of it,
#: on a machine that does nothing else.
_PAUSE = 5.0


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def host(connect: Connect, room: int) -> StompClient:
    """Hana, on the room's private queue."""
    client = connect("hana")
    client.subscribe(f"/queue/{PREFIX}.private.{room}", ack="client-individual")
    return client


@pytest.fixture(autouse=True)
def nothing_drains(gateway: GatewayProcess) -> Iterator[None]:
    yield
    for node in gateway.cluster.nodes:
        order(gateway, "resume", f"r{node.number}")


def order(gateway: GatewayProcess, what: str, node: str) -> None:
    status, answer = gateway.call(
        "POST", f"/api/admin/{what}", {"node": node}, user="ada", roles=("admin",)
    )
    assert status < 300, answer


def node_of(cluster: Cluster, user: str) -> str:
    (node,) = wait_for(lambda: nodes_of(cluster, user), wanted=lambda nodes: len(nodes) == 1)
    return node.partition("@")[0]


def test_the_host_is_moved_off_a_draining_node_in_the_middle_of_everything(
    gateway: GatewayProcess, cluster_of_session: Cluster, room: int, host: StompClient
) -> None:
    gateway.post(room, "paul", "unacknowledged")
    first = host.message()
    left = node_of(cluster_of_session, "hana")
    delays: list[float] = []

    def say() -> list[Received]:
        """One message more, and all that the host hears until it comes."""
        number, began = len(delays), time.monotonic()
        assert gateway.post(room, "paul", number)[0] == 201
        heard = [host.message()]
        while heard[-1].json["body"] != number:
            heard.append(host.message())
        host.send("ACK", {"id": heard[-1].headers["ack"]})
        delays.append(time.monotonic() - began)
        return heard

    for _ in range(20):
        assert len(say()) == 1
    order(gateway, "drain", left)
    heard = wait_for(say, wanted=lambda heard: len(heard) > 1)
    again = {message.json["body"]: message for message in heard[:-1]}
    assert {message.headers["redelivered"] for message in again.values()} == {"true"}
    assert "unacknowledged" in again
    # The old acknowledgement means nothing to the new node, and is answered all the same.
    host.request("ACK", {"id": first.headers["ack"]})
    for message in again.values():
        host.request("ACK", {"id": message.headers["ack"]})
    for _ in range(20):
        assert len(say()) == 1
    assert node_of(cluster_of_session, "hana") != left
    assert max(delays) < _PAUSE
