"""The order of reads of the history."""

from __future__ import annotations

import asyncio

import pytest

from gateway.budget.rank import Rank
from gateway.budget.table import READS, Scope
from gateway.errors import ReadsBusy, TooManyReads
from gateway.messages.turns import PATIENCE, Turns
from tests.budgets import budgets_of
from tests.virtual_time import run, settle


class Readers:
    """Reads that last until they are told to end; ``begun`` is in the order of their turns."""

    def __init__(self, at_once: int, *, of_user: int = 100, in_all: int = 100) -> None:
        # Hosts may have all of it.
        places = budgets_of(reads_per_user=of_user, reads=in_all).cap(READS)
        self.turns = Turns(at_once, places)
        self._at_once = at_once
        self.begun: list[str] = []
        self.running = 0
        self._ends: list[asyncio.Event] = []

    def read(self, user: str) -> asyncio.Task[None]:
        async def read() -> None:
            async with self.turns.turn(user, Rank.HOST):
                self.begun.append(user)
                self.running += 1
                assert self.running <= self._at_once
                self._ends.append(end := asyncio.Event())
                try:
                    await end.wait()
                finally:
                    self.running -= 1

        return asyncio.create_task(read())

    async def end_one(self) -> None:
        self._ends.pop(0).set()
        await settle()


def test_a_user_with_many_reads_holds_up_only_their_own() -> None:
    async def main() -> None:
        readers = Readers(2)
        reads = [readers.read("greedy") for _ in range(8)]
        await settle()
        reads += [readers.read("anna"), readers.read("bob")]
        await settle()
        assert readers.begun == ["greedy", "greedy"]
        for _ in range(10):
            await readers.end_one()
        assert readers.begun[2:6] == ["greedy", "anna", "bob", "greedy"]
        assert len(readers.begun) == 10
        await asyncio.gather(*reads)

    run(main())


def test_one_user_and_all_together_have_a_limit() -> None:
    async def main() -> None:
        readers = Readers(1, of_user=2, in_all=3)
        reads = [readers.read(user) for user in ("anna", "anna", "bob")]
        await settle()
        with pytest.raises(TooManyReads):
            await readers.read("anna")
        with pytest.raises(ReadsBusy):
            await readers.read("carol")
        for _ in range(3):
            await readers.end_one()
        await asyncio.gather(*reads)
        again = readers.read("carol")
        await settle()
        await readers.end_one()
        await again

    run(main())


def test_a_turn_that_does_not_come_is_not_waited_for_for_ever() -> None:
    async def main() -> None:
        readers = Readers(1)
        first, second = readers.read("anna"), readers.read("bob")
        await asyncio.sleep(PATIENCE + 0.1)
        with pytest.raises(ReadsBusy):
            await second
        await readers.end_one()
        await first
        third = readers.read("carol")
        await settle()
        assert readers.begun == ["anna", "carol"]
        await readers.end_one()
        await third

    run(main())


def test_a_caller_that_goes_away_takes_no_turn() -> None:
    async def main() -> None:
        readers = Readers(1)
        first, second, third = (readers.read(user) for user in ("anna", "bob", "carol"))
        await settle()
        second.cancel()
        await settle()
        assert list(readers.turns._turns._lines[1]) == ["carol"], "nor is anything of it kept"
        await readers.end_one()
        assert readers.begun == ["anna", "carol"]
        await readers.end_one()
        await asyncio.gather(first, third)

    run(main())


@pytest.mark.parametrize("steps", range(5))
def test_a_turn_that_comes_as_its_owner_goes_is_given_on(steps: int) -> None:
    """Whether the owner goes before its turn is given, before it takes the turn, or after."""

    async def main() -> None:
        readers = Readers(1)
        first, second, third = (readers.read(user) for user in ("anna", "bob", "carol"))
        await settle()
        readers._ends[0].set()
        for _ in range(steps):
            await asyncio.sleep(0)
        second.cancel()
        await settle()
        assert readers.begun[-1] == "carol"
        while readers._ends:
            await readers.end_one()
        await asyncio.gather(first, third)
        assert readers.turns.in_hand == 0
        last = readers.read("dora")
        await settle()
        assert readers.begun[-1] == "dora", "no turn is lost"
        await readers.end_one()
        await last

    run(main())


def test_what_is_over_counts_no_more() -> None:
    async def main() -> None:
        readers = Readers(1, of_user=2, in_all=3)
        for _ in range(2):
            reads = [readers.read(user) for user in ("anna", "anna", "bob")]
            await settle()
            assert readers.turns.in_hand == 3
            for left in (2, 1, 0):
                await readers.end_one()
                assert readers.turns.in_hand == left
            await asyncio.gather(*reads)
        places = readers.turns._places
        assert not any(places.taken(Scope.USER, user) for user in ("anna", "bob"))
        assert readers.begun == ["anna", "anna", "bob"] * 2

    run(main())


def test_after_a_rest_there_are_as_many_at_once_as_before() -> None:
    async def main() -> None:
        readers = Readers(1)
        first = readers.read("anna")
        await settle()
        await readers.end_one()
        await first
        reads = [readers.read("anna"), readers.read("bob")]
        await settle()
        assert readers.begun == ["anna", "anna"]
        await readers.end_one()
        await readers.end_one()
        await asyncio.gather(*reads)

    run(main())
