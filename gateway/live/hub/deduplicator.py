"""Messages without a number, from several feeds, each passed once in the order they come. Pure."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from gateway.expiring import Expiring

#: Seconds and messages of memory. A feed that is further behind than that is dead, not late.
MEMORY: Final = 30.0
CAPACITY: Final = 4096


class _Copies:
    """How often each feed has brought the same content, and how often it was passed."""

    __slots__ = ("brought", "passed")

    def __init__(self) -> None:
        self.brought: dict[int, int] = {}
        self.passed = 0


class Deduplicator:
    """``clock`` gives seconds and never goes back. Feeds are told apart by small numbers."""

    def __init__(
        self, *, clock: Callable[[], float], memory: float = MEMORY, capacity: int = CAPACITY
    ) -> None:
        self._ids: Expiring[str, None] = Expiring(capacity, memory, clock=clock)
        self._contents: Expiring[bytes, _Copies] = Expiring(capacity, memory, clock=clock)

    def passes(self, feed: int, *, id: str | None, content: bytes) -> bool:
        """Whether this is the first copy.

        With an id that alone tells. Without one a feed's n-th message of a content is the same as
        the other's n-th: two producers may well say the same thing.
        """
        if id is not None:
            if id in self._ids:
                return False
            self._ids.put(id, None)
            return True
        digest = blake2b(content, digest_size=16).digest()
        copies = self._contents.get(digest) or _Copies()
        self._contents.put(digest, copies)
        brought = copies.brought[feed] = copies.brought.get(feed, 0) + 1
        if brought <= copies.passed:
            return False
        copies.passed = brought
        return True

    def joined(self, feed: int) -> None:
        """The feed begins anew: it brings nothing of what was passed before."""
        for copies in self._contents.values():
            copies.brought[feed] = copies.passed
