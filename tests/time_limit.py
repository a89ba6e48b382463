"""The time limit of a test, which ends what runs in an event loop, too.

pytest-timeout's signal handler raises `pytest.fail`'s exception. An event loop reports an exception
of a signal handler like one of any callback and goes on: a test that waited in a loop for ever was
never ended. The loops hand on `SystemExit` alone (and `KeyboardInterrupt`, which ends the session).
"""

import asyncio
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import pytest
from _pytest import outcomes


class TimeLimitMet(outcomes.Failed, SystemExit):
    """The failure of a test that has not ended within its time."""


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Start the time of a test; `settings.timeout` is in seconds; the plugin's own is off."""
    seconds: float = settings.timeout

    def end(number: int, frame: FrameType | None) -> NoReturn:
        stacks = "\n".join(_stacks())
        raise TimeLimitMet(f"{item.name} has not ended within {seconds:g} s\n{stacks}")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """Stop the time of a test."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return True


def _stacks() -> Iterator[str]:
    """What every other thread does, and what every task of the running loop waits for."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            yield f"thread {names.get(ident, ident)}:\n" + "".join(traceback.format_stack(frame))
    loop = asyncio._get_running_loop()  # The public one raises where there is none.
    for task in asyncio.all_tasks(loop) if loop else ():
        frames = [line for frame in task.get_stack() for line in traceback.format_stack(frame)[-1:]]
        yield f"task {task!r}:\n" + "".join(frames)
