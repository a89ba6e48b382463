"""A mistake of a client's is told to it, and costs no node its good name."""

import time

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp
from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.live.conftest import EVERYTHING_IS_OPEN
from tests.acceptance.stomp_client import StompClient


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"tail": EVERYTHING_IS_OPEN}


def test_what_needs_no_acknowledgement_may_not_get_one_in_the_name_of_another_subscription(
    gateway: GatewayProcess, connect: Connect
) -> None:
    private, other = (gateway.room("hana", "paul") for _ in range(2))
    hana = connect("hana")
    hana.subscribe(f"/queue/{PREFIX}.private.{private}", id="acks", ack="client-individual")
    hana.subscribe(f"/queue/{PREFIX}.private.{other}", id="auto", ack="auto")
    gateway.post(private, "paul", "one")
    before, _, tag = hana.message().headers["ack"].rpartition("@@")
    gateway.post(other, "paul", "two")
    hana.message()
    logins = gateway.relay_logins()
    hana.send("ACK", {"id": f"{before}@@{int(tag) + 1}"})
    error, code = hana.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert gateway.relay_logins() == logins


@pytest.mark.parametrize("prefetch", ["abc", "1.5", ""])
def test_a_wrong_prefetch_is_named(
    prefetch: str, robot: StompClient, cluster_of_session: Cluster
) -> None:
    with amqp(cluster_of_session) as channel:
        channel.queue_declare("fault.prefetch", durable=True)
    robot.send(
        "SUBSCRIBE",
        {"destination": "/amq/queue/fault.prefetch", "id": "s", "prefetch-count": prefetch},
    )
    error, code = robot.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert "prefetch-count" in error.body.decode()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"\x81\x04abcd", id="not masked"),
        pytest.param(b"\x82\xff" + (2**40).to_bytes(8) + bytes(4), id="too long"),
        pytest.param(b"\x81\x82\0\0\0\0\xff\xff", id="not UTF-8"),
    ],
)
def test_a_framing_error_whose_close_is_answered_is_over_at_once(
    bad: bytes, robot: StompClient
) -> None:
    robot.raw(bad)
    assert robot.error()[0].command == "ERROR"
    # The client has answered the Close that it has read.
    began = time.monotonic()
    assert robot.socket.sock is not None
    assert robot.socket.sock.recv(1) == b""
    assert time.monotonic() - began < 1.0
