"""Turns at work that costs RabbitMQ much."""

from __future__ import annotations

import asyncio

import pytest

from gateway.fair_turns import FairTurns, Urgency
from tests.virtual_time import run, settle


class Work:
    """Work that lasts until it is told to end; ``begun`` is in the order of the turns."""

    def __init__(self, at_once: int, *, of_user: int = 100, kept: int = 0) -> None:
        self.turns = FairTurns(at_once, of_user=of_user, kept=kept)
        self.begun: list[str] = []
        self._at_once = at_once
        self._ends: list[tuple[str, asyncio.Event]] = []

    def begin(
        self, user: str, *, urgent: bool | Urgency = False, within: float = 60
    ) -> asyncio.Task[None]:
        async def work() -> None:
            async with self.turns.turn(user, urgent=urgent, within=within):
                self.begun.append(user)
                end = asyncio.Event()
                self._ends.append((user, end))
                assert len(self._ends) <= self._at_once
                await end.wait()

        return asyncio.create_task(work())

    async def end_one(self) -> None:
        _, end = self._ends.pop(0)
        end.set()
        await settle()

    async def end_all(self, *works: asyncio.Task[None]) -> None:
        while self._ends:
            await self.end_one()
        await asyncio.gather(*works)
        assert not self.turns.waiting


def test_a_user_with_much_work_delays_only_their_own() -> None:
    async def main() -> None:
        work = Work(2)
        greedy = [work.begin("greedy") for _ in range(8)]
        await settle()
        others = [work.begin("anna"), work.begin("bob")]
        await settle()
        for _ in range(4):
            await work.end_one()
        assert work.begun == ["greedy", "greedy", "greedy", "anna", "bob", "greedy"]
        await work.end_all(*greedy, *others)

    run(main())


def test_one_user_has_few_turns_at_a_time_though_others_are_free() -> None:
    async def main() -> None:
        work = Work(4, of_user=2)
        greedy = [work.begin("greedy", urgent=True) for _ in range(8)]
        await settle()
        anna = work.begin("anna")
        await settle()
        assert work.begun == ["greedy", "greedy", "anna"]
        assert work.turns.waiting == 6
        await work.end_all(*greedy, anna)
        assert work.begun.count("greedy") == 8

    run(main())


def test_the_urgent_come_first_and_have_turns_that_nobody_else_gets() -> None:
    async def main() -> None:
        work = Work(3, kept=1)
        common = [work.begin(user) for user in ("a", "b", "c")]
        await settle()
        assert work.begun == ["a", "b"]
        hosts = [work.begin(user, urgent=True) for user in ("hana", "hugo")]
        await settle()
        assert work.begun == ["a", "b", "hana"]
        await work.end_one()
        assert work.begun == ["a", "b", "hana", "hugo"]
        await work.end_one()
        # The one that is free is kept for another host.
        assert work.begun[4:] == []
        await work.end_one()
        assert work.begun[4:] == ["c"]
        await work.end_all(*common, *hosts)

    run(main())


def test_what_turns_out_to_be_urgent_while_it_waits_goes_before_the_others() -> None:
    async def main() -> None:
        work, urgency = Work(2, kept=1), Urgency()
        common = [work.begin(user) for user in ("a", "b")]
        await settle()
        hana = work.begin("hana", urgent=urgency)
        await settle()
        assert work.begun == ["a"]
        urgency.rise()
        await settle()
        assert work.begun == ["a", "hana"]
        # It has its turn: nothing is to be hurried any more.
        urgency.rise()
        await work.end_all(*common, hana)

    run(main())


def test_what_is_urgent_since_its_last_turn_waits_with_the_urgent() -> None:
    async def main() -> None:
        work, urgency = Work(1), Urgency()
        urgency.rise()
        first, common = work.begin("a"), work.begin("b")
        await settle()
        hana = work.begin("hana", urgent=urgency)
        await settle()
        await work.end_one()
        assert work.begun == ["a", "hana"]
        await work.end_all(first, common, hana)

    run(main())


def test_what_was_hurried_and_is_given_up_takes_no_turn() -> None:
    async def main() -> None:
        work, urgency = Work(1), Urgency()
        first, common = work.begin("a"), work.begin("b")
        hana = work.begin("hana", urgent=urgency)
        await settle()
        urgency.rise()
        hana.cancel()
        await settle()
        assert work.turns.waiting == 1
        await work.end_all(first, common)
        assert work.begun == ["a", "b"]

    run(main())


def test_who_waits_too_long_is_told_and_takes_no_turn() -> None:
    async def main() -> None:
        work = Work(1)
        first, late = work.begin("anna"), work.begin("bob", within=5)
        with pytest.raises(TimeoutError):
            await late
        assert not work.turns.waiting
        third = work.begin("carol")
        await work.end_one()
        assert work.begun == ["anna", "carol"]
        await work.end_all(first, third)

    run(main())


def test_a_turn_that_comes_as_its_user_goes_is_given_back() -> None:
    async def main() -> None:
        work = Work(1, of_user=1)
        first, going, third = (work.begin(user) for user in ("anna", "bob", "bob"))
        await settle()
        _, end = work._ends.pop(0)
        end.set()
        await asyncio.sleep(0)
        going.cancel()
        await settle()
        assert work.begun == ["anna", "bob"]
        assert going.cancelled()
        await work.end_all(first, third)

    run(main())


def test_there_is_a_turn_while_it_is_nobody_elses() -> None:
    async def main() -> None:
        work = Work(3, kept=1)
        assert work.turns.has_one
        first = work.begin("anna")
        await settle()
        assert work.turns.has_one
        second = work.begin("bob")
        await settle()
        assert not work.turns.has_one, "the last one is kept for urgent work"
        await work.end_all(first, second)
        assert work.turns.has_one

    run(main())


def test_there_may_be_more_turns_and_fewer() -> None:
    async def main() -> None:
        work = Work(4)
        works = [work.begin(user) for user in ("a", "b", "c", "d", "e", "f")]
        work.turns.resize(1)
        await settle()
        assert work.begun == ["a"]
        assert work.turns.full
        work.turns.resize(3)
        await settle()
        assert work.begun == ["a", "b", "c"]
        # Those that have turns go on; the next ones wait until there are fewer.
        work.turns.resize(1)
        await work.end_one()
        await work.end_one()
        assert work.begun == ["a", "b", "c"]
        await work.end_one()
        assert work.begun == ["a", "b", "c", "d"]
        await work.end_all(*works)
        assert not work.turns.full

    run(main())
