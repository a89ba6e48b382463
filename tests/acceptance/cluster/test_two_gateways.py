"""Two gateways over one PostgreSQL and one cluster have one stream, although one of them dies."""

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from broker.topology import Audience, Stream
from devenv.cluster import Cluster
from gateway.domain.message import Draft
from gateway.store import Appended, Store
from tests.acceptance.broker_view import forget_feeds, nodes_of_feeds, wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Received, StompClient

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


async def _fill(url: str, room: int, count: int) -> None:
    """Give the room a long history, as it is when RabbitMQ has taken all of it."""
    store = await Store.open(url, migrate=True)
    stream = Stream(Audience.PUBLIC, room)
    for start in range(0, count, 500):
        drafts = [
            Draft(uuid4(), stream, "paul", datetime.now(UTC), "message", n)
            for n in range(start, start + 500)
        ]
        assert all(isinstance(each, Appended) for each in await store.append(drafts))
        await store.mark_published([draft.id for draft in drafts])
    await store.close()


def test_who_comes_in_late_gets_the_state_first_and_misses_nothing_that_follows(
    gateways: list[GatewayProcess], postgres_url: str
) -> None:
    room = gateways[0].room("hana", "paul")
    path, topic = f"/api/rooms/{room}/state", f"/topic/{PREFIX}.public.{room}"
    poll = {"keep": "poll:1", "type": "poll"}
    assert gateways[0].post(room, "hana", {"question": "?"}, **poll)[0] == 201
    asyncio.run(_fill(postgres_url, room, 10_000))
    for n in range(4):
        assert gateways[n % 2].post(room, "hana", n, keep="board")[0] == 201

    def say(n: int) -> None:
        kept = {"keep": f"score:{n % 3}"} if n % 2 else {}
        body = None if n % 7 == 0 else n
        assert gateways[n % 2].post(room, ("hana", "paul")[n % 4 // 2], body, **kept)[0] == 201

    with (
        connected(gateways[0], "hana") as hana,
        connected(gateways[1], "paul") as paul,
        ThreadPoolExecutor(4) as posters,
    ):
        saying = posters.map(say, range(_POSTS))
        heard: dict[StompClient, list[Received]] = {}
        starts = {}
        for client in (hana, paul):
            given = {"destination": topic, "id": "s", "state": "true", "receipt": "here"}
            client.send("SUBSCRIBE", given)
            heard[client] = []
            while (frame := client.receive()).command != "RECEIPT":
                assert frame.command == "MESSAGE", frame
                heard[client].append(frame)
            starts[client] = int(frame.headers["seq"])
        list(saying)
        head = 10_005 + _POSTS
        for client, frames in heard.items():
            of_state = [frame for frame in frames if frame.headers.get("state") == "true"]
            while len(frames) < len(of_state) + head - starts[client]:
                frames.append(client.message())
            assert frames[: len(of_state)] == of_state
            assert len(of_state) <= 8
            assert of_state[0].json["body"] == {"question": "?"}
            rest = [int(frame.headers["seq"]) for frame in frames[len(of_state) :]]
            assert rest == list(range(starts[client] + 1, head + 1))
            kept = {}
            for each in (frame.json for frame in frames):
                if "keep" in each:
                    author = None if each["role"] == "host" else each["sender"]
                    kept[author, each["keep"]] = each
            standing = [each for each in kept.values() if each["body"] is not None]
            for gateway in gateways:
                status, state = gateway.call("GET", path, user="paul")
                assert (status, state["seq"], state["complete"]) == (200, head, True)
                assert state["state"] == sorted(standing, key=operator.itemgetter("seq"))
