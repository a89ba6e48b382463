"""The private RabbitMQ cluster itself: its accounts, and that its nodes can be broken and
repaired."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pika
import psutil
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import websocket_connect

from devenv.broker_users import User
from devenv.cluster import Cluster
from tests.acceptance.broker_view import wait_for

pytestmark = pytest.mark.cluster

QUORUM = {"x-queue-type": "quorum"}
KEPT = "acdm.mo.interact.private.1"


async def _connect(cluster: Cluster, number: int, *, login: str = "", passcode: str = "") -> str:
    """RabbitMQ's answer to a STOMP CONNECT over WebSocket."""
    socket = await websocket_connect(cluster.node(number).web_stomp_url, subprotocols=["v12.stomp"])
    who = f"login:{login}\npasscode:{passcode}\n" if login else ""
    frame = f"CONNECT\naccept-version:1.2\nhost:/\nheart-beat:0,0\n{who}\n\0"
    await socket.write_message(frame.encode(), binary=True)
    answer = await socket.read_message()
    socket.close()
    assert isinstance(answer, bytes), "frames of RabbitMQ must be binary"
    return answer.decode()


@contextmanager
def _channel(cluster: Cluster, number: int, user: User) -> Iterator[BlockingChannel]:
    parameters = pika.ConnectionParameters(
        "127.0.0.1",
        cluster.node(number).amqp_port,
        credentials=pika.PlainCredentials(user.name, user.password),
    )
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        yield channel
    finally:
        connection.close()


@pytest.mark.gen_test
async def test_only_known_users_get_in_on_every_node(cluster: Cluster) -> None:
    for number in (1, 2, 3):
        assert "Missing login" in await _connect(cluster, number)
        assert "refused" in await _connect(cluster, number, login="guest", passcode="guest")
        assert "refused" in await _connect(cluster, number, login="gateway", passcode="wrong")
        own = cluster.gateway
        answer = await _connect(cluster, number, login=own.name, passcode=own.password)
        assert answer.startswith("CONNECTED\n")

    users = cluster.node(1).management("GET", "/api/users", cluster.admin)
    assert {user["name"] for user in users} == {"admin", "gateway"}


class _Backend(RequestHandler):
    """The gateway's part in RabbitMQ's question who may."""

    def initialize(self, asked: list[str]) -> None:
        self.asked = asked

    def post(self, kind: str) -> None:
        self.asked.append(kind)
        known = self.get_body_argument("username") == "mina"
        self.write("allow" if known else "deny")


@pytest.mark.gen_test
async def test_users_of_the_gateway_are_asked_for_at_its_address(cluster: Cluster) -> None:
    assert "refused" in await _connect(cluster, 1, login="mina", passcode="nobody listens")

    asked: list[str] = []
    server = HTTPServer(Application([(r"/broker/auth/(\w+)", _Backend, {"asked": asked})]))
    server.listen(cluster.gateway_port(0), "127.0.0.1")
    try:
        answer = await _connect(cluster, 1, login="mina", passcode="a passcode of its own")
        assert answer.startswith("CONNECTED\n")
        assert set(asked) == {"user", "vhost"}
        assert "refused" in await _connect(cluster, 1, login="eve", passcode="x")

        asked.clear()
        own = cluster.gateway
        await _connect(cluster, 1, login=own.name, passcode=own.password)
        assert asked == [], "the gateway's own account must not depend on the gateway"
    finally:
        server.stop()
        await server.close_all_connections()


def test_the_gateways_account_reaches_its_own_queues_only(cluster: Cluster) -> None:
    with _channel(cluster, 2, cluster.gateway) as channel:
        channel.queue_declare(KEPT, durable=True, arguments=QUORUM)
        channel.queue_bind(KEPT, "amq.topic", "acdm.mo.interact.*.1")
        channel.basic_publish("amq.topic", "acdm.mo.interact.public.1", b"hello")
        assert channel.basic_get(KEPT)[2] == b"hello"

    with (
        _channel(cluster, 2, cluster.gateway) as channel,
        pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"),
    ):
        channel.queue_declare("payroll")


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    listening = {
        connection.laddr.ip
        for node in cluster.nodes
        for process in node.daemon.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_a_killed_node_comes_back_with_the_messages_of_meanwhile(cluster: Cluster) -> None:
    with _channel(cluster, 2, cluster.admin) as channel:
        channel.queue_declare(KEPT, durable=True, arguments=QUORUM)
        cluster.kill_node(1)
        assert cluster.running() == [2, 3]
        assert not cluster.ready()
        channel.basic_publish("", KEPT, b"meanwhile")

    cluster.start_node(1)

    assert cluster.ready()
    with _channel(cluster, 1, cluster.admin) as channel:
        assert channel.basic_get(KEPT, auto_ack=True)[2] == b"meanwhile"


def test_a_paused_node_keeps_its_sockets_and_answers_nothing_until_resumed(
    cluster: Cluster,
) -> None:
    node = cluster.node(3)
    cluster.pause_node(3)

    with socket.create_connection(("127.0.0.1", node.web_stomp_port), timeout=1):
        assert node.members(cluster.admin) == {}
    assert node.daemon.paused()
    assert cluster.running() == [1, 2, 3]

    cluster.resume_node(3)
    cluster.wait_ready()
    assert all(node.members(cluster.admin).values())


def test_a_second_cluster_object_finds_and_handles_the_same_processes(cluster: Cluster) -> None:
    other = Cluster(cluster.root, cluster.size)
    assert other.running() == [1, 2, 3]
    assert other.ready()

    other.stop_node(2)

    # Its parent may have to wait a moment until the system lets it go.
    wait_for(lambda: cluster.running() == [1, 3])
    other.start()
    assert cluster.ready()


def test_each_test_starts_with_all_nodes_and_no_queue(cluster: Cluster) -> None:
    assert cluster.ready()
    assert cluster.node(1).management("GET", "/api/queues", cluster.admin) == []
