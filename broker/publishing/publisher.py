"""Confirmed publishing over the links to all nodes, each stream in order.

A missing confirm never means "not delivered", so a message is published again with the same id.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.link import Link
from broker.publishing.links import LinkReport, Links
from broker.publishing.provision import PrivateQueues, QueueSize
from broker.publishing.publication import AlreadyInFlight, Publication
from broker.publishing.stream import PublishStream
from broker.publishing.suspects import Suspects
from broker.timing.tasks import Tasks
from broker.topology import Topology


class Publisher:
    """The publisher to :data:`broker.topology.EXCHANGE`, which also keeps the private queues.

    ``timeout`` bounds a dial and a queue operation, in seconds; ``rng`` spreads the dials.
    ``best`` gives the best state that a node's link can have, by its name: a node that has to be
    avoided is still used while there is no other. ``ssl_context`` verifies the certificates of
    ``amqps://`` nodes.
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
        self._queues = PrivateQueues(self._links, topology, timeout=timeout)
        self._streams: dict[str, PublishStream] = {}
        self._in_flight: set[str] = set()
        self._suspects = Suspects(self._links)

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._links.start()

    def replace(self, nodes: Sequence[Node]) -> None:
        """Publish through these nodes; what was sent through others is still answered."""
        self._links.replace(nodes)

    async def close(self) -> None:
        """Close the links; every publication that waits for a confirm fails at once."""
        await self._links.close()

    @property
    def links(self) -> list[LinkReport]:
        """Each node's link, in the order of configuration."""
        return self._links.reports()

    @property
    def has_been_connected(self) -> bool:
        """Whether the cluster was ever reached, now or before."""
        return self._links.have_stood

    @property
    def problem(self) -> str | None:
        """The reason why no message can be published now, or None: a link works."""
        return self._links.problem

    @property
    def sound_for(self) -> float:
        """Seconds for which every node has answered whatever was asked; 0: one does not now."""
        return self._links.sound_for

    async def dial(self, key: str) -> Link:
        """A further link to this routing key's node, for what may cost the connection.

        The caller closes it. Raises :class:`broker.publishing.link.LinkFailed`.
        """
        return await self._links.dial(key)

    async def publish(
        self,
        publication: Publication,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> None:
        """Publish a message and wait for its confirm, ``timeout`` seconds at most.

        Concurrent calls are pipelined. For one routing key their order on the wire is that of the
        calls, so a call that fails also fails the calls that still wait to be sent. Raises
        :class:`broker.publishing.publication.NotConfirmed`; :class:`AlreadyInFlight` for the same
        id twice at once, because RabbitMQ's return could not be told apart.
        """
        id, key = publication.message_id, publication.routing_key
        if id in self._in_flight:
            raise AlreadyInFlight(f"message {id} is being published already")
        self._in_flight.add(id)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = PublishStream(key, self._links, self._suspects)
        stream.users += 1
        try:
            await stream.publish(publication, timeout)
        finally:
            stream.users -= 1
            if not stream.users:
                del self._streams[key]
            self._in_flight.discard(id)

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        """Publish through every node at once, without confirms; the names of the nodes.

        ``through`` gives the message for the node of a name. Such messages are in no order with
        others, wait for nothing, and a node that hangs holds up none of the other nodes.
        """
        standing = self._links.standing
        for node, link in standing.items():
            channel = link.aside
            message = replace(through(node), mandatory=False)
            channel.send(message.frames(channel.number, frame_max=channel.frame_max))
        return list(standing)

    async def declare_private_queue(self, room: int) -> None:
        """See :meth:`broker.publishing.provision.PrivateQueues.declare`."""
        await self._queues.declare(room)

    async def has_private_queue(self, room: int, mark: str) -> bool:
        """See :meth:`broker.publishing.provision.PrivateQueues.stands`."""
        return await self._queues.stands(room, mark)

    async def missing_private_queues(self, marks: Mapping[int, str]) -> list[int]:
        """See :meth:`broker.publishing.provision.PrivateQueues.missing`."""
        return await self._queues.missing(marks)

    async def private_queue_size(self, room: int) -> QueueSize | None:
        """See :meth:`broker.publishing.provision.PrivateQueues.size`."""
        return await self._queues.size(room)

    async def parked_messages(self) -> int:
        """See :meth:`broker.publishing.provision.PrivateQueues.parked`."""
        return await self._queues.parked()

    async def parks_rejected(self, room: int) -> bool:
        """See :meth:`broker.publishing.provision.PrivateQueues.parks`."""
        return await self._queues.parks(room)

    async def delete_private_queue(self, room: int) -> None:
        """See :meth:`broker.publishing.provision.PrivateQueues.delete`."""
        await self._queues.delete(room)
