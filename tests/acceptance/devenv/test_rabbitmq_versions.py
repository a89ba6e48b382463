"""The newest RabbitMQ boots with the configuration that the gateway wants, and heeds it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
from pika.exceptions import ProbableAuthenticationError

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing import provision
from broker.topology import Topology
from devenv import rabbitmq
from devenv.cluster import Cluster

pytestmark = pytest.mark.cluster

NEWEST = "4.3"


@pytest.fixture
def newest(
    server_folder: Path, progress: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """A single node, the first of a cluster: it lists itself to be found by the others."""
    monkeypatch.setenv(rabbitmq.VARIABLE, NEWEST)
    rabbitmq.ensure(progress)
    cluster = Cluster(server_folder / f"cluster-{NEWEST}", 1, progress=progress)
    cluster.destroy()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


def test_the_newest_version_boots_with_our_configuration_and_heeds_it(newest: Cluster) -> None:
    node = newest.node(1)
    overview = node.management("GET", "/api/overview", newest.admin)
    assert overview["rabbitmq_version"].startswith(f"{NEWEST}.")

    timeout = node.control("eval", "application:get_env(rabbit, consumer_disconnected_timeout).")
    assert timeout == "{ok,0}", "a host would hear nothing for a minute after a node's death"

    own = Credentials(newest.gateway.name, newest.gateway.password, "/")
    address = Node(node.name, node.web_stomp_url, node.amqp_url)
    applied = asyncio.run(provision.apply(address, own, Topology(), rooms=[1], timeout=10.0))
    assert [check.problem for check in applied] == [None]
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(f"amqp://guest:guest@{node.amqp_url[7:]}/"))

    newest.delete_queues()
    queues = node.management("GET", "/api/queues", newest.admin)
    assert queues == []
