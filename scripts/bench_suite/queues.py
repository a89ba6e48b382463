"""Private queues for measurements: a gateway makes its own, for peers we make the same."""

from dataclasses import replace
from urllib.parse import quote

from bench_suite.gateways import TOPOLOGY, user
from bench_suite.run import Run
from bench_suite.subscriber import Client
from broker.topology import EXCHANGE, Audience, Stream
from devenv.errors import SetupError


def private_queues(run: Run, count: int) -> list[tuple[Stream, Client]]:
    """So many queues: what is published to the stream reaches the client, who acknowledges it."""
    clients = run.door.clients(count)
    if run.gateway is None:
        rooms = list(range(1, count + 1))
        for room in rooms:
            _declare(run, room)
    else:
        # Each room has a host of its own, who is the client of that index.
        rooms = [run.gateway.room([], host=user(index)) for index in range(count)]
    return [
        (Stream(Audience.PRIVATE, room), _consumer(client, room))
        for room, client in zip(rooms, clients, strict=True)
    ]


def _consumer(client: Client, room: int) -> Client:
    name = TOPOLOGY.private_queue(room).name
    return replace(
        client, subscribe=f"/amq/queue/{name}", destination=f"/topic/{name}", acknowledge=True
    )


def _declare(run: Run, room: int) -> None:
    """https://www.rabbitmq.com/docs/management#http-api"""
    cluster = run.lab.cluster
    queue = TOPOLOGY.private_queue(room)
    name = quote(queue.name, safe="")
    node = cluster.nodes[room % cluster.size]
    made = node.management(
        "PUT",
        f"/api/queues/%2F/{name}",
        cluster.admin,
        {"durable": True, "arguments": queue.arguments},
    )
    bound = node.management(
        "POST",
        f"/api/bindings/%2F/e/{EXCHANGE}/q/{name}",
        cluster.admin,
        {"routing_key": queue.binding_key},
    )
    if made is None or bound is None:
        raise SetupError(f"RabbitMQ did not declare {queue.name}")
