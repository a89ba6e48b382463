"""Private queues are made, replaced and filled, over real AMQP connections to a scripted node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from broker.publishing import repair
from broker.publishing.provision import QueueFailed
from broker.publishing.publication import Publication, Returned
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import EXCHANGE, Audience, Queued, Stream, Topology
from gateway.domain.message import Message
from gateway.errors import BrokerUnavailable, StoreUnavailable
from gateway.live.relay.consumers import Consumers
from gateway.messages.lane import Entry
from gateway.messages.publication import publication
from gateway.observe.events import Events
from gateway.queues import mender, refill
from gateway.queues.acknowledged import Acknowledgements
from gateway.queues.mender import OWED_AT_A_TIME, QueueMender
from gateway.store.records import Page, QueueDue, QueueRecord
from tests.unit.broker.amqp_node import amqp_node, eventually
from tests.unit.broker.publishing.test_links import publisher_to
from tests.unit.queues.rabbit import LASTING, SORTING, Held, HeldQueue, Rabbit

TOPOLOGY = Topology()
ROOM = 1
PUBLIC, PRIVATE = Stream(Audience.PUBLIC, ROOM), Stream(Audience.PRIVATE, ROOM)
QUEUE = TOPOLOGY.private_queue(ROOM)
START = datetime(2026, 1, 2, tzinfo=UTC)


def message(seq: int, stream: Stream = PUBLIC, *, at: int | None = None) -> Message:
    """``at``: seconds after the first message; if not given, as many as its number."""
    id = UUID(int=seq * 10 + (stream is PRIVATE))
    sent_at = START + timedelta(seconds=seq if at is None else at)
    return Message(id, stream, seq, "kim", sent_at, "message", "hello")


def ids(*messages: Message) -> list[str]:
    return [str(each.id) for each in messages]


@dataclass
class FakeStore:
    """One room's history and outbox. ``own`` and ``others``: what is unpublished."""

    record: QueueRecord | None = field(default_factory=lambda: QueueRecord("f00d", 1, is_open=True))
    messages: dict[Stream, list[Message]] = field(default_factory=dict)
    places: dict[Stream, int] = field(default_factory=dict)
    own: set[Message] = field(default_factory=set)
    others: set[Message] = field(default_factory=set)
    away: bool = False
    looks: int = 0
    on_renew: Callable[[], None] = lambda: None

    def mark(self) -> str:
        assert self.record is not None
        return TOPOLOGY.queue_mark(ROOM, self.record.identity, self.record.number)

    async def private_queue(self, room: int) -> QueueRecord | None:
        if self.away:
            raise StoreUnavailable("the database is away")
        return self.record if room == ROOM else None

    async def renew_private_queue(self, room: int) -> int:
        assert self.record is not None
        self.on_renew()
        number = self.record.number + 1
        self.record = replace(self.record, number=number)
        return number

    async def queues_due(self, limit: int) -> dict[int, QueueDue]:
        self.looks += 1
        due = None if self.record is None else self.record.due
        return {} if due is None else {ROOM: due}

    async def set_queue_due(self, room: int, work: QueueDue | None) -> None:
        assert self.record is not None
        self.record = replace(self.record, due=work)

    async def private_queue_numbers(self, numbers: Sequence[int]) -> dict[int, int]:
        return {} if self.record is None else {ROOM: self.record.number}

    async def read(self, stream: Stream, *, after: int, limit: int) -> Page:
        found = [each for each in self.messages.get(stream, ()) if (each.seq or 0) > after]
        return Page(found[:limit], head=len(found), first=1)

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        return {stream: self.places.get(stream, 0) for stream in streams}

    async def acknowledge(self, seqs: Any) -> None:
        self.places |= seqs

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        return {stream: len(self.messages.get(stream, ())) for stream in streams}

    async def unpublished_seqs(self, stream: Stream) -> dict[int, bool]:
        own = {each.seq or 0: True for each in self.own if each.stream == stream}
        return own | {each.seq or 0: False for each in self.others if each.stream == stream}


@dataclass
class FakeLanes:
    """The outbox: ``waiting`` is what gets no confirm."""

    waiting: list[Message] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def stuck(self, seconds: float) -> list[Entry]:
        return [Entry(each.seq or 0, each, publication(each, TOPOLOGY)) for each in self.waiting]

    @asynccontextmanager
    async def held_back(self, room: int) -> AsyncIterator[None]:
        self.held.append("held")
        try:
            yield
        finally:
            self.held.append("released")

    async def landed(self, room: int) -> None:
        self.held.append("landed")


@dataclass
class FakeConsumer:
    """A client that consumes the room's queue."""

    consumed: list[int] = field(default_factory=lambda: [ROOM])
    errors: list[BrokerUnavailable] = field(default_factory=list)

    __hash__ = object.__hash__

    def give_up(self, error: BrokerUnavailable) -> None:
        self.errors.append(error)


class Stage:
    """A gateway's mender on a RabbitMQ of one node."""

    def __init__(self, node: Rabbit, publisher: Publisher) -> None:
        self.node, self.publisher = node, publisher
        self.store, self.lanes, self.consumers = FakeStore(), FakeLanes(), Consumers()
        self.events = Events(clock=lambda: 0.0)
        self.now = START
        self.mender = self.another(publisher)

    def another(self, publisher: Publisher, topology: Topology = TOPOLOGY) -> QueueMender:
        loop = asyncio.get_running_loop()
        return QueueMender(
            publisher,
            self.store,
            topology,
            acknowledgements=Acknowledgements(self.store, clock=loop.time, tasks=Tasks()),
            consumers=self.consumers,
            events=self.events,
            clock=loop.time,
            utc=lambda: self.now,
            tasks=Tasks(),
        )

    def hold(self, *messages: Message, mark: str | None = None) -> None:
        """The queue with these messages, bound, and marked unless ``mark`` is empty."""
        held = [Held(id) for id in ids(*messages)]
        self.node.queues[QUEUE.name] = HeldQueue(dict(QUEUE.arguments), held)
        self.node.exchanges[EXCHANGE].add((QUEUE.name, QUEUE.binding_key))
        if mark != "":
            self.node.exchanges[mark or self.store.mark()] = {(QUEUE.name, "")}

    async def ensure(self) -> int:
        return await self.mender.declare_private_queue(ROOM)

    @property
    def held(self) -> list[str]:
        return self.node.ids(QUEUE.name)

    @property
    def is_complete(self) -> bool:
        """Whether the queue is bound, has its mark, and nothing else is left over."""
        return self.node.exchanges == {
            **{exchange: set() for exchange in LASTING},
            SORTING.kept: {(QUEUE.name, QUEUE.binding_key)},
            self.store.mark(): {(QUEUE.name, "")},
        }


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mender, "INTERVAL", 0.01)
    monkeypatch.setattr(mender, "LOOK", 0.02)
    monkeypatch.setattr(mender, "SETTLED", 0.05)
    monkeypatch.setattr(mender, "ELSEWHERE", 0.01)
    monkeypatch.setattr(repair, "ANSWER", 0.2)
    monkeypatch.setattr(repair, "SETTLING", 0.01)


def play(scenario: Callable[[Stage], Coroutine[Any, Any, None]], *, watch: bool = True) -> None:
    async def whole() -> None:
        async with (
            asyncio.timeout(20),
            amqp_node(kind=Rabbit) as node,
            publisher_to(node.node) as publisher,
        ):
            await eventually(lambda: publisher.problem is None)
            stage = Stage(node, publisher)
            if watch:
                stage.mender.start(stage.lanes)
            else:
                stage.mender._lanes = stage.lanes
            try:
                await scenario(stage)
            finally:
                await stage.mender.close()

    asyncio.run(whole())


def test_a_new_room_gets_an_empty_queue_with_its_mark() -> None:
    async def scenario(stage: Stage) -> None:
        assert await stage.ensure() == 2
        assert stage.held == []
        assert stage.is_complete
        assert stage.node.queues[QUEUE.name].arguments == QUEUE.arguments
        # Looked at again, it is left alone, on a connection that stands already.
        done, sessions = list(stage.node.done), len(stage.node.sessions)
        assert await stage.ensure() == 2
        assert [each for each in stage.node.done if each not in done] == []
        assert len(stage.node.sessions) == sessions

    play(scenario)


def test_a_queue_that_stands_before_its_room_is_emptied_first() -> None:
    """Of a room of the same number in a database that was lost."""

    async def scenario(stage: Stage) -> None:
        stage.hold(message(1), message(2), mark=TOPOLOGY.queue_mark(ROOM, "beef", 2))
        assert await stage.ensure() == 2
        assert stage.held == []
        assert stage.is_complete

    play(scenario)


def test_a_queue_that_was_made_while_a_node_hung_is_replaced_when_all_answer_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no member on that node, where consumers would get nothing."""
    sound_for = 0.0
    monkeypatch.setattr(Publisher, "sound_for", property(lambda _: sound_for))

    async def scenario(stage: Stage) -> None:
        nonlocal sound_for
        assert await stage.ensure() == 2
        stage.store.messages = {PUBLIC: [message(1)]}
        # While a node is away, it is the queue that there is.
        assert await stage.ensure() == 2
        assert stage.store.record == QueueRecord("f00d", 2, is_open=True, due=QueueDue.RENEWAL)
        # The gateway that made it has ended meanwhile.
        await stage.mender.close()
        stage.mender = stage.another(stage.publisher)
        stage.mender.start(stage.lanes)
        sound_for = 1000.0
        await eventually(lambda: stage.store.mark().endswith(".3") and stage.is_complete)
        assert stage.held == ids(message(1))
        await eventually(lambda: stage.store.record == QueueRecord("f00d", 3, is_open=True))

    play(scenario)


def test_a_successor_without_a_leader_is_declared_again() -> None:
    """RabbitMQ 3.10: the members of the deleted queue may take it with them."""

    async def scenario(stage: Stage) -> None:
        stage.hold(message(1), mark="")
        with stage.node.hanging("Basic.Get"):
            asking = asyncio.create_task(stage.ensure())
            name = QUEUE.name.rpartition("interact.")[2]
            await eventually(lambda: stage.node.done.count(f"delete {name}") == 2)
        assert await asking == 2
        assert stage.is_complete

    play(scenario)


def test_a_queue_of_an_older_backup_s_future_is_replaced() -> None:
    """The same room, with a queue that the restored database has not heard of."""

    async def scenario(stage: Stage) -> None:
        stage.store.record = QueueRecord("f00d", 3, is_open=True)
        stage.store.messages[PUBLIC] = [message(1)]
        stage.hold(message(1), message(2), mark=TOPOLOGY.queue_mark(ROOM, "f00d", 5))
        assert await stage.ensure() == 4
        assert stage.held == ids(message(1))
        assert stage.is_complete

    play(scenario)


@pytest.mark.parametrize("version", range(4))
def test_a_queue_without_a_mark_is_kept_for_a_room_that_is_older_than_marks(version: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.record = QueueRecord("f00d", 0, is_open=True)
        stage.hold(message(1), mark="")
        arguments = list(QUEUE.variants)[version].arguments
        stage.node.queues[QUEUE.name].arguments = dict(arguments)
        assert await stage.ensure() == 0
        assert stage.held == ids(message(1))
        assert stage.is_complete

    play(scenario)


@pytest.mark.parametrize("bound", [("MOST", 3), ("MOST_BYTES", 3 * len(message(1).encode()))])
@pytest.mark.parametrize("last", [4, 5, 6])
def test_a_new_queue_gets_no_more_than_it_can_hold_and_the_oldest_messages_first(
    bound: tuple[str, int], last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RabbitMQ would drop the oldest ones again, and the replacement would wait for them. The last
    one shows what is missing before it, also if nobody says anything more."""
    monkeypatch.setattr(refill, *bound)
    said = [message(seq) for seq in range(1, last + 1)]

    async def scenario(stage: Stage) -> None:
        stage.store.messages, stage.store.places = {PUBLIC: said}, {PUBLIC: 1}
        await stage.ensure()
        assert stage.held == ids(*said[1:4], *said[4:][-1:])
        assert stage.is_complete

    play(scenario)


def test_a_new_queue_that_is_full_shows_what_is_missing_of_the_other_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refill, "MOST", 2)
    public = [message(seq) for seq in range(1, 5)]
    private = [message(seq, PRIVATE, at=seq + 4) for seq in range(1, 4)]

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: public, PRIVATE: private}
        await stage.ensure()
        assert stage.held == ids(*public[:2], public[-1], private[-1])
        assert stage.is_complete

    play(scenario)


def test_what_is_instant_enters_no_private_queue_and_anything_else_does() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.ensure()
        kept, instant = message(1), replace(message(2), seq=None)
        for each in (kept, instant):
            with suppress(Returned):
                await stage.publisher.publish(publication(each, TOPOLOGY), 5)
        foreign = Publication(f"{TOPOLOGY.prefix}.anything.{ROOM}", b"", "foreign")
        await stage.publisher.publish(foreign, 5)
        assert stage.held == [*ids(kept), "foreign"]

    play(scenario)


def test_a_queue_that_an_earlier_version_bound_is_bound_behind_the_sorting_without_a_gap() -> None:
    async def scenario(stage: Stage) -> None:
        stage.hold(message(1))
        await stage.ensure()
        assert stage.node.done == ["bind kept", "unbind amq.topic"]
        assert stage.held == ids(message(1))
        assert stage.is_complete

    play(scenario)


def test_a_queue_of_another_type_is_replaced_whatever_the_room_s_age() -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.record = QueueRecord("f00d", 0, is_open=True)
        stage.hold(message(1), mark="")
        stage.node.queues[QUEUE.name].arguments = {}
        assert await stage.ensure() == 1
        assert stage.node.queues[QUEUE.name].arguments == QUEUE.arguments
        assert stage.is_complete

    play(scenario)


def test_a_replaced_queue_has_what_was_not_acknowledged_in_order_and_redelivered() -> None:
    async def scenario(stage: Stage) -> None:
        said = [message(seq, at=2 * seq) for seq in range(1, 601)]
        asked = [message(seq, PRIVATE, at=2 * seq + 1) for seq in range(1, 4)]
        stage.store.messages = {PUBLIC: said, PRIVATE: asked}
        stage.store.places = {PUBLIC: 1, PRIVATE: 1}
        assert await stage.ensure() == 2
        first = [said[1], asked[1], said[2], asked[2]]
        assert stage.held == ids(*first, *said[3:])
        held = stage.node.queues[QUEUE.name].messages
        assert all(each.redelivered for each in held)
        assert stage.lanes.held == ["held", "landed", "released"]

    play(scenario)


def test_a_queue_that_nobody_has_used_gets_the_messages_of_a_day() -> None:
    """Where hosts only follow topics it expires every day; in use, its place counts alone."""

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {
            PUBLIC: [message(1), message(2), message(3)],
            PRIVATE: [message(1, PRIVATE), message(2, PRIVATE)],
        }
        stage.store.places = {PRIVATE: 1}
        stage.now = message(2).sent_at + timedelta(days=1)
        await stage.ensure()
        assert stage.held == ids(message(2), message(2, PRIVATE), message(3))
        stage.now = message(3).sent_at + timedelta(days=2)
        stage.node.delete(QUEUE.name)
        await stage.ensure()
        assert stage.held == ids(message(2, PRIVATE))

    play(scenario, watch=False)


def test_a_new_queue_is_filled_before_it_is_bound_and_marked_last() -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1)]}
        stage.hold(mark="")
        await stage.ensure()
        name, mark = (each.rpartition("interact.")[2] for each in (QUEUE.name, stage.store.mark()))
        assert stage.node.done == [
            f"delete {name}",
            f"declare {name}",
            f"bind {name}.filling",
            "bind kept",
            f"bind {mark}",
            f"unbind {name}.filling",
        ]

    play(scenario)


def test_what_this_gateway_has_not_published_follows_from_its_outbox_alone() -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1), message(2), message(3)]}
        stage.store.own = {message(2), message(3)}
        await stage.ensure()
        assert stage.held == ids(message(1))

    play(scenario)


def test_what_another_gateway_may_publish_any_time_comes_after_the_queue_is_bound() -> None:
    """It may go out before: then nobody else would bring it."""

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1), message(2), message(3)]}
        stage.store.others = {message(2)}
        await stage.ensure()
        assert stage.held == ids(message(1), message(3), message(2))

    play(scenario)


@pytest.mark.parametrize(
    "method", ["Queue.Delete", "Queue.Declare", "Exchange.Declare", "Queue.Bind", "Basic.Consume"]
)
def test_whoever_breaks_off_leaves_what_is_replaced_again(method: str) -> None:
    """Nothing is lost and nothing twice, wherever the connection breaks."""

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1), message(2)]}
        stage.hold(message(1), mark="")

        def break_off() -> None:
            stage.node.breaks_at = method

        stage.store.on_renew = break_off
        with pytest.raises(QueueFailed):
            await stage.ensure()
        stage.store.on_renew = lambda: None
        await stage.ensure()
        assert stage.held == ids(message(1), message(2))
        assert stage.is_complete

    play(scenario, watch=False)


@pytest.mark.parametrize("trouble", ["dead", "refuses"])
def test_a_queue_that_confirms_nothing_is_replaced(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a leader for ever on 3.10; refusing everything after a half deletion on 4.3."""

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1), message(2)]}
        stage.store.own = {message(2)}
        stage.hold(message(1))
        setattr(stage.node.queues[QUEUE.name], trouble, True)
        stage.lanes.waiting = [message(2)]
        await eventually(lambda: stage.store.record == QueueRecord("f00d", 2, is_open=True))
        await eventually(lambda: stage.is_complete)
        assert stage.held == ids(message(1))
        await stage.publisher.publish(publication(message(2), TOPOLOGY), 5)
        stage.lanes.waiting = []
        assert stage.held == ids(message(1), message(2))
        await eventually(lambda: len(stage.node.sessions) == 1)

    play(scenario)
    assert "is replaced, because it confirms nothing any more" in caplog.text


def test_a_queue_that_confirms_is_left_alone_whatever_else_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another queue that is bound to the room's key may be at fault."""

    async def scenario(stage: Stage) -> None:
        stage.hold(message(1))
        stage.lanes.waiting = [message(2)]
        await eventually(lambda: "look for another queue" in caplog.text)
        assert stage.held[0] == str(message(1).id)
        assert stage.store.record == QueueRecord("f00d", 1, is_open=True)

    play(scenario)


def test_of_a_queue_of_questions_no_message_to_everyone_says_anything() -> None:
    async def scenario(stage: Stage) -> None:
        questions = Topology(queued=Queued.QUESTIONS)
        mender = stage.another(stage.publisher, questions)
        stage.store.messages = {PUBLIC: [message(1)], PRIVATE: [message(1, PRIVATE)]}
        stage.hold()
        stage.node.queues[QUEUE.name].dead = True
        stage.lanes.waiting = [message(1)]
        mender.start(stage.lanes)
        # It looks at what is due in the same round.
        looks = stage.store.looks
        await eventually(lambda: stage.store.looks > looks + 2)
        assert stage.store.record == QueueRecord("f00d", 1, is_open=True)
        stage.lanes.waiting = [message(1), message(1, PRIVATE)]
        await eventually(lambda: stage.store.record == QueueRecord("f00d", 2, is_open=True))
        await eventually(lambda: stage.store.mark() in stage.node.exchanges)
        assert stage.held == ids(message(1, PRIVATE))
        key = questions.private_queue(ROOM).binding_key
        assert stage.node.exchanges[SORTING.kept] == {(QUEUE.name, key)}
        await mender.close()

    play(scenario, watch=False)


def test_while_no_queue_confirms_none_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        stage.hold(message(1))
        stage.node.on_publish = lambda session, published: None
        stage.lanes.waiting = [message(2)]
        await eventually(lambda: "RabbitMQ stands still" in caplog.text)
        assert stage.store.record == QueueRecord("f00d", 1, is_open=True)

    play(scenario)


def test_a_queue_without_a_confirm_is_examined_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, examined = [0.0], []

    def note(of: QueueMender, room: int, suspect: Entry | None) -> asyncio.Task[int]:
        assert suspect is not None
        examined.append(now[0])
        return asyncio.create_task(asyncio.sleep(0, 1))

    monkeypatch.setattr(QueueMender, "_start", note)

    async def scenario(stage: Stage) -> None:
        stage.mender._clock = lambda: now[0]
        while now[0] < 1000:
            stage.mender._examine(ROOM, Entry(1, message(1), publication(message(1), TOPOLOGY)))
            await asyncio.sleep(0)
            now[0] += 0.5

    play(scenario, watch=False)
    pauses = [after - before for before, after in pairwise(examined)]
    assert pauses == [2, 4, 8, 16, 32, 64, *[120] * 7]


def test_a_queue_that_somebody_deletes_is_replaced_under_its_consumers() -> None:
    """Whether or not RabbitMQ tells them; they connect again, and those who came later do not."""

    async def scenario(stage: Stage) -> None:
        stage.hold()
        old, new, moving = FakeConsumer(), FakeConsumer(), FakeConsumer(consumed=[])
        for each in (old, moving):
            stage.consumers.consume(each, ROOM, await stage.ensure())
        stage.node.delete(QUEUE.name)
        await eventually(lambda: bool(old.errors))
        stage.consumers.consume(new, ROOM, await stage.ensure())
        assert stage.is_complete
        assert old.errors[0].retry_after
        await asyncio.sleep(0.05)
        assert (new.errors, moving.errors) == ([], [])

    play(scenario)


def test_consumers_of_a_queue_that_another_gateway_replaces_connect_again() -> None:
    async def scenario(stage: Stage) -> None:
        stage.hold()
        here = FakeConsumer()
        stage.consumers.consume(here, ROOM, await stage.ensure())
        await stage.store.renew_private_queue(ROOM)
        await eventually(lambda: bool(here.errors))

    play(scenario)


def test_two_gateways_that_miss_a_queue_make_one() -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(seq) for seq in range(1, 50)]}
        async with publisher_to(stage.node.node) as publisher:
            other = stage.another(publisher)
            other._lanes = stage.lanes
            await eventually(lambda: publisher.problem is None)
            numbers = await asyncio.gather(
                *(each.declare_private_queue(ROOM) for each in (stage.mender, other))
            )
            await other.close()
        assert numbers == [2, 2]
        assert stage.held == ids(*stage.store.messages[PUBLIC])

    play(scenario)


def test_what_is_owed_to_a_new_room_is_made_as_soon_as_it_can_be() -> None:
    async def scenario(stage: Stage) -> None:
        with stage.node.hanging("Queue.Bind"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stage.ensure(), 0.1)
            stage.mender.owe(ROOM)
            for session in tuple(stage.node.sessions):
                session.cut()
        await eventually(lambda: QUEUE.name in stage.node.queues and stage.is_complete)

    play(scenario)


def test_many_queues_that_are_owed_are_made_a_few_at_a_time_and_closed_rooms_are_forgotten() -> (
    None
):
    async def scenario(stage: Stage) -> None:
        asked: list[int] = []
        known = stage.store.private_queue

        async def private_queue(room: int) -> QueueRecord | None:
            asked.append(room)
            return await known(room)

        stage.store.private_queue = private_queue  # type: ignore[method-assign]
        closed = list(range(1000, 1000 + OWED_AT_A_TIME + 3))
        for room in closed:
            stage.mender.owe(room)
        await eventually(lambda: len(asked) >= OWED_AT_A_TIME)
        assert asked == closed[:OWED_AT_A_TIME]
        await eventually(lambda: len(asked) >= len(closed))
        assert asked == closed
        assert not stage.mender._owed

    play(scenario)


def test_the_queue_of_a_closed_room_is_deleted_as_soon_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound_for = 0.0
    monkeypatch.setattr(Publisher, "sound_for", property(lambda _: sound_for))
    monkeypatch.setattr(mender, "STUCK_LONG", 1000.0)

    async def scenario(stage: Stage) -> None:
        nonlocal sound_for
        stage.hold(message(1))
        stage.store.record = QueueRecord("f00d", 1, is_open=False, due=QueueDue.DELETION)
        await stage.mender.close()
        stage.mender = stage.another(stage.publisher)
        stage.mender.start(stage.lanes)
        sound_for = 1000.0
        await eventually(lambda: stage.store.record == QueueRecord("f00d", 1, is_open=False))
        assert QUEUE.name not in stage.node.queues
        # Never that of a room that is open.
        stage.hold(message(1))
        stage.store.record = QueueRecord("f00d", 1, is_open=True, due=QueueDue.DELETION)
        looks = stage.store.looks
        await eventually(lambda: stage.store.looks > looks + 2)
        assert stage.held == ids(message(1))

    play(scenario)


def test_a_deletion_that_becomes_due_while_the_queue_is_made_stays_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Publisher, "sound_for", 1000.0)
    monkeypatch.setattr(mender, "LOOK", 1000.0)

    async def scenario(stage: Stage) -> None:
        def close() -> None:
            assert stage.store.record is not None
            stage.store.record = replace(stage.store.record, is_open=False, due=QueueDue.DELETION)

        stage.store.on_renew = close
        await stage.ensure()
        assert stage.store.record == QueueRecord("f00d", 2, is_open=False, due=QueueDue.DELETION)

    play(scenario)


@pytest.mark.parametrize("record", [None, QueueRecord("f00d", 4, is_open=False)])
def test_a_room_that_is_closed_or_unknown_gets_no_queue(record: QueueRecord | None) -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.record = record
        assert await stage.ensure() == (0 if record is None else 4)
        assert stage.node.queues == {}

    play(scenario)


def test_a_room_that_is_closed_meanwhile_has_no_queue() -> None:
    async def scenario(stage: Stage) -> None:
        def close() -> None:
            stage.store.record = QueueRecord("f00d", 1, is_open=False)

        stage.store.on_renew = close
        await stage.ensure()
        assert stage.node.queues == {}

    play(scenario)


def test_while_the_database_is_away_a_queue_that_was_known_is_looked_at() -> None:
    async def scenario(stage: Stage) -> None:
        stage.store.away = True
        with pytest.raises(QueueFailed, match="the database is away"):
            await stage.ensure()
        stage.store.away = False
        await stage.ensure()
        stage.store.away = True
        assert await stage.ensure() == 2
        stage.node.delete(QUEUE.name)
        with pytest.raises(QueueFailed):
            await stage.ensure()

    play(scenario, watch=False)


def test_callers_share_the_work_and_it_goes_on_without_them() -> None:
    async def scenario(stage: Stage) -> None:
        first, second = (asyncio.create_task(stage.ensure()) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 2
        assert stage.node.done.count(f"declare {QUEUE.name.rpartition('interact.')[2]}") == 1

    play(scenario)


def test_many_queues_are_looked_at_on_few_channels() -> None:
    async def scenario(stage: Stage) -> None:
        stage.hold()
        mark = stage.store.mark()
        marks = {1: mark, 2: "none", 3: mark, 4: "none", 5: mark}
        opened = stage.node.heard.count("Channel.Open")
        assert sorted(await stage.publisher.missing_private_queues(marks)) == [2, 4]
        assert stage.node.heard.count("Channel.Open") == opened + 3
        assert await stage.publisher.missing_private_queues({}) == []

    play(scenario, watch=False)


def test_after_a_switch_of_clusters_the_host_finds_what_waited_on_the_other_one() -> None:
    """As SIGHUP has it, with another list of nodes: what waited there stayed behind unseen."""

    async def scenario(stage: Stage) -> None:
        stage.store.messages = {PUBLIC: [message(1), message(2), message(3)]}
        stage.store.places = {PUBLIC: 1}
        stage.hold(message(2), message(3))
        host = FakeConsumer()
        stage.consumers.consume(host, ROOM, await stage.ensure())
        async with amqp_node("green", kind=Rabbit) as green:
            stage.publisher.replace([green.node])
            await eventually(lambda: bool(host.errors) and stage.store.mark() in green.exchanges)
            assert green.ids(QUEUE.name) == ids(message(2), message(3))
            assert all(each.redelivered for each in green.queues[QUEUE.name].messages)
            assert green.exchanges[SORTING.kept] == {(QUEUE.name, QUEUE.binding_key)}
            stage.publisher.replace([stage.node.node])

    play(scenario)
