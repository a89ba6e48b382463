"""A cache of what was read of the history lately, in which nobody can take the place of all others.
Pure."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from broker.topology import Stream
from gateway.live.hub.delivery import Delivery

#: Messages in a page. Reads begin at multiples of it where they can, so that many readers need the
#: same ones.
PAGE: Final = 250


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The messages that one read has found after the seq ``start``; ``end`` is the last of them.

    ``first`` is the lowest seq that the history kept then. ``cut``: it ends before the page does,
    because its messages are large.
    """

    stream: Stream
    start: int
    end: int
    first: int
    cut: bool
    deliveries: list[Delivery]
    size: int

    def covers(self, seq: int) -> bool:
        """Whether the message after ``seq`` is in it."""
        return self.start <= seq < self.end


class PageCache:
    """Chunks of all streams, the ones that were used last.

    ``size``: bytes in all; ``own``: bytes that the reads of one owner may fill. An owner who reads
    more loses its own older chunks and no others'.
    """

    def __init__(self, *, size: int, own: int) -> None:
        self._most, self._own = size, own
        self._size = 0
        #: The owner of each chunk, the one that was used last at the end.
        self._owners: OrderedDict[Chunk, Hashable] = OrderedDict()
        self._of: defaultdict[Hashable, OrderedDict[Chunk, None]] = defaultdict(OrderedDict)
        self._filled: defaultdict[Hashable, int] = defaultdict(int)
        self._pages: defaultdict[tuple[Stream, int], dict[int, Chunk]] = defaultdict(dict)

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self._size

    def find(self, stream: Stream, seq: int) -> Chunk | None:
        """A chunk that has the message after ``seq``."""
        for chunk in self._pages.get((stream, _page_of(seq)), {}).values():
            if chunk.covers(seq):
                self._owners.move_to_end(chunk)
                self._of[self._owners[chunk]].move_to_end(chunk)
                return chunk
        return None

    def clear(self) -> None:
        """Drop everything."""
        for chunk in list(self._owners):
            self._drop(chunk)

    def add(self, chunk: Chunk, owner: Hashable) -> None:
        """Keep a chunk, in the place of an older one that begins where it does."""
        page = self._pages.get((chunk.stream, _page_of(chunk.start)), {})
        if (before := page.get(chunk.start)) is not None:
            self._drop(before)
        if not chunk.size or chunk.size > self._own:
            return
        self._owners[chunk] = owner
        self._of[owner][chunk] = None
        self._pages[chunk.stream, _page_of(chunk.start)][chunk.start] = chunk
        self._filled[owner] += chunk.size
        self._size += chunk.size
        while self._filled[owner] > self._own:
            self._drop(next(iter(self._of[owner])))
        while self._size > self._most:
            self._drop(next(iter(self._owners)))

    def _drop(self, chunk: Chunk) -> None:
        owner = self._owners.pop(chunk)
        self._size -= chunk.size
        self._filled[owner] -= chunk.size
        del self._of[owner][chunk]
        if not self._of[owner]:
            del self._of[owner], self._filled[owner]
        page = (chunk.stream, _page_of(chunk.start))
        del self._pages[page][chunk.start]
        if not self._pages[page]:
            del self._pages[page]


def _page_of(seq: int) -> int:
    return seq - seq % PAGE
