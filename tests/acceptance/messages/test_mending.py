"""A private queue that will confirm nothing any more is replaced and refilled; no other is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import EXCHANGE
from devenv.cluster import Cluster
from gateway.queues import mender
from tests.acceptance.broker_view import amqp
from tests.acceptance.messages.conftest import Delivery
from tests.acceptance.messages.message_side import TOPOLOGY, Gateway, draft, mender_of, running

pytestmark = pytest.mark.cluster

Take = Callable[[int], list[Delivery]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mender, "SETTLED", 2.0)


def lose_members(cluster: Cluster, room: int) -> None:
    """Two of three, with their logs: as when the nodes are killed right after the declaration."""
    server = f"{{'%2F_{TOPOLOGY.private_queue(room).name}', node()}}"
    for number in (2, 3):
        kill = f"ok = ra:force_delete_server(quorum_queues, {server})."
        cluster.node(number).control("eval", kill)


async def published_at_last(gateway: Gateway, room: int, body: str, *, within: float) -> None:
    receipt = await gateway.pipeline.post(draft(room, body))
    if not receipt.published:
        assert await gateway.outbox.confirmed(receipt.message, within=within)


def heard(deliveries: list[Delivery]) -> list[tuple[Any, bool]]:
    return [(each.body["body"], each.redelivered) for each in deliveries]


@asynccontextmanager
async def a_second_mender(
    gateway: Gateway, nodes: list[Node], credentials: Credentials
) -> AsyncIterator[None]:
    """As another gateway has it, which finds out at the same time."""
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    publisher = Publisher(nodes, credentials, TOPOLOGY, timeout=10, rng=rng, tasks=Tasks())
    other = mender_of(gateway.store, publisher)
    publisher.start()
    other.start(gateway.outbox)
    try:
        yield
    finally:
        await other.close()
        await publisher.close()


def test_a_dead_queue_is_replaced_and_the_queues_of_other_rooms_keep_what_they_hold(
    cluster: Cluster,
    nodes: list[Node],
    credentials: Credentials,
    take_queue: Take,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> tuple[int, int]:
        async with running(tmp_path / "db", nodes, credentials) as gateway:
            async with a_second_mender(gateway, nodes, credentials):
                room, other = [await gateway.open_room() for _ in range(2)]
                for each in (room, other):
                    await published_at_last(gateway, each, "before", within=30)
                await asyncio.to_thread(lose_members, cluster, room)
                async with asyncio.TaskGroup() as stuck:
                    for body in ("a", "b"):
                        stuck.create_task(published_at_last(gateway, room, body, within=90))
                    await published_at_last(gateway, other, "meanwhile", within=30)
            return room, other

    with caplog.at_level(logging.INFO, logger="gateway.queues"):
        room, other = uvloop.run(run())
    name = TOPOLOGY.private_queue(room).name
    assert caplog.text.count(f"{name} is replaced, because it confirms nothing any more") == 1
    assert heard(take_queue(room)) == [("before", True), ("a", False), ("b", False)]
    assert heard(take_queue(other)) == [("before", False), ("meanwhile", False)]


def test_a_queue_that_only_waits_for_its_members_is_left_alone(
    cluster: Cluster,
    nodes: list[Node],
    credentials: Credentials,
    take_queue: Take,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    write_down_queues: Callable[[], None],
) -> None:
    async def run() -> int:
        async with running(tmp_path / "db", nodes, credentials) as gateway:
            room = await gateway.open_room()
            await published_at_last(gateway, room, "before", within=30)
            # Otherwise RabbitMQ 4.3 begins the members of nodes 2 and 3 anew, without the message.
            await asyncio.to_thread(write_down_queues)
            for number in (2, 3):
                await asyncio.to_thread(cluster.pause_node, number)
            receipt = await gateway.pipeline.post(draft(room, "waits"))
            assert not receipt.published
            assert not await gateway.outbox.confirmed(receipt.message, within=12)
            for number in (2, 3):
                await asyncio.to_thread(cluster.kill_node, number)
            await asyncio.to_thread(cluster.start)
            assert await gateway.outbox.confirmed(receipt.message, within=60)
            return room

    with caplog.at_level(logging.INFO, logger="gateway.queues"):
        room = uvloop.run(run())
    assert "is replaced" not in caplog.text
    assert list(dict.fromkeys(heard(take_queue(room)))) == [("before", False), ("waits", False)]


@pytest.mark.parametrize("loss", ["deleted", "of another type", "of another room"])
def test_a_queue_that_is_not_the_room_s_own_is_replaced_and_refilled(
    loss: str,
    cluster: Cluster,
    nodes: list[Node],
    credentials: Credentials,
    take_queue: Take,
    tmp_path: Path,
) -> None:
    async def run() -> int:
        async with running(tmp_path / "db", nodes, credentials) as gateway:
            room = await gateway.open_room()
            for number in range(300):
                await published_at_last(gateway, room, f"{number}", within=30)
            lose(room)
            await gateway.mender.declare_private_queue(room)
            await published_at_last(gateway, room, "live", within=30)
            return room

    def lose(room: int) -> None:
        queue = TOPOLOGY.private_queue(room)
        with amqp(cluster) as channel:
            channel.queue_delete(queue.name)
            if loss == "of another type":
                channel.queue_declare(queue.name, durable=True)
            elif loss == "of another room":
                channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
                channel.queue_bind(queue.name, EXCHANGE, queue.binding_key)
                channel.basic_publish("", queue.name, b'{"body":"of somebody else"}')

    room = uvloop.run(run())
    again = [(f"{number}", True) for number in range(300)]
    assert heard(take_queue(room)) == [*again, ("live", False)]
