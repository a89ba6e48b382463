"""A private queue that has lost the majority of its members for ever is replaced; no other is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random

import pika
import pytest
import uvloop

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.publication import NotConfirmed, Publication
from broker.publishing.publisher import Publisher
from broker.quirks import dead_queues
from broker.quirks.dead_queues import DeadQueues
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from devenv.cluster import Cluster

pytestmark = pytest.mark.cluster

TOPOLOGY = Topology()
Drain = Callable[[str], list[tuple[pika.BasicProperties, bytes]]]


def publication(room: int, id: str) -> Publication:
    key = TOPOLOGY.routing_key(Stream(Audience.PUBLIC, room))
    return Publication(key, b"{}", id)


def lose_members(cluster: Cluster, room: int) -> None:
    """Two of three, with their logs: as when the nodes are killed right after the declaration."""
    server = f"{{'%2F_{TOPOLOGY.private_queue(room).name}', node()}}"
    for number in (2, 3):
        kill = f"ok = ra:force_delete_server(quorum_queues, {server})."
        cluster.node(number).control("eval", kill)


async def published_at_last(publisher: Publisher, message: Publication, *, within: float) -> None:
    async with asyncio.timeout(within):
        while True:
            try:
                return await publisher.publish(message, 15)
            except NotConfirmed:
                continue


def test_a_dead_queue_is_replaced_and_the_queues_of_other_rooms_keep_what_they_hold(
    cluster: Cluster,
    nodes: list[Node],
    credentials: Credentials,
    drain: Drain,
    room: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(dead_queues, "SETTLED", 2.0)
    other = room + 1

    async def run() -> None:
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        publishers = [
            Publisher(nodes, credentials, TOPOLOGY, timeout=10, rng=rng, tasks=Tasks())
            for _ in range(2)
        ]
        examining = [DeadQueues(each, TOPOLOGY, tasks=Tasks()) for each in publishers]
        for publisher, part in zip(publishers, examining, strict=True):
            publisher.start()
            part.start()
        first, second = publishers
        try:
            for each in (room, other):
                await first.declare_private_queue(each)
                await published_at_last(first, publication(each, "before"), within=30)
            await asyncio.to_thread(lose_members, cluster, room)
            # Two gateways find out at the same time, and one of them replaces it.
            async with asyncio.TaskGroup() as stuck:
                stuck.create_task(published_at_last(first, publication(room, "a"), within=90))
                stuck.create_task(published_at_last(second, publication(room, "b"), within=90))
                await published_at_last(first, publication(other, "meanwhile"), within=30)
        finally:
            for publisher, part in zip(publishers, examining, strict=True):
                await part.close()
                await publisher.close()

    with caplog.at_level(logging.INFO, logger="broker.quirks.dead_queues"):
        uvloop.run(run())
    assert caplog.text.count(f"{TOPOLOGY.private_queue(room).name} is replaced; ") == 1
    replaced, kept = (TOPOLOGY.private_queue(each).name for each in (room, other))
    assert {properties.message_id for properties, _ in drain(replaced)} == {"a", "b"}
    assert {properties.message_id for properties, _ in drain(kept)} == {"before", "meanwhile"}


def test_a_queue_that_only_waits_for_its_members_is_left_alone(
    cluster: Cluster,
    nodes: list[Node],
    credentials: Credentials,
    drain: Drain,
    room: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_queues, "SETTLED", 2.0)

    async def run() -> None:
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        publisher = Publisher(nodes, credentials, TOPOLOGY, timeout=10, rng=rng, tasks=Tasks())
        examining = DeadQueues(publisher, TOPOLOGY, tasks=Tasks())
        publisher.start()
        examining.start()
        try:
            await publisher.declare_private_queue(room)
            await published_at_last(publisher, publication(room, "before"), within=30)
            for number in (2, 3):
                await asyncio.to_thread(cluster.pause_node, number)
            with pytest.raises(NotConfirmed):
                await publisher.publish(publication(room, "waits"), 12)
            for number in (2, 3):
                await asyncio.to_thread(cluster.kill_node, number)
            await asyncio.to_thread(cluster.start)
            await published_at_last(publisher, publication(room, "waits"), within=60)
        finally:
            await examining.close()
            await publisher.close()

    uvloop.run(run())
    held = {properties.message_id for properties, _ in drain(TOPOLOGY.private_queue(room).name)}
    assert held == {"before", "waits"}
