"""A process of its own that answers calls: the good room's, and the flood's."""

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

import uvloop

#: Seconds for an answer. The good room waits for its messages that long, and longer.
_TIMEOUT = 180.0


class WorkerFailed(Exception):
    """The process could not do what it was asked to, or has ended."""


class Worker:
    """The asking end."""

    def __init__(self, pipe: Pipe, pid: int) -> None:
        self._pipe = pipe
        self.pid = pid

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call a method of the process's object, and wait for its result."""
        try:
            self._pipe.send((what, arguments))
            if not self._pipe.poll(_TIMEOUT):
                raise WorkerFailed(f"{what}: no answer for {_TIMEOUT:.0f} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerFailed(f"{what}: the process has ended") from error
        if isinstance(answer, BaseException):
            raise WorkerFailed(f"{what}: {type(answer).__name__}: {answer}") from answer
        return answer


@contextmanager
def worker(make: Callable[..., Any], *arguments: Any) -> Iterator[Worker]:
    """Run ``make(*arguments)`` in a process with a session of its own, and let its public coroutine
    methods be asked."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Worker(ours, process.pid or 0)
    finally:
        ours.close()
        process.join(5)
        process.kill()
        process.join()


def _serve(pipe: Pipe, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.setsid()
    uvloop.run(_answer(pipe, make, arguments))


async def _answer(pipe: Pipe, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    served = make(*arguments)
    while (asked := await asyncio.to_thread(_received, pipe)) is not None:
        what, given = asked
        method: Callable[..., Awaitable[Any]] = getattr(served, what)
        try:
            answer = await method(*given)
        except Exception as error:  # the asking process says it and stops
            answer = WorkerFailed(f"{type(error).__name__}: {error}")
        pipe.send(answer)


def _received(pipe: Pipe) -> tuple[str, tuple[Any, ...]] | None:
    """The next call; None at the end."""
    try:
        call: tuple[str, tuple[Any, ...]] = pipe.recv()
    except EOFError:
        return None
    return call
