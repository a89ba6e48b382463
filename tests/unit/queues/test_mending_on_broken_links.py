"""Whatever breaks while a private queue is replaced, it is replaced in the end, whole and once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, cast

import pytest

from tests.unit.broker.breaking_node import Breakable, Cluster, Kind, Step
from tests.unit.broker.memory_network import MemoryNetwork
from tests.unit.broker.publishing.test_links import publisher_to
from tests.unit.messages.fakes import first_times
from tests.unit.queues.rabbit import Rabbit
from tests.unit.queues.test_mender import PUBLIC, QUEUE, TOPOLOGY, Stage, ids, message
from tests.virtual_time import run

KEPT: Final = TOPOLOGY.sorting.kept
#: Seconds: a queue is examined once all nodes have been sound for a while, and then less and less
#: often.
MENDED: Final = 150.0
KINDS: Final = (Kind.FIN, Kind.CLOSE_CHANNEL, Kind.SILENCE, Kind.LATE)


@dataclass(kw_only=True)
class BreakingRabbit(Breakable, Rabbit):
    """One node with its queues."""


class Mending:
    """A room whose queue refuses everything; two of its four messages are acknowledged."""

    def __init__(self, step: Step | None = None, kind: Kind | None = None) -> None:
        self.cluster = Cluster(at=step, kind=kind)
        self.said = [message(seq) for seq in range(1, 5)]
        self.faults: list[str] = []

    async def play(self) -> None:
        loop = cast("MemoryNetwork", asyncio.get_running_loop())
        node = BreakingRabbit("r1", cluster=self.cluster)
        node.listen(loop, 5001)
        async with asyncio.timeout(600), publisher_to(node.node) as publisher:
            stage = Stage(node, publisher)
            stage.store.messages, stage.store.places = {PUBLIC: self.said}, {PUBLIC: 2}
            stage.hold(*self.said)
            node.queues[QUEUE.name].refuses = True
            stage.lanes.waiting = [self.said[-1]]
            stage.mender.start(stage.lanes)
            await self._mended(stage)
            stage.lanes.waiting = []
            # The message that gets no confirm may be there twice: by it the queue was examined.
            if first_times(stage.held) != ids(*self.said[2:]):
                self.faults.append(f"the queue has {stage.held}")
            began = loop.time()
            await stage.mender.close()
            if loop.time() - began > 10.0:
                self.faults.append(f"closing took {loop.time() - began:g} s")

    async def _mended(self, stage: Stage) -> None:
        """Wait until the queue works, has its mark, and what is published for it is let go."""
        loop, lanes, exchanges = asyncio.get_running_loop(), stage.lanes, stage.node.exchanges
        while True:
            await asyncio.sleep(0.5)
            queue = stage.node.queues.get(QUEUE.name)
            works = queue is not None and not queue.refuses
            bound = (QUEUE.name, QUEUE.binding_key) in exchanges.get(KEPT, ())
            let_go = lanes.held.count("held") == lanes.held.count("released")
            if works and bound and let_go and stage.store.mark() in exchanges:
                return
            if loop.time() > MENDED:
                self.faults.append(f"not mended: {queue}, {exchanges}, {lanes.held}")
                return


def mending(step: Step | None = None, kind: Kind | None = None) -> Mending:
    given = Mending(step, kind)
    run(given.play(), loop=MemoryNetwork)
    return given


#: What is said on the connections of the replacement; the first is the publisher's.
DIALOGUE = [step for step in mending().cluster.dialogue if step.connection > 1 and step.time == 1]


def test_a_queue_that_refuses_everything_is_replaced() -> None:
    assert not mending().faults
    frames = {step.frame for step in DIALOGUE}
    assert frames >= {"Queue.Delete", "Queue.Bind", "Exchange.Declare", "Basic.Ack", "Basic.Nack"}


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("step", DIALOGUE, ids=str)
def test_so_it_is_whatever_breaks_meanwhile(step: Step, kind: Kind) -> None:
    given = mending(step, kind)
    assert given.cluster.broken_at is not None
    assert not given.faults
