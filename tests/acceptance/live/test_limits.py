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
shared = {}
"""
_BODY = 50_000
_FLOOD = 1_000


@pytest.mark.parametrize("shared", ["true", "false"], ids=["by the hub", "by relays"])
def test_a_reader_that_stalls_costs_little_memory_is_closed_and_harms_no_other(
    start_gateway: StartGateway, cluster: Cluster, shared: str
) -> None:
    gateway = start_gateway(tail=_RULE.format(shared))
    topic = "/topic/flood"
    with ExitStack() as stack:
        # As many as there are nodes and one more: of relays, two share a node with the stalled one.
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


@pytest.fixture
def sparing(start_gateway: StartGateway) -> GatewayProcess:
    return start_gateway(
        tail="""[limits]
copies = 2
copies_per_user = 3
dials_per_second = 0.01
dials_burst = 2
broker_subscriptions_per_second = 0.01
broker_subscriptions_burst = 2
rooms_per_minute = 0.1
rooms_burst = 2
"""
    )


def test_a_topic_is_sent_to_one_user_a_few_times_and_to_the_others_all_the_same(
    sparing: GatewayProcess,
) -> None:
    room = sparing.room("hana", "paul", "pia")
    topic = {"destination": f"/topic/{PREFIX}.public.{room}"}
    with ExitStack() as stack:
        pia = stack.enter_context(connected(sparing, "pia"))
        pia.subscribe(topic["destination"])
        one, another = (stack.enter_context(connected(sparing, "paul")) for _ in range(2))
        for client, id in ((one, "1"), (one, "2"), (another, "3")):
            client.subscribe(topic["destination"], id)
        for client in (another, one):
            client.send("SUBSCRIBE", {**topic, "id": "more", "receipt": "wanted"})
            error, code = client.error()
            assert (error.headers["message"], code) == ("too_many_copies", 1013)
            assert error.headers["receipt-id"] == "wanted"
        # What they had is given back.
        again = stack.enter_context(connected(sparing, "paul"))
        again.subscribe(topic["destination"], "1")
        again.request("UNSUBSCRIBE", {"id": "1"})
        again.subscribe(topic["destination"], "2")
        again.subscribe(topic["destination"], "3")
        assert sparing.post(room, "hana", "hello")[0] == 201
        assert pia.message().json["body"] == "hello"
        assert [again.message().headers["subscription"] for _ in range(2)] == ["2", "3"]


def test_a_host_who_connects_to_queues_all_the_time_costs_another_host_nothing(
    sparing: GatewayProcess,
) -> None:
    bad, good = sparing.room("bea"), sparing.room("hana", "paul")
    for _ in range(2):
        with connected(sparing, "bea") as bea:
            bea.subscribe(f"/queue/{PREFIX}.private.{bad}")
    with connected(sparing, "bea") as bea:
        bea.send("SUBSCRIBE", {"destination": f"/queue/{PREFIX}.private.{bad}", "id": "s"})
        error, code = bea.error()
        assert (error.headers["message"], code) == ("too_many_dials", 1013)
        assert int(error.headers["retry-after"]) > 10_000
    with connected(sparing, "hana") as hana:
        queue = f"/queue/{PREFIX}.private.{good}"
        hana.subscribe(queue)
        sparing.post(good, "paul", "a question")
        assert hana.message().json["body"] == "a question"
        hana.request("UNSUBSCRIBE", {"id": "s"})
        hana.subscribe(queue)
        hana.request("UNSUBSCRIBE", {"id": "s"})
        hana.send("SUBSCRIBE", {"destination": queue, "id": "s"})
        error, code = hana.error()
        assert (error.headers["message"], code) == ("too_many_subscriptions", 1013)
    met = sparing.metrics()
    assert 'gateway_budget_met_total{budget="dials/user"} 1.0' in met
    assert 'gateway_budget_met_total{budget="broker_subscriptions/user"} 1.0' in met


def test_rooms_have_a_rate_for_each_user(sparing: GatewayProcess) -> None:
    for _ in range(2):
        sparing.room("bea")
    status, problem = sparing.call(
        "POST", "/api/rooms", {"title": "x"}, user="bea", roles=("host",)
    )
    assert (status, problem["code"]) == (429, "too_many_rooms")
    sparing.room("hana")


def test_what_waits_for_slow_readers_is_bounded_in_all_and_the_others_get_everything(
    start_gateway: StartGateway,
) -> None:
    """Each of these is behind by less than one alone may be."""
    gateway = start_gateway(tail="[limits]\nbacklog_bytes_in_all = 4000000\nposts_burst = 1000\n")
    room = gateway.room("hana", *(f"slow{number}" for number in range(12)), "pia")
    topic = f"/topic/{PREFIX}.public.{room}"
    with ExitStack() as stack:
        pia = stack.enter_context(connected(gateway, "pia"))
        pia.subscribe(topic)
        for number in range(12):
            slow = stack.enter_context(connected(gateway, f"slow{number}"))
            slow.subscribe(topic)
        before = gateway.memory()
        for number in range(200):
            assert gateway.post(room, "hana", f"{number} {'x' * 50_000}")[0] == 201
            assert pia.message().json["seq"] == number + 1
        assert gateway.memory() - before < 40_000_000
    assert 'gateway_budget_met_total{budget="backlog/all"} 0.0' not in gateway.metrics()
    gateway.await_logged("closing with 4008 too_slow")
