"""Drafts that are stored together: what one of them does to the others."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

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
    """The answers to drafts that come at the same moment, and what was stored, in order."""
    stored: list[Message] = []
    doubted: list[Stream] = []

    async def main() -> list[object]:
        tasks = Tasks()
        commits = GroupCommit(store, stored=stored.extend, in_doubt=doubted.append, tasks=tasks)
        answers = await asyncio.gather(
            *(commits.append(draft(body)) for body in bodies), return_exceptions=True
        )
        await tasks.close()
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
