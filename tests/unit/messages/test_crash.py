"""The gateway dies at any instant: every answered message is in the history and gets published."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.publishing.publication import NotConfirmed, Publication
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.domain.message import Draft, Message
from gateway.limits import LiveLimits
from gateway.messages.outbox import Outbox, OutboxLimits
from gateway.messages.pipeline import Pipeline, Receipt
from gateway.observe.posts import Posts
from tests.fake_clock import FakeClock
from tests.unit.messages.fakes import STREAM, FakeBroker, FakeStore, draft, first_times
from tests.virtual_time import run

OTHER = Stream(Audience.PRIVATE, 7)


@pytest.fixture(autouse=True)
def killed(failures: list[str]) -> Iterator[None]:
    """A killed process closes nothing: all its tasks are cancelled from outside."""
    yield
    failures.clear()


class Life:
    """How many effects on store and broker a gateway still has before it is killed."""

    def __init__(self, effects: int) -> None:
        self.effects = effects
        self.ended = asyncio.Event()

    async def spend(self) -> None:
        """Returns before an effect; the call after the last one never returns."""
        if self.effects == 0:
            self.ended.set()
            await asyncio.Event().wait()
        self.effects -= 1


class MortalStore(FakeStore):
    """A store that dies, with its process, at a chosen call."""

    life: Life

    async def _call(self, work: Any) -> Any:
        await self.life.spend()
        result = await super()._call(work)
        # Killed between the commit and its answer.
        await self.life.spend()
        return result


class MortalBroker(FakeBroker):
    """A broker link that dies, with its process, at a chosen call."""

    life: Life

    async def publish(self, publication: Publication, timeout: float) -> None:  # noqa: ASYNC109
        await self.life.spend()
        await super().publish(publication, timeout)
        await self.life.spend()


def gateway_over(store: FakeStore, broker: FakeBroker) -> tuple[Outbox, Pipeline]:
    rng = Random(1)  # noqa: S311 - jitter
    outbox = Outbox(
        store,
        broker,
        Topology(),
        queues=broker,
        rng=rng,
        limits=OutboxLimits(window=4),
        tasks=Tasks(),
    )
    limits, told = LiveLimits(Limits()), list[Message]()
    return outbox, Pipeline(
        store,
        outbox,
        broker,
        Topology(),
        budgets=Budgets(limits, clock=FakeClock()),
        limits=limits,
        confirm_timeout=2.0,
        stored=told.extend,
        posts=Posts(clock=lambda: 0.0),
        tasks=Tasks(),
    )


async def until_killed(
    store: MortalStore, broker: MortalBroker, drafts: list[Draft], effects: int
) -> list[Message]:
    """The posts answered before the gateway died, or before all was done."""
    store.life = broker.life = life = Life(effects)
    broker.on_the_way.clear()
    outbox, pipeline = gateway_over(store, broker)
    starting = asyncio.create_task(outbox.start())
    await asyncio.wait({starting, ended := asyncio.create_task(life.ended.wait())}, timeout=60.0)
    answered: list[Message] = []
    posts: set[asyncio.Task[None]] = set()

    async def post(new: Draft) -> None:
        receipt: Receipt = await pipeline.post(new)
        answered.append(receipt.message)

    for new in drafts:
        if not life.ended.is_set():
            posts.add(asyncio.create_task(post(new)))
            await asyncio.sleep(0.002)
    await asyncio.wait({ended}, timeout=600.0)
    life.effects = 0
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
    return answered


# No deadline: the machine may be busy.
@settings(deadline=None)
@given(
    st.lists(st.sampled_from([STREAM, OTHER]), min_size=1, max_size=12),
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.sampled_from([0.001, 0.02]), st.sampled_from([None, NotConfirmed])),
        max_size=20,
    ),
)
def test_nothing_answered_is_lost_however_often_the_gateway_is_killed(
    streams: list[Stream], lives: list[int], fates: list[Any]
) -> None:
    store, broker = MortalStore(), MortalBroker(fates=fates)
    drafts = [draft(number, stream) for number, stream in enumerate(streams)]
    answered: list[Message] = []
    for effects in lives:
        answered += run(until_killed(store, broker, drafts, effects))
        assert all(store.messages[each.id] == each for each in answered)
    answered += run(until_killed(store, broker, drafts, 10_000))
    assert {each.id for each in answered} == {each.id for each in drafts}
    assert store.outbox == {}
    assert {each.message_id for each in broker.wire} == {str(each.id) for each in drafts}
    for stream in {*streams}:
        assert first_times(broker.seqs(stream)) == list(range(1, streams.count(stream) + 1))
