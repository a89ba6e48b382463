"""Replaces a room's private queue that will never have a leader again: RabbitMQ 3.10.

When all nodes are killed at once, RabbitMQ 3.10 (seen with 3.10.8) can lose members of a quorum
queue that is only seconds old. Such a queue takes nothing more: every message of its room stays
unconfirmed, while the same exchange serves all other rooms. AMQP's ``queue.delete`` needs 5 to 15
seconds for it and works; a queue declared afterwards is whole. (The management API gives up after
three seconds and leaves half a queue.) Nobody could have read what it held; the history has it.

Only AMQP is asked whether a queue is dead: ``basic.get`` goes through its leader, and a queue with
a single active consumer refuses it without taking a message out. RabbitMQ 4.3 was not seen to lose
members; there nothing is ever found dead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiormq.exceptions import AMQPChannelError, ChannelLockedResource, ConnectionInternalError

from broker.publishing.channels import AMQP_ERRORS, describe
from broker.publishing.link import Link, LinkFailed
from broker.publishing.provision import QueueChannel
from broker.publishing.publisher import Publisher
from broker.timing.tasks import Tasks
from broker.topology import Queue, Topology

log = logging.getLogger(__name__)

#: Seconds between two looks for streams that get no confirm.
INTERVAL: Final = 0.5
#: Seconds without a confirm after which a stream's queue is examined.
STUCK: Final = 4.0
#: Seconds for which every node must have worked: a member that starts late, or an election when a
#: node hangs, makes no dead queue.
SETTLED: Final = 15.0
#: Seconds in which a queue answers that has a leader; RabbitMQ itself gives up later.
ANSWER: Final = 5.0
#: Seconds that a replacement may take as a whole; deleting alone was seen to take 15.
REPLACEMENT: Final = 60.0
#: Queues that are examined at the same time.
AT_ONCE: Final = 4


class DeadQueues:
    """An examiner of the private queues of the publisher's streams that get no confirm."""

    def __init__(self, publisher: Publisher, topology: Topology, *, tasks: Tasks) -> None:
        self._publisher = publisher
        self._topology = topology
        self._tasks = tasks
        #: The rooms whose queues are being examined.
        self._rooms: set[int] = set()

    def start(self) -> None:
        """Look in the background until :meth:`close`."""
        self._tasks.forever(self._run, "dead queues")

    async def close(self) -> None:
        """Stop; a replacement under way is broken off."""
        await self._tasks.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            for key in self._publisher.stuck(STUCK):
                stream = self._topology.stream(key)
                if stream and self._publisher.sound_for >= SETTLED:
                    self._examine(stream.room)

    def _examine(self, room: int) -> None:
        if room in self._rooms or len(self._rooms) >= AT_ONCE:
            return
        self._rooms.add(room)
        self._tasks.spawn(self._replace(room), "replacement of a dead queue")

    async def _replace(self, room: int) -> None:
        queue = self._topology.private_queue(room)
        try:
            async with asyncio.timeout(REPLACEMENT):
                link = await self._publisher.dial(queue.name)
                try:
                    await self._replace_if_dead(queue, link)
                finally:
                    await link.close("the queue was examined")
        except TimeoutError:
            log.error(
                "queue %s may have lost its leader for ever, and could not be replaced within %g s;"
                " messages of its room wait, and it is examined again",
                queue.name,
                REPLACEMENT,
            )
        except (LinkFailed, *AMQP_ERRORS) as error:
            log.error(
                "queue %s may have lost its leader for ever, and could not be replaced: %s;"
                " messages of its room wait, and it is examined again",
                queue.name,
                describe(error),
            )
        finally:
            self._rooms.discard(room)

    async def _replace_if_dead(self, queue: Queue, link: Link) -> None:
        channel = await QueueChannel.open(link)
        try:
            # One gateway at a time; the name is that of earlier versions, which may run beside.
            await channel.lock(f"{queue.name}.mender")
        except ChannelLockedResource:
            return
        if not await self._is_dead(queue) or self._publisher.sound_for < SETTLED:
            return
        log.error(
            "queue %s has lost its leader for ever, as RabbitMQ 3.10 can when all nodes are killed:"
            " it is deleted and declared again, empty",
            queue.name,
        )
        await channel.delete(queue.name)
        await channel.declare(queue)
        await channel.bind(queue)
        log.warning("queue %s is replaced; the history has the messages it held", queue.name)

    async def _is_dead(self, queue: Queue) -> bool:
        """Whether the queue does not answer while a queue declared just now in the same way does.

        Raises :class:`LinkFailed`, :data:`AMQP_ERRORS`.
        """
        arguments = {**queue.arguments, "x-expires": int(REPLACEMENT * 1000)}
        control = Queue(f"{queue.name}.control", "", arguments)
        asked = asyncio.create_task(self._answers(queue))
        try:
            await asyncio.wait({asked}, timeout=ANSWER)
            # Asked later and answered: the cluster does not stand still as a whole.
            works = await self._answers(control, declare=True)
            return works and not (asked.done() and asked.result())
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _answers(self, queue: Queue, *, declare: bool = False) -> bool:
        """Whether the queue's leader answers, if only with a refusal.

        On a link of its own, which RabbitMQ closes when it gives up waiting for the leader.
        """
        link = await self._publisher.dial(queue.name)
        try:
            channel = await QueueChannel.open(link)
            if declare:
                await channel.declare(queue)
            await channel.get(queue.name)
        except ConnectionInternalError:
            return False
        except AMQPChannelError:
            return True
        else:
            return True
        finally:
            await link.close("the queue was examined")
