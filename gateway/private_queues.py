"""The private queue of a room, as RabbitMQ has it."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from broker.publishing.provision import QueueFailed
from gateway.errors import BrokerUnavailable

#: Seconds after which to try again a broker that is away.
RETRY_AFTER: Final = 2.0

logger = logging.getLogger(__name__)


class QueueDeclarer(Protocol):
    """The declaring of private queues. All methods raise
    :class:`broker.publishing.provision.QueueFailed`."""

    async def has_private_queue(self, room: int) -> bool:
        """Whether a queue of this name exists, whoever declared it."""

    async def declare_private_queue(self, room: int) -> None: ...

    async def delete_private_queue(self, room: int) -> None: ...


class PrivateQueues:
    """The private queues of all rooms. Every method raises :class:`BrokerUnavailable`.

    It asks nobody's permission: the judge has decided before a relay consumes a queue, and
    :class:`gateway.rooms.Rooms` before a room is created or closed.
    """

    def __init__(self, declarer: QueueDeclarer) -> None:
        self._declarer = declarer

    async def is_taken(self, room: int) -> bool:
        """Whether there is a queue left by another room of this number, from a database that was
        lost or was newer than now. Its messages were meant for other people: they are neither
        handed to the new room's host nor thrown away.
        """
        try:
            taken = await self._declarer.has_private_queue(room)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"RabbitMQ could not be asked whether room {room} has a queue",
                retry_after=RETRY_AFTER,
            ) from error
        if taken:
            logger.warning(
                "room number %d is skipped: RabbitMQ has a private queue of that number, which"
                " this database does not know; is the database new, or an older backup?",
                room,
            )
        return taken

    async def ensure_private_queue(self, room: int) -> None:
        """Declare the queue again unless it exists."""
        try:
            await self._declarer.declare_private_queue(room)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"the private queue of room {room} could not be declared",
                retry_after=RETRY_AFTER,
            ) from error

    async def delete(self, room: int) -> None:
        """Delete the queue of a room that is closed."""
        try:
            await self._declarer.delete_private_queue(room)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"room {room} is closed, but its queue is not deleted yet",
                retry_after=RETRY_AFTER,
            ) from error
