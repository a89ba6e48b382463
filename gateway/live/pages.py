"""Reading the history for those who resume: one read serves all who need the same page."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from broker.topology import Stream
from gateway.errors import NotKept
from gateway.live.delivery import Delivery, from_history
from gateway.store.records import Page

#: Messages of a page. Pages begin at multiples of it, so that many readers want the same one.
PAGE: Final = 250


class History(Protocol):
    async def read(self, stream: Stream, *, after: int, limit: int) -> Page:
        """Raises :class:`StoreUnavailable`."""


class Pages:
    """One stream's history as deliveries."""

    def __init__(self, history: History, stream: Stream, destination: str) -> None:
        self._history = history
        self._stream = stream
        self._destination = destination
        self._reads: dict[int, asyncio.Task[tuple[int, list[Delivery]]]] = {}

    async def after(self, seq: int) -> list[Delivery]:
        """Some of what follows ``seq``, without a hole; at the stream's end nothing.

        Raises :class:`NotKept` where the history does not reach back so far, and
        :class:`StoreUnavailable`.
        """
        start = seq - seq % PAGE
        read = self._reads.get(start)
        if read is None:
            read = self._reads[start] = asyncio.create_task(self._read(start))
            read.add_done_callback(lambda task: self._done(start, task))
        first, page = await asyncio.shield(read)
        if seq + 1 < first:
            raise NotKept(f"the history is kept from seq {first} on")
        return [delivery for delivery in page if delivery.seq is not None and delivery.seq > seq]

    def _done(self, start: int, read: asyncio.Task[tuple[int, list[Delivery]]]) -> None:
        del self._reads[start]
        if not read.cancelled():
            # Looked at here too: all who wanted the page may be gone.
            read.exception()

    async def _read(self, start: int) -> tuple[int, list[Delivery]]:
        page = await self._history.read(self._stream, after=start, limit=PAGE)
        return page.first, [from_history(message, self._destination) for message in page.messages]
