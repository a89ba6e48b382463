"""The sizes of the rooms' private queues, as RabbitMQ says them."""

from __future__ import annotations

from typing import Protocol

from broker.publishing.provision import QueueSize


class QueueSizes(Protocol):
    """The broker, as far as it tells how full a private queue is."""

    async def private_queue_size(self, room: int) -> QueueSize | None:
        """The size of the room's queue; None: there is none. Raises
        :class:`broker.publishing.provision.QueueFailed`."""
