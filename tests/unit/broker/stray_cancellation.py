"""A cancellation that nobody asked for, at any one await of background work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any, NamedTuple

_PROJECT = Path(__file__).parents[3]
_OURS = tuple(f"{_PROJECT / folder}/" for folder in ("broker", "gateway"))


class Place(NamedTuple):
    """An await: the task, the line that waits, and the how manieth time it does."""

    task: str
    line: str
    time: int

    @property
    def module(self) -> str:
        return self.line.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.task} at {self.line} {self.time}"


class Stray:
    """Counts the awaits of all tasks, and cancels one of them.

    Only tasks that are made after :meth:`watch`; those whose name begins with ``test`` are left
    alone.
    """

    def __init__(self, at: Place | None = None) -> None:
        self.at = at
        self.places: list[Place] = []
        self.happened = False
        self._times: Counter[tuple[str, str]] = Counter()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        def make(on: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
            return asyncio.Task(_Watched(work, self), loop=on, **options)

        loop.set_task_factory(make)

    def reached(self, work: Any) -> bool:
        """Note an await; whether it ends as if it were cancelled."""
        task = asyncio.current_task()
        line = _waiting_line(work)
        if task is None or line is None or task.get_name().startswith("test"):
            return False
        name = task.get_name()
        if name.startswith("Task-"):
            if not line.startswith("aiormq."):
                return False
            # Its tasks have numbers.
            name = "aiormq"
        self._times[name, line] += 1
        place = Place(name, line, self._times[name, line])
        self.places.append(place)
        if place == self.at:
            self.happened = True
        return place == self.at


class _Watched(Coroutine[Any, Any, Any]):
    """A task's coroutine, asked at each of its awaits."""

    def __init__(self, work: Any, stray: Stray) -> None:
        self._work = work
        self._stray = stray

    def send(self, value: Any) -> Any:
        return self._at_await(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._at_await(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("it belongs to a task")

    def _at_await(self, awaited: Any) -> Any:
        if awaited is not None and self._stray.reached(self._work):
            # As aiormq ends its waiters.
            asyncio.get_running_loop().call_soon(awaited.cancel)
        return awaited


def _waiting_line(work: Any) -> str | None:
    """The innermost line of our own code that waits, or else of aiormq's."""
    ours = theirs = None
    while work is not None:
        frame = getattr(work, "cr_frame", None) or getattr(work, "ag_frame", None)
        if frame is not None:
            file, where = frame.f_code.co_filename, f"{frame.f_code.co_name}:{frame.f_lineno}"
            if file.startswith(_OURS):
                ours = f"{Path(file).stem}.{where}"
            elif "/aiormq/" in file:
                theirs = f"aiormq.{Path(file).stem}.{where}"
        work = getattr(work, "cr_await", None) or getattr(work, "ag_await", None)
    return ours or theirs
