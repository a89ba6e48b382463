"""Two gateways over one PostgreSQL and one cluster have one stream, although one of them dies."""

import operator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import forget_feeds, nodes_of_feeds, wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

_POSTS = 60
_LEFT = 10


@pytest.fixture
def gateways(start_gateway: StartGateway, postgres_url: str) -> list[GatewayProcess]:
    store = postgres_url.replace("+asyncpg", "")
    return [
        start_gateway(number=n, store=store, server=f'name = "gateway-{n}"\ndrain_time = 0.0')
        for n in (0, 1)
    ]


def test_members_on_different_gateways_see_one_stream_with_one_numbering(
    gateways: list[GatewayProcess],
) -> None:
    room = gateways[0].room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    with connected(gateways[0], "hana") as hana, connected(gateways[1], "paul") as paul:
        for client in (hana, paul):
            client.subscribe(topic)
        with ThreadPoolExecutor(4) as posters:
            answers = posters.map(
                lambda n: gateways[n % 2].post(room, ("hana", "paul")[n % 2], n), range(_POSTS)
            )
        seqs = sorted(receipt["seq"] for _, receipt in answers)
        assert seqs == list(range(1, _POSTS + 1))
        for client in (hana, paul):
            heard = [client.message().json["seq"] for _ in range(_POSTS)]
            assert heard == list(range(1, _POSTS + 1))


def test_a_node_that_has_lost_the_others_is_left_and_nothing_is_missed(
    gateways: list[GatewayProcess], cluster: Cluster
) -> None:
    rooms = [gateways[0].room("hana", "paul") for _ in range(6)]
    with connected(gateways[1], "paul") as paul:
        for room in rooms:
            paul.subscribe(f"/topic/{PREFIX}.public.{room}", id=str(room))
        forget_feeds(cluster.node(3))
        try:
            # Each stream's last message: no hole will tell of it.
            for room in rooms:
                assert gateways[0].post(room, "hana", room)[0] == 201
            heard = [wait_for(paul.message).json["body"] for _ in rooms]
            assert sorted(heard) == sorted(rooms)
            for gateway in gateways:
                wait_for(partial(gateway.avoids, "r3"))
        finally:
            cluster.kill_node(3)
            cluster.start()
        for gateway in gateways:
            wait_for(partial(gateway.avoids, "r3"), wanted=operator.not_)


def test_a_gateway_that_dies_together_with_a_node_keeps_no_message_unconfirmed(
    gateways: list[GatewayProcess], cluster: Cluster
) -> None:
    staying, dying = gateways
    room = staying.room("hana", "paul")
    with connected(dying, "paul") as paul:
        # Only the gateway that dies has a feed for the topic.
        paul.subscribe(f"/topic/{PREFIX}.public.{room}")
        assert staying.post(room, "hana", "before")[0] == 201
        assert wait_for(paul.message).json["body"] == "before"
        machine = nodes_of_feeds(cluster, ".feed.gateway-1.")[0]
        cluster.kill_node(machine)
        dying.kill()
    try:
        assert wait_for(
            lambda: staying.post(room, "hana", "after")[0],
            wanted=lambda status: status == 201,
            within=60.0,
        )
    finally:
        cluster.start()


def test_messages_that_a_killed_gateway_has_answered_are_published_by_the_other_in_order(
    gateways: list[GatewayProcess], cluster: Cluster
) -> None:
    staying, dying = gateways
    room = staying.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    with connected(staying, "hana") as hana:
        hana.subscribe(topic)
        assert dying.post(room, "paul", "before")[0] == 201
        assert hana.message().json["seq"] == 1
        # Not by SIGKILL: a queue that young would never have a leader again.
        for node in cluster.nodes:
            cluster.stop_node(node.number)
        with ThreadPoolExecutor(_LEFT) as posters:
            answers = list(posters.map(lambda n: dying.post(room, "paul", n), range(_LEFT)))
        assert {status for status, _ in answers} == {202}
        assert {receipt["published"] for _, receipt in answers} == {False}
        dying.kill()
        cluster.start()
        heard = [wait_for(hana.message).json["seq"] for _ in range(_LEFT)]
        assert heard == list(range(2, _LEFT + 2))
        again = staying.post(room, "paul", answers[0][1]["id"], id=answers[0][1]["id"])
        assert again[0] == 422, "the id is known, whoever published it"

    def is_published() -> bool:
        status, receipt = staying.post(room, "paul", 0, id=answers[0][1]["id"])
        return status == 201 and bool(receipt["published"])

    wait_for(is_published, within=30.0)
    with connected(staying, "paul") as paul:
        paul.subscribe(topic, resume_after="1")
        resumed = [paul.message().json["seq"] for _ in range(_LEFT)]
        assert resumed == list(range(2, _LEFT + 2))
