"""The cluster as the gateway sees it, and pika as an independent witness."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pika
import pytest

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.topology import Topology
from devenv.cluster import Cluster
from tests.acceptance.broker_view import write_down

_LAST = b"last"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a consumer received it."""

    properties: pika.BasicProperties
    body: dict[str, Any]
    redelivered: bool


@pytest.fixture
def nodes(cluster: Cluster) -> list[Node]:
    return [Node(node.name, node.web_stomp_url, node.amqp_url) for node in cluster.nodes]


@pytest.fixture
def credentials(cluster: Cluster) -> Credentials:
    return Credentials(cluster.gateway.name, cluster.gateway.password)


@pytest.fixture
def write_down_queues(cluster: Cluster) -> Callable[[], None]:
    """Lets a queue that was declared just now survive a kill -9 of all nodes."""
    return partial(write_down, cluster)


@pytest.fixture
def take_queue(cluster: Cluster) -> Callable[[int], list[Delivery]]:
    """Takes everything out of a room's private queue."""
    parameters = pika.ConnectionParameters(
        "127.0.0.1",
        cluster.node(3).amqp_port,
        credentials=pika.PlainCredentials(cluster.admin.name, cluster.admin.password),
    )

    def take(room: int) -> list[Delivery]:
        queue = Topology().private_queue(room).name
        deliveries: list[Delivery] = []
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            # A queue keeps its order: when this comes out, all that was in it before has come.
            channel.basic_publish("", queue, _LAST)
            for method, properties, body in channel.consume(queue, inactivity_timeout=30):
                if method is None:
                    raise AssertionError(f"{queue} gives nothing; so far {deliveries}")
                if body == _LAST:
                    return deliveries
                channel.basic_ack(method.delivery_tag)
                deliveries.append(Delivery(properties, json.loads(body), method.redelivered))
        raise AssertionError(f"{queue} was deleted")

    return take
