"""The rooms' private queues: the one place that declares, checks and deletes queues.

The gateway declares a room's queue when the room is made, and whenever it finds the queue missing.
:func:`apply` and :func:`verify` are for operators: before the first start, after a restore, and to
see what is wrong.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Self, TypeVar

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.channels import AMQP_ERRORS, AiormqCalls, ChannelEnded, describe
from broker.publishing.link import Link, LinkFailed
from broker.publishing.links import Links
from broker.publishing.publication import Publication, Returned
from broker.publishing.stream import Attempt
from broker.timing.tasks import Tasks
from broker.topology import EXCHANGE, INSTANT_HEADER, Parking, Queue, Sorting, Topology

#: The problem of a :class:`Check` whose object does not exist.
MISSING: Final = "missing"
#: The remark on a queue that stands with the arguments of a former version of the gateway.
EARLIER: Final = "declared by an earlier version of the gateway"
#: Seconds for which a link assumes that the exchanges before the private queues stand.
_SORTED: Final = 60.0
#: Seconds for which a queue is assumed not to be bound again by a gateway of a former version, and
#: the queues that are remembered.
_TIDY: Final = 600.0
_REMEMBERED: Final = 10_000
#: Links that are lost one after the other in the middle of a question, before it has failed.
_LINKS_LOST: Final = 2

T = TypeVar("T")


class QueueFailed(Exception):
    """A queue could not be declared or deleted now; trying again is safe."""


class QueueDiffers(QueueFailed):
    """The queue exists with other arguments; only deleting it by hand mends that."""


@dataclass(frozen=True, slots=True)
class QueueSize:
    """The messages that wait in a queue for a consumer, and its consumers."""

    messages: int
    consumers: int


class QueueChannel:
    """A channel for declaring and asking about queues, apart from those that publish.

    Every method raises :data:`broker.publishing.channels.AMQP_ERRORS`; a refusal ends the channel.
    """

    def __init__(self, channel: AbstractChannel, link: Link) -> None:
        self._channel = channel
        self._link = link

    @classmethod
    async def open(cls, link: Link) -> Self:
        """A new channel on this link."""
        return cls(await link.new_channel(), link)

    async def declare(self, queue: Queue) -> None:
        """Declare a durable queue with its arguments; fine if it is there already."""
        with AiormqCalls():
            await self._channel.queue_declare(
                queue.name, durable=True, arguments=dict(queue.arguments)
            )

    async def bind(self, queue: Queue) -> None:
        """Bind a queue to its exchange, and make that first; fine if it is bound already."""
        key, exchange = queue.binding_key, EXCHANGE
        if queue.sorting is not None:
            await self._sort(queue.sorting)
            exchange = queue.sorting.kept
        with AiormqCalls():
            await self._channel.queue_bind(queue.name, exchange, routing_key=key)

    async def tidy(self, queue: Queue) -> None:
        """Take away the bindings that the queue must not have; fine if there are none. It must be
        bound as it should be: it misses nothing then."""
        with AiormqCalls():
            for exchange, key in queue.unwanted:
                await self._channel.queue_unbind(queue.name, exchange, routing_key=key)

    async def _sort(self, sorting: Sorting) -> None:
        """Make the exchanges between the topic exchange and the private queues.

        A link remembers for a minute that they stand.
        """
        now = asyncio.get_running_loop().time()
        if now < self._link.sorted_until:
            return
        channel = self._channel
        header, value = INSTANT_HEADER
        with AiormqCalls():
            await channel.exchange_declare(sorting.kept, exchange_type="topic", durable=True)
            await channel.exchange_declare(sorting.instant, exchange_type="fanout", durable=True)
            await channel.exchange_declare(
                sorting.sorter,
                exchange_type="headers",
                durable=True,
                arguments={"alternate-exchange": sorting.kept},
            )
            # Before anything comes: what is instant must not pass for a moment.
            await channel.exchange_bind(
                sorting.instant, sorting.sorter, arguments={"x-match": "all", header: value}
            )
            await channel.exchange_bind(sorting.sorter, EXCHANGE, routing_key=sorting.pattern)
        self._link.sorted_until = now + _SORTED

    async def make(self, parking: Parking) -> None:
        """Make the queue for what is rejected, and the way into it; it must not stand in another
        form."""
        with AiormqCalls():
            await self._channel.exchange_declare(
                parking.exchange, exchange_type="headers", durable=True
            )
            await self._channel.queue_declare(
                parking.queue, durable=True, arguments=dict(parking.arguments)
            )
            await self._channel.queue_bind(
                parking.queue, parking.exchange, arguments=dict(parking.binding)
            )

    async def find(self, name: str) -> None:
        """Raise ``ChannelNotFoundEntity`` if there is no queue of this name."""
        with AiormqCalls():
            await self._channel.queue_declare(name, passive=True)

    async def exists(self, name: str) -> bool:
        """Whether there is a queue of this name, whoever made it. If not, the channel has ended."""
        try:
            await self.find(name)
        except aiormq.ChannelLockedResource:
            return True
        except aiormq.ChannelNotFoundEntity as error:
            # A queue whose node is down, or whose process was stopped, is not found either: by
            # another text. https://github.com/rabbitmq/rabbitmq-server, rabbit_amqqueue:not_found/2
            return "no queue" not in str(error)
        return True

    async def find_exchange(self, name: str = EXCHANGE) -> None:
        """Raise ``ChannelNotFoundEntity`` if the exchange does not exist."""
        with AiormqCalls():
            await self._channel.exchange_declare(name, passive=True)

    async def mark(self, queue: Queue, name: str) -> None:
        """Declare an exchange that lives as long as its binding to this queue, its only one."""
        with AiormqCalls():
            await self._channel.exchange_declare(
                name, exchange_type="fanout", durable=True, auto_delete=True
            )
            await self._channel.queue_bind(queue.name, name)

    async def unmark(self, queue: Queue, name: str) -> None:
        """Take the binding away; RabbitMQ deletes the exchange with it."""
        with AiormqCalls():
            await self._channel.queue_unbind(queue.name, name)

    async def size(self, name: str) -> QueueSize:
        """The size of the queue now."""
        with AiormqCalls():
            found = await self._channel.queue_declare(name, passive=True)
        return QueueSize(found.message_count or 0, found.consumer_count or 0)

    async def consume(self, name: str, taken: Callable[[], None]) -> None:
        """Take messages without acknowledging them; ``taken`` is called for each."""

        async def note(_: DeliveredMessage) -> None:
            taken()

        with AiormqCalls():
            await self._channel.basic_consume(name, note)

    async def lock(self, name: str) -> None:
        """Declare an exclusive queue, AMQP's only lock: the end of the connection releases it.

        Raises ``ChannelLockedResource`` while another connection has it.
        """
        with AiormqCalls():
            await self._channel.queue_declare(name, exclusive=True)

    async def delete(self, name: str) -> None:
        """Delete a queue with all it holds; fine if there is none."""
        with AiormqCalls():
            await self._channel.queue_delete(name)

    async def get(self, name: str) -> None:
        """Take a message, which returns to the queue when the channel ends; fine if there is
        none."""
        with AiormqCalls():
            await self._channel.basic_get(name)

    async def refuse(self, name: str) -> bool:
        """Take a message and put it back as one that could not be handled; False: there is none."""
        with AiormqCalls():
            taken = await self._channel.basic_get(name)
            if taken.delivery_tag is None:
                return False
            await self._channel.basic_reject(taken.delivery_tag, requeue=True)
        return True

    async def close(self) -> None:
        """Close the channel; what was taken returns to its queue."""
        with AiormqCalls():
            await self._channel.close()


class PrivateQueues:
    """The rooms' private queues over a publisher's links.

    ``timeout``: seconds for each operation. Every method raises :class:`QueueFailed`.
    """

    def __init__(self, links: Links, topology: Topology, *, timeout: float) -> None:
        self._links = links
        self._topology = topology
        self._timeout = timeout
        #: By the mark of a queue: until when it is assumed to be bound through the sorting only.
        self._tidied: dict[str, float] = {}

    async def declare(self, room: int) -> None:
        """Make sure that the room's queue exists and is bound; any number of times.

        Raises :class:`QueueDiffers`.
        """
        *newer, oldest = self._topology.private_queue(room).variants
        for queue in newer:
            try:
                await self._declare(queue)
            except QueueDiffers:
                continue
            return
        await self._declare(oldest)

    async def _declare(self, queue: Queue) -> None:
        async def declare(channel: QueueChannel) -> None:
            await channel.declare(queue)
            await channel.bind(queue)
            await channel.tidy(queue)

        await self._ask(queue.name, f"declare {queue.name}", declare)

    async def stands(self, room: int, mark: str) -> bool:
        """Whether the room's queue is the one with this mark; if so, it is bound as it should be.

        See :meth:`broker.topology.Topology.queue_mark`.
        """
        queue = self._topology.private_queue(room)

        async def look(channel: QueueChannel) -> bool:
            try:
                await channel.find_exchange(mark)
                await channel.bind(queue)
                await self._tidy(channel, queue, mark)
            except aiormq.ChannelNotFoundEntity:
                return False
            return True

        return await self._ask(queue.name, f"look for {queue.name}", look)

    async def _tidy(self, channel: QueueChannel, queue: Queue, mark: str) -> None:
        """See :meth:`QueueChannel.tidy`: seldom, because a gateway of a former version that runs
        beside binds the queue again."""
        now = asyncio.get_running_loop().time()
        if now < self._tidied.get(mark, now):
            return
        await channel.tidy(queue)
        if len(self._tidied) >= _REMEMBERED:
            self._tidied.clear()
        self._tidied[mark] = now + _TIDY

    async def missing(self, marks: Mapping[int, str]) -> list[int]:
        """The rooms whose queues do not have these marks; it only reads, on as few channels as
        possible."""
        rooms, missing = list(marks), list[int]()

        async def look(channel: QueueChannel) -> None:
            try:
                while rooms:
                    await channel.find_exchange(marks[rooms[-1]])
                    rooms.pop()
            except aiormq.ChannelNotFoundEntity:
                # It has ended the channel.
                missing.append(rooms.pop())

        while rooms:
            await self._ask(marks[rooms[0]], "look for private queues", look)
        return missing

    async def parked(self) -> int:
        """The number of parked messages; their queue is made if it is missing."""
        parking, made = self._topology.parking, False

        async def count(channel: QueueChannel) -> int | None:
            if made:
                await channel.make(parking)
            try:
                return (await channel.size(parking.queue)).messages
            except aiormq.ChannelNotFoundEntity:
                return None

        found = await self._ask(parking.queue, f"look for {parking.queue}", count)
        if found is None:
            made = True
            found = await self._ask(parking.queue, f"declare {parking.queue}", count)
        return found or 0

    async def size(self, room: int) -> QueueSize | None:
        """The size of the room's queue; None: there is none."""
        name = self._topology.private_queue(room).name

        async def look(channel: QueueChannel) -> QueueSize | None:
            try:
                return await channel.size(name)
            except aiormq.ChannelNotFoundEntity:
                return None

        return await self._ask(name, f"look at {name}", look)

    async def parks(self, room: int) -> bool:
        """Whether the room's queue was declared so that what is rejected there is parked. A queue
        of an earlier version of the gateway needs a policy for that."""
        queue = self._topology.private_queue(room)

        async def compare(channel: QueueChannel) -> None:
            await channel.find(queue.name)
            await channel.declare(queue)

        try:
            await self._ask(queue.name, f"examine {queue.name}", compare)
        except QueueDiffers:
            return False
        return True

    async def delete(self, room: int) -> None:
        """Delete the room's queue with all it holds; fine if there is none."""
        name = self._topology.private_queue(room).name
        await self._ask(name, f"delete {name}", lambda channel: channel.delete(name))

    async def _ask(
        self, key: str, what: str, question: Callable[[QueueChannel], Awaitable[T]]
    ) -> T:
        """The answer to a question on a channel of its own, because a refusal ends the channel.

        If the link is lost meanwhile (a node that hangs is given up in the middle of a question),
        the next one is asked, within the same time.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        lost: list[Link] = []
        while True:
            link: Link | None = None
            try:
                async with Attempt(self._links, end - loop.time(), failure=QueueFailed) as attempt:
                    link, _ = await attempt.find(key)
                    while link in lost:
                        # This is heard before its supervisor hears of it.
                        await self._links.changed()
                        link, _ = await attempt.find(key)
                    with link.ends(attempt.deadline):
                        return await _answer(await QueueChannel.open(link), what, question)
            except QueueDiffers:
                raise
            except QueueFailed as error:
                if link is None or link.lost is None or len(lost) == _LINKS_LOST:
                    raise QueueFailed(f"cannot {what}: {error}") from error
                lost.append(link)


async def _answer(
    channel: QueueChannel, what: str, question: Callable[[QueueChannel], Awaitable[T]]
) -> T:
    try:
        answer = await question(channel)
        # A refusal that was taken for an answer has ended it.
        await channel.close()
    except aiormq.ChannelPreconditionFailed as error:
        raise QueueDiffers(f"cannot {what}: {error}") from error
    return answer


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what is wrong with it; None: nothing."""

    what: str
    problem: str | None = None
    remark: str | None = None


#: Raises if something is wrong; may return a remark.
Look = Callable[[Link], Awaitable[str | None]]


async def apply(
    node: Node,
    credentials: Credentials,
    topology: Topology,
    *,
    rooms: Iterable[int],
    timeout: float,  # noqa: ASYNC109 - of the login
    ssl_context: ssl.SSLContext | None = None,
) -> list[Check]:
    """Declare and bind the private queues of these rooms; a queue that exists as it should stays.

    ``timeout``: seconds for the login. Raises :class:`LinkFailed`.
    """
    looks: dict[str, Look] = {
        f"queue {queue.name}": partial(_declare, queue)
        for queue in map(topology.private_queue, rooms)
    }
    return await _checks(node, credentials, looks, timeout=timeout, ssl_context=ssl_context)


async def verify(
    node: Node,
    credentials: Credentials,
    topology: Topology,
    *,
    rooms: Iterable[int],
    timeout: float,  # noqa: ASYNC109 - of the login
    ssl_context: ssl.SSLContext | None = None,
) -> list[Check]:
    """Check whether the user may publish and the rooms' queues are as they should be.

    Changes nothing. ``timeout``: seconds for the login. Raises :class:`LinkFailed`.
    """
    looks: dict[str, Look] = {
        f"exchange {EXCHANGE}": _exchange_exists,
        f"publishing to {EXCHANGE}": partial(_may_publish, topology),
    }
    for queue in map(topology.private_queue, rooms):
        looks[f"queue {queue.name}"] = partial(_is_as_declared, queue)
    return await _checks(node, credentials, looks, timeout=timeout, ssl_context=ssl_context)


async def server_version(
    node: Node,
    credentials: Credentials,
    *,
    timeout: float,  # noqa: ASYNC109 - of the login
    ssl_context: ssl.SSLContext | None = None,
) -> str:
    """RabbitMQ's version, as the node tells it. Raises :class:`LinkFailed`."""
    link = await Link.open(
        node, credentials, ssl_context=ssl_context, timeout=timeout, tasks=Tasks()
    )
    await link.close("the version is known")
    return link.server_version


async def _checks(
    node: Node,
    credentials: Credentials,
    looks: dict[str, Look],
    *,
    timeout: float,  # noqa: ASYNC109 - of the login
    ssl_context: ssl.SSLContext | None,
) -> list[Check]:
    tasks = Tasks()
    link = await Link.open(node, credentials, ssl_context=ssl_context, timeout=timeout, tasks=tasks)
    try:
        return [await _check(link, what, look) for what, look in looks.items()]
    except AMQP_ERRORS as error:
        raise LinkFailed(node.name, describe(error)) from error
    finally:
        await link.close("everything was checked")


async def _check(link: Link, what: str, look: Look) -> Check:
    try:
        return Check(what, remark=await look(link))
    except aiormq.ChannelNotFoundEntity:
        return Check(what, MISSING)
    except (aiormq.AMQPChannelError, ChannelEnded) as error:
        return Check(what, describe(error))


async def _exchange_exists(link: Link) -> None:
    channel = await QueueChannel.open(link)
    await channel.find_exchange()
    await channel.close()


async def _may_publish(topology: Topology, link: Link) -> None:
    """Publish to a key that names no stream: nobody gets it, but RabbitMQ judges it."""
    key = f"{topology.prefix}.check"
    channel = await link.channels.take(key, home=True)
    try:
        await channel.publish(Publication(key, b"", key))
    except Returned:
        # It was allowed.
        return


async def _declare(queue: Queue, link: Link) -> str | None:
    remark = await _as_now_or_earlier(queue, link)
    channel = await QueueChannel.open(link)
    await channel.bind(queue)
    await channel.tidy(queue)
    await channel.close()
    return remark


async def _is_as_declared(queue: Queue, link: Link) -> str | None:
    """Declaring a queue that exists changes nothing, but compares the arguments."""
    channel = await QueueChannel.open(link)
    await channel.find(queue.name)
    await channel.close()
    return await _as_now_or_earlier(queue, link)


async def _as_now_or_earlier(queue: Queue, link: Link) -> str | None:
    """Declare the queue; the remark if it stands as an earlier version declared it."""
    *newer, oldest = queue.variants
    for variant in newer:
        channel = await QueueChannel.open(link)
        try:
            await channel.declare(variant)
        except aiormq.ChannelPreconditionFailed:
            continue
        await channel.close()
        return None if variant is newer[0] else EARLIER
    channel = await QueueChannel.open(link)
    await channel.declare(oldest)
    await channel.close()
    return EARLIER
