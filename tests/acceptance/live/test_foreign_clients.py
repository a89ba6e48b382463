"""Clients that others wrote, and those that speak the oldest STOMP."""

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import stomp

from devenv.cluster import Cluster
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

_TIMEOUT = 15.0


class Heard(stomp.ConnectionListener):  # type: ignore[misc]
    """A listener of stomp.py whose frames can be waited for."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.receipts: queue.Queue[str] = queue.Queue()
        self.errors: queue.Queue[Any] = queue.Queue()
        self.gone = threading.Event()

    def on_message(self, frame: Any) -> None:
        self.messages.put(frame)

    def on_receipt(self, frame: Any) -> None:
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame: Any) -> None:
        self.errors.put(frame)

    def on_disconnected(self) -> None:
        self.gone.set()


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


@pytest.fixture
def stomp_py(gateway: GatewayProcess) -> Iterator[tuple[Any, Heard]]:
    """stomp.py over WebSocket through the gateway, as the participant paul."""
    connection = stomp.WSStompConnection(
        [("127.0.0.1", gateway.port)],
        ws_path="/ws",
        heartbeats=(4000, 4000),
        reconnect_attempts_max=1,
    )
    heard = Heard()
    connection.set_listener("", heard)
    connection.connect("paul", gateway.token("paul"), wait=True)
    yield connection, heard
    # Its thread closes the socket when the server did; nobody may write to it meanwhile.
    if not heard.gone.is_set():
        connection.disconnect()
    assert heard.gone.wait(_TIMEOUT)


def test_stomp_py_talks_in_a_room(
    stomp_py: tuple[Any, Heard], gateway: GatewayProcess, room: int
) -> None:
    connection, heard = stomp_py
    topic = f"/topic/{PREFIX}.public.{room}"
    connection.subscribe(topic, id="1", headers={"receipt": "subscribed"})
    assert heard.receipts.get(timeout=_TIMEOUT) == "subscribed"
    connection.send(topic, "안녕", headers={"receipt": "sent"})
    assert heard.receipts.get(timeout=_TIMEOUT) == "sent"
    frame = heard.messages.get(timeout=_TIMEOUT)
    assert frame.headers["seq"] == "1"
    assert frame.headers["sender"] == "paul"
    assert gateway.history(room, "hana")["messages"][0]["body"] == "안녕"


def test_stomp_py_hears_why_it_is_refused(stomp_py: tuple[Any, Heard], room: int) -> None:
    connection, heard = stomp_py
    connection.subscribe(f"/queue/{PREFIX}.private.{room}", id="1")
    assert heard.errors.get(timeout=_TIMEOUT).headers["message"] == "access_refused"
    assert heard.gone.wait(_TIMEOUT)


def test_messages_of_the_gateway_are_the_same_for_a_client_of_rabbitmq(
    gateway: GatewayProcess, room: int, cluster_of_session: Cluster
) -> None:
    admin = cluster_of_session.admin
    direct = stomp.StompConnection12(
        [("127.0.0.1", cluster_of_session.node(2).stomp_port)], vhost="/"
    )
    heard = Heard()
    direct.set_listener("", heard)
    direct.connect(admin.name, admin.password, wait=True)
    topic = f"/topic/{PREFIX}.public.{room}"
    direct.subscribe(topic, id="1", headers={"receipt": "r"})
    heard.receipts.get(timeout=_TIMEOUT)
    with StompClient(gateway.ws_url) as paul:
        paul.connect(gateway.token("paul"))
        paul.subscribe(topic)
        gateway.post(room, "hana", "one message")
        through = paul.message()
    frame = heard.messages.get(timeout=_TIMEOUT)
    direct.disconnect()
    assert frame.body == through.body.decode()
    for name in ("destination", "content-type", "seq", "room", "audience", "sender"):
        assert frame.headers[name] == through.headers[name]


def test_messages_of_another_producer_are_passed_on_as_they_are(
    gateway: GatewayProcess, room: int, cluster_of_session: Cluster
) -> None:
    admin = cluster_of_session.admin
    direct = stomp.StompConnection12(
        [("127.0.0.1", cluster_of_session.node(2).stomp_port)], vhost="/"
    )
    direct.connect(admin.name, admin.password, wait=True)
    topic = f"/topic/{PREFIX}.public.{room}"
    with StompClient(gateway.ws_url) as paul:
        paul.connect(gateway.token("paul"))
        paul.subscribe(topic)
        direct.send(topic, "as it came", content_type="text/plain", headers={"origin": "legacy"})
        message = paul.message()
    direct.disconnect()
    assert message.body == b"as it came"
    assert message.headers["content-type"] == "text/plain"
    assert message.headers["origin"] == "legacy"
    assert "seq" not in message.headers


def test_stomp_1_0_does_without_subscription_ids(gateway: GatewayProcess, room: int) -> None:
    first, second = (f"/topic/{PREFIX}.public.{n}" for n in (room, gateway.room("paul")))
    with ExitStack() as stack:
        paul = stack.enter_context(StompClient(gateway.ws_url, subprotocols=["v10.stomp"]))
        connected = paul.connect(gateway.token("paul"), accept_version="1.0")
        assert connected.headers["version"] == "1.0"
        paul.request("SUBSCRIBE", {"destination": first})
        paul.request("SUBSCRIBE", {"destination": second})
        gateway.post(room, "hana", "one")
        message = paul.message()
        assert (message.headers["destination"], message.json["body"]) == (first, "one")
        paul.request("UNSUBSCRIBE", {"destination": first})
        gateway.post(room, "hana", "two")
        paul.request("SEND", {"destination": second}, b"three")
        assert paul.message().json["body"] == "three"


def test_a_stomp_1_0_host_acknowledges_by_message_id(gateway: GatewayProcess, room: int) -> None:
    name = f"{PREFIX}.private.{room}"
    for number in (1, 2):
        gateway.post(room, "paul", number)
    for expected in (1, 2):
        with StompClient(gateway.ws_url) as hana:
            hana.connect(gateway.token("hana"), accept_version="1.0")
            hana.request("SUBSCRIBE", {"destination": f"/queue/{name}", "ack": "client"})
            message = hana.message()
            assert message.json["body"] == expected
            hana.request("ACK", {"message-id": message.headers["message-id"]})
            hana.request("DISCONNECT", {})
