"""Hints about late messages to the other gateways, and about nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream
from gateway.cluster.bus import Bus
from gateway.cluster.history_hints import LATE, HistoryHints
from gateway.domain.message import Message
from gateway.live.hub.hub import Hub
from tests.unit.cluster.bus_network import Network
from tests.unit.live.fakes import STREAM, message
from tests.virtual_time import run

OTHER = Stream(Audience.PRIVATE, 7)
#: Until the others know, what the fake of the broker takes for it included.
SOON = 2 * LATE + 0.02


@dataclass
class FakeOutbox:
    """An outbox with a set of unconfirmed messages."""

    waiting: set[tuple[Stream, int]] = field(default_factory=set)

    def awaits(self, stream: Stream, seq: int) -> bool:
        return (stream, seq) in self.waiting


@dataclass
class FakeHub:
    """A hub that records what it is asked to read."""

    told: list[tuple[Stream, int]] = field(default_factory=list)
    arrivals: int = 0

    def gateway_arrived(self) -> None:
        self.arrivals += 1

    def grown(self, stream: Stream, seq: int) -> None:
        self.told.append((stream, seq))


class Gateway:
    """A gateway's bus, outbox, hub and hints."""

    def __init__(self, bus: Bus) -> None:
        self.outbox, self.hub = FakeOutbox(), FakeHub()
        self.history_hints = HistoryHints(bus, self.outbox, cast("Hub", self.hub), tasks=Tasks())

    def store(self, *seqs: int, stream: Stream = STREAM, late: bool) -> None:
        messages: list[Message] = [message(seq, stream=stream) for seq in seqs]
        if late:
            self.outbox.waiting.update((stream, seq) for seq in seqs)
        self.history_hints.stored(messages)


@asynccontextmanager
async def gateways(network: Network, *names: str) -> AsyncIterator[Any]:
    async with network.joined(*names) as buses:
        made = [Gateway(bus) for bus in buses]
        for each in made:
            each.history_hints.start()
        try:
            yield made
        finally:
            for each in made:
                await each.history_hints.close()


def test_the_others_hear_how_far_a_stream_has_grown() -> None:
    async def scenario() -> None:
        network = Network()
        async with gateways(network, "a", "b", "c") as (a, b, c):
            a.store(1, 2, 3, late=True)
            a.store(9, stream=OTHER, late=True)
            await asyncio.sleep(SOON)
            assert b.hub.told == c.hub.told == [(STREAM, 3), (OTHER, 9)]
            assert a.hub.told == []
            assert network.scattered == 1

    run(scenario())


def test_a_gateway_that_arrives_makes_the_others_look_for_what_it_published_elsewhere() -> None:
    async def scenario() -> None:
        network = Network()
        async with gateways(network, "a") as (a,), network.joined("b"):
            assert a.hub.arrivals == 1
            await asyncio.sleep(60)
            assert a.hub.arrivals == 1

    run(scenario())


def test_messages_confirmed_in_time_are_not_hinted_at() -> None:
    async def scenario() -> None:
        network = Network()
        async with gateways(network, "a", "b") as (a, b):
            a.store(1, late=False)
            a.store(1, stream=OTHER, late=True)
            await asyncio.sleep(LATE / 2)
            # Younger than the others when these are looked at.
            a.store(2, late=True)
            a.outbox.waiting.discard((STREAM, 2))
            await asyncio.sleep(1)
            assert b.hub.told == [(OTHER, 1)]
            assert network.scattered == 1

    run(scenario())


def test_a_gateway_alone_tells_nobody() -> None:
    async def scenario() -> None:
        network = Network()
        async with gateways(network, "a") as (a,):
            a.store(1, late=True)
            await asyncio.sleep(1)
            assert network.scattered == 0

    run(scenario())


def test_while_the_broker_is_away_it_is_told_once_and_the_next_one_again() -> None:
    async def scenario() -> None:
        network = Network()
        async with gateways(network, "a", "b") as (a, b):
            network.away = True
            a.store(1, late=True)
            await asyncio.sleep(SOON)
            assert network.scattered == 1
            network.away = False
            a.store(2, late=True)
            await asyncio.sleep(SOON)
            assert b.hub.told == [(STREAM, 2)]

    run(scenario())
