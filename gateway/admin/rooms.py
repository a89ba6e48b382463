"""One room, as the dashboard shows it: the database's part, and RabbitMQ's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker.publishing.provision import QueueFailed, QueueSize
from broker.timing.readings import UtcTime
from gateway.domain.room_facts import RoomFacts
from gateway.errors import UnknownRoom
from gateway.queues.sizes import QueueSizes

#: Seconds that RabbitMQ has to say how full a queue is.
_PATIENCE: Final = 2.0


class FactsStore(Protocol):
    """The database."""

    async def room_facts(self, room: int, since: datetime) -> RoomFacts | None: ...


@dataclass(frozen=True, slots=True)
class ShownRoom:
    """A room for operators. ``queue``: None with a ``queue_problem``, or if there is no queue."""

    facts: RoomFacts
    queue: QueueSize | None
    queue_problem: str | None = None


class ShownRooms:
    """The rooms for operators, who have been let in before."""

    def __init__(self, store: FactsStore, queues: QueueSizes, *, clock: UtcTime) -> None:
        self._store = store
        self._queues = queues
        self._clock = clock

    async def show(self, room: int) -> ShownRoom:
        """The room now. Raises :class:`UnknownRoom`, :class:`StoreUnavailable`."""
        facts = await self._store.room_facts(room, self._clock() - timedelta(minutes=1))
        if facts is None:
            raise UnknownRoom(f"there is no room {room}")
        try:
            async with asyncio.timeout(_PATIENCE):
                return ShownRoom(facts, await self._queues.private_queue_size(room))
        except TimeoutError:
            return ShownRoom(facts, None, f"RabbitMQ has not answered within {_PATIENCE:g} s")
        except QueueFailed as error:
            return ShownRoom(facts, None, str(error))
