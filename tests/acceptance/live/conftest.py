"""A client to whom every destination is open, and a queue of its own."""

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp
from tests.acceptance.conftest import Connect
from tests.acceptance.stomp_client import StompClient

#: For the options of the gateway that a `robot` connects to.
EVERYTHING_IS_OPEN = """
[[access]]
roles = ["service"]
subscribe = ["**"]
send = ["**"]
"""


@pytest.fixture
def robot(connect: Connect) -> StompClient:
    """Somebody to whom everything is open."""
    return connect("robot", "service")


@pytest.fixture
def queue(cluster_of_session: Cluster, request: pytest.FixtureRequest) -> str:
    """An empty queue of the test's own."""
    name = f"robot.{abs(hash(request.node.nodeid))}"
    with amqp(cluster_of_session) as channel:
        channel.queue_declare(name, durable=True)
        channel.queue_purge(name)
    return name
