"""Drafts that are stored together: what one of them does to the others."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.timing.tasks import Tasks
from broker.topology import Stream
from gateway.domain.message import Draft, Message
from gateway.errors import GatewayError, StoreUnavailable
from gateway.messages.group_commit import GroupCommit
from gateway.store.records import Appended
from tests import virtual_time
from tests.unit.messages.fakes import FakeStore, draft

_POISON = "what the store cannot take"


@dataclass
class Choosy(FakeStore):
    """A store that a draft makes fail in a way which nobody has foreseen."""

    async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        if any(each.body == _POISON for each in drafts):
            self.batches.append(-len(drafts))
            raise ValueError("as told")
        return await super().append(drafts)


def committed(store: FakeStore, bodies: Sequence[str]) -> tuple[list[object], list[Message]]:
    """The answers to drafts that come at the same moment, and what was told to be stored, in order.
    What was stored without being told has to be looked for."""
    stored: list[Message] = []
    doubted: list[Stream] = []

    async def main() -> list[object]:
        tasks = Tasks()
        commits = GroupCommit(store, stored=stored.extend, in_doubt=doubted.append, tasks=tasks)
        answers = await asyncio.gather(
            *(commits.append(draft(body)) for body in bodies), return_exceptions=True
        )
        await tasks.close()
        untold = store.messages.keys() - {each.id for each in stored}
        assert {store.messages[id].stream for id in untold} <= set(doubted)
        return list(answers)

    return virtual_time.run(main()), stored


def test_a_draft_that_the_store_cannot_take_fails_alone() -> None:
    bodies = [str(number) for number in range(9)]
    bodies[4] = _POISON
    answers, stored = committed(Choosy(), bodies)
    assert isinstance(answers.pop(4), ValueError)
    assert all(isinstance(answer, Appended) for answer in answers)
    assert [each.body for each in stored] == [body for body in bodies if body != _POISON]
    assert [each.seq for each in stored] == list(range(1, 9))


def test_a_store_that_is_away_is_asked_once_for_all() -> None:
    store = FakeStore(away=True)
    answers, stored = committed(store, ["1", "2", "3"])
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert not stored


@dataclass
class Forgetful(FakeStore):
    """A store that fails after its first commit in a way which nobody has foreseen."""

    async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        answers = await super().append(drafts)
        if len(self.batches) == 1:
            raise ValueError("as told")
        return answers


def test_what_is_stored_by_a_batch_that_failed_is_looked_for() -> None:
    store = Forgetful()
    answers, stored = committed(store, ["1", "2", "3"])
    assert [each.repeated for each in answers if isinstance(each, Appended)] == [True] * 3
    assert (len(store.messages), stored) == (3, [])


@dataclass
class Stopping(FakeStore):
    """A store that fails, and whose gateway is stopped while it is asked again."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        if len(drafts) > 1:
            raise ValueError("as told")
        self.stop.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_nobody_waits_for_a_part_of_a_batch_whose_turn_does_not_come() -> None:
    async def main() -> list[object]:
        tasks, store = Tasks(), Stopping()
        commits = GroupCommit(store, stored=lambda _: None, in_doubt=lambda _: None, tasks=tasks)
        posts = [asyncio.ensure_future(commits.append(draft(body))) for body in "12"]
        await store.stop.wait()
        await tasks.close()
        async with asyncio.timeout(1):
            return list(await asyncio.gather(*posts, return_exceptions=True))

    answers = virtual_time.run(main())
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
