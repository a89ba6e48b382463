"""A channel for what concerns queues: it may fail without harm to publishing."""

from __future__ import annotations

import aiormq
from aiormq.abc import AbstractChannel

from broker.publishing.amqp_errors import AiormqCalls
from broker.topology import EXCHANGE, Queue


class QueueChannel:
    """A channel for declaring and asking about queues, apart from the one that publishes.

    Every method raises :data:`broker.publishing.amqp_errors.AMQP_ERRORS`; a refusal ends the
    channel.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def declare(self, queue: Queue) -> None:
        """Durable, with its arguments; fine if it is there already."""
        with AiormqCalls():
            await self._channel.queue_declare(
                queue.name, durable=True, arguments=dict(queue.arguments)
            )

    async def stands(self, name: str) -> bool:
        """Whether there is a queue of this name, whoever made it. If there is none the channel has
        ended."""
        try:
            with AiormqCalls():
                await self._channel.queue_declare(name, passive=True)
        except aiormq.ChannelLockedResource:
            return True
        except aiormq.ChannelNotFoundEntity as error:
            # One whose node is down, or whose process was stopped, is not found either: by another
            # text. https://github.com/rabbitmq/rabbitmq-server, rabbit_amqqueue:not_found/2
            return "no queue" not in str(error)
        return True

    async def lock(self, name: str) -> None:
        """An exclusive queue is what AMQP has for a lock: the end of the connection opens it.
        Raises ``ChannelLockedResource`` while somebody else has it."""
        with AiormqCalls():
            await self._channel.queue_declare(name, exclusive=True)

    async def bind(self, queue: Queue) -> None:
        with AiormqCalls():
            await self._channel.queue_bind(queue.name, EXCHANGE, routing_key=queue.binding_key)

    async def delete(self, name: str) -> None:
        """With all it holds; fine if there is none."""
        with AiormqCalls():
            await self._channel.queue_delete(name)

    async def get(self, name: str) -> None:
        """Take a message, which comes back with the end of the channel; fine if there is none."""
        with AiormqCalls():
            await self._channel.basic_get(name)

    async def close(self) -> None:
        with AiormqCalls():
            await self._channel.close()
