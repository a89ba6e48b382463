"""A gateway's message side alone: the real store, publisher, outbox and pipeline.

Run as a program it posts messages one after another and prints each answer, until it is killed:
``python -m tests.acceptance.messages.message_side DATABASE ROOM AMQP_URL…`` with the broker's
login on standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import uvloop

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.limits import LiveLimits
from gateway.live.relay.consumers import Consumers
from gateway.messages.outbox import Outbox
from gateway.messages.pipeline import Pipeline
from gateway.observe.events import Events
from gateway.observe.posts import Posts
from gateway.queues.acknowledged import Acknowledgements
from gateway.queues.mender import QueueMender
from gateway.store import Store

TOPOLOGY = Topology()


@dataclass(frozen=True, slots=True)
class Gateway:
    """The message side of a gateway: store, outbox and publisher."""

    store: Store
    publisher: Publisher
    outbox: Outbox
    pipeline: Pipeline
    mender: QueueMender

    async def open_room(self) -> int:
        room = await self.store.create_room("Maths", {"lee": MemberRole.HOST}, datetime.now(UTC))
        await self.mender.declare_private_queue(room.id)
        return room.id


@asynccontextmanager
async def running(
    database: Path, nodes: Sequence[Node], credentials: Credentials
) -> AsyncIterator[Gateway]:
    rng = Random(1)  # noqa: S311 - spreads load, guards nothing
    store = await Store.open(f"sqlite:///{database}", migrate=True)
    publisher = Publisher(nodes, credentials, TOPOLOGY, timeout=5.0, rng=rng, tasks=Tasks())
    mender = mender_of(store, publisher)
    outbox = Outbox(store, publisher, TOPOLOGY, queues=mender, rng=rng, tasks=Tasks())
    limits, told = LiveLimits(Limits()), list[Message]()
    pipeline = Pipeline(
        store,
        outbox,
        publisher,
        TOPOLOGY,
        budgets=Budgets(limits, clock=time.monotonic),
        limits=limits,
        confirm_timeout=2.0,
        stored=told.extend,
        posts=Posts(clock=time.time),
        tasks=Tasks(),
    )
    publisher.start()
    mender.start(outbox)
    try:
        await outbox.start()
        yield Gateway(store, publisher, outbox, pipeline, mender)
    finally:
        await pipeline.close()
        await outbox.close(within=30.0)
        await mender.close()
        await publisher.close()
        await store.close()


def mender_of(store: Store, publisher: Publisher) -> QueueMender:
    """A mender of the store's private queues, without clients that consume them."""
    return QueueMender(
        publisher,
        store,
        TOPOLOGY,
        acknowledgements=Acknowledgements(store, clock=time.monotonic, tasks=Tasks()),
        consumers=Consumers(),
        events=Events(clock=time.time),
        clock=time.monotonic,
        utc=partial(datetime.now, UTC),
        tasks=Tasks(),
    )


def draft(
    room: int,
    body: object = "hello",
    *,
    audience: Audience = Audience.PUBLIC,
    id: UUID | None = None,
) -> Draft:
    stream = Stream(audience, room)
    return Draft(id or uuid4(), stream, "kim", datetime.now(UTC), "chat", body)


async def _post_until_killed(
    database: Path, room: int, nodes: Sequence[Node], credentials: Credentials
) -> None:
    async with running(database, nodes, credentials) as gateway:

        async def post_in_turn() -> None:
            while True:
                receipt = await gateway.pipeline.post(draft(room))
                sys.stdout.write(f"{receipt.message.id} {receipt.message.seq}\n")
                sys.stdout.flush()

        await asyncio.gather(*(post_in_turn() for _ in range(8)))


if __name__ == "__main__":
    _nodes = [Node(f"r{n}", "ws://unused/ws", url) for n, url in enumerate(sys.argv[3:], start=1)]
    uvloop.run(
        _post_until_killed(
            Path(sys.argv[1]), int(sys.argv[2]), _nodes, Credentials(*json.load(sys.stdin))
        )
    )
