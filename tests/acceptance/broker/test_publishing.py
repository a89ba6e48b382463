"""Publisher against real nodes, healthy, dead, hanging, and under an alarm."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import pika
import pytest
import uvloop

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.channels import slot
from broker.publishing.provision import QueueDiffers, QueueFailed
from broker.publishing.publication import NotConfirmed, Publication, Returned
from broker.publishing.publisher import Publisher
from broker.publishing.repair import QueueRepair
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp, on_khepri

pytestmark = pytest.mark.cluster

TOPOLOGY = Topology()
Drain = Callable[[str], list[tuple[pika.BasicProperties, bytes]]]


def publication(room: int, id: str) -> Publication:
    key = TOPOLOGY.routing_key(Stream(Audience.PUBLIC, room))
    return Publication(key, f'{{"id":"{id}"}}'.encode(), id, {"seq": "7", "room": str(room)})


@asynccontextmanager
async def publishing(
    nodes: list[Node],
    credentials: Credentials,
    *,
    timeout: float = 10.0,  # noqa: ASYNC109 - the publisher's
) -> AsyncIterator[Publisher]:
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    publisher = Publisher(nodes, credentials, TOPOLOGY, timeout=timeout, rng=rng, tasks=Tasks())
    publisher.start()
    try:
        yield publisher
    finally:
        await publisher.close()


async def publish_at_last(publisher: Publisher, message: Publication, *, within: float) -> None:
    """Publish again, as an outbox does, until it is confirmed."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await publisher.publish(message, 1.0)
            except NotConfirmed:
                continue


async def stands(publisher: Publisher) -> None:
    """Wait until every node has its link, so that a stream's node stays the same."""
    async with asyncio.timeout(30):
        while True:
            if all(link.state is LinkState.UP for link in publisher.links):
                return
            await asyncio.sleep(0.02)


def node_of(publisher: Publisher, room: int) -> str | None:
    place = publisher._links.place(publication(room, "").routing_key)
    return None if place is None else place.link.node.name


def home_of(publisher: Publisher, room: int) -> int:
    """The number of the node that the room's public stream is published through now."""
    node = node_of(publisher, room)
    assert node is not None
    return int(node[1 : node.index("@")])


def declare_at(cluster: Cluster, number: int, *rooms: int) -> None:
    """Private queues with their leaders on this node: that is where they are declared."""
    with amqp(cluster, cluster.node(number)) as channel:
        for queue in map(TOPOLOGY.private_queue, rooms):
            channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            channel.queue_bind(queue.name, "amq.topic", queue.binding_key)


async def stop_at_a_leader_that_hangs(publisher: Publisher, room: int, hanging: int) -> None:
    """Have the room's stream move, and its new channel stop, unless there is a new leader."""
    while home_of(publisher, room) == hanging:
        with suppress(NotConfirmed):
            await publisher.publish(publication(room, "a"), 0.1)
    with suppress(NotConfirmed):
        await publisher.publish(publication(room, "b"), 0.1)


async def number_of_its_node(publisher: Publisher, room: int) -> int:
    await publisher.declare_private_queue(room)
    await stands(publisher)
    return home_of(publisher, room)


def test_a_confirmed_message_is_in_the_rooms_queue_with_all_it_carries(
    nodes: list[Node], credentials: Credentials, drain: Drain, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await publisher.declare_private_queue(room)
            # Nodes that have just come together may refuse the first attempts.
            await publish_at_last(publisher, publication(room, "a"), within=60)
            await stands(publisher)
            assert publisher.problem is None
            assert [link.problem for link in publisher.links] == [None] * 3

    uvloop.run(run())
    (properties, body), *_ = drain(TOPOLOGY.private_queue(room).name)
    assert body == b'{"id":"a"}'
    assert properties.headers == {"seq": "7", "room": str(room)}
    assert (properties.message_id, properties.delivery_mode, properties.content_type) == (
        "a",
        2,
        "application/json",
    )


def test_concurrent_publications_keep_the_order_of_the_calls(
    nodes: list[Node], credentials: Credentials, drain: Drain, room: int
) -> None:
    ids = [str(n) for n in range(500)]

    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            declared = asyncio.create_task(publisher.declare_private_queue(room))
            async with asyncio.TaskGroup() as calls:
                # The first calls come before there is a connection or a queue.
                await declared
                for id in ids:
                    calls.create_task(publisher.publish(publication(room, id), 30))

    uvloop.run(run())
    assert [
        properties.message_id for properties, _ in drain(TOPOLOGY.private_queue(room).name)
    ] == ids


def test_a_message_for_a_missing_queue_is_returned_and_passes_once_it_is_declared(
    nodes: list[Node], credentials: Credentials, drain: Drain, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            with pytest.raises(Returned, match="no queue for"):
                await publisher.publish(publication(room, "a"), 10)
            await publisher.declare_private_queue(room)
            await publisher.publish(publication(room, "a"), 10)

    uvloop.run(run())
    assert len(drain(TOPOLOGY.private_queue(room).name)) == 1


def test_the_private_queue_is_declared_and_deleted_any_number_of_times(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await asyncio.gather(*(publisher.declare_private_queue(room) for _ in range(3)))
            await publisher.declare_private_queue(room)
            node = cluster.node(1)
            queue_name = TOPOLOGY.private_queue(room).name
            at = f"/api/queues/%2F/{queue_name}"
            queue = node.management("GET", at, cluster.admin)
            assert (queue["type"], queue["durable"]) == ("quorum", True)
            assert queue["arguments"] == TOPOLOGY.private_queue(room).arguments
            bindings = node.management("GET", f"{at}/bindings", cluster.admin)
            assert {(b["source"], b["routing_key"]) for b in bindings} == {
                ("", queue_name),
                (TOPOLOGY.sorting.kept, f"acdm.mo.interact.*.{room}"),
            }
            await publisher.delete_private_queue(room)
            await publisher.delete_private_queue(room)
            assert node.management("GET", at, cluster.admin) is None

    uvloop.run(run())


def test_a_private_queue_is_known_by_its_mark_and_by_nothing_else(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    """RabbitMQ deletes the mark with the queue, whoever deletes that."""
    queue, mark = TOPOLOGY.private_queue(room), TOPOLOGY.queue_mark(room, "f00d", 7)
    at = f"/api/exchanges/%2F/{mark}"

    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await publisher.declare_private_queue(room)
            assert not await publisher.has_private_queue(room, mark)
            async with QueueRepair.of(publisher, queue) as repair:
                assert await repair.lock()
                assert await repair.adopt(mark)
            assert await publisher.has_private_queue(room, mark)
            assert cluster.node(1).management("GET", at, cluster.admin) is not None
            assert not await publisher.has_private_queue(room, f"{mark}1")
            await publisher.delete_private_queue(room)
            assert not await publisher.has_private_queue(room, mark)
            await publisher.declare_private_queue(room)
            assert not await publisher.has_private_queue(room, mark)
            assert cluster.node(1).management("GET", at, cluster.admin) is None
            await publisher.delete_private_queue(room)

    uvloop.run(run())


def test_a_queue_with_other_arguments_is_told_apart_and_harms_no_publication(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    other = room + 1
    foreign = TOPOLOGY.private_queue(other).name
    made = cluster.node(1).management(
        "PUT", f"/api/queues/%2F/{foreign}", cluster.admin, {"durable": True}
    )
    assert made is not None

    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await publisher.declare_private_queue(room)
            async with asyncio.TaskGroup() as calls:
                for n in range(200):
                    calls.create_task(publisher.publish(publication(room, str(n)), 30))
                with pytest.raises(QueueDiffers, match=f"{foreign}.*inequivalent arg"):
                    await publisher.declare_private_queue(other)

    uvloop.run(run())


def test_when_the_node_is_killed_all_that_wait_fail_at_once_and_the_next_node_serves(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            number = await number_of_its_node(publisher, room)
            # Stopped first, so that nothing can be confirmed before the kill.
            cluster.pause_node(number)
            waiting = [
                asyncio.create_task(publisher.publish(publication(room, str(n)), 60))
                for n in range(100)
            ]
            done, _ = await asyncio.wait(waiting, timeout=0.1)
            assert not done
            await asyncio.to_thread(cluster.kill_node, number)
            done, pending = await asyncio.wait(waiting, timeout=20)
            assert not pending
            assert {type(task.exception()) for task in done} == {NotConfirmed}
            await publish_at_last(publisher, publication(room, "after"), within=20)
            assert node_of(publisher, room) != f"r{number}@localhost"

    uvloop.run(run())


def test_streams_leave_a_draining_node_in_order_and_nothing_fails(
    nodes: list[Node], credentials: Credentials, drain: Drain, room: int
) -> None:
    rooms = range(room, room + 4)
    numbers = range(1500)
    draining: set[str] = set()
    moves: set[str | None] = set()

    async def stream(publisher: Publisher, of: int) -> None:
        async with asyncio.TaskGroup() as calls:
            for number in numbers:
                calls.create_task(publisher.publish(publication(of, f"{of} {number}"), 30))
                # Some are unanswered whenever the stream is to move.
                await asyncio.sleep(0.001)

    async def drain_in_turn(publisher: Publisher) -> None:
        for name in itertools.cycle(node.name for node in nodes):
            draining.clear()
            draining.add(name)
            taken = {node_of(publisher, each) for each in rooms}
            assert name not in taken
            moves.update(taken)
            await asyncio.sleep(0.2)

    async def run() -> None:
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        publisher = Publisher(
            nodes,
            credentials,
            TOPOLOGY,
            timeout=10,
            rng=rng,
            best=lambda name: LinkState.DRAINING if name in draining else LinkState.UP,
            tasks=Tasks(),
        )
        publisher.start()
        try:
            for each in rooms:
                await publisher.declare_private_queue(each)
                await publish_at_last(publisher, publication(each, "first"), within=60)
            await stands(publisher)
            restless = asyncio.create_task(drain_in_turn(publisher))
            await asyncio.gather(*(stream(publisher, each) for each in rooms))
            restless.cancel()
            assert len(moves) == 3
            draining.update(node.name for node in nodes)
            await publisher.publish(publication(room, "nowhere else to go"), 10)
        finally:
            await publisher.close()

    uvloop.run(run())
    for each in rooms:
        taken = [properties.message_id for properties, _ in drain(queue_of(each))]
        assert [id for id in taken if id != "first"][: len(numbers)] == [
            f"{each} {number}" for number in numbers
        ]


def queue_of(room: int) -> str:
    return TOPOLOGY.private_queue(room).name


def test_a_hanging_node_times_out_and_is_left_for_another_within_five_seconds(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            number = await number_of_its_node(publisher, room)
            cluster.pause_node(number)
            (answer,) = await asyncio.gather(
                publisher.publish(publication(room, "a"), 0.5), return_exceptions=True
            )
            if answer is None:
                # On a busy machine the stream may have moved before.
                assert home_of(publisher, room) != number
            else:
                assert isinstance(answer, NotConfirmed)
                assert "within 0.5 s" in answer.reason
            async with asyncio.timeout(5):
                while node_of(publisher, room) == f"r{number}@localhost":
                    with pytest.raises(NotConfirmed):
                        await publisher.publish(publication(room, "b"), 0.1)
            # The queue's leader was on the hanging node: the others elect one first.
            await publish_at_last(publisher, publication(room, "c"), within=30)
            # Woken up after net_ticktime it would stay apart from the others; started, it rejoins.
            await asyncio.to_thread(cluster.kill_node, number)

    uvloop.run(run())


def test_scattered_messages_pass_a_node_that_hangs_and_channels_that_it_stops(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    key = TOPOLOGY.gateways_key

    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await stands(publisher)
            number = home_of(publisher, room)
            declare_at(cluster, number, room)
            with amqp(cluster, cluster.node(number % 3 + 1)) as channel:
                queue = channel.queue_declare("", exclusive=True).method.queue
                channel.queue_bind(queue, "amq.topic", key)
                cluster.pause_node(number)
                await stop_at_a_leader_that_hangs(publisher, room, number)
                for each in ("1", "2"):
                    hint = Publication(key, b"x", each, persistent=False)
                    publisher.scatter(lambda _, hint=hint: hint)  # type: ignore[misc]
                async with asyncio.timeout(20):
                    # Twice each: by both nodes that go on.
                    while channel.queue_declare(queue, passive=True).method.message_count < 4:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            await asyncio.to_thread(cluster.kill_node, number)

    uvloop.run(run())


def test_a_queue_whose_leader_hangs_stops_no_other_stream_that_has_moved(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await stands(publisher)
            hanging = home_of(publisher, room)
            stopped = slot(publication(room, "").routing_key, home=False)
            others = [
                other
                for other in range(room + 1, room + 100)
                if home_of(publisher, other) == hanging
                and slot(publication(other, "").routing_key, home=False) != stopped
            ][:5]
            assert len(others) == 5
            declare_at(cluster, hanging, room)
            declare_at(cluster, hanging % 3 + 1, *others)
            cluster.pause_node(hanging)
            await stop_at_a_leader_that_hangs(publisher, room, hanging)
            for other in others:
                await publisher.publish(publication(other, "c"), 3)
            await asyncio.to_thread(cluster.kill_node, hanging)

    uvloop.run(run())


def test_unconfirmed_publications_on_a_node_without_a_majority_fail_in_time(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    async def run() -> None:
        async with publishing(nodes[:1], credentials) as publisher:
            await publisher.declare_private_queue(room)
            # Two of the queue's three members hang, which node 1 does not know yet. Then it pauses.
            cluster.pause_node(2)
            cluster.pause_node(3)
            with pytest.raises(NotConfirmed, match=r"r1@localhost: |nack"):
                await publisher.publish(publication(room, "a"), 20)
            for number in (2, 3):
                await asyncio.to_thread(cluster.kill_node, number)

    uvloop.run(run())


def test_without_a_majority_nothing_is_promised_and_afterwards_all_goes_on(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, drain: Drain, room: int
) -> None:
    other = room + 1
    # On 4.3 a queue whose deletion was asked for meanwhile never confirms anything again; the
    # gateway replaces it (gateway/queues/mender.py).
    deleted = room + 2 if on_khepri() else room

    async def run() -> None:
        async with publishing(nodes, credentials, timeout=3) as publisher:
            for each in {room, deleted}:
                await publisher.declare_private_queue(each)
            for number in (2, 3):
                await asyncio.to_thread(cluster.kill_node, number)
            with pytest.raises(NotConfirmed):
                await publisher.publish(publication(room, "a"), 2)
            with pytest.raises(QueueFailed, match="cannot declare"):
                await publisher.declare_private_queue(other)
            with pytest.raises(QueueFailed, match="cannot delete"):
                await publisher.delete_private_queue(deleted)
            # A node alone pauses (pause_minority), which takes it some seconds.
            async with asyncio.timeout(30):
                while publisher.problem is None:  # noqa: ASYNC110 - polled, as readiness does
                    await asyncio.sleep(0.1)
            await asyncio.to_thread(cluster.start)
            # Of a queue that was seconds old RabbitMQ 3.10 may have lost two members of three; then
            # it is replaced, which begins when all has stood for 15 s and takes up to 20 s.
            await publish_at_last(publisher, publication(room, "a"), within=90)
            await publisher.declare_private_queue(other)

    uvloop.run(run())
    assert {
        properties.message_id for properties, _ in drain(TOPOLOGY.private_queue(room).name)
    } == {"a"}


def test_under_an_alarm_publications_wait_and_the_connection_stays(
    cluster: Cluster, nodes: list[Node], credentials: Credentials, room: int
) -> None:
    def watermark(value: str) -> None:
        cluster.node(1).control("set_vm_memory_high_watermark", value)

    async def run() -> None:
        async with publishing(nodes, credentials) as publisher:
            await publisher.declare_private_queue(room)
            await stands(publisher)
            await asyncio.to_thread(watermark, "0.000001")
            try:
                # RabbitMQ blocks a connection when it next publishes.
                async with asyncio.timeout(30):
                    while publisher.problem is None:
                        with suppress(NotConfirmed):
                            await publisher.publish(publication(room, "a"), 0.3)
                # Longer than a silent node is given.
                with pytest.raises(NotConfirmed, match="r1@localhost: blocked by an alarm; r2"):
                    await publisher.publish(publication(room, "waits"), 6)
                assert {link.state for link in publisher.links} == {LinkState.BLOCKED}
            finally:
                await asyncio.to_thread(watermark, "0.4")
            await publisher.publish(publication(room, "waits"), 10)
            assert {link.state for link in publisher.links} == {LinkState.UP}

    uvloop.run(run())


def test_a_wrong_password_is_told_without_being_told(
    nodes: list[Node], caplog: pytest.LogCaptureFixture, room: int
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = Credentials("gateway", "wrong-and-secret")

    async def run() -> None:
        async with publishing(nodes, wrong) as publisher:
            with pytest.raises(NotConfirmed, match="ACCESS_REFUSED") as caught:
                await publisher.publish(publication(room, "a"), 2)
            assert "wrong-and-secret" not in repr(caught.value)

    uvloop.run(run())
    assert "ACCESS_REFUSED" in caplog.text
    assert "wrong-and-secret" not in caplog.text
