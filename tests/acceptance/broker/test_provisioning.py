"""The operator's commands that check and declare queues, against real nodes."""

import asyncio

import pytest

from broker.dialling import SetUpRefused
from broker.feeds.trial import try_feed
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.link import LinkFailed
from broker.publishing.provision import Check, apply, verify
from broker.topology import EXCHANGE, Topology
from devenv.cluster import Cluster

pytestmark = pytest.mark.cluster

TOPOLOGY = Topology()


def verified(node: Node, credentials: Credentials, *rooms: int) -> list[Check]:
    return asyncio.run(verify(node, credentials, TOPOLOGY, rooms=rooms, timeout=30))


def applied(node: Node, credentials: Credentials, room: int) -> list[Check]:
    return asyncio.run(apply(node, credentials, TOPOLOGY, rooms=[room], timeout=30))


def test_missing_queues_are_named_and_applying_declares_them(
    nodes: list[Node], credentials: Credentials, room: int
) -> None:
    name = f"queue {TOPOLOGY.private_queue(room).name}"
    fine = [Check(f"exchange {EXCHANGE}"), Check(f"publishing to {EXCHANGE}")]
    assert verified(nodes[0], credentials, room) == [
        *fine,
        Check(name, "missing"),
    ]
    for node in nodes:
        assert applied(node, credentials, room) == [Check(name)]
        assert verified(node, credentials, room) == [*fine, Check(name)]


def test_a_queue_with_other_arguments_is_described_and_not_touched(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    queue = TOPOLOGY.private_queue(room).name
    cluster.node(1).management("PUT", f"/api/queues/%2F/{queue}", cluster.admin, {"durable": True})
    [check] = applied(nodes[0], credentials, room)
    assert check.problem is not None
    assert "inequivalent arg" in check.problem
    assert verified(nodes[0], credentials, room)[-1] == check


def test_a_user_who_may_neither_publish_nor_make_a_queue_is_told(
    cluster: Cluster, nodes: list[Node], room: int
) -> None:
    node, admin = cluster.node(1), cluster.admin
    node.management("PUT", "/api/users/reader", admin, {"password": "pw-of-reader", "tags": ""})
    node.management(
        "PUT",
        "/api/permissions/%2F/reader",
        admin,
        {"configure": "", "write": "", "read": ".*"},
    )
    reader = Credentials("reader", "pw-of-reader")
    feed = try_feed(nodes[0], reader, queue="q", key="k", timeout=30, tls=None)
    try:
        checks = verified(nodes[0], reader)
        with pytest.raises(SetUpRefused, match=r"ACCESS_REFUSED - .*access to exchange 'q'"):
            asyncio.run(feed)
    finally:
        node.management("DELETE", "/api/users/reader", admin)
    assert [check.problem is None for check in checks] == [True, False]
    assert "ACCESS_REFUSED" in (checks[1].problem or "")


@pytest.mark.parametrize(
    ("login", "vhost", "match"),
    [("gateway", "/", "password is wrong"), (None, "elsewhere", "may not enter vhost 'elsewhere'")],
)
def test_a_login_that_fails_says_why_and_keeps_the_secret(
    nodes: list[Node], credentials: Credentials, login: str | None, vhost: str, match: str
) -> None:
    passcode = "wrong-secret" if login else credentials.passcode
    who = Credentials(login or credentials.login, passcode, vhost)
    with pytest.raises(LinkFailed, match=match) as caught:
        verified(nodes[0], who)
    assert passcode not in repr(caught.value)


def test_a_node_that_is_away_is_unreachable(credentials: Credentials) -> None:
    away = Node("r9", "ws://127.0.0.1:1/ws", "amqp://127.0.0.1:1")
    with pytest.raises(LinkFailed, match=r"r9: .*refused"):
        verified(away, credentials)
