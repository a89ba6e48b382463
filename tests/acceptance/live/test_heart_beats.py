"""Heart-beats with a client: as agreed, each direction by itself (STOMP 1.2, "Heart-beating")."""

import socket
import time
from functools import partial

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
        # A client gives up after two intervals, or later.
        assert time.monotonic() - began <= 2.0


def test_a_client_that_wants_none_gets_none(gateway: GatewayProcess, connect: Connect) -> None:
    room = gateway.room("hana")
    quiet, beaten = connect("hana", heart_beat="0,0"), connect("hana", heart_beat="0,1000")
    quiet.subscribe(f"/queue/{PREFIX}.private.{room}")
    # The broker beats its relay every 2.5 seconds.
    for _ in range(8):
        beaten.heart_beat()
    gateway.post(room, "hana", "the first that comes")
    assert b"the first that comes" in quiet.payload()


def _socket_of(client: StompClient) -> socket.socket:
    """Past the client's own reading, which answers pings."""
    found = client.socket.sock
    assert isinstance(found, socket.socket)
    return found


def _came(client: StompClient) -> bytes:
    """What has come and was not read, and still is not."""
    unread = _socket_of(client)
    unread.settimeout(0)
    try:
        return unread.recv(65_536, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def test_a_client_that_promised_heart_beats_and_is_dead_is_closed(connect: Connect) -> None:
    began = time.monotonic()
    dead = connect("hana", heart_beat=_INTERVAL + ",0")
    heard = b"".join(iter(partial(_socket_of(dead).recv, 65_536), b""))
    assert b"message:silent" in heard
    assert heard.endswith(b"\x88\x02" + (4008).to_bytes(2))
    assert 7.0 <= time.monotonic() - began <= 14.0


def test_a_client_that_owes_its_heart_beats_but_answers_pings_stays(connect: Connect) -> None:
    hidden, faithful = (connect("hana", heart_beat=_INTERVAL + ",1000") for _ in range(2))
    dead = connect("hana", heart_beat=_INTERVAL + ",1000")
    while b"message:silent" not in _came(dead):
        hidden.heart_beat()
        faithful.heart_beat()
        faithful.socket.send_binary(b"\n")
    for client in (hidden, faithful):
        client.request("DISCONNECT", {})
