"""Access ends when it ends: with the token, with the membership, with the room."""

import time
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import Connect
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

_LIFETIME = 2.0
_AT_ONCE = 3.0


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"jwt": "leeway = 0.0", "auth": "connect_timeout = 1.0"}


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul")


def _for_a_moment(gateway: GatewayProcess, user: str) -> tuple[StompClient, float]:
    """A connection whose token ends soon, and when (Unix time)."""
    client = StompClient(gateway.ws_url)
    ends = int(time.time() + _LIFETIME)
    answer = client.connect(gateway.token(user, lifetime=0, exp=ends))
    assert answer.command == "CONNECTED", answer
    return client, ends


@pytest.mark.parametrize("destination", ["/topic/{}.public.{}", "/queue/{}.private.{}", ""])
def test_a_quiet_connection_ends_with_its_token(
    destination: str, gateway: GatewayProcess, room: int
) -> None:
    client, ends = _for_a_moment(gateway, "hana")
    with client:
        if destination:
            client.subscribe(destination.format(PREFIX, room))
        error, code = client.error()
        assert (error.headers["message"], code) == ("token_expired", 4001)
        assert 0 <= time.time() - ends <= _AT_ONCE


def test_a_fresh_token_extends_the_connection(gateway: GatewayProcess, room: int) -> None:
    topic = f"/topic/{PREFIX}.public.{room}"
    client, ends = _for_a_moment(gateway, "paul")
    quiet, _ = _for_a_moment(gateway, "paul")
    with client, quiet:
        client.subscribe(topic)
        client.request("SEND", {"destination": "/gateway/token"}, gateway.token("paul").encode())
        # Of the same age, so the first has outlived its first token when this one ends.
        assert quiet.error()[1] == 4001
        assert time.time() >= ends
        gateway.post(room, "hana", "still there?")
        assert client.message().json["body"] == "still there?"


def test_the_fresh_token_ends_the_connection_in_its_turn(gateway: GatewayProcess) -> None:
    client, ends = _for_a_moment(gateway, "paul")
    with client:
        fresh = gateway.token("paul", exp=ends + 1)
        client.request("SEND", {"destination": "/gateway/token"}, fresh.encode())
        assert client.error()[1] == 4001
        assert 1 <= time.time() - ends <= 1 + _AT_ONCE


@pytest.mark.parametrize(
    ("make", "message", "code"),
    [
        (lambda gateway: gateway.token("olga"), "access_refused", 4003),
        (lambda gateway: gateway.token("paul", lifetime=-1), "token_expired", 4001),
        (lambda gateway: gateway.token("paul", aud="other"), "token_invalid", 4001),
        (lambda gateway: "nonsense", "token_invalid", 4001),
        (lambda gateway: gateway.token("paul", "admin"), "token_expired", 4001),
    ],
    ids=["another user's", "expired", "for another audience", "no token", "with other roles"],
)
def test_a_token_that_does_not_fit_ends_the_connection(
    make: Callable[[GatewayProcess], str],
    message: str,
    code: int,
    gateway: GatewayProcess,
    connect: Connect,
) -> None:
    paul = connect("paul")
    paul.send("SEND", {"destination": "/gateway/token", "receipt": "r"}, make(gateway).encode())
    error, closed = paul.error()
    assert (error.headers["message"], closed) == (message, code)


def test_a_client_that_does_not_connect_in_time_is_closed(gateway: GatewayProcess) -> None:
    began = time.monotonic()
    with StompClient(gateway.ws_url) as client:
        error, code = client.error()
    assert (error.headers["message"], code) == ("not_authenticated", 4001)
    assert 0.9 <= time.monotonic() - began <= 1 + _AT_ONCE


def test_a_connect_without_its_nul_is_told_so(gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.socket.send(f"CONNECT\naccept-version:1.2\npasscode:{gateway.token('paul')}\n\n")
        error, code = client.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert "NUL" in error.body.decode()


def test_a_client_that_only_sends_heart_beats_does_not_connect_in_time(
    gateway: GatewayProcess,
) -> None:
    with StompClient(gateway.ws_url) as client:
        for _ in range(3):
            client.socket.send_binary(b"\n")
        assert client.error()[1] == 4001


@pytest.mark.parametrize("destination", ["/topic/{}.public.{}", "/topic/{}.public.{} by relay"])
def test_a_removed_members_subscription_ends_at_once_and_no_other(
    destination: str, gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    topic, _, by_relay = destination.format(PREFIX, room).partition(" ")
    elsewhere = gateway.room("hana", "paul")
    inside, outside, hana = connect("paul"), connect("paul"), connect("hana")
    inside.subscribe(topic, ack="client" if by_relay else "auto")
    outside.subscribe(f"/topic/{PREFIX}.public.{elsewhere}")
    hana.subscribe(topic)
    began = time.monotonic()
    status, _ = gateway.call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")
    assert status == 204
    error, code = inside.error()
    assert (error.headers["message"], code) == ("removed", 4003)
    assert time.monotonic() - began < _AT_ONCE
    gateway.post(room, "hana", "without paul")
    gateway.post(elsewhere, "hana", "with paul")
    assert hana.message().json["body"] == "without paul"
    assert outside.message().json["body"] == "with paul"


def test_a_removed_member_does_not_come_in_again(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    topic = f"/topic/{PREFIX}.public.{room}"
    connect("paul").subscribe(topic)
    gateway.call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")
    for command, headers in (("SUBSCRIBE", {"id": "s"}), ("SEND", {})):
        paul = connect("paul")
        paul.send(command, {"destination": topic, **headers})
        error, code = paul.error()
        assert (error.headers["message"], code) == ("access_refused", 4003)


def test_a_host_who_becomes_participant_loses_the_hosts_subscriptions(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    members = f"/api/rooms/{room}/members"
    assert gateway.call("PUT", f"{members}/hugo", {"role": "host"}, user="hana")[0] == 200
    queue, topic = connect("hugo"), connect("hugo")
    queue.subscribe(f"/queue/{PREFIX}.private.{room}")
    topic.subscribe(f"/topic/{PREFIX}.private.{room}")
    assert gateway.call("PUT", f"{members}/hugo", {"role": "participant"}, user="hana")[0] == 200
    for client in (queue, topic):
        error, code = client.error()
        assert (error.headers["message"], code) == ("removed", 4003)
    again = connect("hugo")
    again.send("SUBSCRIBE", {"destination": f"/queue/{PREFIX}.private.{room}", "id": "s"})
    assert again.error()[1] == 4003
    connect("hugo").subscribe(f"/topic/{PREFIX}.public.{room}")


def test_a_closed_room_ends_everyones_subscription_to_it(
    gateway: GatewayProcess, connect: Connect, room: int
) -> None:
    elsewhere = gateway.room("hana", "paul")
    hana, paul, outside = connect("hana"), connect("paul"), connect("paul")
    hana.subscribe(f"/queue/{PREFIX}.private.{room}")
    paul.subscribe(f"/topic/{PREFIX}.public.{room}")
    outside.subscribe(f"/topic/{PREFIX}.public.{elsewhere}")
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
    for client in (hana, paul):
        error, code = client.error()
        assert (error.headers["message"], code) == ("room_closed", 4003)
    gateway.post(elsewhere, "hana", "goes on")
    assert outside.message().json["body"] == "goes on"
