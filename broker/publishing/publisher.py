"""Confirmed publishing over the links to all nodes, each stream in order.

https://www.rabbitmq.com/docs/confirms: RabbitMQ confirms a message once every queue it went to has
it. No confirm never means "not delivered", so publish again with the same id.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

import aiormq

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.protocol import amqp as amqpframes
from broker.publishing.amqp_errors import ChannelEnded
from broker.publishing.attempt import attempting
from broker.publishing.confirming import Confirming
from broker.publishing.link import Link
from broker.publishing.links import LinkReport, Links
from broker.publishing.passage import Passage
from broker.publishing.queue_channel import QueueChannel
from broker.quirks.dead_queues import Mender
from broker.timing.tasks import Tasks
from broker.topology import EXCHANGE, Topology

#: Messages that are published alone at the same time, and ids that are remembered for it.
ALONE: Final = 4
SUSPECTS: Final = 10_000


class NotConfirmed(Exception):
    """The message may or may not have been delivered; publish it again with the same id."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Returned(NotConfirmed):
    """No queue is bound for this routing key: the room's private queue is missing."""


class OnTheWay(NotConfirmed):
    """A publication with the same id has no answer yet; this one was not sent."""


class Refused(NotConfirmed):
    """RabbitMQ will never take this message as it is: it was sent alone, and ended its channel."""


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

    def frames(self, channel: int, *, frame_max: int, mandatory: bool = True) -> bytes:
        """As it goes to :data:`EXCHANGE` on a channel of this number; ``frame_max`` in bytes.
        ``mandatory``: it comes back if no queue takes it."""
        return amqpframes.publish(
            channel,
            EXCHANGE,
            self.routing_key,
            self.body,
            message_id=self.message_id,
            content_type=self.content_type,
            headers=self.headers,
            persistent=self.persistent,
            expiration_ms=self.expiration_ms,
            frame_max=frame_max,
            mandatory=mandatory,
        )


class Publisher:
    """``timeout`` bounds a dial and a queue operation, in seconds; ``rng`` spreads the dials.

    ``best`` tells the best state that a node's link can have: one that is to be left serves on
    while there is no other.
    ``ssl_context`` verifies the certificates of ``amqps://`` nodes.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        nodes: Sequence[Node],
        credentials: Credentials,
        topology: Topology,
        *,
        timeout: float,
        rng: Random,
        best: Callable[[str], LinkState] = lambda _: LinkState.UP,
        ssl_context: ssl.SSLContext | None = None,
        tasks: Tasks,
    ) -> None:
        self._links = Links(
            nodes,
            credentials,
            timeout=timeout,
            rng=rng,
            best=best,
            ssl_context=ssl_context,
            tasks=tasks,
        )
        self._topology = topology
        self._timeout = timeout
        self._passages: dict[str, Passage] = {}
        self._in_flight: set[str] = set()
        #: Messages that were on a channel when RabbitMQ ended it, and the size that it named.
        self._suspects: dict[str, None] = {}
        self._largest: int | None = None
        self._alone = asyncio.Semaphore(ALONE)
        self._mender = Mender(self._links, topology, self._passages, tasks=tasks.part())

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._links.start()
        self._mender.start()

    def replace(self, nodes: Sequence[Node]) -> None:
        """Publish through these nodes; what is on the wire to others still has its answer."""
        self._links.replace(nodes)

    async def close(self) -> None:
        """Close the links; what waits for a confirm fails at once."""
        await self._mender.close()
        await self._links.close()

    @property
    def links(self) -> list[LinkReport]:
        """Each node's link, in the order of configuration."""
        return self._links.reports()

    def node_of(self, routing_key: str) -> str | None:
        """The name of the node that this stream is published through now."""
        link = self._links.place(routing_key)
        return None if link is None else link.node.name

    @property
    def has_been_connected(self) -> bool:
        """Whether the cluster was ever reached, now or before."""
        return self._links.have_stood

    @property
    def problem(self) -> str | None:
        """What keeps messages from being published, or None: a link serves."""
        return self._links.problem

    async def publish(
        self,
        publication: Publication,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> None:
        """Publish to :data:`EXCHANGE` and wait for the confirm, ``timeout`` seconds at most.

        Concurrent calls are pipelined; for one routing key their order on the wire is that of the
        calls, so one that fails before it was sent fails those that wait behind it. Raises
        :class:`NotConfirmed`; :class:`OnTheWay` for the same id twice at once, because RabbitMQ's
        return could not be told apart.

        RabbitMQ ends a channel for one bad message, and does not say which. So each that was on it
        goes out alone the next time, on a connection of its own, where it harms no other:
        :class:`Refused` if it is the one.
        """
        id, key = publication.message_id, publication.routing_key
        if id in self._in_flight:
            raise OnTheWay(f"message {id} is being published already")
        self._in_flight.add(id)
        passage = self._passages.setdefault(key, Passage())
        passage.users += 1
        failures = passage.failures
        try:
            async with attempting(self._links, timeout, failure=NotConfirmed) as attempt:
                alone = self._is_suspect(publication)
                async with passage.turn:
                    if passage.failures != failures:
                        raise NotConfirmed("what was to go out before it has failed")
                    if alone:
                        await passage.enter_alone()
                    else:
                        link, channel = await passage.enter(key, attempt)
                try:
                    if alone:
                        await self._publish_alone(publication)
                    else:
                        await self._confirmed(publication, link, channel)
                    passage.confirmed()
                except ChannelEnded as error:
                    self._suspect(publication, error)
                    if alone and error.for_good:
                        raise Refused(str(error)) from error
                    raise
                finally:
                    passage.leave()
        finally:
            passage.users -= 1
            if not passage.users:
                del self._passages[key]
            self._in_flight.discard(id)

    async def _publish_alone(self, publication: Publication) -> None:
        async with self._alone:
            link = await self._links.apart(publication.routing_key)
            try:
                channel = await link.channels.take(publication.routing_key, home=True)
                await self._confirmed(publication, link, channel)
            finally:
                await link.close("it was for one message")
        self._suspects.pop(publication.message_id, None)
        if self._largest is not None and len(publication.body) > self._largest:
            # It is not so any more.
            self._largest = None

    @staticmethod
    async def _confirmed(publication: Publication, link: Link, channel: Confirming) -> None:
        try:
            frames = publication.frames(channel.number, frame_max=channel.frame_max)
        except ValueError as error:
            raise Refused(f"AMQP cannot say it: {error}") from error
        try:
            await link.publish(channel, frames, publication.message_id)
        except aiormq.PublishError as error:
            raise Returned(f"no queue for {publication.routing_key}") from error
        except aiormq.DeliveryError as error:
            raise NotConfirmed("the broker could not take it (nack)") from error

    def _is_suspect(self, publication: Publication) -> bool:
        if self._largest is not None and len(publication.body) > self._largest:
            return True
        return publication.message_id in self._suspects

    def _suspect(self, publication: Publication, ended: ChannelEnded) -> None:
        """It was on a channel that has ended."""
        if ended.largest is not None:
            # This tells which it was.
            self._largest = ended.largest
        elif ended.refused:
            self._suspects[publication.message_id] = None
            if len(self._suspects) > SUSPECTS:
                del self._suspects[next(iter(self._suspects))]

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        """Publish through every node at once, whatever becomes of it; the names of the nodes.

        ``through`` gives what goes through the node of a name. It comes in no order with anything
        else, but past all that waits, and no node that hangs holds up the others.
        """
        standing = self._links.standing
        for node, link in standing.items():
            channel = link.aside
            channel.send(
                through(node).frames(channel.number, frame_max=channel.frame_max, mandatory=False)
            )
        return list(standing)

    async def declare_private_queue(self, room: int) -> None:
        """Make sure that the room's private queue exists and is bound; any number of times.

        Raises :class:`QueueFailed`, :class:`QueueDiffers`.
        """
        queue = self._topology.private_queue(room)

        async def declare(channel: QueueChannel) -> None:
            await channel.declare(queue)
            await channel.bind(queue)

        await self._apart(queue.name, declare, f"declare {queue.name}")

    async def has_private_queue(self, room: int) -> bool:
        """Whether a queue of this name stands already, whoever made it.

        Raises :class:`QueueFailed`: nobody knows now.
        """
        name = self._topology.private_queue(room).name
        stands = True

        async def look(channel: QueueChannel) -> None:
            nonlocal stands
            stands = await channel.stands(name)

        await self._apart(name, look, f"look for {name}")
        return stands

    async def delete_private_queue(self, room: int) -> None:
        """Delete the room's private queue with all it holds; fine if there is none.

        Raises :class:`QueueFailed`.
        """
        name = self._topology.private_queue(room).name

        async def delete(channel: QueueChannel) -> None:
            await channel.delete(name)

        await self._apart(name, delete, f"delete {name}")

    async def _apart(
        self, key: str, work: Callable[[QueueChannel], Awaitable[None]], what: str
    ) -> None:
        """Do something on a channel of its own: a refusal ends the channel it comes on."""
        try:
            async with attempting(self._links, self._timeout, failure=QueueFailed) as attempt:
                link = await attempt.find(key)
                channel = await link.new_channel()
                try:
                    await work(channel)
                    await channel.close()
                except aiormq.ChannelPreconditionFailed as error:
                    raise QueueDiffers(f"cannot {what}: {error}") from error
        except QueueDiffers:
            raise
        except QueueFailed as error:
            raise QueueFailed(f"cannot {what}: {error}") from error
