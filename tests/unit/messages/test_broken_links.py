"""Whatever a node does at whatever moment, publishing goes on: nothing is lost, none overtaken."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random
from typing import Final, cast

import pytest

from broker.nodes.credentials import Credentials
from broker.publishing.link import HEARTBEAT
from broker.publishing.liveness import INTERVAL, STALLED
from broker.publishing.publication import Publication
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.config import Broker
from gateway.domain.message import Message
from gateway.messages.outbox import Outbox, OutboxLimits
from tests.unit.broker.breaking_node import BreakingNode, BreakingSession, Cluster, Kind, Step
from tests.unit.broker.memory_network import MemoryNetwork
from tests.unit.broker.stray_cancellation import Place, Stray
from tests.unit.messages.fakes import FakeStore, draft, first_times
from tests.virtual_time import run

#: Seconds after which publishing must go on.
RESUMED: Final = 5.0
#: The modules whose awaits are aiormq's: there nothing ends a task.
GUARDED: Final = ("channels", "provision")
#: Seconds in which readiness must notice.
NOTICED: Final = 3.0
ROOMS: Final = (1, 2, 3, 4)
BEAT: Final = 0.25


class Lesson:
    """Rooms in which something is said all the time, a queue that is missing, a message that is
    nacked, one that is larger than a frame, and a pause."""

    def __init__(self, cluster: Cluster, nodes: int, *, stray: Stray | None = None) -> None:
        self.cluster = cluster
        self.stray = stray
        self.tasks = Tasks()
        self.store = FakeStore()
        self.nodes = [BreakingNode(f"r{number}", cluster=cluster) for number in range(1, nodes + 1)]
        self.late: list[str] = []
        self.untrue: list[str] = []
        #: The first dials that are refused, and those that get no answer.
        self.refused = self.stuck = 0
        self._heads: dict[int, int] = defaultdict(int)
        self._waiting: set[asyncio.Task[None]] = set()

    async def give(self) -> None:
        async with asyncio.timeout(300):
            await self._give()

    async def _give(self) -> None:
        network = cast("MemoryNetwork", asyncio.get_running_loop())
        if self.stray is not None:
            self.stray.watch(network)
        for port, node in enumerate(self.nodes, 5001):
            node.listen(network, port)
        network.before_connecting = self._connect
        rng, topology = Random(1), Topology()  # noqa: S311 - jitter
        self.publisher = Publisher(
            [node.node for node in self.nodes],
            Credentials("gateway", "secret"),
            topology,
            timeout=Broker.model_fields["dial_timeout"].default,
            rng=rng,
            tasks=self.tasks.part(),
        )
        self.outbox = Outbox(
            self.store,
            self.publisher,
            topology,
            queues=self.publisher,
            rng=rng,
            tasks=self.tasks.part(),
        )
        self.publisher.start()
        await self.outbox.start()
        watching = asyncio.create_task(self._watch(), name="test: watching")
        for beat in range(24):
            if beat == 12:
                self.cluster.queues.discard(topology.private_queue(2).name)
            self._say(ROOMS[beat % 4], "x" * (200_000 if beat == 9 else 10))
            if beat % 4 == 0:
                self.publisher.scatter(self._echo)
            await asyncio.sleep(BEAT if beat != 20 else 4.0)
        # Until what was late or blocked goes on.
        while self.cluster.broken_at is not None and self._lasts:
            self._say(1)
            await asyncio.sleep(1.0)
        for room in ROOMS:
            self._say(room)
        await asyncio.gather(*self._waiting)
        watching.cancel()
        await asyncio.wait({watching})
        began = asyncio.get_running_loop().time()
        await self.outbox.close(within=1.0)
        await self.publisher.close()
        assert asyncio.get_running_loop().time() - began < 5.0
        await self.tasks.close()

    async def _connect(self, port: int) -> None:
        if self.refused:
            self.refused -= 1
            raise ConnectionRefusedError
        if self.stuck:
            self.stuck -= 1
            await asyncio.Event().wait()

    @property
    def _lasts(self) -> bool:
        lasting = self.cluster.kind in (Kind.LATE, Kind.ALARM, Kind.ALARM_LOST)
        return lasting and self.cluster.mended_at is None

    def _say(self, room: int, body: str = "hello") -> None:
        stream = Stream(Audience.PUBLIC, room)
        self._heads[room] += 1
        message = draft(body, stream).numbered(self._heads[room])
        self.store.put([message])
        self.outbox.add([message])
        task = asyncio.create_task(self._await(message), name="test: waiting")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _await(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not await self.outbox.confirmed(message, within=RESUMED):
            if loop.time() - began > 60:
                self.late.append(f"{message.stream} {message.seq} never")
                return
        since = max(began, self.cluster.mended_at or 0.0)
        if loop.time() - since > self._bound:
            self.late.append(f"{message.stream} {message.seq} after {loop.time() - since:.2f} s")

    @property
    def _bound(self) -> float:
        step, kind = self.cluster.at, self.cluster.kind
        if kind is Kind.LATE and step is not None and not step.frame.startswith("Confirm."):
            # A node that lives and confirms nothing may be waiting for another one.
            return STALLED * INTERVAL + RESUMED
        if kind is Kind.FOREIGN:
            return OutboxLimits().patience + RESUMED
        if step is not None and step.sender == "node" and step.frame.startswith("Content"):
            # RabbitMQ breaks no content off. There aiormq's channel stops reading, and says so
            # when it has waited for the answer to its own channel.close.
            return HEARTBEAT + RESUMED
        return RESUMED

    def _echo(self, node: str) -> Publication:
        return Publication("acdm.mo.gateways.echo", b"", f"echo {node}", persistent=False)

    async def _watch(self) -> None:
        """Compare readiness with what is so."""
        loop = asyncio.get_running_loop()
        differs_since = None
        while True:
            await asyncio.sleep(0.1)
            said, so = self.publisher.problem is None, self._could_publish()
            if said and self.cluster.kind is Kind.LATE:
                # Only time tells.
                so = True
            if said == so:
                differs_since = None
            elif differs_since is None:
                differs_since = loop.time()
            elif loop.time() - differs_since > NOTICED:
                self.untrue.append(f"{loop.time():.1f}: said {said}, is {so}")
                differs_since = loop.time()

    def _could_publish(self) -> bool:
        sessions = [each for node in self.nodes for each in node.sessions]
        return any(each.usable for each in cast("list[BreakingSession]", sessions))

    @property
    def faults(self) -> list[str]:
        """What was not as it should be."""
        found = [*self.late, *self.untrue]
        if self.store.outbox:
            found.append(f"{len(self.store.outbox)} messages are unpublished")
        if self.tasks.failures.counts and self.stray is None:
            found.append(f"background work has failed: {self.tasks.failures.counts}")
        seqs = {str(each.id): each.seq or 0 for each in self.store.messages.values()}
        for room, head in self._heads.items():
            key = f"acdm.mo.interact.public.{room}"
            came = [
                seqs[each.message_id] for each in self.cluster.delivered if each.routing_key == key
            ]
            if first_times(came) != list(range(1, head + 1)):
                found.append(f"room {room}: {came}")
        return found


def play(given: Lesson) -> Lesson:
    run(given.give(), loop=MemoryNetwork)
    return given


def lesson(step: Step | None = None, kind: Kind | None = None, *, nodes: int = 1) -> Lesson:
    return play(Lesson(Cluster(at=step, kind=kind, nacks=frozenset({9})), nodes))


def strayed(at: Place | None = None) -> Lesson:
    return play(Lesson(Cluster(nacks=frozenset({9})), 1, stray=Stray(at)))


#: The dialogues without a fault; what comes for the second time differs little.
ALONE = lesson().cluster.dialogue
TOGETHER = lesson(nodes=2).cluster.dialogue
AWAITS = [place for place in cast("Stray", strayed().stray).places if place.time == 1]
AGAIN = (Kind.FIN, Kind.CLOSE_541, Kind.CLOSE_CHANNEL, Kind.SILENCE)


def test_the_dialogue_has_all_that_a_link_says() -> None:
    frames = {step.frame for step in ALONE}
    assert frames >= {
        "Connection.Start",
        "Connection.OpenOk",
        "Confirm.SelectOk",
        "Queue.DeclareOk",
        "Queue.BindOk",
        "Basic.Publish",
        "ContentBody",
        "Basic.Ack",
        "Basic.Nack",
        "Basic.Return",
        "Channel.CloseOk",
        "Connection.CloseOk",
    }
    assert not lesson().faults


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        *((step, kind) for step in ALONE if step.time == 1 for kind in Kind),
        *((step, kind) for step in ALONE if step.time == 2 for kind in AGAIN),
        # The channel that replaces one with a nack.
        *((step, Kind.LATE) for step in ALONE if step.time == 2 if "Confirm." in step.frame),
    ],
    ids=str,
)
def test_publishing_goes_on_whatever_the_only_node_does(step: Step, kind: Kind) -> None:
    given = lesson(step, kind)
    assert given.cluster.broken_at is not None
    assert not given.faults


@pytest.mark.parametrize("kind", AGAIN, ids=str)
@pytest.mark.parametrize("step", [step for step in TOGETHER if step.time == 1], ids=str)
def test_so_it_does_whatever_one_of_two_nodes_does(step: Step, kind: Kind) -> None:
    given = lesson(step, kind, nodes=2)
    assert given.cluster.broken_at is not None
    assert not given.faults


@pytest.mark.parametrize("place", AWAITS, ids=str)
def test_so_it_does_when_something_is_cancelled_that_nobody_wanted_to_cancel(
    place: Place, failures: list[str]
) -> None:
    given = strayed(place)
    assert cast("Stray", given.stray).happened
    assert not given.faults
    # A task that this has ended was seen to end, and no other task has.
    assert len(failures) == given.tasks.failures.counts.total() <= 1
    assert set(given.tasks.failures.counts) <= {place.task}
    if place.module in GUARDED:
        assert not failures
    failures.clear()


@pytest.mark.parametrize("times", [1, 3])
def test_so_it_does_when_nobody_listens(times: int) -> None:
    given = Lesson(Cluster(nacks=frozenset({9})), 1)
    given.refused = times
    play(given)
    assert not given.faults


def test_so_it_does_when_a_handshake_never_ends() -> None:
    """TLS, or a SYN that gets lost."""
    given = Lesson(Cluster(nacks=frozenset({9})), 1)
    given.stuck = 1
    play(given)
    assert not given.faults
