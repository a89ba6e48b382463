"""What the gateway has taken from a client it delivers, however the client goes."""

from collections.abc import Callable

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import nodes_of, wait_for, waiting
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.live.conftest import EVERYTHING_IS_OPEN
from tests.acceptance.stomp_client import StompClient

_SENT = 100


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"tail": EVERYTHING_IS_OPEN}


def _close(client: StompClient) -> None:
    client.socket.send_close(1000)
    client.closed()


def _break_off(client: StompClient) -> None:
    client.socket.shutdown()  # type: ignore[no-untyped-call]


def _mistake(client: StompClient) -> None:
    client.socket.send_binary(b"EXPLODE\n\n\0")
    client.closed()


def _reset(client: StompClient) -> None:
    """Go without reading what has come: the client's system resets the connection."""
    for number in range(20):
        client.send("SEND", {"destination": "/gateway/ping", "receipt": f"p{number}"})
    client.payload()
    client.socket.shutdown()  # type: ignore[no-untyped-call]


_WAYS: dict[str, Callable[[StompClient], None]] = {
    "close": _close,
    "break off": _break_off,
    "wrong frame": _mistake,
    "reset": _reset,
}


def _send_all(robot: StompClient, queue: str) -> None:
    destination = {"destination": f"/queue/{queue}", "persistent": "true"}
    robot.request("SEND", destination, b"x" * 1_000)
    for _ in range(_SENT):
        robot.send("SEND", destination, b"x" * 1_000)


@pytest.mark.parametrize("way", _WAYS)
def test_everything_is_delivered_however_the_client_goes(
    way: str, robot: StompClient, queue: str, cluster_of_session: Cluster
) -> None:
    _send_all(robot, queue)
    _WAYS[way](robot)
    assert wait_for(lambda: waiting(cluster_of_session, queue), wanted=lambda n: n == _SENT + 1)


@pytest.mark.parametrize("way", _WAYS)
def test_a_node_that_stands_still_meanwhile_has_everything_afterwards(
    way: str,
    gateway: GatewayProcess,
    robot: StompClient,
    queue: str,
    cluster_of_session: Cluster,
) -> None:
    robot.request("SEND", {"destination": f"/queue/{queue}"}, b"x")
    (name,) = wait_for(lambda: nodes_of(cluster_of_session, "robot"), wanted=lambda n: len(n) == 1)
    node = int(name.removeprefix("r").partition("@")[0])
    cluster_of_session.pause_node(node)
    try:
        for _ in range(_SENT):
            robot.send("SEND", {"destination": f"/queue/{queue}"}, b"x" * 1_000)
        _WAYS[way](robot)
        wait_for(lambda: "gateway_connections 0.0" in gateway.metrics())
    finally:
        cluster_of_session.resume_node(node)
    assert wait_for(lambda: waiting(cluster_of_session, queue), wanted=lambda n: n == _SENT + 1)
    cluster_of_session.mend()
