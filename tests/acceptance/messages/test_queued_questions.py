"""With ``private_queue = "questions"`` a room's queue gets what is said to its hosts alone."""

from __future__ import annotations

from collections.abc import Sequence

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, wait_for, waiting
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

_QUESTIONS = 'private_queue = "questions"'


def taken(gateway: GatewayProcess, queue: str, count: int) -> list[object]:
    """What a host gets from the queue next, and acknowledges."""
    with connected(gateway, "hana") as hana:
        hana.subscribe(queue, ack="client-individual")
        messages = [hana.message() for _ in range(count)]
        for each in messages:
            hana.request("ACK", {"id": each.headers["ack"]})
        return [each.json["body"] for each in messages]


def said(gateway: GatewayProcess, room: int, *bodies: str) -> None:
    """Questions begin with a question mark; everything else is said to everyone."""
    for body in bodies:
        audience = "private" if body.startswith("?") else "public"
        assert gateway.post(room, "paul", body, audience=audience)[0] == 201


def heard(gateway: GatewayProcess, room: int, count: int) -> Sequence[object]:
    """What everyone gets, from the beginning."""
    with connected(gateway, "paul") as paul:
        paul.subscribe(f"/topic/{PREFIX}.public.{room}", **{"resume-after": "0"})
        return [paul.message().json["body"] for _ in range(count)]


def test_the_queues_of_open_rooms_are_bound_as_the_configuration_says(
    cluster: Cluster, start_gateway: StartGateway
) -> None:
    gateway = start_gateway()
    room = gateway.room("hana", "paul")
    name = f"{PREFIX}.private.{room}"
    queue = f"/queue/{name}"
    said(gateway, room, "a", "?1")
    assert taken(gateway, queue, 1) == ["a"]

    gateway.stop()
    gateway.use_broker(_QUESTIONS)
    gateway.start()
    gateway.await_ready()
    # Nobody follows the topic: that no queue takes it is no reason to wait.
    said(gateway, room, "b", "?2", "c", "?3")
    assert waiting(cluster, name) == 3
    assert taken(gateway, queue, 3) == ["?1", "?2", "?3"]
    assert heard(gateway, room, 3) == ["a", "b", "c"]
    said(gateway, room, "d", "?4")
    with amqp(cluster) as channel:
        channel.queue_delete(name)
    # The queue that takes its place has what belongs into it, and no more.
    wait_for(lambda: gateway.post(room, "paul", "?5", audience="private")[0] == 201)
    assert taken(gateway, queue, 2) == ["?4", "?5"]

    gateway.stop()
    gateway.use_broker("")
    gateway.start()
    gateway.await_ready()
    said(gateway, room, "e")
    assert waiting(cluster, name) == 1
    # What the queue did not get meanwhile comes from the history first.
    assert taken(gateway, queue, 4) == ["b", "c", "d", "e"]
