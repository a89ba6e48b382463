"""Operators' commands and hosts' endings of access, on the real cluster."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.request import urlopen

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, queues, wait_for
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import DRAIN_TOKEN, PREFIX, GatewayProcess

pytestmark = pytest.mark.cluster


def test_the_doctor_finds_a_working_installation_in_order(gateway: GatewayProcess) -> None:
    code, output = gateway.command("doctor")
    assert code == 0, output
    for node in ("r1", "r2", "r3"):
        for what in (
            "Web-STOMP as gateway",
            "publishing to amq.topic",
            "the queue of a feed",
            "the account guest is removed",
            "asks a gateway about users",
        ):
            assert f"ok     {node}: {what}" in output


def test_the_internal_listener_is_nobodys_by_a_page_and_drains_for_its_token_only(
    gateway: GatewayProcess,
) -> None:
    def asked(method: str, path: str, **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", gateway.internal_port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    for path in ("/metrics", "/readyz", "/drain"):
        status, told = asked("GET", path, Host="evil.example")
        assert (status, "host_refused" in told) == (403, True)
    assert asked("GET", "/broker/auth/user?username=a&password=b", Host="evil.example")[1] == "deny"
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        assert asked("POST", "/drain", **headers)[0] == 401
    assert '"serving"' in asked("GET", "/drain", Authorization=f"Bearer {DRAIN_TOKEN}")[1]
    gateway.await_logged("server.internal_hosts")


def test_a_lost_queue_is_found_by_topology_show_and_made_again_by_apply(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    room = gateway.room("hana", "paul")
    name = f"{PREFIX}.private.{room}"
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
    code, output = gateway.command("topology", "show")
    assert code == 1
    assert f"WRONG  queue {name}: missing" in output
    assert gateway.command("topology", "apply")[0] == 0
    assert name in queues(cluster_of_session)
    assert gateway.command("topology", "show")[0] == 0


def test_the_doctor_takes_an_expired_queue_for_no_fault_and_a_foreign_one_for_one(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    name = f"{PREFIX}.private.{gateway.room('hana', 'paul')}"
    with amqp(cluster_of_session) as channel:
        channel.queue_delete(name)
        code, output = gateway.command("doctor")
        assert code == 0, output
        assert "will be declared when their hosts come" in output
        channel.queue_declare(name, durable=True)
        code, output = gateway.command("doctor")
        channel.queue_delete(name)
    assert code == 1
    assert f"1 cannot be used, e.g. queue {name}: PRECONDITION_FAILED" in output


def test_a_removed_member_is_cut_off_at_once_and_stays_out(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room = gateway.room("hana", "paul")
    destination = f"/topic/{PREFIX}.public.{room}"
    hana, paul = connect("hana"), connect("paul")
    for client in (hana, paul):
        client.subscribe(destination)
    gateway.call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")
    error, code = paul.error()
    assert (error.headers["message"], code) == ("removed", 4003)
    gateway.post(room, "hana", "without paul")
    assert hana.message().json["body"] == "without paul"
    again = connect("paul")
    again.send("SUBSCRIBE", {"destination": destination, "id": "s"})
    error, code = again.error()
    assert (error.headers["message"], code) == ("access_refused", 4003)


def test_closing_a_room_ends_the_subscriptions_of_everybody_in_it(
    gateway: GatewayProcess, connect: Connect
) -> None:
    room, other = gateway.room("hana", "paul"), gateway.room("hana", "petra")
    clients = [connect("hana"), connect("paul")]
    for client in clients:
        client.subscribe(f"/topic/{PREFIX}.public.{room}")
    petra = connect("petra")
    petra.subscribe(f"/topic/{PREFIX}.public.{other}")
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
    for client in clients:
        error, code = client.error()
        assert (error.headers["message"], code) == ("room_closed", 4003)
    gateway.post(other, "hana", "still here")
    assert petra.message().json["body"] == "still here"


def test_a_queue_that_refuses_everything_is_named_and_the_message_it_holds_up_is_found(
    gateway: GatewayProcess, cluster_of_session: Cluster
) -> None:
    """Of an application, on a topic of a room: no post is lost, and only confirms are missing."""

    def problems() -> dict[str, str]:
        with urlopen(f"{gateway.internal_url}/readyz", timeout=10) as answer:  # noqa: S310 - ours
            found: dict[str, str] = json.load(answer)["problems"]
            return found

    def published(id: str) -> bool:
        path = f"/api/admin/messages/{id}"
        _, found = gateway.call("GET", path, user="olga", roles=("observer",))
        return bool(found["messages"][0]["published"])

    room, refuses = gateway.room("hana", "paul"), "refuses"
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    with amqp(cluster_of_session) as channel:
        channel.queue_declare(refuses, durable=True, arguments=full)
        channel.queue_bind(refuses, "amq.topic", f"{PREFIX}.public.{room}")
        assert gateway.post(room, "paul", "fills it")[0] == 201
        status, receipt = gateway.post(room, "paul", "is refused")
        assert (status, receipt["published"]) == (202, False)
        told = wait_for(lambda: problems().get("confirms", ""))
        assert f"among them message 2 of public.{room}: the broker could not take it (nack)" in told
        assert not published(receipt["id"])
        channel.queue_delete(refuses)
    wait_for(lambda: published(receipt["id"]))
    wait_for(lambda: "confirms" not in problems())
