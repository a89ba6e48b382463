"""Those who wait for the broker's confirm of a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from broker.topology import Stream


class Waiters:
    """Any number may wait for one message; nothing is kept of those who gave up."""

    def __init__(self) -> None:
        # A future lives as long as somebody awaits it.
        self._futures: dict[Stream, WeakValueDictionary[int, asyncio.Future[None]]] = {}

    async def wait(self, stream: Stream, seq: int, *, within: float) -> bool:
        """Whether :meth:`answer` was called within so many seconds."""
        futures = self._futures.setdefault(stream, WeakValueDictionary())
        future = futures.setdefault(seq, asyncio.get_running_loop().create_future())
        # Unlike wait_for, this leaves the future to the others when one of them is cancelled.
        await asyncio.wait({future}, timeout=within)
        return future.done()

    def answer(self, stream: Stream, seq: int) -> None:
        if stream in self._futures and (future := self._futures[stream].pop(seq, None)):
            future.set_result(None)

    def answer_those(self, stream: Stream, condition: Callable[[int], bool]) -> None:
        """Answer who waits for a seq of which the condition is true."""
        for seq in list(self._futures.get(stream, ())):
            if condition(seq):
                self.answer(stream, seq)

    def forget(self, stream: Stream) -> None:
        """Answer all who wait for a seq of this stream."""
        self.answer_those(stream, lambda seq: True)
        self._futures.pop(stream, None)
