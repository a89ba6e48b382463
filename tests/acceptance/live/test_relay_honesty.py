"""A relay says only what RabbitMQ has said, and nothing that a client sends moves it for ever."""

from collections.abc import Callable
from typing import Any

import pika
import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, nodes_of, queues, wait_for, waiting
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.live.conftest import EVERYTHING_IS_OPEN
from tests.acceptance.stomp_client import StompClient

_LARGE = 17 * 1024 * 1024


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"tail": EVERYTHING_IS_OPEN}


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def private(room: int) -> str:
    return f"{PREFIX}.private.{room}"


def _send(client: StompClient, queue: str, **headers: str) -> None:
    client.send("SEND", {"destination": f"/queue/{queue}", **headers}, b"x")


def test_the_receipt_of_disconnect_is_for_all_that_was_sent(
    robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    for _ in range(21):
        _send(robot, queue)
    robot.request("DISCONNECT", {})
    assert robot.closed() == 1000
    assert wait_for(lambda: waiting(cluster_of_session, queue), wanted=lambda n: n == 21)


def test_a_node_that_hangs_while_the_client_leaves_gets_no_receipt_and_no_1000(
    robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    robot.send("SEND", {"destination": f"/queue/{queue}", "receipt": "first"}, b"x")
    assert robot.receive().command == "RECEIPT"
    (name,) = wait_for(lambda: nodes_of(cluster_of_session, "robot"), wanted=lambda n: len(n) == 1)
    node = int(name.removeprefix("r").partition("@")[0])
    cluster_of_session.pause_node(node)
    try:
        for _ in range(20):
            _send(robot, queue)
        robot.send("DISCONNECT", {"receipt": "bye"})
        error, code = robot.error()
    finally:
        cluster_of_session.resume_node(node)
    assert (error.headers["message"], code) == ("broker_unavailable", 1012)
    cluster_of_session.mend()


_WRONG: dict[str, tuple[str, list[tuple[str, Callable[[list[str]], str]]]]] = {
    "twice": ("client-individual", [("ACK", lambda i: i[0]), ("ACK", lambda i: i[0])]),
    "nack after ack": ("client-individual", [("ACK", lambda i: i[1]), ("NACK", lambda i: i[1])]),
    "below a cumulative one": ("client", [("ACK", lambda i: i[1]), ("ACK", lambda i: i[0])]),
    "never delivered": (
        "client-individual",
        [("ACK", lambda i: i[0].rpartition("@@")[0] + "@@99")],
    ),
}


@pytest.mark.parametrize("case", _WRONG)
def test_a_wrong_acknowledgement_is_named_and_moves_nobody(
    case: str, gateway: GatewayProcess, connect: Connect, room: int, private: str
) -> None:
    mode, steps = _WRONG[case]
    for number in range(3):
        gateway.post(room, "paul", number)
    hana = connect("hana")
    hana.subscribe(f"/queue/{private}", ack=mode)
    ids = [hana.message().headers["ack"] for _ in range(3)]
    logins = gateway.relay_logins()
    for command, name in steps:
        hana.send(command, {"id": name(ids)})
    error, code = hana.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert steps[-1][1](ids) in error.body.decode()
    assert gateway.relay_logins() == logins


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"destination": "/exchange/nowhere/key"}, "/exchange/nowhere/key"),
        ({"destination": "/queue/honesty", "user-id": "hana"}, "/queue/honesty"),
    ],
)
def test_messages_lost_behind_a_refused_one_are_reported(
    bad: dict[str, str], named: str, robot: StompClient, queue: str
) -> None:
    robot.send("SEND", bad, b"bad")
    for _ in range(4):
        _send(robot, queue)
    error, code = robot.error()
    assert (error.headers["message"], code) == ("broker_refused", 4003)
    assert named in error.body.decode()
    assert "retry-after" not in error.headers


def test_a_header_that_rabbitmq_would_not_take_is_named_before_anything_is_lost(
    robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    _send(robot, queue)
    _send(robot, queue, expiration="abc")
    error, code = robot.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert "expiration:abc" in error.body.decode()
    assert wait_for(lambda: waiting(cluster_of_session, queue), wanted=lambda n: n == 1)


def test_a_late_acknowledgement_ends_nobody(
    gateway: GatewayProcess, connect: Connect, room: int, private: str
) -> None:
    gateway.post(room, "paul", "again, please")
    hana = connect("hana")
    hana.subscribe(f"/queue/{private}", ack="client-individual")
    late = hana.message().headers["ack"]
    hana.request("UNSUBSCRIBE", {"id": "s"})
    hana.request("ACK", {"id": late})
    hana.request("DISCONNECT", {})
    again = connect("hana")
    again.subscribe(f"/queue/{private}", ack="client-individual")
    assert again.message().json["body"] == "again, please"


@pytest.mark.parametrize("destination", ["/exchange/nowhere/key", "/amq/queue/nowhere"])
def test_a_subscription_to_what_is_not_there_is_refused_for_good(
    destination: str, robot: StompClient
) -> None:
    robot.send("SUBSCRIBE", {"destination": destination, "id": "s"})
    error, code = robot.error()
    assert code == 4003
    assert "retry-after" not in error.headers


@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_a_transaction_may_be_the_first_that_is_asked_for(
    end: str, robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    robot.request("BEGIN", {"transaction": "t"})
    _send(robot, queue, transaction="t")
    robot.request(end, {"transaction": "t"})
    _send(robot, queue)
    robot.request("DISCONNECT", {})
    sent = 2 if end == "COMMIT" else 1
    assert wait_for(lambda: waiting(cluster_of_session, queue), wanted=lambda n: n == sent)


@pytest.mark.parametrize(
    ("command", "headers"),
    [
        ("COMMIT", {"transaction": "t"}),
        ("ABORT", {"transaction": "t"}),
        ("SEND", {"destination": "/queue/honesty", "transaction": "t"}),
    ],
)
def test_of_a_transaction_that_is_not_open_rabbitmq_says_so(
    command: str, headers: dict[str, str], robot: StompClient
) -> None:
    robot.send(command, headers)
    error, code = robot.error()
    assert (error.headers["message"], code) == ("Bad transaction", 1002)


def _publish(cluster: Cluster, queue: str, *bodies: bytes) -> None:
    with amqp(cluster) as channel:
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))


def test_a_host_gets_what_is_behind_a_message_that_is_too_large(
    gateway: GatewayProcess, connect: Connect, private: str, cluster_of_session: Cluster
) -> None:
    _publish(cluster_of_session, private, b"x" * _LARGE, b"behind it")
    hana = connect("hana")
    hana.subscribe(f"/queue/{private}", ack="client-individual")
    instead, behind = hana.message(), hana.message()
    told: dict[str, Any] = instead.json
    assert (told["type"], behind.body) == ("too_large", b"behind it")
    assert int(instead.headers["too-large"]) == told["bytes"] > _LARGE
    for message in (instead, behind):
        hana.request("ACK", {"id": message.headers["ack"]})
    # RabbitMQ moves it aside when there is a place for it; before that it would come again.
    parked = "acdm.mo.interact.parked"
    assert wait_for(lambda: parked in queues(cluster_of_session))
    assert wait_for(lambda: waiting(cluster_of_session, parked) > 0)
    hana.request("DISCONNECT", {})
    assert wait_for(lambda: waiting(cluster_of_session, private) == 0, wanted=lambda empty: empty)
    gateway.await_logged("at most 16777216 are passed on")


def test_elsewhere_a_message_that_is_too_large_ends_with_what_it_is(
    robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    _publish(cluster_of_session, queue, b"x" * _LARGE)
    robot.send(
        "SUBSCRIBE",
        {"destination": f"/amq/queue/{queue}", "id": "s", "ack": "client-individual"},
    )
    error, code = robot.error()
    assert (error.headers["message"], code) == ("too_large", 1009)
    assert queue in error.body.decode()
