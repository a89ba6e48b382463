"""Pages of the history for resuming subscribers: one read serves all that need the same page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cachetools import LRUCache

from broker.timing.tasks import shared
from broker.topology import Stream
from gateway.errors import NotKept
from gateway.live.hub.delivery import Delivery, from_history
from gateway.store.records import Page

#: Messages in a page. Pages begin at multiples of it, so that many readers need the same page.
PAGE: Final = 250
#: Bytes given at a time, so that a slow reader holds little.
PORTION: Final = 64 * 1024
#: Bytes of pages that are cached for the next reader.
CACHE: Final = 16 * 1024 * 1024


class HistoryReader(Protocol):
    """The stored messages, as pages are made of them."""

    async def read(self, stream: Stream, *, after: int, limit: int) -> Page:
        """Raises :class:`StoreUnavailable`."""

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """The last seq of each stream that exists. Raises :class:`StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class _Page:
    """One page; ``first`` is the lowest seq that the history kept when the page was read."""

    first: int
    deliveries: list[Delivery]

    @property
    def size(self) -> int:
        return sum(len(delivery.tail) for delivery in self.deliveries)

    def reaches_beyond(self, seq: int) -> bool:
        return bool(self.deliveries) and _seq(self.deliveries[-1]) > seq


class Pages:
    """A cache of the history of all streams, as deliveries.

    Stored messages never change, so a page stays valid as far as it reaches.
    """

    def __init__(self, history: HistoryReader, *, cache: int = CACHE) -> None:
        self._history = history
        self._reads: dict[tuple[Stream, int], asyncio.Task[_Page]] = {}
        self._kept: LRUCache[tuple[Stream, int], _Page] = LRUCache(
            cache, getsizeof=lambda page: page.size
        )

    async def after(self, stream: Stream, seq: int, *, destination: str) -> list[Delivery]:
        """Some of the deliveries after ``seq``, without a hole; none at the stream's end.

        Raises :class:`NotKept` if the history does not reach back that far, and the errors of the
        history.
        """
        key = (stream, seq - seq % PAGE)
        page = self._kept.get(key)
        if page is None or not page.reaches_beyond(seq):
            page = await self._shared(key, destination)
        if not page.reaches_beyond(seq):
            # The shared read may have begun before this question.
            page = await self._shared(key, destination)
        if seq + 1 < page.first:
            raise NotKept(f"the history is kept from seq {page.first} on")
        return _portion(page.deliveries, seq)

    def close(self) -> None:
        for read in self._reads.values():
            read.cancel()

    async def _shared(self, key: tuple[Stream, int], destination: str) -> _Page:
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(self._read(key, destination))
            read.add_done_callback(_retrieve)
        # A caller that is cancelled must not cancel the read for the others.
        return await shared(read)

    async def _read(self, key: tuple[Stream, int], destination: str) -> _Page:
        stream, start = key
        deliveries: list[Delivery] = []
        try:
            read = await self._history.read(stream, after=start, limit=PAGE)
            first = read.first
            while True:
                deliveries += [from_history(each, destination) for each in read.messages]
                if not read.cut:
                    break
                # Large messages come a megabyte at a time, and the loop gets its turn in between.
                after = _seq(deliveries[-1])
                left = PAGE - len(deliveries)
                read = await self._history.read(stream, after=after, limit=left)
                if read.first > after + 1:
                    # Deleted meanwhile: what was read is given, and a reader of more gets an
                    # error.
                    break
        finally:
            del self._reads[key]
        page = _Page(first, deliveries)
        if page.size <= self._kept.maxsize:
            self._kept[key] = page
        return page


def _portion(deliveries: list[Delivery], seq: int) -> list[Delivery]:
    portion: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if _seq(delivery) > seq:
            size += len(delivery.tail)
            if portion and size > PORTION:
                break
            portion.append(delivery)
    return portion


def _seq(delivery: Delivery) -> int:
    if delivery.seq is None:
        raise ValueError("the history holds numbered messages only")
    return delivery.seq


def _retrieve(read: asyncio.Task[Any]) -> None:
    """Take the read's error: every caller may have left, and then nobody else retrieves it."""
    if not read.cancelled():
        read.exception()
