"""Pages of the history for resuming subscribers: one read serves all that need the same part."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Final, Protocol

from cachetools import LRUCache

from broker.topology import Stream
from gateway.budget.budgets import RateBudget
from gateway.errors import NotKept
from gateway.live.hub.delivery import Delivery, from_history
from gateway.live.hub.page_cache import PAGE, Chunk, PageCache
from gateway.live.hub.shared_reads import SharedReads
from gateway.store.records import Page

#: Bytes given at a time, so that a slow reader holds little.
PORTION: Final = 64 * 1024
#: Bytes that one read takes from the history: a few portions, because a subscriber that leaves, or
#: whose part the cache has lost, wastes the rest. A page of usual messages has less.
READ: Final = 4 * PORTION
#: Pages with large messages of which that is remembered.
_REMEMBERED: Final = 10_000
#: Bytes that are cached for the next reader, and those of them that one client's reads may fill.
CACHE: Final = 16 * 1024 * 1024
OWN: Final = 2 * 1024 * 1024


class HistoryReader(Protocol):
    """The stored messages, as pages are made of them."""

    async def read(self, stream: Stream, *, after: int, limit: int, size: int = ...) -> Page:
        """Up to ``limit`` messages, and about ``size`` bytes. Raises :class:`StoreUnavailable`."""

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """The last seq of each stream that exists. Raises :class:`StoreUnavailable`."""


class Pages:
    """The history of all streams, as deliveries, with a cache.

    Stored messages change only when they are deleted by request, of which :meth:`forget` is told;
    so what was read stays valid as far as it reaches. ``budget`` bounds the bytes that each client
    makes us read; a client beyond it waits.
    """

    def __init__(
        self,
        history: HistoryReader,
        *,
        cache: int = CACHE,
        own: int = OWN,
        budget: RateBudget | None = None,
    ) -> None:
        self._history = history
        self._reads: SharedReads[tuple[Stream, int], Chunk] = SharedReads(budget, cost=READ)
        self._kept = PageCache(size=cache, own=own)
        #: How often everything was forgotten.
        self._forgotten = 0
        #: Of pages with large messages: where their first read ends.
        self._cut_at: LRUCache[tuple[Stream, int], int] = LRUCache(_REMEMBERED)

    async def after(
        self, stream: Stream, seq: int, *, destination: str, owner: Hashable = None
    ) -> list[Delivery]:
        """Some of the deliveries after ``seq``, without a hole; none at the stream's end. ``owner``
        is the user who asks.

        Raises :class:`NotKept` if the history does not reach back that far, the errors of the
        budget when it takes too long to wait for that, and those of the history.
        """
        chunk = self._kept.find(stream, seq)
        if chunk is None:
            begin = seq - seq % PAGE
            # Where the messages are large, the page's first read ends early; then the part after
            # ``seq`` is read alone.
            if self._cut_at.get((stream, begin), seq + 1) > seq:
                chunk = await self._shared(stream, begin, destination, owner)
            if chunk is None or (chunk.cut and chunk.end <= seq):
                chunk = await self._shared(stream, seq, destination, owner)
        if chunk.end <= seq:
            # The shared read may have begun before this question.
            chunk = await self._shared(stream, chunk.start, destination, owner)
        if seq + 1 < chunk.first:
            raise NotKept(f"the history is kept from seq {chunk.first} on")
        return _portion(chunk.deliveries, seq)

    @property
    def cached(self) -> int:
        """Bytes in the cache."""
        return self._kept.size

    def forget(self) -> None:
        """Forget everything: messages were deleted. A read under way begins anew."""
        self._forgotten += 1
        self._kept.clear()

    def close(self) -> None:
        self._reads.close()

    async def _shared(self, stream: Stream, start: int, destination: str, owner: Hashable) -> Chunk:
        return await self._reads.result(
            (stream, start), owner, partial(self._read, stream, start, destination, owner)
        )

    async def _read(self, stream: Stream, start: int, destination: str, owner: Hashable) -> Chunk:
        limit, forgotten = PAGE - start % PAGE, -1
        while forgotten != self._forgotten:
            forgotten = self._forgotten
            page = await self._history.read(stream, after=start, limit=limit, size=READ)
        deliveries = [from_history(each, destination) for each in page.messages]
        chunk = Chunk(
            stream,
            start,
            end=_seq(deliveries[-1]) if deliveries else start,
            first=page.first,
            cut=page.cut,
            deliveries=deliveries,
            size=sum(len(delivery.tail) for delivery in deliveries),
        )
        self._reads.spend(owner, chunk.size)
        if chunk.cut and start % PAGE == 0:
            self._cut_at[stream, start] = chunk.end
        self._kept.add(chunk, owner)
        return chunk


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
