"""Work whose time is measured, without the time in which it waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from gateway.payer import Payer, payer
from gateway.stopwatch import Stopwatch

T = TypeVar("T")


class Metered(Generic[T]):
    """A coroutine to be awaited; ``took`` is called after each of its steps with the seconds of a
    processor that this thread has had in it by the ``watch``, ``pays`` with those that other
    threads have had for it."""

    __slots__ = ("_pays", "_took", "_watch", "_work")

    def __init__(
        self,
        work: Coroutine[Any, Any, T],
        took: Callable[[float], None],
        *,
        watch: Stopwatch,
        pays: Payer | None = None,
    ) -> None:
        self._work = work
        self._took = took
        self._watch = watch
        self._pays = pays

    def __await__(self) -> Generator[Any, Any, T]:
        work, took, watch = self._work, self._took, self._watch
        error: BaseException | None = None
        try:
            while True:
                before = payer.set(self._pays)
                begun = watch.begin()
                try:
                    waits_for = work.send(None) if error is None else work.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    took(watch.since(begun))
                    payer.reset(before)
                error = None
                try:
                    yield waits_for
                except BaseException as thrown:
                    error = thrown
        finally:
            # An error would hold this frame, and this frame the error, or the future that has it.
            error = waits_for = None
            work.close()
