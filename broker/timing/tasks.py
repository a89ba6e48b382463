"""Background work that belongs to a part of the gateway, ends with it, and never ends unseen.

A task that nobody awaits ends silently: by a fault of ours, by an unforeseen error, or by a
``CancelledError`` that was never meant for it (aiormq ends its waiters so). Here each such end is
logged, counted and kept, and a loop is started anew.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any, Final, TypeVar

from broker.timing.backoff import BackOff

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Before a loop that has ended starts anew, in seconds. Short, because the lease depends on one.
RESTART: Final = BackOff(first=0.1, longest=2.0)
#: Seconds after the last failure for which something counts as failing.
WELL: Final = 60.0
#: Work fails lastingly when it has failed this often in a row, over this many seconds.
LASTING_TIMES: Final = 3
LASTING: Final = 15.0
#: Seconds that work has to end when it is closed.
CLOSING: Final = 10.0
#: Names that are kept at most. There are few, because they hold no numbers of rooms or users.
_NAMES: Final = 200


class Cancelled(Exception):
    """Work ended by a ``CancelledError`` that its owner did not ask for."""


class Returned(Exception):
    """A loop ended by itself."""


class DoesNotEnd(Exception):
    """Work continues although it was cancelled."""


@dataclass(frozen=True, slots=True)
class Failing:
    """Work that fails now: ``times`` in a row, over ``seconds``.

    ``lasting``: it does not recover by itself.
    """

    name: str
    fault: str
    times: int
    seconds: float
    lasting: bool

    def __str__(self) -> str:
        times = "once" if self.times == 1 else f"{self.times} times in {self.seconds:.0f} s"
        return f"failed {times}: {self.fault}; the log says more"


@dataclass(slots=True)
class _Row:
    """The failures of one name, with less than :data:`WELL` seconds between two of them."""

    began: float
    last: float = 0.0
    times: int = 0
    fault: str = ""
    logged: set[str] = field(default_factory=set)


class Failures:
    """The failures of background work, by name; one object for the whole process."""

    def __init__(self) -> None:
        #: Failures since the start, by name.
        self.counts: Counter[str] = Counter()
        self._rows: dict[str, _Row] = {}
        self._needed: dict[str, list[str]] = {}

    def note(self, name: str, fault: BaseException, *, consequence: str = "") -> None:
        """Note one more failure. In a row of failures, each place in the code is logged once."""
        if name not in self.counts and len(self.counts) >= _NAMES:
            name = "others"
        self.counts[name] += 1
        now = asyncio.get_running_loop().time()
        row = self._rows.get(name)
        if row is None or now - row.last > WELL:
            row = self._rows[name] = _Row(began=now)
        row.last, row.times, row.fault = now, row.times + 1, _place(fault)
        level = logging.DEBUG if row.fault in row.logged else logging.CRITICAL
        row.logged.add(row.fault)
        log.log(level, "%s has failed%s", name, consequence, exc_info=fault)

    @property
    def now(self) -> list[Failing]:
        """Everything that has failed within the last :data:`WELL` seconds."""
        now = asyncio.get_running_loop().time()
        self._rows = {name: row for name, row in self._rows.items() if now - row.last <= WELL}
        return [_failing(name, row) for name, row in sorted(self._rows.items())]

    @property
    def broken(self) -> list[str]:
        """Everything that the gateway needs and whose loops all fail lastingly."""
        lasting = {each.name for each in self.now if each.lasting}
        return [what for what, names in sorted(self._needed.items()) if lasting.issuperset(names)]

    def need(self, what: str, name: str) -> None:
        """Register a loop as one that works for something that the gateway needs."""
        self._needed.setdefault(what, []).append(name)

    def spare(self, what: str, name: str) -> None:
        """Take back :meth:`need`: the loop has ended as it should."""
        self._needed[what].remove(name)
        if not self._needed[what]:
            del self._needed[what]


def _failing(name: str, row: _Row) -> Failing:
    seconds = row.last - row.began
    lasting = row.times >= LASTING_TIMES and seconds >= LASTING
    return Failing(name, row.fault, row.times, seconds, lasting)


def _place(fault: BaseException) -> str:
    """The type of a fault and its place in the code; not its text, which may hold secrets."""
    frames = traceback.extract_tb((fault.__cause__ or fault).__traceback__)
    if not frames:
        return type(fault).__name__
    return f"{type(fault).__name__} in {PurePath(frames[-1].filename).name}:{frames[-1].lineno}"


class Job:
    """Work that starts anew when it ends unasked. Made by :class:`Tasks`."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, object]],
        name: str,
        *,
        endless: bool,
        needed: str | None,
        failures: Failures,
    ) -> None:
        self.name = name
        self._work = work
        self._endless = endless
        self._needed = needed
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._failed = 0
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        if needed is not None:
            failures.need(needed, name)
        self._begin()

    @property
    def done(self) -> bool:
        """Whether the work has ended as it should, and will not start anew.

        True as soon as the work has returned: a caller that has more to do starts it again.
        """
        if self._over.is_set():
            return True
        return not self._endless and self._task.done() and fault_of(self._task) is None

    async def wait(self) -> None:
        """Return when the work is :attr:`done`."""
        await self._over.wait()

    def cancel(self) -> None:
        """End the work; :meth:`wait` returns when it has ended. Any number of times."""
        self._asked = True
        if self._timer is not None:
            self._timer.cancel()
            self._end()
        elif not self.done:
            self._task.cancel()

    def _begin(self) -> None:
        self._timer = None
        self._began = self._loop.time()
        # It is nobody's, whoever's request has begun it.
        self._task = self._loop.create_task(self._run(), name=self.name, context=Context())
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        await self._work()

    def _ended(self, task: asyncio.Task[None]) -> None:
        fault = fault_of(task)
        if isinstance(fault, Exception) and self._asked:
            if not isinstance(fault, Cancelled):
                self._failures.note(self.name, fault, consequence=" while it ended")
            self._end()
        elif self._asked or (fault is None and not self._endless):
            self._end()
        elif fault is None or isinstance(fault, Exception):
            lasted = self._loop.time() - self._began
            self._failed = 1 if lasted > WELL else self._failed + 1
            self._timer = self._loop.call_later(RESTART.delay(self._failed), self._begin)
            fault = fault or Returned("a loop has ended by itself")
            self._failures.note(self.name, fault, consequence=" and begins anew")
        else:
            # SystemExit and the like end the process.
            self._end()

    def _end(self) -> None:
        if not self._over.is_set() and self._needed is not None:
            self._failures.spare(self._needed, self.name)
        self._timer = None
        self._over.set()


async def shared(work: asyncio.Future[T]) -> T:
    """The result of work that several callers wait for.

    A caller that is cancelled does not end the work for the others. If the work itself was
    cancelled, the callers do not look cancelled: this raises :class:`Cancelled`.
    """
    waiter = asyncio.current_task()
    asked = 0 if waiter is None else waiter.cancelling()
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError as error:
        if waiter is None or waiter.cancelling() > asked:
            raise
        raise Cancelled("the awaited work was cancelled") from error


def fault_of(task: asyncio.Task[Any]) -> BaseException | None:
    """The error that ended a task, or None: it returned.

    :class:`Cancelled` also if its owner cancelled it: the owner knows whether that was so.
    """
    if not task.cancelled():
        return task.exception()
    fault = Cancelled("cancelled by code that does not own it")
    try:
        task.result()
    except asyncio.CancelledError as cancelled:
        # Its traceback shows where.
        fault.__cause__ = cancelled
    return fault


class Tasks:
    """The background work of one part, whose maker closes it.

    The name of a piece of work holds no numbers of rooms or users: metrics count by it.
    """

    def __init__(self, failures: Failures | None = None) -> None:
        self.failures = Failures() if failures is None else failures
        self._jobs: set[Job] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def part(self) -> Tasks:
        """The tasks of another part, closed by themselves; failures are kept at the same place."""
        return Tasks(self.failures)

    def __len__(self) -> int:
        """The pieces of work under way."""
        self._jobs = {job for job in self._jobs if not job.done}
        return len(self._jobs) + len(self._tasks)

    def spawn(
        self,
        work: Coroutine[Any, Any, T],
        name: str,
        *,
        failed: Callable[[Exception], None] | None = None,
    ) -> asyncio.Task[T]:
        """Start work that ends by itself or by the task's ``cancel``; any other end is a failure.

        ``failed`` is called with the fault in place of noting it, and also for a cancellation
        (:class:`Cancelled`), because only the owner of the work knows whether that was its own.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended if failed is None else partial(self._report, failed))
        if self._closed:
            task.cancel()
        return task

    def forever(
        self,
        loop: Callable[[], Coroutine[Any, Any, object]],
        name: str,
        *,
        needed: str | None = None,
    ) -> Job:
        """Start a loop, and start it anew whatever ends it, until :meth:`close`.

        ``needed``: what the gateway needs it for. A gateway is not ready while all loops for the
        same thing fail lastingly.
        """
        return self._job(loop, name, endless=True, needed=needed)

    def until_done(self, work: Callable[[], Coroutine[Any, Any, object]], name: str) -> Job:
        """Start work, and start it anew until it returns."""
        return self._job(work, name, endless=False, needed=None)

    async def close(self, *, within: float = CLOSING) -> None:
        """Cancel everything and wait until it has ended, ``within`` seconds at most."""
        self._closed = True
        for job in self._jobs:
            job.cancel()
        for task in self._tasks:
            task.cancel()
        waiting = {
            *(job._task for job in self._jobs if not job.done),  # noqa: SLF001 - made here
            *self._tasks,
        } - {asyncio.current_task()}
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=within)
            for task in late:
                fault = DoesNotEnd(f"it goes on {within:g} s after it was cancelled")
                self.failures.note(task.get_name(), fault)
        self._jobs.clear()

    def _job(
        self,
        work: Callable[[], Coroutine[Any, Any, object]],
        name: str,
        *,
        endless: bool,
        needed: str | None,
    ) -> Job:
        job = Job(work, name, endless=endless, needed=needed, failures=self.failures)
        self._jobs = {each for each in self._jobs if not each.done}
        self._jobs.add(job)
        if self._closed:
            job.cancel()
        return job

    def _report(self, failed: Callable[[Exception], None], task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if isinstance(fault := fault_of(task), Exception):
            failed(fault)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() and task.cancelling():
            return
        if isinstance(fault := fault_of(task), Exception):
            self.failures.note(task.get_name(), fault)
