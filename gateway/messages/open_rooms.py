"""The private queues of open rooms, declared before messages are published to them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from broker.publishing.provision import QueueFailed
from broker.timing.readings import Monotonic
from gateway.errors import StoreUnavailable
from gateway.expiring import Expiring
from gateway.messages.ports import RoomQueues, StoredOutbox

#: Seconds for which a queue that was seen is assumed to exist. A message that another queue takes
#: is not returned, so this is how long the loss of an expired or deleted queue goes unnoticed.
LIFETIME: Final = 60.0
CAPACITY: Final = 10_000
#: The number of queues that are declared at the same time, each on a channel of its own.
AT_ONCE: Final = 8

_log = logging.getLogger(__name__)


class OpenRooms:
    """The rooms that are open, and which of their private queues are known to exist."""

    def __init__(self, store: StoredOutbox, queues: RoomQueues, *, clock: Monotonic) -> None:
        self._store = store
        self._queues = queues
        self._there: Expiring[int, bool] = Expiring(CAPACITY, LIFETIME, clock=clock)
        self._declaring = asyncio.Semaphore(AT_ONCE)

    def has_queue(self, room: int) -> bool:
        """Whether the room's queue is known to exist; a closed room needs none."""
        return room in self._there

    async def ensure_queue(self, room: int) -> None:
        """Declare the queue of an open room. An error that prevents this prevents publishing,
        too."""
        async with self._declaring:
            if await self.is_closed(room):
                self._there.put(room, False)
                return
            try:
                await self._queues.declare_private_queue(room)
            except QueueFailed as error:
                _log.warning("room %d: %s", room, error)
            else:
                self._there.put(room, True)

    async def is_closed(self, room: int) -> bool:
        """Whether the room is closed, so that nobody waits for its messages. False if the store
        does not answer."""
        try:
            found = await self._store.room(room)
        except StoreUnavailable:
            return False
        return found is not None and found.closed_at is not None
