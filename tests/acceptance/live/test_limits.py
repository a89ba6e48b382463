"""Everything that a client can grow has a limit, and one bad client harms no other."""

from contextlib import ExitStack

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import witness
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
def tight(start_gateway: StartGateway) -> GatewayProcess:
    return start_gateway(
        tail="[limits]\nconnections = 4\nconnections_per_user = 2\nsubscriptions = 2\n",
    )


def test_a_users_connections_are_limited(tight: GatewayProcess) -> None:
    with ExitStack() as stack:
        mine = [stack.enter_context(connected(tight, "paul")) for _ in range(2)]
        third = stack.enter_context(StompClient(tight.ws_url))
        third.send("CONNECT", {"accept-version": "1.2", "passcode": tight.token("paul")})
        error, code = third.error()
        assert (error.headers["message"], code) == ("too_many_of_user", 1013)
        stack.enter_context(connected(tight, "pia"))
        mine[0].request("DISCONNECT", {})
        mine[0].closed()
        stack.enter_context(connected(tight, "paul"))


def test_the_gateways_connections_are_limited_before_the_upgrade(tight: GatewayProcess) -> None:
    with ExitStack() as stack:
        for user in "abcd":
            stack.enter_context(connected(tight, user))
        status, problem = tight.call("GET", "/ws", headers=UPGRADE)
        assert (status, problem["code"]) == (503, "no_capacity")


def test_a_connections_subscriptions_are_limited(tight: GatewayProcess) -> None:
    room = tight.room("hana")
    topic = f"/topic/{PREFIX}.public.{room}"
    with connected(tight, "hana") as hana:
        hana.subscribe(topic, "one")
        hana.subscribe(topic, "two")
        hana.send("SUBSCRIBE", {"destination": topic, "id": "three"})
        error, code = hana.error()
        assert (error.headers["message"], code) == ("subscriptions_full", 1013)


def test_a_subscription_id_is_used_once(tight: GatewayProcess) -> None:
    room = tight.room("hana")
    topic = f"/topic/{PREFIX}.public.{room}"
    with connected(tight, "hana") as hana:
        hana.subscribe(topic, "one")
        hana.send("SUBSCRIBE", {"destination": topic, "id": "one"})
        error, code = hana.error()
        assert (error.headers["message"], code) == ("bad_frame", 1002)


_RULE = """
[limits]
stall_timeout = 2.0

[[access]]
roles = ["service"]
subscribe = ["**"]
send = ["**"]
"""
_BODY = 50_000
_FLOOD = 1_000


def test_a_reader_that_stalls_costs_little_memory_is_closed_and_harms_no_other(
    start_gateway: StartGateway, cluster: Cluster
) -> None:
    gateway = start_gateway(tail=_RULE)
    topic = "/topic/flood"
    with ExitStack() as stack:
        # As many as there are nodes and one more: two of them share a node with the stalled one.
        readers = [stack.enter_context(connected(gateway, "a", "service")) for _ in range(3)]
        for reader in readers:
            reader.subscribe(topic)
        stalled = stack.enter_context(connected(gateway, "slow", "service"))
        stalled.subscribe(topic)
        before = gateway.memory()
        with witness(cluster, "flood") as publisher:
            for number in range(_FLOOD):
                publisher.publish("flood", number.to_bytes(4) + bytes(_BODY))
                for reader in readers:
                    assert reader.message().body[:4] == number.to_bytes(4)
        assert gateway.memory() - before < 30_000_000
        gateway.await_logged("closing with 4008 too_slow")


def test_a_client_that_does_not_read_the_answers_is_not_read_either(
    start_gateway: StartGateway,
) -> None:
    # So fast that the answers, not the rate of what is asked, come to the limit.
    rate = "frames_per_second = 1000000.0\nframes_burst = 1000000\n"
    gateway = start_gateway(tail=f"[limits]\nstall_timeout = 1.0\n{rate}")
    pings = (b"\x89\xfd" + bytes(4) + bytes(125)) * 1_000_000
    with connected(gateway, "paul") as paul:
        before = gateway.memory()
        with pytest.raises(OSError, match=r"reset|pipe|timed out"):
            paul.raw(pings)
        assert gateway.memory() - before < 30_000_000
        gateway.await_logged("closing with 4008 too_slow")
