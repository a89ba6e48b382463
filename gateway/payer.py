"""Payment for the work of threads, by the client that it is done for.

A thread that computes takes the interpreter from the event loop (:mod:`gateway.threads`), so its
time counts as the loop's own does (:mod:`gateway.metered`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from time import thread_time
from typing import Final, TypeVar

T = TypeVar("T")

#: Called on the loop with the seconds of a processor that a thread has had for somebody.
Payer = Callable[[float], None]

#: Who pays for what threads are asked for now; None: nobody, as in background work.
payer: Final[ContextVar[Payer | None]] = ContextVar("payer", default=None)


class Bill:
    """The bill of some work in a thread: whoever pays when it is made, on the loop, pays for it,
    whether they wait for the result or have gone meanwhile."""

    __slots__ = ("_loop", "_payer")

    def __init__(self) -> None:
        self._payer = payer.get()
        self._loop = asyncio.get_running_loop()

    def of(self, work: Callable[[], T]) -> T:
        """Do the work, in the thread, and let its time count."""
        if self._payer is None:
            return work()
        began = thread_time()
        try:
            return work()
        finally:
            # The loop may have been closed meanwhile.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._payer, thread_time() - began)
