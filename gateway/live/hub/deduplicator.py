"""A filter that passes each unnumbered message once, though several feeds bring it. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from broker.timing.readings import Monotonic
from gateway.expiring import Expiring

#: For how many seconds, and how many, messages are remembered. A feed that is further behind is
#: dead, not late.
MEMORY: Final = 30.0
CAPACITY: Final = 4096


class _Copies:
    """The number of times that each feed brought the same content, and that it was passed."""

    __slots__ = ("brought", "passed")

    def __init__(self) -> None:
        self.brought: dict[int, int] = {}
        self.passed = 0


class Deduplicator:
    """A memory of recent messages by id, or by content and feed.

    Feeds are identified by small numbers.
    """

    def __init__(
        self, *, clock: Monotonic, memory: float = MEMORY, capacity: int = CAPACITY
    ) -> None:
        self._ids: Expiring[str, None] = Expiring(capacity, memory, clock=clock)
        self._contents: Expiring[bytes, _Copies] = Expiring(capacity, memory, clock=clock)

    def passes(self, feed: int, *, id: str | None, content: bytes) -> bool:
        """Whether this is the first copy of a message.

        A message with an id is recognised by the id alone. Without one, the n-th message of one
        content from one feed equals the n-th from another: two producers may send the same bytes.
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
        """Note that the feed begins again: it brings nothing that was passed before."""
        for copies in self._contents.values():
            copies.brought[feed] = copies.passed
