"""Writes of one thread: when each caller is told, and what is done for callers that have gone."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import payer as payers
from gateway.payer import payer
from gateway.store import group_commit
from gateway.store.group_commit import GroupCommit, Transaction
from tests.fake_clock import FakeClock


class Wrong(Exception):
    """An error that a weak reference can be had of."""


class Queue:
    """The queue of a thread, whose calls the test makes. ``ended``: it takes no more of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._calls: list[Callable[[], None]] = []
        self.ended = False
        self.commits = GroupCommit(self._submit, transaction)

    def _submit(self, call: Callable[[], None]) -> None:
        if self.ended:
            raise RuntimeError("the thread has ended")
        self._calls.append(call)

    def write(self, change: Callable[[Any], Any]) -> asyncio.Task[Any]:
        late = time.monotonic() + 3600
        return asyncio.create_task(self.commits.write(change, late=late))

    async def waiting(self, *changes: Callable[[Any], Any]) -> list[asyncio.Task[Any]]:
        tasks = [self.write(change) for change in changes]
        # Each has asked for its turn.
        await asyncio.sleep(0)
        assert len(self._calls) == len(tasks)
        return tasks

    async def work_off(self) -> None:
        for call in self._calls:
            await asyncio.to_thread(call)


def run(work: Callable[[Any], Any], late: float) -> Any:
    return work(None)


def run_and_fail(work: Callable[[Any], Any], late: float) -> None:
    """A transaction whose commit fails."""
    work(None)
    raise Wrong


def wrong(_: object) -> None:
    raise Wrong


def pay(paid: dict[str, float], name: str, seconds: float) -> None:
    paid[name] += seconds


def nothing(_: object) -> None:
    """A change that changes nothing."""


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.gen_test
async def test_each_of_a_group_that_failed_is_told_before_the_next_one_begins() -> None:
    """The next one may wait for another program until this one's caller has given up."""
    told, seen = threading.Event(), []
    queue = Queue(run)
    tasks = await queue.waiting(lambda _: "done", wrong, lambda _: seen.append(told.wait(10)))
    tasks[0].add_done_callback(lambda _: told.set())
    await queue.work_off()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] == "done"
    assert isinstance(answers[1], Wrong)
    assert seen == [True]


@pytest.mark.gen_test
@pytest.mark.parametrize("transaction", [run, run_and_fail])
async def test_each_caller_pays_for_its_own_change(
    transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, paid = FakeClock(), dict.fromkeys("abc", 0.0)
    monkeypatch.setattr(payers, "thread_time", clock)
    queue, tasks = Queue(transaction), {}

    def changing(seconds: float) -> Callable[[object], None]:
        def change(_: object) -> None:
            clock.now += seconds

        return change

    for name, seconds in (("a", 1), ("b", 10), ("c", 100)):
        payer.set(partial(pay, paid, name))
        tasks[name] = queue.write(changing(seconds))
    payer.set(None)
    background = queue.write(changing(1000))
    await asyncio.sleep(0)
    await queue.work_off()
    await asyncio.gather(*tasks.values(), background, return_exceptions=True)
    assert paid == {"a": 1, "b": 10, "c": 100}


@pytest.mark.gen_test
async def test_writes_that_are_slow_are_not_all_too_late_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a disk that is slow for a while, as many are stored as without a group."""
    clock, commits = FakeClock(), []
    monkeypatch.setattr(group_commit, "time", SimpleNamespace(monotonic=clock))

    def timed(work: Callable[[Any], Any], late: float) -> Any:
        began = clock.now
        result = work(None)
        if clock.now > late:
            raise TimeoutError
        commits.append(clock.now - began)
        return result

    def slow(_: object) -> None:
        clock.now += 1

    queue = Queue(timed)
    late = clock.now + 10
    tasks = [asyncio.create_task(queue.commits.write(slow, late=late)) for _ in range(12)]
    await asyncio.sleep(0)
    await queue.work_off()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None)] * 10 + [TimeoutError] * 2
    assert commits == [6, 3, 1]


@pytest.mark.gen_test
async def test_what_nobody_waits_for_any_more_is_not_begun_alone() -> None:
    left, begun = threading.Event(), []
    queue, loop = Queue(run), asyncio.get_running_loop()

    def first(_: object) -> None:
        begun.append("first")
        if len(begun) == 1:
            raise Wrong
        loop.call_soon_threadsafe(tasks[1].cancel)
        assert left.wait(30)

    tasks = await queue.waiting(first, lambda _: begun.append("second"))
    tasks[1].add_done_callback(lambda _: left.set())
    await queue.work_off()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] is None
    assert isinstance(answers[1], asyncio.CancelledError)
    assert begun == ["first", "first"]


@pytest.mark.gen_test
async def test_a_write_that_the_thread_does_not_take_is_not_done_by_an_earlier_call() -> None:
    done: list[str] = []
    queue = Queue(run)
    (first,) = await queue.waiting(lambda _: done.append("first"))
    queue.ended = True
    with pytest.raises(RuntimeError, match="has ended"):
        await queue.write(lambda _: done.append("second"))
    await queue.work_off()
    await first
    assert done == ["first"]


@pytest.mark.parametrize(
    ("transaction", "changes"),
    [(run, [wrong]), (run, [wrong, wrong]), (run_and_fail, [nothing, nothing])],
    ids=["alone", "alone after all others", "by the commit"],
)
@pytest.mark.usefixtures("no_collection")
@pytest.mark.gen_test
async def test_an_error_is_gone_with_its_caller(
    transaction: Transaction, changes: list[Callable[[object], None]]
) -> None:
    """A refused login or post is an error as well; none waits for the garbage collector."""
    queue = Queue(transaction)

    async def caller(change: Callable[[object], None]) -> weakref.ref[Wrong]:
        try:
            await queue.commits.write(change, late=time.monotonic() + 3600)
        except Wrong as error:
            return weakref.ref(error)
        raise AssertionError("it was right")

    callers = [asyncio.create_task(caller(change)) for change in changes]
    await asyncio.sleep(0)
    await queue.work_off()
    assert [error() for error in await asyncio.gather(*callers)] == [None for _ in changes]
