"""The whole broker is down: messages posted meanwhile are stored, and arrive when it is back."""

import json

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

_BROKER = "confirm_timeout = 0.3"


def _stop(cluster: Cluster) -> None:
    cluster.stop()
    assert cluster.running() == []


def _post_unpublished(gateway: GatewayProcess, room: int, bodies: range) -> None:
    for number in bodies:
        status, receipt = gateway.post(room, "paul", number)
        assert (status, receipt["published"], receipt["seq"]) == (202, False, number)


def _arrived(cluster: Cluster, room: int, count: int) -> list[int]:
    """The numbers in the room's private queue in order of arrival, repetitions left out."""
    numbers: dict[int, None] = {}
    with amqp(cluster) as channel:
        for method, _, body in channel.consume(
            f"{PREFIX}.private.{room}", auto_ack=True, inactivity_timeout=30
        ):
            assert method is not None, f"only {list(numbers)} came"
            numbers[json.loads(body)["seq"]] = None
            if len(numbers) == count:
                return list(numbers)
    raise AssertionError("the consumer was cancelled")


def test_messages_posted_while_the_broker_is_down_arrive_in_order_when_it_is_back(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(broker=_BROKER)
    room = gateway.room("hana", "paul")
    assert gateway.post(room, "paul", 1)[0] == 201
    with connected(gateway, "hana") as hana, connected(gateway, "paul") as idle:
        hana.subscribe(f"/queue/{PREFIX}.private.{room}", ack="client")
        _stop(cluster)
        # The one message, perhaps again from the node that stops last.
        while (frame := hana.receive()).command == "MESSAGE":
            assert frame.json["seq"] == 1
        assert frame.headers["message"] == "broker_unavailable"
        assert int(frame.headers["retry-after"]) >= 1000
        assert hana.closed() == 1012
        _post_unpublished(gateway, room, range(2, 7))
        assert [m["seq"] for m in gateway.history(room, "hana")["messages"]] == [1, 2, 3, 4, 5, 6]
        # Who has no relay keeps the connection.
        idle.request("SEND", {"destination": f"/topic/{PREFIX}.public.{room}"}, b"seven")
        idle.request("DISCONNECT", {})
    status, new = gateway.call("POST", "/api/rooms", {"title": "new"}, user="hana", roles=("host",))
    assert status == 202
    assert gateway.post(new["id"], "hana", "early")[0] == 202
    cluster.start()
    assert _arrived(cluster, room, 7) == [1, 2, 3, 4, 5, 6, 7]
    wait_for(lambda: gateway.post(new["id"], "hana", "later")[0] == 201)
    assert _arrived(cluster, new["id"], 2) == [1, 2]
    wait_for(lambda: gateway.post(room, "paul", 8)[0] == 201)
