"""Confirmed publishing: one connection at a time, to the next node when one fails.

https://www.rabbitmq.com/docs/confirms: RabbitMQ confirms a message once every queue it went to has
it. No confirm never means "not delivered", so publish again with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Final

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel

from broker.amqp import AMQP_ERRORS, Link, LinkFailed, describe
from broker.backoff import BackOff
from broker.credentials import Credentials
from broker.node import Node
from broker.topology import EXCHANGE, Topology

log = logging.getLogger(__name__)

#: Between rounds over all nodes; within a round the next node is tried at once.
RECONNECT: Final = BackOff(first=0.1, longest=5.0)
#: The node is asked for a sign of life so often, and has so long to give it (seconds).
PULSE: Final = 1.0
ANSWER: Final = 2.0
#: A node that answers but confirms nothing for so long (seconds) may sit in a minority.
STALLED: Final = 5.0
#: A link that lasted less (seconds) counts as one more failure, so that it is not redialled hotly.
LASTING: Final = 5.0


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
        if ssl_context is None and any(node.amqp.startswith("amqps:") for node in nodes):
            raise ValueError("amqps:// needs an ssl_context that verifies certificates")
        self._nodes = rng.sample(nodes, len(nodes))
        self._credentials = credentials
        self._topology = topology
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._link: Link | None = None
        self._linked = asyncio.Event()
        #: Publications enter the channel in the order of the calls, also while there is none.
        self._turn = asyncio.Lock()
        self._in_flight: set[str] = set()
        self._unanswered_since: float | None = None
        self._problems: dict[str, str] = {}
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._supervisor = asyncio.create_task(self._supervise(), name="publisher")
        self._supervisor.add_done_callback(_tell_if_broken)

    async def close(self) -> None:
        """Close the connection; what waits for a confirm fails at once."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
            self._supervisor = None

    @property
    def node(self) -> str | None:
        """The name of the node that is published through now."""
        return None if self._link is None else self._link.node.name

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def blocked(self) -> bool:
        """Whether an alarm (memory, disk) in the cluster holds publishers back."""
        return self._link is not None and self._link.blocked

    @property
    def problem(self) -> str | None:
        """What keeps messages from being published, or None."""
        if self._supervisor is None:
            return "not started"
        if self._link is None:
            return f"not connected: {'; '.join(self._problems.values()) or 'dialling'}"
        if self._link.blocked:
            return f"{self._link.node.name}: blocked by an alarm"
        return None

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
            if self._unanswered_since is None:
                self._unanswered_since = asyncio.get_running_loop().time()
            channel = link.channel
            try:
                await channel.basic_publish(
                    publication.body,
                    exchange=EXCHANGE,
                    routing_key=publication.routing_key,
                    properties=publication.properties(),
                    mandatory=True,
                )
            except aiormq.DeliveryError as error:
                self._unanswered_since = None
                if isinstance(error, aiormq.PublishError):
                    raise Returned(f"no queue for {publication.routing_key}") from error
                link.wear(channel)
                raise NotConfirmed("the broker could not take it (nack)") from error
            self._unanswered_since = None

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
                    link = await self._ready(deadline)
                with link.expiring(deadline):
                    await work(link)
        except TimeoutError:
            raise failure(self._why(link, seconds)) from None
        except AMQP_ERRORS as error:
            raise failure(describe(error)) from error
        except asyncio.CancelledError:
            # aiormq ends its waiters like this; a real cancellation was asked for.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise failure("the connection was closed") from None

    async def _ready(self, deadline: asyncio.Timeout) -> Link:
        while True:
            await self._linked.wait()
            link = self._link
            if link is not None:
                with link.expiring(deadline):
                    await link.ready()
                    await link.renew()
                return link

    def _why(self, link: Link | None, seconds: float) -> str:
        if link is not None and link.lost is not None:
            return f"{link.node.name}: {link.lost}"
        return self.problem or f"no answer of the broker within {seconds:g} s"

    async def _supervise(self) -> None:
        failures = 0
        for node in cycle(self._nodes):
            rounds, rest = divmod(failures, len(self._nodes))
            if rounds and not rest:
                await asyncio.sleep(RECONNECT.delay(rounds))
            try:
                link = await Link.open(
                    node,
                    self._credentials,
                    ssl_context=self._ssl_context,
                    timeout=self._timeout,
                )
            except LinkFailed as error:
                failures += 1
                self._problems[node.name] = str(error)
                log.warning("cannot publish through %s", error)
                continue
            began = asyncio.get_running_loop().time()
            await self._serve(link)
            lasted = asyncio.get_running_loop().time() - began
            failures = failures + 1 if lasted < LASTING else 0

    async def _serve(self, link: Link) -> None:
        """Let publish through a link until it is lost."""
        log.info("publishing through %s", link.node.name)
        self._problems.clear()
        self._unanswered_since = None
        self._link = link
        self._linked.set()
        try:
            reason = await self._watch(link)
        except asyncio.CancelledError:
            self._unlink()
            await link.close("the publisher is closing")
            raise
        self._unlink()
        self._problems[link.node.name] = f"{link.node.name}: {reason}"
        log.warning("lost %s: %s", link.node.name, reason)
        await link.lose(reason)

    def _unlink(self) -> None:
        self._link = None
        self._linked.clear()

    async def _watch(self, link: Link) -> str:
        """Why the link is of no more use."""
        while True:
            if ended := await link.ended(within=PULSE):
                return ended
            answered = await link.answers(within=ANSWER)
            if link.blocked:
                # RabbitMQ has said so, and reads nothing until the alarm is over.
                self._unanswered_since = None
            elif not answered:
                return f"no sign of life for {ANSWER:g} s"
            elif self._stalled():
                return f"nothing confirmed for {STALLED:g} s"

    def _stalled(self) -> bool:
        since = self._unanswered_since
        return since is not None and asyncio.get_running_loop().time() - since >= STALLED


def _tell_if_broken(task: asyncio.Task[None]) -> None:
    """The task ends only when it is cancelled; anything else must not go unseen."""
    if not task.cancelled():
        log.critical("%s is broken", task.get_name(), exc_info=task.exception())
