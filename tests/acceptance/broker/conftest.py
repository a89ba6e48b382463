"""The cluster as the broker package sees it, and pika as an independent witness."""

from collections.abc import Callable, Iterator
from itertools import count

import pika
import pytest

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from devenv.cluster import Cluster


@pytest.fixture
def nodes(cluster: Cluster) -> list[Node]:
    return [Node(node.name, node.web_stomp_url, node.amqp_url) for node in cluster.nodes]


@pytest.fixture
def credentials(cluster: Cluster) -> Credentials:
    return Credentials(cluster.gateway.name, cluster.gateway.password)


@pytest.fixture(scope="session")
def _rooms() -> Iterator[int]:
    return count(1000, 10)


@pytest.fixture
def room(_rooms: Iterator[int]) -> int:
    """A room of this test's own; the next number is free too.

    RabbitMQ 3.10 can lose members of a quorum queue whose name was deleted while one of its nodes
    was down and is used again. Numbers of rooms are never used again either.
    """
    return next(_rooms)


@pytest.fixture
def drain(cluster: Cluster) -> Callable[[str], list[tuple[pika.BasicProperties, bytes]]]:
    """Takes everything out of a queue, through node 3."""
    admin = cluster.admin

    def take(queue: str) -> list[tuple[pika.BasicProperties, bytes]]:
        parameters = pika.ConnectionParameters(
            "127.0.0.1",
            cluster.node(3).amqp_port,
            credentials=pika.PlainCredentials(admin.name, admin.password),
        )
        taken: list[tuple[pika.BasicProperties, bytes]] = []
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            waiting = channel.queue_declare(queue, passive=True).method.message_count
            # A queue with a single active consumer refuses basic.get.
            while len(taken) < waiting:
                _, properties, body = next(channel.consume(queue, auto_ack=True))
                taken.append((properties, body))
        return taken

    return take
