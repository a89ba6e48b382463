"""Several nodes: the load is spread, and a node that fails is left at once."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from devenv.cluster import Cluster
from tests.acceptance.broker_view import nodes_of, wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

_RELAYS = 'fanout = "passthrough"'
#: One more than nodes: even beside the gateway's two feeds, every node gets one of them.
_USERS = ["hana", "paul", "pia", "pete"]
_ANY_RATE = "[limits]\nposts_per_second = 10000.0\nposts_burst = 10000\n"
_QUICK = "probe_interval = 0.5\ndial_timeout = 1.0"
_RULE = """
[[access]]
roles = ["service"]
subscribe = ["**"]
send = ["**"]
"""


def _subscribed(gateway: GatewayProcess, user: str, room: int) -> StompClient:
    client = connected(gateway, user)
    client.subscribe(f"/topic/{PREFIX}.public.{room}")
    return client


def _node_of(cluster: Cluster, user: str) -> str:
    """The node of the user's one relay."""
    (node,) = wait_for(lambda: nodes_of(cluster, user))
    return node


def test_members_on_different_nodes_hear_each_other(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(extra=_RELAYS)
    users = _USERS
    room = gateway.room(*users)
    with ExitStack() as stack:
        clients = [stack.enter_context(_subscribed(gateway, user, room)) for user in users]
        assert {_node_of(cluster, user) for user in users} == {"r1", "r2", "r3"}
        for user in users:
            gateway.post(room, user, f"by {user}")
        for client in clients:
            heard = [client.message().json["body"] for _ in users]
            assert heard == [f"by {user}" for user in users]


def test_relays_are_spread_evenly_and_places_given_back(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(extra=_RELAYS)
    room = gateway.room("hana")
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(_subscribed(gateway, "hana", room))
        nodes = wait_for(lambda: nodes_of(cluster, "hana"), wanted=lambda found: len(found) == 10)
        assert sorted(Counter(nodes).values()) == [3, 3, 4]
    assert wait_for(lambda: nodes_of(cluster, "hana"), wanted=lambda found: not found) == []


def test_a_killed_node_sends_its_clients_to_another_at_once(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(extra=_RELAYS)
    users = _USERS
    room = gateway.room(*users)
    with ExitStack() as stack:
        clients = {u: stack.enter_context(_subscribed(gateway, u, room)) for u in users}
        nodes = {_node_of(cluster, user): user for user in users}
        cluster.kill_node(1)
        lost = nodes.pop("r1")
        began = time.monotonic()
        error, code = clients[lost].error()
        assert (error.headers["message"], code) == ("broker_unavailable", 1012)
        assert int(error.headers["retry-after"]) >= 1000
        again = stack.enter_context(_subscribed(gateway, lost, room))
        assert time.monotonic() - began < 5
        status, _ = gateway.post(room, "hana", "still talking")
        assert status in (201, 202)
        for client in (again, *(clients[user] for user in nodes.values())):
            assert client.message().json["body"] == "still talking"


def test_a_paused_node_is_noticed_and_left(start_gateway: StartGateway, cluster: Cluster) -> None:
    gateway = start_gateway(extra=_RELAYS, broker=_QUICK, tail=_RULE)
    with ExitStack() as stack:
        stack.enter_context(_paused(cluster, "r3"))
        wait_for(lambda: gateway.avoids("r3"))
        began = time.monotonic()
        for _ in range(4):
            robot = stack.enter_context(connected(gateway, "robot", "service"))
            # Not a SUBSCRIBE: RabbitMQ declares no queue while a node hangs.
            robot.request("SEND", {"destination": "/topic/nobody"})
        assert time.monotonic() - began < 2


@contextmanager
def _paused(cluster: Cluster, node: str) -> Iterator[None]:
    """Killed afterwards: one that wakes up just when the others give it up stays partitioned."""
    number = int(node.removeprefix("r"))
    cluster.pause_node(number)
    try:
        yield
    finally:
        cluster.kill_node(number)


def test_a_client_of_a_paused_node_is_told_to_come_back(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(extra=_RELAYS)
    users = _USERS
    room = gateway.room(*users)
    with ExitStack() as stack:
        clients = {u: stack.enter_context(_subscribed(gateway, u, room)) for u in users}
        nodes = {_node_of(cluster, user): user for user in users}
        with _paused(cluster, "r2"):
            assert clients[nodes["r2"]].error()[1] == 1012


def test_the_list_of_nodes_changes_and_no_socket_closes(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(broker=_QUICK, tail=_ANY_RATE)
    gateway.use_nodes(1, 2)
    wait_for(lambda: _nodes_of_gateway(cluster), wanted=lambda nodes: nodes == {"r1", "r2"})
    room = gateway.room(*_USERS)
    with _subscribed(gateway, "paul", room) as paul:
        posted = 0
        for listed in ((2, 3), (3, 1), (1, 2, 3)):
            gateway.use_nodes(*listed)
            wanted = {f"r{number}" for number in listed}
            while True:
                posted += 1
                assert gateway.post(room, "hana", posted)[0] == 201
                if _nodes_of_gateway(cluster) == wanted:
                    break
        for number in range(1, posted + 1):
            assert paul.message().json["body"] == number
        paul.request("DISCONNECT", {})


def _nodes_of_gateway(cluster: Cluster) -> set[str]:
    return set(nodes_of(cluster, cluster.gateway.name))


def test_full_nodes_take_no_more(start_gateway: StartGateway) -> None:
    gateway = start_gateway(extra=_RELAYS, node="max_connections = 2")
    room = gateway.room("hana")
    topic = f"/topic/{PREFIX}.public.{room}"
    with ExitStack() as stack:
        places = []
        # Six places, of which feeds may hold two.
        for _ in range(7):
            hana = stack.enter_context(connected(gateway, "hana"))
            hana.send("SUBSCRIBE", {"destination": topic, "id": "s", "receipt": "r"})
            answer = hana.receive()
            if answer.command == "ERROR":
                break
            places.append(hana)
        assert 4 <= len(places) <= 6
        assert answer.headers["message"] == "no_capacity"
        assert int(answer.headers["retry-after"]) >= 1000
        assert hana.closed() == 1013
        places[0].request("DISCONNECT", {})
        stack.enter_context(_subscribed(gateway, "hana", room))
