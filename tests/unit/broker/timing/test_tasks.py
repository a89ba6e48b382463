"""Background work never ends unseen, and a loop begins anew whatever has ended it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar

import pytest

from broker.timing.tasks import CLOSING, LASTING, WELL, Cancelled, Failures, Tasks, shared
from tests.virtual_time import run, settle


@pytest.fixture(autouse=True)
def mean(failures: list[str]) -> Iterator[None]:
    """They are meant here."""
    yield
    failures.clear()


class Loop:
    """Notes when it begins; each round ends as it is told, the last of them for all that follow."""

    def __init__(self, *endings: Callable[[], Awaitable[object]]) -> None:
        self.began: list[float] = []
        self._endings = list(endings)

    async def __call__(self) -> None:
        self.began.append(asyncio.get_running_loop().time())
        ending = self._endings.pop(0) if len(self._endings) > 1 else self._endings[0]
        await ending()


async def wait() -> None:
    await asyncio.Event().wait()


async def ask_somebody_who_breaks_off() -> None:
    """As aiormq does: a future that somebody else cancels."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancel_from_outside() -> None:
    """Somebody who does not own the task cancels it."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def key_error() -> None:
    raise KeyError("secret")


async def end() -> None:
    return


async def leave() -> None:
    raise SystemExit(1)


UNASKED = pytest.mark.parametrize(
    ("ending", "fault"),
    [
        (key_error, "KeyError in test_tasks.py:"),
        (ask_somebody_who_breaks_off, "Cancelled in test_tasks.py:"),
        (cancel_from_outside, "Cancelled in "),
        (end, "Returned"),
    ],
)


def criticals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.CRITICAL]


@UNASKED
def test_a_loop_begins_anew_whatever_has_ended_it(
    ending: Callable[[], Awaitable[object]], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        tasks, loop = Tasks(), Loop(ending, wait)
        tasks.forever(loop, "a loop")
        await asyncio.sleep(1)
        assert len(loop.began) == 2
        [failing] = tasks.failures.now
        assert failing.name == "a loop"
        assert failing.fault.startswith(fault)
        assert "secret" not in str(failing)
        assert tasks.failures.counts == {"a loop": 1}
        await tasks.close()
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    run(scenario())
    assert criticals(caplog) == ["a loop has failed and begins anew"]


@UNASKED
def test_one_that_fails_again_and_again_is_told_once_and_goes_on_at_a_bounded_pace(
    ending: Callable[[], Awaitable[object]], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        tasks, loop = Tasks(), Loop(ending)
        tasks.forever(loop, "a loop")
        await asyncio.sleep(600)
        pauses = [b - a for a, b in zip(loop.began, loop.began[1:], strict=False)]
        assert pauses[0] == pytest.approx(0.1)
        assert max(pauses) == pytest.approx(2.0)
        [failing] = tasks.failures.now
        assert failing.lasting
        assert failing.times == len(loop.began)
        await tasks.close()

    run(scenario())
    assert criticals(caplog) == ["a loop has failed and begins anew"]


def test_a_loop_is_nobodys_whoever_has_begun_it() -> None:
    """The first one who posts does not pay for what the group commit does from then on."""

    async def main() -> None:
        known: ContextVar[str] = ContextVar("known", default="nobody's")
        seen: list[str] = []

        async def look() -> None:
            seen.append(known.get())

        tasks = Tasks()
        known.set("somebody's")
        await tasks.until_done(look, "a loop").wait()
        await tasks.close()
        assert seen == ["nobody's"]

    run(main())


def test_another_fault_is_told_and_so_is_one_that_comes_back_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def last() -> None:
        await asyncio.sleep(WELL + 1)
        raise KeyError

    async def value_error() -> None:
        raise ValueError

    async def scenario() -> None:
        tasks, loop = Tasks(), Loop(key_error, key_error, value_error, last, last, wait)
        tasks.forever(loop, "a loop")
        await asyncio.sleep(5)
        assert len(criticals(caplog)) == 2
        await asyncio.sleep(WELL)
        assert len(criticals(caplog)) == 3
        assert tasks.failures.now[0].times == 1
        await asyncio.sleep(5 * WELL)
        assert tasks.failures.now == []
        assert tasks.failures.counts["a loop"] == 5
        await tasks.close()

    run(scenario())


def test_a_pause_after_a_long_good_time_is_short_again() -> None:
    async def good_for_long() -> None:
        await asyncio.sleep(WELL + 1)
        raise KeyError

    async def scenario() -> None:
        tasks, loop = Tasks(), Loop(*[key_error] * 10, good_for_long, wait)
        tasks.forever(loop, "a loop")
        await asyncio.sleep(1000)
        assert loop.began[-1] - loop.began[-2] == pytest.approx(WELL + 1.1)
        await tasks.close()

    run(scenario())


def test_exceptions_that_end_the_process_end_it() -> None:
    async def scenario() -> None:
        Tasks().forever(Loop(leave), "a loop")
        await asyncio.sleep(1)

    with pytest.raises(SystemExit):
        asyncio.run(scenario())


def test_work_until_it_is_done_begins_anew_until_it_returns() -> None:
    async def scenario() -> None:
        tasks, work = Tasks(), Loop(key_error, ask_somebody_who_breaks_off, end)
        job = tasks.until_done(work, "work")
        assert not job.done
        await job.wait()
        assert job.done
        assert len(work.began) == 3
        assert len(tasks) == 0
        await tasks.close()

    run(scenario())


@pytest.mark.parametrize("ending", [key_error, ask_somebody_who_breaks_off])
def test_spawned_work_that_fails_is_shown_and_does_not_begin_anew(
    ending: Callable[[], Awaitable[object]], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        tasks, work = Tasks(), Loop(ending)
        tasks.spawn(work(), "work")
        await asyncio.sleep(10)
        assert len(work.began) == 1
        assert [each.name for each in tasks.failures.now] == ["work"]
        await tasks.close()

    run(scenario())
    assert criticals(caplog) == ["work has failed"]


def test_spawned_work_that_ends_or_is_cancelled_by_its_owner_is_no_failure() -> None:
    async def scenario() -> None:
        tasks = Tasks()

        async def give() -> int:
            return 3

        assert await tasks.spawn(give(), "work") == 3
        waiting = tasks.spawn(wait(), "work")
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert len(tasks) == 0
        assert not tasks.failures.counts

    run(scenario())


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (end, None),
        (key_error, KeyError),
        (ask_somebody_who_breaks_off, Cancelled),
        (cancel_from_outside, Cancelled),
    ],
)
def test_an_owner_hears_of_the_unforeseen_end_of_its_work_in_place_of_the_failures(
    ending: Callable[[], Awaitable[object]], told: type[Exception] | None
) -> None:
    async def scenario() -> None:
        tasks, work = Tasks(), Loop(ending)
        heard: list[Exception] = []
        tasks.spawn(work(), "work", failed=heard.append)
        await settle()
        assert [type(fault) for fault in heard] == ([] if told is None else [told])
        assert len(tasks) == 0
        assert not tasks.failures.counts

    run(scenario())


def test_an_owner_hears_of_work_that_is_cancelled_before_it_begins() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        heard: list[Exception] = []
        work = wait()
        tasks.spawn(work, "work", failed=heard.append).cancel()
        await settle()
        assert [type(fault) for fault in heard] == [Cancelled]

    run(scenario())


def test_closing_ends_everything_also_what_waits_to_begin_anew() -> None:
    async def scenario() -> None:
        tasks, broken = Tasks(), Loop(key_error)
        tasks.forever(broken, "broken")
        tasks.forever(Loop(wait), "a loop")
        tasks.spawn(wait(), "work")
        await settle()
        assert len(tasks) == 3
        await tasks.close()
        assert len(tasks) == 0
        await asyncio.sleep(100)
        assert len(broken.began) == 1
        assert tasks.failures.counts == {"broken": 1}
        assert not asyncio.all_tasks() - {asyncio.current_task()}
        await tasks.close()

    run(scenario())


def test_work_begun_after_the_closing_ends_at_once() -> None:
    async def scenario() -> None:
        tasks, loop = Tasks(), Loop(wait)
        await tasks.close()
        tasks.spawn(loop(), "work")
        job = tasks.forever(loop, "a loop")
        await asyncio.sleep(1)
        assert job.done
        assert not loop.began
        assert not tasks.failures.counts

    run(scenario())


def test_a_fault_while_closing_is_shown() -> None:
    async def fail_at_the_end() -> None:
        try:
            await wait()
        finally:
            raise KeyError

    async def scenario() -> None:
        tasks = Tasks()
        tasks.forever(fail_at_the_end, "a loop")
        tasks.spawn(fail_at_the_end(), "work")
        await settle()
        await tasks.close()
        assert tasks.failures.counts == {"a loop": 1, "work": 1}

    run(scenario())


def test_closing_waits_no_longer_than_its_bound_for_what_does_not_end() -> None:
    async def scenario() -> None:
        tasks, stubborn = Tasks(), asyncio.Event()

        async def stay() -> None:
            while not stubborn.is_set():
                try:
                    await stubborn.wait()
                except asyncio.CancelledError:
                    continue

        tasks.spawn(stay(), "work")
        await settle()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await tasks.close()
        assert loop.time() - began == pytest.approx(CLOSING)
        assert [each.fault for each in tasks.failures.now] == ["DoesNotEnd"]
        stubborn.set()
        await settle()

    run(scenario())


def test_work_may_close_what_it_belongs_to() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        await asyncio.wait({tasks.spawn(tasks.close(), "work")})
        assert not tasks.failures.counts

    run(scenario())


def test_parts_keep_their_failures_at_one_place_and_are_closed_by_themselves() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        part = tasks.part()
        part.forever(Loop(key_error), "a loop")
        await asyncio.sleep(1)
        assert tasks.failures.counts["a loop"] > 1
        assert len(tasks) == 0
        await part.close()

    run(scenario())


def test_a_need_of_the_gateway_is_broken_when_all_its_loops_fail_for_good() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        tasks.forever(Loop(key_error), "link 1", needed="publishing")
        second = tasks.part()
        job = second.forever(Loop(*[key_error] * 30, wait), "link 2", needed="publishing")
        tasks.forever(Loop(key_error), "the dashboard")
        tasks.forever(Loop(key_error), "lease", needed="the lease")
        await asyncio.sleep(LASTING - 5)
        assert tasks.failures.broken == []
        await asyncio.sleep(10)
        assert tasks.failures.broken == ["publishing", "the lease"]
        await asyncio.sleep(50 + WELL)
        assert tasks.failures.broken == ["the lease"]
        job.cancel()
        await job.wait()
        assert tasks.failures.broken == ["publishing", "the lease"]
        await tasks.close()
        assert tasks.failures.broken == []

    run(scenario())


def test_the_names_that_are_kept_are_bounded() -> None:
    async def scenario() -> None:
        failures = Failures()
        for number in range(1000):
            failures.note(f"room {number}", KeyError())
        assert len(failures.counts) <= 201
        assert failures.counts["others"] == 800

    run(scenario())


def test_a_waiter_for_shared_work_that_is_cancelled_is_not_cancelled() -> None:
    async def scenario() -> None:
        work = asyncio.ensure_future(wait())
        waiting = [asyncio.ensure_future(shared(work)) for _ in range(3)]
        await settle()
        work.cancel()
        await asyncio.wait(waiting)
        assert [type(each.exception()) for each in waiting] == [Cancelled] * 3

    run(scenario())


def test_a_caller_that_leaves_shared_work_is_cancelled_and_ends_it_for_nobody() -> None:
    async def scenario() -> None:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        leaving, staying = (asyncio.ensure_future(shared(done)) for _ in range(2))
        await settle()
        leaving.cancel()
        await asyncio.wait({leaving})
        assert leaving.cancelled()
        done.set_result(3)
        assert await staying == 3

    run(scenario())
