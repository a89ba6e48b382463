"""Confirmed publishing: one connection at a time, to the next node when one fails.

https://www.rabbitmq.com/docs/confirms: RabbitMQ confirms a message once every queue it went to has
it. No confirm never means "not delivered", so publish again with the same id.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel

from broker.amqp import AMQP_ERRORS, Link, describe
from broker.connector import Connector
from broker.credentials import Credentials
from broker.node import Node
from broker.topology import EXCHANGE, Topology


class NotConfirmed(Exception):
    """The message may or may not have been delivered; publish it again with the same id."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Returned(NotConfirmed):
    """No queue is bound for this routing key: the room's private queue is missing."""


class OnTheWay(NotConfirmed):
    """A publication with the same id has no answer yet; this one was not sent."""


class QueueFailed(Exception):
    """A queue could not be declared or deleted now; trying again is safe."""


class QueueDiffers(QueueFailed):
    """The queue exists with other arguments; only deleting it by hand mends that."""


@dataclass(frozen=True, slots=True)
class Publication:
    """``headers`` are strings because RabbitMQ's STOMP adapter drops small integers."""

    routing_key: str
    body: bytes
    message_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    persistent: bool = True
    expiration_ms: int | None = None
    content_type: str = "application/json"

    def properties(self) -> spec.Basic.Properties:
        return spec.Basic.Properties(
            content_type=self.content_type,
            headers=dict(self.headers),
            delivery_mode=2 if self.persistent else 1,
            expiration=None if self.expiration_ms is None else str(self.expiration_ms),
            message_id=self.message_id,
        )


class Publisher:
    """``timeout`` bounds a dial and a queue operation, in seconds; ``rng`` shuffles the nodes.

    ``ssl_context`` verifies the certificates of ``amqps://`` nodes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        credentials: Credentials,
        topology: Topology,
        *,
        timeout: float,
        rng: Random,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._connector = Connector(
            nodes, credentials, timeout=timeout, rng=rng, ssl_context=ssl_context
        )
        self._topology = topology
        self._timeout = timeout
        #: Publications enter the channel in the order of the calls, also while there is none.
        self._turn = asyncio.Lock()
        self._in_flight: set[str] = set()

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._connector.start()

    async def close(self) -> None:
        """Close the connection; what waits for a confirm fails at once."""
        await self._connector.close()

    @property
    def node(self) -> str | None:
        """The name of the node that is published through now."""
        link = self._connector.link
        return None if link is None else link.node.name

    @property
    def connected(self) -> bool:
        return self._connector.link is not None

    @property
    def has_been_connected(self) -> bool:
        """Whether the cluster was ever reached, now or before."""
        return self._connector.links > 0

    @property
    def blocked(self) -> bool:
        """Whether an alarm (memory, disk) in the cluster holds publishers back."""
        link = self._connector.link
        return link is not None and link.blocked

    @property
    def problem(self) -> str | None:
        """What keeps messages from being published, or None."""
        return self._connector.problem

    async def publish(
        self,
        publication: Publication,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> None:
        """Publish to :data:`EXCHANGE` and wait for the confirm, ``timeout`` seconds at most.

        Concurrent calls share a channel; their order on the wire is that of the calls. Raises
        :class:`NotConfirmed`; :class:`OnTheWay` for the same id twice at once, because RabbitMQ's
        return could not be told apart.
        """
        if publication.message_id in self._in_flight:
            raise OnTheWay(f"message {publication.message_id} is being published already")

        async def hand_over(link: Link) -> None:
            channel = link.channel
            link.asked()
            try:
                await channel.basic_publish(
                    publication.body,
                    exchange=EXCHANGE,
                    routing_key=publication.routing_key,
                    properties=publication.properties(),
                    mandatory=True,
                )
            except aiormq.DeliveryError as error:
                link.answered()
                if isinstance(error, aiormq.PublishError):
                    raise Returned(f"no queue for {publication.routing_key}") from error
                link.wear(channel)
                raise NotConfirmed("the broker could not take it (nack)") from error
            link.answered()

        self._in_flight.add(publication.message_id)
        try:
            await self._on_link(hand_over, timeout, failure=NotConfirmed)
        finally:
            self._in_flight.discard(publication.message_id)

    async def declare_private_queue(self, room: int) -> None:
        """Make sure that the room's private queue exists and is bound; any number of times.

        Raises :class:`QueueFailed`, :class:`QueueDiffers`.
        """
        queue = self._topology.private_queue(room)

        async def declare(channel: AbstractChannel) -> None:
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            await channel.queue_bind(queue.name, EXCHANGE, routing_key=queue.binding_key)

        await self._apart(declare, f"declare {queue.name}")

    async def delete_private_queue(self, room: int) -> None:
        """Delete the room's private queue with all it holds; fine if there is none.

        Raises :class:`QueueFailed`.
        """
        name = self._topology.private_queue(room).name

        async def delete(channel: AbstractChannel) -> None:
            await channel.queue_delete(name)

        await self._apart(delete, f"delete {name}")

    async def _apart(self, work: Callable[[AbstractChannel], Awaitable[None]], what: str) -> None:
        """Do something on a channel of its own: a refusal ends the channel it comes on."""

        async def on_channel(link: Link) -> None:
            channel = await link.new_channel()
            try:
                await work(channel)
                await channel.close()
            except aiormq.ChannelPreconditionFailed as error:
                raise QueueDiffers(f"cannot {what}: {error}") from error

        try:
            await self._on_link(on_channel, self._timeout, failure=QueueFailed)
        except QueueDiffers:
            raise
        except QueueFailed as error:
            raise QueueFailed(f"cannot {what}: {error}") from error

    async def _on_link(
        self,
        work: Callable[[Link], Awaitable[None]],
        seconds: float,
        *,
        failure: type[NotConfirmed | QueueFailed],
    ) -> None:
        """Do something once there is a link, all within a time; what fails is a ``failure``."""
        link = None
        try:
            async with asyncio.timeout(seconds) as deadline:
                async with self._turn:
                    link = await self._connector.ready(deadline)
                with link.expiring(deadline):
                    await work(link)
        except TimeoutError:
            if link is not None and link.lost is not None:
                raise failure(f"{link.node.name}: {link.lost}") from None
            raise failure(self.problem or f"no answer within {seconds:g} s") from None
        except AMQP_ERRORS as error:
            raise failure(describe(error)) from error
        except asyncio.CancelledError:
            # aiormq ends its waiters like this; a real cancellation was asked for.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise failure("the connection was closed") from None
