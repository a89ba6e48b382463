"""The fill level of the stored outbox, known without asking the database for each message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from gateway.store.records import OutboxSize


class SizedOutbox(Protocol):
    """The store's outbox, of all gateways together."""

    async def outbox_size(self) -> OutboxSize:
        """Raises :class:`gateway.errors.StoreUnavailable`."""
        ...


class OutboxFill:
    """The messages in the store's outbox, and their bytes, never below the truth as far as this
    gateway alone adds to it: the last reading, and what this gateway has added since it began.

    What others have added since is missing until the next reading.
    """

    def __init__(self, store: SizedOutbox) -> None:
        self._store = store
        self._read = OutboxSize()
        #: The bytes of the messages that were added since the last reading began.
        self._added = _Sizes()
        #: Those that were added before the present reading began, and after the one before.
        self._earlier = _Sizes()

    @property
    def messages(self) -> int:
        return self._read.messages + len(self._added) + len(self._earlier)

    @property
    def bytes(self) -> int:
        return self._read.bytes + self._added.total + self._earlier.total

    def add(self, message_id: UUID, size: int) -> None:
        """A message has just been stored; ``size`` is its bytes."""
        self._added.add(message_id, size)

    def removed(self, ids: Iterable[UUID]) -> None:
        """The store has removed these. Those that the last reading has counted stay counted until
        the next."""
        for message_id in ids:
            self._added.discard(message_id)
            self._earlier.discard(message_id)

    async def read(self) -> None:
        """Ask the store; one call at a time. Raises :class:`gateway.errors.StoreUnavailable`."""
        self._earlier.absorb(self._added)
        self._read = await self._store.outbox_size()
        self._earlier.clear()


class _Sizes:
    """Sizes by message, and their sum."""

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[UUID, int] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, message_id: UUID, size: int) -> None:
        self._sizes[message_id] = size
        self.total += size

    def discard(self, message_id: UUID) -> None:
        self.total -= self._sizes.pop(message_id, 0)

    def absorb(self, others: _Sizes) -> None:
        """Take over all sizes of ``others``, which has none then."""
        self._sizes.update(others._sizes)
        self.total += others.total
        others.clear()

    def clear(self) -> None:
        self.total = 0
        self._sizes.clear()
