"""The private queue of a room, as RabbitMQ has it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from broker.publishing.provision import QueueFailed
from broker.timing.readings import Monotonic
from gateway.budget.rate import Buckets, Rate
from gateway.errors import BrokerUnavailable

#: Seconds after which to try again a broker that is away.
RETRY_AFTER: Final = 2.0
#: Seconds that a closed room waits for the deletion of its queue.
OLD_QUEUE: Final = 2.0
#: Seconds that a new room waits for its queue: as long as a message for its confirm. An election
#: after a node's death takes less, one after a hang more.
NEW_QUEUE: Final = 2.0

#: The rates at which queues of new rooms are made: for one user, and in all. One costs RabbitMQ a
#: tenth of a second; beyond these rates the rooms are there first, and their queues follow.
OF_MAKER: Final = Rate(per_second=1.0, burst=30)
IN_ALL: Final = Rate(per_second=2.0, burst=60)

logger = logging.getLogger(__name__)


class QueueDeclarer(Protocol):
    """The maker of private queues. All methods raise
    :class:`broker.publishing.provision.QueueFailed`."""

    async def declare_private_queue(self, room: int, *, maker: str | None = None) -> int:
        """Make sure that the room has its queue; the queue's number. ``maker``: who has just made
        the room."""
        ...

    async def delete_private_queue(self, room: int) -> None: ...

    def owe(self, room: int) -> None:
        """Make the room's queue as soon as it can be made."""


class PrivateQueues:
    """The private queues of all rooms. Every method raises :class:`BrokerUnavailable`.

    It asks nobody's permission: the judge has decided before a relay consumes a queue, and
    :class:`gateway.rooms.Rooms` before a room is created or closed.
    """

    def __init__(self, declarer: QueueDeclarer, *, clock: Monotonic) -> None:
        self._declarer = declarer
        self._clock = clock
        self._of_maker = Buckets(OF_MAKER)
        self._in_all = Buckets(IN_ALL)

    async def create(self, room: int, maker: str) -> bool:
        """Make the queue of a room that ``maker`` has just made. False, and nothing is raised:
        there is none after :data:`NEW_QUEUE` seconds, because of an election for one, or because so
        many rooms are made; it will be made as soon as possible, at once if a host wants it."""
        now = self._clock()
        wait = max(self._of_maker.wait(maker, now), self._in_all.wait(None, now))
        if wait > NEW_QUEUE / 2:
            logger.info("room %d is made without its private queue: too many rooms are made", room)
            self._declarer.owe(room)
            return False
        self._of_maker.spend(maker, now)
        self._in_all.spend(None, now)
        try:
            async with asyncio.timeout(NEW_QUEUE):
                await asyncio.sleep(wait)
                await self._declarer.declare_private_queue(room, maker=maker)
        except (QueueFailed, TimeoutError) as error:
            self._declarer.owe(room)
            logger.warning(
                "room %d is created without its private queue, which will be made as soon as"
                " RabbitMQ can: %s",
                room,
                str(error) or f"not made within {NEW_QUEUE:g} s",
            )
            return False
        return True

    async def ensure_private_queue(self, room: int) -> int:
        """Make sure that the queue exists, with all that it should hold; its number."""
        try:
            return await self._declarer.declare_private_queue(room)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"the private queue of room {room} could not be declared",
                retry_after=RETRY_AFTER,
            ) from error

    async def delete(self, room: int) -> bool:
        """Delete the queue of a room that is closed. False, and nothing is raised: RabbitMQ has not
        done it within :data:`OLD_QUEUE` seconds; it will be deleted as soon as possible."""
        try:
            async with asyncio.timeout(OLD_QUEUE):
                await self._declarer.delete_private_queue(room)
        except (QueueFailed, TimeoutError) as error:
            logger.warning(
                "room %d is closed; its private queue will be deleted as soon as RabbitMQ can: %s",
                room,
                str(error) or f"not deleted within {OLD_QUEUE:g} s",
            )
            return False
        return True
