"""An application's consumer of a durable queue goes on at another node when its own is lost."""

import secrets
from functools import partial

import pika
import pika.exceptions
import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, nodes_of, wait_for
from tests.acceptance.live.conftest import EVERYTHING_IS_OPEN
from tests.acceptance.stomp_client import Received, StompClient


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"tail": EVERYTHING_IS_OPEN}


@pytest.fixture
def quorum(cluster: Cluster) -> str:
    """A queue with a member on each node: of one that has just lost a node, a second loss could
    take the majority."""
    name = f"moving.quorum.{secrets.token_hex(4)}"
    with amqp(cluster) as channel:
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    # A node that has just been started again may serve before its member does.
    wait_for(lambda: members(cluster, name), wanted=lambda online: len(online) == 3, within=60)
    return name


def members(cluster: Cluster, queue: str) -> list[str]:
    """The nodes whose members of a quorum queue work."""
    found = cluster.node(1).management("GET", f"/api/queues/%2F/{queue}", cluster.admin) or {}
    return list(found.get("online", ()))


def node_of(cluster: Cluster) -> int:
    """The number of the robot's node."""
    (name,) = wait_for(lambda: nodes_of(cluster, "robot"), wanted=lambda names: len(names) == 1)
    return int(name.removeprefix("r").partition("@")[0])


def classic_on(cluster: Cluster, node: int) -> str:
    """An empty classic queue on this node."""
    name = f"moving.classic.{node}"
    with amqp(cluster, cluster.node(node)) as channel:
        channel.queue_declare(name, durable=True)
        channel.queue_purge(name)
    return name


def publish(cluster: Cluster, queue: str, *bodies: str, past: int) -> None:
    """Publish by another node than number ``past``."""
    with amqp(cluster, cluster.node(past % 3 + 1)) as channel:
        channel.confirm_delivery()

        def publish_one(body: str) -> bool:
            """Whether the queue has taken it: while it elects a leader it may refuse."""
            properties = pika.BasicProperties(delivery_mode=2)
            try:
                channel.basic_publish("", queue, body.encode(), properties)
            except pika.exceptions.NackError:
                return False
            return True

        for body in bodies:
            wait_for(partial(publish_one, body), within=60)


def messages(client: StompClient, count: int) -> dict[str, Received]:
    """The next messages by their bodies, which all differ."""
    found = {each.body.decode(): each for each in (client.message() for _ in range(count))}
    assert len(found) == count
    return found


def acknowledge(client: StompClient, message: Received) -> None:
    client.request("ACK", {"id": message.headers["ack"]})


def lose(cluster: Cluster, node: int, loss: str) -> None:
    (cluster.kill_node if loss == "kill" else cluster.pause_node)(node)


def is_empty(cluster: Cluster, queue: str, past: int) -> bool:
    with amqp(cluster, cluster.node(past % 3 + 1)) as channel:
        return bool(channel.queue_declare(queue, passive=True).method.message_count == 0)


@pytest.mark.parametrize("loss", ["kill", "hang"])
@pytest.mark.parametrize("kind", ["queue", "amq/queue"])
def test_what_was_not_acknowledged_comes_again_and_nothing_else(
    loss: str, kind: str, cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    headers = {"prefetch-count": "10"}
    if kind == "queue":
        headers["x-queue-type"] = "quorum"
    robot.subscribe(f"/{kind}/{quorum}", ack="client-individual", **headers)
    lost = node_of(cluster)
    publish(cluster, quorum, *"abcde", past=lost)
    before = messages(robot, 5)
    for body in "bd":
        acknowledge(robot, before[body])
    # RabbitMQ answers an ACK before a majority knows of it. What is confirmed after it was written
    # after it.
    publish(cluster, quorum, "h", past=lost)
    before |= messages(robot, 1)
    lose(cluster, lost, loss)
    again = messages(robot, 4)
    assert again.keys() == set("aceh")
    assert {each.headers["redelivered"] for each in again.values()} == {"true"}
    # Those of the lost session are late, and harm nothing.
    acknowledge(robot, before["a"])
    # While its node hangs, RabbitMQ may refuse messages for the queue without an end.
    cluster.kill_node(lost)
    publish(cluster, quorum, *"fg", past=lost)
    after = messages(robot, 2)
    assert after.keys() == set("fg")
    for message in (*again.values(), *after.values()):
        acknowledge(robot, message)
    robot.request("DISCONNECT", {})
    assert robot.closed() == 1000
    assert wait_for(lambda: is_empty(cluster, quorum, lost))


@pytest.mark.parametrize("loss", ["kill", "hang"])
def test_all_subscriptions_go_on_and_acknowledgements_stay_cumulative(
    loss: str, cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    robot.subscribe(f"/amq/queue/{quorum}", "q", ack="client", prefetch_count="3")
    lost = node_of(cluster)
    classic = classic_on(cluster, lost % 3 + 1)
    robot.subscribe(f"/queue/{classic}", "c", ack="client-individual")
    publish(cluster, quorum, "q1", "q2", "q3", "q4", "q5", past=lost)
    publish(cluster, classic, "c1", "c2", past=lost)
    before = messages(robot, 5)
    # The third one is not acknowledged, nor is the fourth sent: the limit counts on.
    assert before.keys() == {"q1", "q2", "q3", "c1", "c2"}
    acknowledge(robot, before["c2"])
    lose(cluster, lost, loss)
    # RabbitMQ 4.3 gives a queue's others before those that it takes back.
    after: dict[str, Received] = {}
    while after.keys() != {"q1", "q2", "q3", "q4", "q5", "c1"}:
        message = robot.message()
        body = message.body.decode()
        assert body not in after
        after[body] = message
        acknowledge(robot, message)
    for body in ("q1", "q2", "q3", "c1"):
        assert after[body].headers["redelivered"] == "true"
    cluster.kill_node(lost)
    robot.request("DISCONNECT", {})
    for queue in (quorum, classic):
        assert wait_for(partial(is_empty, cluster, queue, lost))


def test_a_queue_that_is_away_with_its_node_is_to_be_asked_for_later(
    cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    robot.subscribe(f"/amq/queue/{quorum}", "q", ack="client")
    lost = node_of(cluster)
    robot.subscribe(f"/amq/queue/{classic_on(cluster, lost)}", "c", ack="client")
    cluster.kill_node(lost)
    _, code = robot.error()
    assert code == 1012


def test_messages_that_need_no_acknowledgement_may_be_lost_and_that_is_said(
    cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    robot.subscribe(f"/amq/queue/{quorum}", ack="auto")
    cluster.kill_node(node_of(cluster))
    error, code = robot.error()
    assert (error.headers["message"], code) == ("broker_unavailable", 1012)


def test_an_open_transaction_is_not_carried_to_another_node(
    cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    robot.subscribe(f"/amq/queue/{quorum}", ack="client")
    robot.request("BEGIN", {"transaction": "t"})
    cluster.kill_node(node_of(cluster))
    error, code = robot.error()
    assert (error.headers["message"], code) == ("broker_unavailable", 1012)
    assert b"a transaction is open" in error.body


def test_an_acknowledgement_of_another_connection_is_wrong(
    cluster: Cluster, quorum: str, robot: StompClient
) -> None:
    robot.subscribe(f"/amq/queue/{quorum}", ack="client-individual")
    publish(cluster, quorum, "a", past=1)
    ours = robot.message().headers["ack"]
    foreign = "@@".join(("T_s", "session-of-somebody-else", ours.rpartition("@@")[2]))
    robot.send("ACK", {"id": foreign})
    error, code = robot.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert foreign in error.body.decode()
