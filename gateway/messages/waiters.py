"""The callers that wait for the broker's confirm of a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.topology import Stream


class Waiters:
    """Waiting callers by stream and seq. Any number may wait for one message; those that gave up
    are forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[Stream, dict[int, set[asyncio.Future[bool]]]] = {}

    async def wait(self, stream: Stream, seq: int, *, within: float) -> bool:
        """Wait for the confirm. Returns whether it came within so many seconds."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.setdefault(stream, {}).setdefault(seq, set()).add(answer)
        timer = loop.call_later(within, _give_up, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            self._forget(stream, seq, answer)

    def answer(self, stream: Stream, seq: int) -> None:
        for answer in self._waiting.get(stream, {}).get(seq, ()):
            if not answer.done():
                answer.set_result(True)

    def answer_those(self, stream: Stream, condition: Callable[[int], bool]) -> None:
        """Answer the callers that wait for a seq of which the condition is true."""
        for seq in self._waiting.get(stream, {}):
            if condition(seq):
                self.answer(stream, seq)

    def answer_all(self, stream: Stream) -> None:
        """Answer all callers that wait for a seq of this stream."""
        self.answer_those(stream, lambda seq: True)

    def _forget(self, stream: Stream, seq: int, answer: asyncio.Future[bool]) -> None:
        seqs = self._waiting[stream]
        seqs[seq].remove(answer)
        if not seqs[seq]:
            del seqs[seq]
        if not seqs:
            del self._waiting[stream]


def _give_up(answer: asyncio.Future[bool]) -> None:
    if not answer.done():
        answer.set_result(False)
