"""Heart-beats with a client: as agreed, each direction by itself (STOMP 1.2, "Heart-beating")."""

import time

import pytest

from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

_INTERVAL = "1000"


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0,0", "0,0"),
        ("10000,20000", "20000,10000"),
        ("0,5000", "5000,0"),
        ("5000,0", "0,5000"),
        ("1,1", "1000,1000"),
    ],
)
def test_each_direction_is_agreed_by_itself(
    asked: str, answered: str, gateway: GatewayProcess
) -> None:
    with StompClient(gateway.ws_url) as client:
        connected = client.connect(gateway.token("hana"), heart_beat=asked)
    assert connected.headers["heart-beat"] == answered


@pytest.mark.parametrize("asked", ["1", "a,b", "-1,0", "1,2,3", "1.5,0"])
def test_a_heart_beat_that_is_none_is_a_broken_frame(asked: str, gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.send("CONNECT", {"accept-version": "1.2", "heart-beat": asked})
        assert client.error()[1] == 1002


@pytest.mark.parametrize("relay", [False, True], ids=["without a relay", "with a relay"])
def test_a_client_that_wants_heart_beats_gets_them_in_time(
    relay: bool, gateway: GatewayProcess, connect: Connect
) -> None:
    hana = connect("hana", heart_beat="0," + _INTERVAL)
    if relay:
        hana.subscribe(f"/queue/{PREFIX}.private.{gateway.room('hana')}")
    for _ in range(4):
        began = time.monotonic()
        hana.heart_beat()
        assert time.monotonic() - began <= 1.0


def test_a_client_that_wants_none_gets_none(gateway: GatewayProcess, connect: Connect) -> None:
    room = gateway.room("hana")
    quiet, beaten = connect("hana", heart_beat="0,0"), connect("hana", heart_beat="0,1000")
    quiet.subscribe(f"/queue/{PREFIX}.private.{room}")
    # The broker beats its relay every 2.5 seconds.
    for _ in range(8):
        beaten.heart_beat()
    gateway.post(room, "hana", "the first that comes")
    assert b"the first that comes" in quiet.payload()


def test_a_client_that_promised_heart_beats_and_is_silent_is_closed(connect: Connect) -> None:
    began = time.monotonic()
    silent = connect("hana", heart_beat=_INTERVAL + ",0")
    error, code = silent.error()
    assert (error.headers["message"], code) == ("invalid_request", 1002)
    assert 2.0 <= time.monotonic() - began <= 4.0


def test_a_client_that_keeps_its_promise_is_not(connect: Connect) -> None:
    silent, faithful = (connect("hana", heart_beat=_INTERVAL + ",1000") for _ in range(2))
    for _ in range(8):
        faithful.heart_beat()
        faithful.socket.send_binary(b"\n")
    assert silent.closed() == 1002
    faithful.request("DISCONNECT", {})
