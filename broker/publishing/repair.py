"""Examining and replacing one private queue, on AMQP connections of its own.

A queue that takes nothing more may cost the channel or the connection that asks it, so nobody else
shares them. Only AMQP is asked, and the decisive question is a publication: whatever is wrong with
a queue, one that confirms works, and one that does not is of no use.

A new queue is filled before it is bound, by an exchange that only it has, so what it missed comes
before what is published now. The last step gives it its mark
(:meth:`broker.topology.Topology.queue_mark`): a queue without the mark is not complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self

from aiormq.exceptions import AMQPChannelError, ChannelLockedResource, ChannelNotFoundEntity

from broker.publishing.channels import AMQP_ERRORS
from broker.publishing.link import Link, LinkFailed
from broker.publishing.provision import QueueChannel
from broker.publishing.publication import NotConfirmed, Publication
from broker.topology import Queue

#: Seconds in which a queue that works confirms a message.
ANSWER: Final = 5.0
#: Seconds between the deletion of a queue and the declaration of its successor, and how often that
#: is tried while the successor has no leader.
SETTLING: Final = 1.0
DECLARATIONS: Final = 3
#: Seconds in which a message for a new queue is confirmed.
CONFIRM: Final = 15.0
#: Messages for a new queue that are unconfirmed at once.
WINDOW: Final = 128
#: Seconds in which messages that were taken and given back wait in the queue again.
RETURN: Final = 10.0
#: Milliseconds until RabbitMQ deletes a queue that was made for comparison, if nobody else has.
_CONTROL_EXPIRES_MS: Final = 60_000
#: Seconds between two looks at the number of messages in the queue.
_INTERVAL: Final = 0.05

#: What examining or replacing a queue may end with.
FAILURES: Final = (LinkFailed, NotConfirmed, TimeoutError, *AMQP_ERRORS)


class Dials(Protocol):
    """A source of AMQP connections to the node of a routing key."""

    async def dial(self, key: str) -> Link:
        """A connection that the caller closes. Raises :class:`LinkFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Whether a queue confirms messages, and whether a queue made just now does."""

    queue: bool
    control: bool

    @property
    def dead(self) -> bool:
        """Whether the queue alone is at fault: the cluster does not stand still as a whole."""
        return self.control and not self.queue


class QueueRepair:
    """The connection on which one queue is replaced. Made by :meth:`of`.

    ``mark`` is the mark of the queue that stands, or should. Every method raises
    :data:`broker.publishing.channels.AMQP_ERRORS`, and :class:`NotConfirmed` where it publishes.
    """

    def __init__(self, dials: Dials, link: Link, queue: Queue) -> None:
        self._dials = dials
        self._link = link
        self._queue = queue
        self._channel: QueueChannel | None = None
        #: The exchange through which the new queue is filled.
        self._filled_by = f"{queue.name}.filling"

    @classmethod
    @asynccontextmanager
    async def of(cls, dials: Dials, queue: Queue) -> AsyncIterator[Self]:
        """Dial, and close in the end. Raises :class:`LinkFailed`."""
        link = await dials.dial(queue.name)
        try:
            yield cls(dials, link, queue)
        finally:
            await link.close("the queue was examined")

    async def lock(self) -> bool:
        """Whether this gateway alone may replace the queue, until the connection ends."""
        channel = await QueueChannel.open(self._link)
        try:
            # The name is that of earlier versions, which may run beside.
            await channel.lock(f"{self._queue.name}.mender")
        except ChannelLockedResource:
            return False
        self._channel = channel
        return True

    async def stands(self, mark: str) -> bool:
        """Whether the queue has this mark."""
        channel = await QueueChannel.open(self._link)
        try:
            await channel.find_exchange(mark)
        except ChannelNotFoundEntity:
            return False
        await channel.close()
        return True

    async def adopt(self, mark: str) -> bool:
        """Give a queue of an earlier version its mark, if there is one with the arguments of any
        version."""
        channel = await QueueChannel.open(self._link)
        if not await channel.exists(self._queue.name):
            return False
        await channel.close()
        for queue in self._queue.variants:
            channel = await QueueChannel.open(self._link)
            try:
                await channel.declare(queue)
                await channel.bind(queue)
                await channel.tidy(queue)
                await channel.mark(queue, mark)
            except AMQPChannelError:
                # Other arguments or another type.
                continue
            await channel.close()
            return True
        return False

    async def answers(self, publication: Publication, mark: str) -> Answers:
        """Publish a message to this queue alone, and to one that is declared in the same way.

        The message stays in the queue that confirms it: it must be one that belongs there next.
        """
        name = f"{self._queue.name}.control"
        arguments = {**self._queue.arguments, "x-expires": _CONTROL_EXPIRES_MS}
        control = Queue(name, "", arguments)
        asked = asyncio.create_task(self._takes(publication, mark))
        try:
            await asyncio.wait({asked}, timeout=ANSWER)
            # Asked later and answered: the cluster works.
            works = await self._control_takes(control, publication)
            return Answers(asked.done() and asked.result(), works)
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def begin(self) -> None:
        """Delete the queue, and declare an empty one that gets nothing yet.

        RabbitMQ 3.10 ends the members of a deleted queue one after the other. A queue of the same
        name that is declared meanwhile can lose members with them, and never have a leader; so it
        is given a moment, and asked.
        """
        channel = self._held()
        for _ in range(DECLARATIONS):
            replaces = await self._exists()
            if replaces:
                await channel.delete(self._queue.name)
                await asyncio.sleep(SETTLING)
            await channel.declare(self._queue)
            if not replaces or await self._has_leader():
                break
        await channel.mark(self._queue, self._filled_by)

    async def fill(self, publications: Sequence[Publication]) -> None:
        """Publish messages to the new queue alone, in order."""
        channel = await self._link.channels.take(self._queue.name, home=True)
        for start in range(0, len(publications), WINDOW):
            window = publications[start : start + WINDOW]
            async with asyncio.timeout(CONFIRM):
                # Sent in this order, because each task sends before it waits.
                await asyncio.gather(
                    *(channel.publish(replace(each, exchange=self._filled_by)) for each in window)
                )

    async def age(self, count: int) -> None:
        """Take the ``count`` messages of the new queue once and give them back, so that RabbitMQ
        delivers them as ``redelivered``.

        Raises :class:`TimeoutError` if they are not all back in time.
        """
        name = self._queue.name
        taken, all_taken = 0, asyncio.Event()

        def note() -> None:
            nonlocal taken
            taken += 1
            if taken >= count:
                all_taken.set()

        async with asyncio.timeout(RETURN + count / 1000):
            consumer = await QueueChannel.open(self._link)
            await consumer.consume(name, note)
            await all_taken.wait()
            await consumer.close()
            # Only then may anything be published behind them.
            while (await self._held().size(name)).messages < count:  # noqa: ASYNC110 - RabbitMQ tells nobody
                await asyncio.sleep(_INTERVAL)

    async def open(self) -> None:
        """Bind the new queue: from now on it gets what is published to the room."""
        await self._held().bind(self._queue)

    async def finish(self, mark: str) -> None:
        """Give the new queue its mark: it is complete."""
        channel = self._held()
        await channel.mark(self._queue, mark)
        await channel.unmark(self._queue, self._filled_by)

    async def delete(self) -> None:
        """Delete the queue after all."""
        await self._held().delete(self._queue.name)

    async def _exists(self) -> bool:
        channel = await QueueChannel.open(self._link)
        if not await channel.exists(self._queue.name):
            return False
        await channel.close()
        return True

    async def _has_leader(self) -> bool:
        """Whether the queue answers ``basic.get``, if only with a refusal, which takes nothing out.

        On a connection of its own, which RabbitMQ closes when it gives up waiting for the leader.
        """
        link = await self._dials.dial(self._queue.name)
        try:
            async with asyncio.timeout(ANSWER):
                channel = await QueueChannel.open(link)
                await channel.get(self._queue.name)
        except AMQPChannelError:
            return True
        except (TimeoutError, *AMQP_ERRORS):
            return False
        else:
            return True
        finally:
            await link.close("the queue was examined")

    def _held(self) -> QueueChannel:
        if self._channel is None:
            raise RuntimeError(f"queue {self._queue.name} is not locked")
        return self._channel

    async def _takes(self, publication: Publication, exchange: str) -> bool:
        """On a connection of its own, which RabbitMQ closes when it gives up on the leader."""
        link = await self._dials.dial(self._queue.name)
        try:
            channel = await link.channels.take(self._queue.name, home=True)
            await channel.publish(replace(publication, exchange=exchange))
        except (NotConfirmed, *AMQP_ERRORS):
            return False
        else:
            return True
        finally:
            await link.close("the queue was examined")

    async def _control_takes(self, control: Queue, publication: Publication) -> bool:
        link = await self._dials.dial(self._queue.name)
        try:
            async with asyncio.timeout(ANSWER):
                channel = await QueueChannel.open(link)
                await channel.delete(control.name)
                await channel.declare(control)
                await channel.mark(control, control.name)
                confirms = await link.channels.take(control.name, home=True)
                await confirms.publish(replace(publication, exchange=control.name))
                await channel.delete(control.name)
        except (TimeoutError, NotConfirmed, *AMQP_ERRORS):
            return False
        else:
            return True
        finally:
            await link.close("the queue was examined")
