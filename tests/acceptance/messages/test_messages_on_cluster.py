"""The message pipeline over a real database and a real cluster that is broken meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream
from devenv.cluster import Cluster
from gateway.domain.message import Importance
from tests.acceptance.broker_view import amqp, witness
from tests.acceptance.messages.conftest import Delivery
from tests.acceptance.messages.message_side import TOPOLOGY, Gateway, draft, mender_of, running
from tests.integration.store.content import outbox_size

pytestmark = pytest.mark.cluster

Take = Callable[[int], list[Delivery]]
Work = Callable[[Gateway], Coroutine[Any, Any, None]]
Run = Callable[[Work], None]

ROOM = 1


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "interact.db"


@pytest.fixture
def run(database: Path, nodes: list[Node], credentials: Credentials) -> Run:
    """Runs a gateway for as long as the work takes, with room 1."""

    async def with_gateway(work: Work) -> None:
        async with running(database, nodes, credentials) as gateway:
            if not await gateway.store.open_rooms():
                assert await gateway.open_room() == ROOM
            await work(gateway)

    def run_work(work: Work) -> None:
        uvloop.run(with_gateway(work))

    return run_work


def seqs(deliveries: Iterable[Delivery], audience: Audience = Audience.PUBLIC) -> list[int]:
    """Of one stream, in the order of their first arrival."""
    of_stream = (each.body for each in deliveries if each.body["audience"] == audience)
    return list(dict.fromkeys(body["seq"] for body in of_stream))


def test_a_message_arrives_in_the_private_queue_as_its_contract_says(
    run: Run, take_queue: Take
) -> None:
    posted = draft(ROOM, {"text": "안녕", "\ud800": 1.5}, audience=Audience.PRIVATE)

    async def work(gateway: Gateway) -> None:
        receipt = await gateway.pipeline.post(posted)
        assert receipt.published

    run(work)
    (delivery,) = take_queue(ROOM)
    assert delivery.body == json.loads(posted.numbered(1).encode())
    properties = delivery.properties
    assert properties.message_id == str(posted.id)
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert properties.headers == {
        "seq": "1",
        "room": "1",
        "audience": "private",
        "sender": "kim",
    }


def test_an_id_posted_twenty_times_at_once_is_one_row_and_one_publication(
    run: Run, take_queue: Take
) -> None:
    message_id = uuid4()

    async def work(gateway: Gateway) -> None:
        receipts = await asyncio.gather(
            *(gateway.pipeline.post(draft(ROOM, id=message_id)) for _ in range(20))
        )
        assert all(receipt == receipts[0] for receipt in receipts)
        assert receipts[0].published
        page = await gateway.store.read(Stream(Audience.PUBLIC, ROOM), after=0, limit=100)
        assert [message.id for message in page.messages] == [message_id]

    run(work)
    assert len(take_queue(ROOM)) == 1


def test_an_instant_message_passes_by_the_history_and_the_private_queue(
    run: Run, take_queue: Take, cluster: Cluster
) -> None:
    foreign = {"room": ROOM, "from": "elsewhere"}

    async def work(gateway: Gateway) -> None:
        assert (await gateway.pipeline.post(draft(ROOM), Importance.INSTANT)).published
        assert (await gateway.store.read(Stream(Audience.PUBLIC, ROOM), after=0, limit=9)).head == 0
        assert (await gateway.pipeline.post(draft(ROOM, "stays"))).published

    with witness(cluster, TOPOLOGY.routing_key(Stream(Audience.PUBLIC, ROOM))) as heard:
        run(work)
        heard.publish(f"{TOPOLOGY.prefix}.anything.{ROOM}", json.dumps(foreign).encode())
        (_, properties, body), (_, _, second) = heard.hear(2)
    assert json.loads(body)["seq"] is None
    assert properties.expiration == "10000"
    assert properties.delivery_mode != 2
    assert json.loads(second)["body"] == "stays"
    assert [each.body for each in take_queue(ROOM)] == [json.loads(second), foreign]


def test_a_queue_of_before_loses_nothing_on_its_way_behind_the_sorting(
    run: Run, take_queue: Take, cluster: Cluster, nodes: list[Node], credentials: Credentials
) -> None:
    """As a gateway of an earlier version left it, which may still run beside."""

    async def work(gateway: Gateway) -> None:
        queue = TOPOLOGY.private_queue(ROOM)
        for n in range(3):
            with amqp(cluster) as channel:
                channel.queue_bind(queue.name, "amq.topic", queue.binding_key)
            assert (await gateway.pipeline.post(draft(ROOM, n))).published
        with amqp(cluster) as channel:
            channel.queue_unbind(queue.name, TOPOLOGY.sorting.kept, queue.binding_key)
        # A new gateway looks for it.
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        publisher = Publisher(nodes, credentials, TOPOLOGY, timeout=5.0, rng=rng, tasks=Tasks())
        publisher.start()
        await mender_of(gateway.store, publisher).declare_private_queue(ROOM)
        await publisher.close()
        assert (await gateway.pipeline.post(draft(ROOM), Importance.INSTANT)).published
        assert (await gateway.pipeline.post(draft(ROOM, 3))).published

    run(work)
    assert [each.body["body"] for each in take_queue(ROOM)] == [0, 1, 2, 3]


def test_a_private_queue_that_is_missing_is_declared_again(run: Run, take_queue: Take) -> None:
    async def work(gateway: Gateway) -> None:
        await gateway.publisher.delete_private_queue(ROOM)
        receipts = await asyncio.gather(*(gateway.pipeline.post(draft(ROOM)) for _ in range(50)))
        assert all(receipt.published for receipt in receipts)

    run(work)
    assert seqs(take_queue(ROOM)) == list(range(1, 51))


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


@contextmanager
def max_message_size(cluster: Cluster, size: int) -> Iterator[None]:
    """Of channels that are opened meanwhile, on all nodes."""

    def everywhere(call: str) -> str:
        calls = f"[erpc:call(N, application, {call}) || N <- [node() | nodes()]]."
        return cluster.node(1).control("eval", calls)

    before = cluster.node(1).control("eval", "application:get_env(rabbit, max_message_size).")
    everywhere(f"set_env, [rabbit, max_message_size, {size}]")
    try:
        yield
    finally:
        if found := re.fullmatch(r"\{ok, *(\d+)\}", before.strip()):
            everywhere(f"set_env, [rabbit, max_message_size, {found[1]}]")
        else:
            everywhere("unset_env, [rabbit, max_message_size]")


def test_a_message_that_rabbitmq_never_takes_costs_nobody_else_anything(
    run: Run, take_queue: Take, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(gateway: Gateway) -> None:
        other = await gateway.open_room()
        posts = [draft(ROOM), draft(ROOM, "x" * 30_000), draft(ROOM)]
        posts += [draft(other) for _ in range(20)]
        receipts = await asyncio.gather(*(gateway.pipeline.post(each) for each in posts))
        assert [each.message.seq for each in receipts[:3]] == [1, 2, 3]
        assert not receipts[1].published
        for each in receipts[:1] + receipts[2:]:
            assert await gateway.outbox.confirmed(each.message, within=10)
        await eventually(lambda: len(gateway.outbox.parking) == 1)
        problem = gateway.outbox.parking.problem
        assert problem is not None
        assert "larger than" in problem
        # What comes later does not even meet a channel that ends.
        again = await gateway.pipeline.post(draft(other, "x" * 30_000))
        assert not again.published
        assert (await gateway.pipeline.post(draft(ROOM))).published
        page = await gateway.store.read(Stream(Audience.PUBLIC, ROOM), after=0, limit=100)
        assert [message.seq for message in page.messages] == [1, 2, 3, 4]

    async def restarted(gateway: Gateway) -> None:
        receipt = await gateway.pipeline.post(draft(ROOM))
        assert await gateway.outbox.confirmed(receipt.message, within=20)
        await eventually(lambda: len(gateway.outbox.parking) == 2)

    async def raised(gateway: Gateway) -> None:
        await eventually(lambda: gateway.outbox.counts.confirmed == 2)
        assert len(gateway.outbox.parking) == 0

    with max_message_size(cluster, 20_000):
        run(work)
        run(restarted)
    assert not [each for each in caplog.messages if ": lost, and dialled again" in each]
    run(raised)
    assert seqs(take_queue(ROOM)) == [1, 3, 4, 5, 2]


def test_posts_while_the_cluster_is_down_are_accepted_and_arrive_in_order_afterwards(
    run: Run, take_queue: Take, cluster: Cluster, write_down_queues: Callable[[], None]
) -> None:
    async def work(gateway: Gateway) -> None:
        assert (await gateway.pipeline.post(draft(ROOM))).published
        await asyncio.to_thread(write_down_queues)
        for number in (1, 2, 3):
            await asyncio.to_thread(cluster.kill_node, number)
        posts = [
            gateway.pipeline.post(draft(ROOM, audience=audience))
            for _ in range(400)
            for audience in Audience
        ]
        assert not any(receipt.published for receipt in await asyncio.gather(*posts))
        assert await outbox_size(gateway.store) == 800
        await asyncio.to_thread(cluster.start)
        last = draft(ROOM)
        async with asyncio.timeout(60):
            while not (await gateway.pipeline.post(last)).published:
                continue

    run(work)
    deliveries = take_queue(ROOM)
    assert seqs(deliveries) == list(range(1, 403))
    assert seqs(deliveries, Audience.PRIVATE) == list(range(1, 401))


def test_a_node_that_dies_under_load_costs_no_message_and_no_order(
    run: Run, take_queue: Take, cluster: Cluster, write_down_queues: Callable[[], None]
) -> None:
    posted: list[int | None] = []

    async def work(gateway: Gateway) -> None:
        await asyncio.to_thread(write_down_queues)
        stop = asyncio.Event()
        answers: asyncio.Queue[int | None] = asyncio.Queue()

        async def post_in_turn() -> None:
            while not stop.is_set():
                receipt = await gateway.pipeline.post(draft(ROOM))
                answers.put_nowait(receipt.message.seq)

        posters = asyncio.gather(*(post_in_turn() for _ in range(20)))
        posted.extend([await answers.get() for _ in range(200)])
        place = gateway.publisher._links.place(TOPOLOGY.routing_key(Stream(Audience.PUBLIC, ROOM)))
        assert place is not None
        node = place.link.node.name
        await asyncio.to_thread(cluster.kill_node, int(node[1 : node.index("@")]))
        posted.extend([await answers.get() for _ in range(answers.qsize() + 500)])
        stop.set()
        await posters
        posted.extend([await answers.get() for _ in range(answers.qsize())])

    run(work)
    assert sorted(map(int, filter(None, posted))) == list(range(1, len(posted) + 1))
    cluster.start()
    assert seqs(take_queue(ROOM)) == list(range(1, len(posted) + 1))


def test_messages_that_a_killed_gateway_has_answered_are_published_by_the_next_one(
    run: Run,
    take_queue: Take,
    database: Path,
    nodes: list[Node],
    credentials: Credentials,
) -> None:
    answered: dict[str, int] = {}

    async def until_killed(answers: int) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.acceptance.messages.message_side",
            str(database),
            str(ROOM),
            *(node.amqp for node in nodes),
            stdin=PIPE,
            stdout=PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([credentials.login, credentials.passcode]).encode())
        process.stdin.write_eof()
        for _ in range(answers):
            message_id, seq = (await process.stdout.readline()).split()
            answered[message_id.decode()] = int(seq)
        process.kill()
        for line in (await process.stdout.read()).splitlines(keepends=True):
            if line.endswith(b"\n"):
                message_id, seq = line.split()
                answered[message_id.decode()] = int(seq)
        assert await process.wait() == -signal.SIGKILL

    async def nothing(_: Gateway) -> None:
        return

    run(nothing)
    for answers in (1, 50, 333):
        uvloop.run(until_killed(answers))
    depth_left = 0

    async def see_what_is_left(gateway: Gateway) -> None:
        nonlocal depth_left
        depth_left = await outbox_size(gateway.store)

    run(see_what_is_left)
    assert depth_left > 0, "the gateway was killed too late to leave anything"
    deliveries = take_queue(ROOM)
    arrived = {each.body["id"]: each.body["seq"] for each in deliveries}
    assert answered.items() <= arrived.items()
    assert seqs(deliveries) == list(range(1, len(arrived) + 1))
