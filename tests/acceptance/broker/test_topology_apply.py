"""An operator sets up RabbitMQ by one command, and no private message is lost to its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.management.versions import read_version
from broker.topology import Topology
from devenv import rabbitmq
from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

pytestmark = pytest.mark.cluster

#: RabbitMQ 4 drops a message after 20 deliveries.
LOST = 25
POLICY = f"{PREFIX}.private"


def policies(cluster: Cluster) -> dict[str, dict[str, Any]]:
    found = cluster.node(1).management("GET", "/api/policies/%2F", cluster.admin)
    return {each["name"]: each for each in found}


def set_policy(cluster: Cluster, name: str, **definition: int) -> None:
    keys = {key.replace("_", "-"): value for key, value in definition.items()}
    body = {"pattern": ".*", "definition": keys, "priority": 5, "apply-to": "queues"}
    answer = cluster.node(1).management("PUT", f"/api/policies/%2F/{name}", cluster.admin, body)
    assert answer is not None


@pytest.fixture(autouse=True)
def as_installed(gateway: GatewayProcess, cluster_of_session: Cluster) -> Iterator[None]:
    """No policies, as after an installation by hand; afterwards those that gateways expect."""
    forget_policies(cluster_of_session)
    yield
    forget_policies(cluster_of_session)
    assert gateway.topology("apply")[0] == 0


def forget_policies(cluster: Cluster) -> None:
    for name in policies(cluster):
        cluster.node(1).management("DELETE", f"/api/policies/%2F/{name}", cluster.admin)
    assert policies(cluster) == {}


def declared_by_an_earlier_version(cluster: Cluster, room: int) -> None:
    *_, queue = Topology().private_queue(room).variants
    with amqp(cluster) as channel:
        channel.queue_delete(queue.name)
        channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
        channel.queue_bind(queue.name, "amq.topic", queue.binding_key)


def has_a_limit_by_itself() -> bool:
    return read_version(rabbitmq.version()) >= (4,)


def lose(open_client: Callable[[], StompClient], queue: str, body: bytes, times: int) -> None:
    """A consumer's network is lost so often, each time with the message in hand."""
    for _ in range(times):
        client = open_client()
        client.subscribe(f"/amq/queue/{queue}", ack="client-individual")
        assert body in client.message().body
        client.socket.shutdown()  # type: ignore[no-untyped-call]


def test_a_message_that_lost_its_host_25_times_is_still_delivered(
    gateway: GatewayProcess, connect: Connect
) -> None:
    """Without any policy: the queue is declared so."""
    room = gateway.room("hana", "paul")
    assert gateway.post(room, "paul", "keep this")[0] == 201
    queue = f"{PREFIX}.private.{room}"
    lose(lambda: connect("hana"), queue, b"keep this", LOST)
    hana = connect("hana")
    hana.subscribe(f"/queue/{queue}", ack="client-individual")
    message = hana.message()
    assert message.json["body"] == "keep this"
    hana.request("ACK", {"id": message.headers["ack"]})


def test_in_a_queue_of_an_earlier_version_it_is_kept_by_the_policy(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    """Of the room the gateway sees nothing meanwhile: it would replace the queue."""
    cluster, room = cluster_of_session, gateway.room("hana", "paul")
    declared_by_an_earlier_version(cluster, room)
    queue = f"{PREFIX}.private.{room}"
    with amqp(cluster) as channel:
        channel.basic_publish("amq.topic", queue, b"keep this")
    code, output = gateway.command("doctor")
    objection = "earlier versions' private queues outlive 25 lost connections: they are dropped"
    assert (code == 1) == (objection in output) == has_a_limit_by_itself(), output
    if code:
        command = f"gateway --config {gateway.config} topology apply --admin ADMINISTRATOR"
        assert f"       run: {command}\n" in output

    code, output = gateway.topology("apply")
    assert (code, "\nset    policy acdm.mo.interact.private " in output) == (0, True), output
    assert gateway.command("doctor")[0] == 0

    def straight() -> StompClient:
        client = StompClient(cluster.node(1).web_stomp_url)
        admin = cluster.admin
        assert client.connect(login=admin.name, passcode=admin.password).command == "CONNECTED"
        return client

    lose(straight, queue, b"keep this", LOST)
    with amqp(cluster) as channel:
        # That it was the queue of an earlier version until the end.
        *_, earlier = Topology().private_queue(room).variants
        channel.queue_declare(queue, durable=True, arguments=dict(earlier.arguments))
    with straight() as last:
        last.subscribe(f"/amq/queue/{queue}", ack="client-individual")
        assert last.message().body == b"keep this"


def test_the_doctor_objects_to_a_policy_that_drops_messages_until_ours_outweighs_it(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    set_policy(cluster_of_session, "house-rules", delivery_limit=3, max_length=1000)
    code, output = gateway.command("doctor")
    assert code == 1
    assert "new private queues outlive 25 lost connections: they are dropped by the del" in output
    assert gateway.topology("show")[0] == 1

    code, output = gateway.topology("apply", "--dry-run")
    assert code == 0, output
    assert "would  set policy acdm.mo.interact.private (priority 6): delivery-limit = 1000000" in (
        output
    )
    assert "the policy house-rules (priority 5): delivery-limit = 3, max-length = 1000 no l" in (
        output
    )
    assert "as by: rabbitmqctl set_policy -p / --priority 6 --apply-to queues acdm." in output
    assert set(policies(cluster_of_session)) == {"house-rules"}, "a dry run changes nothing"

    assert gateway.topology("apply")[0] == 0
    after = policies(cluster_of_session)
    assert after[POLICY]["priority"] == 6
    assert gateway.command("doctor")[0] == 0
    assert gateway.topology("show")[0] == 0

    code, output = gateway.topology("apply")
    assert (code, "set    policy" in output) == (0, False), "once is enough"
    assert "ok     policies of the private queues" in output
    assert policies(cluster_of_session) == after


def test_a_dry_run_declares_nothing_and_says_what_it_would(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    name = f"{PREFIX}.private.{gateway.room('hana', 'paul')}"
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
    code, output = gateway.command("topology", "apply", "--dry-run")
    assert code == 0, output
    assert f"would  declare queue {name}\n" in output
    code, output = gateway.command("topology", "show")
    assert (code, f"WRONG  queue {name}: missing" in output) == (1, True)
    gateway.command("topology", "apply")
    assert gateway.command("topology", "show")[0] == 0


def test_logins_that_may_not_set_policies_are_told_apart(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    node, admin = cluster_of_session.node(1), cluster_of_session.admin
    for name, tags in (("clerk", ""), ("viewer", "monitoring")):
        node.management("PUT", f"/api/users/{name}", admin, {"password": "pw", "tags": tags})
    try:
        for name in ("clerk", "viewer"):
            code, output = gateway.topology("apply", user=name, password="pw")
            assert code == 1
            assert f"user '{name}' has no tag administrator; run: rabbitmqctl set_us" in output
        code, output = gateway.topology("apply", password="swordfish")
        assert code == 1
        assert "user 'admin' is unknown to RabbitMQ, or the password is wrong" in output
        assert "swordfish" not in output
    finally:
        for name in ("clerk", "viewer"):
            node.management("DELETE", f"/api/users/{name}", admin)
    assert policies(cluster_of_session) == {}


def test_a_node_that_is_down_is_passed_over(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    cluster_of_session.stop_node(1)
    try:
        first = cluster_of_session.node(1).management_url
        code, output = gateway.topology("apply", management=first)
        assert code == 1
        assert f"no management API answers:\n  {first}: connection refused" in output
        code, output = gateway.topology("apply")
        assert code == 0, output
    finally:
        cluster_of_session.start()
    assert set(policies(cluster_of_session)) == {POLICY}
