"""A room's private queue that will never have a leader again is replaced.

When all nodes are killed at once, RabbitMQ 3.10 can lose members of a quorum queue that is only
seconds old. Such a queue takes nothing more: every message of its room stays unconfirmed, while the
same exchange serves all other rooms. AMQP's ``queue.delete`` needs 5 to 15 seconds for it and
works; a queue declared afterwards is whole. (The management API gives up after three seconds and
leaves half a queue.) Nobody could have read what it held; the history has it.

Only AMQP is asked whether a queue is dead: ``basic.get`` goes through its leader, and one with a
single active consumer refuses it without taking a message out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import aiormq
from aiormq.exceptions import ConnectionInternalError

from broker.publishing.amqp_errors import AMQP_ERRORS, describe
from broker.publishing.link import Link, LinkFailed
from broker.publishing.links import Links
from broker.publishing.liveness import PULSE
from broker.publishing.passage import Passage
from broker.timing.tasks import Tasks
from broker.topology import Queue, Topology

log = logging.getLogger(__name__)

#: A stream without a confirm in so many looks, :data:`PULSE` seconds apart, is looked into.
STUCK: Final = 8
#: Seconds for which every node must have worked: a member that starts late, or an election when a
#: node hangs, makes no dead queue.
SETTLED: Final = 15.0
#: Seconds in which a queue answers that has a leader; RabbitMQ itself gives up later.
ANSWER: Final = 5.0
#: Seconds that all of it may take; deleting alone was seen to take 15.
MEND: Final = 60.0
#: Queues that are looked into at the same time.
AT_ONCE: Final = 4


class Mender:
    """``passages``: what is under way, by routing key."""

    def __init__(
        self, links: Links, topology: Topology, passages: Mapping[str, Passage], *, tasks: Tasks
    ) -> None:
        self._links = links
        self._topology = topology
        self._passages = passages
        self._stuck: dict[str, int] = {}
        self._tasks = tasks
        self._mending: set[int] = set()

    def start(self) -> None:
        """Look in the background until :meth:`close`."""
        self._tasks.forever(self._look_on, "mender")

    async def close(self) -> None:
        await self._tasks.close()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(PULSE)
            passages, before = self._passages.items(), self._stuck
            self._stuck = {key: before.get(key, 0) + 1 for key, each in passages if each.look()}
            for key, looks in self._stuck.items():
                stream = self._topology.stream(key)
                if looks >= STUCK and stream and self._links.sound_for >= SETTLED:
                    self._look_into(stream.room)

    def _look_into(self, room: int) -> None:
        if room in self._mending or len(self._mending) >= AT_ONCE:
            return
        self._mending.add(room)
        self._tasks.spawn(self._mend(room), "mender of a queue")

    async def _mend(self, room: int) -> None:
        queue = self._topology.private_queue(room)
        try:
            async with asyncio.timeout(MEND):
                link = await self._links.apart(queue.name)
                try:
                    await self._replace_if_dead(queue, link)
                finally:
                    await link.close("the queue was looked into")
        except TimeoutError:
            log.error("%s may be dead, and could not be replaced within %g s", queue.name, MEND)
        except (LinkFailed, *AMQP_ERRORS) as error:
            log.error("%s may be dead, and could not be replaced: %s", queue.name, describe(error))
        finally:
            self._mending.discard(room)

    async def _replace_if_dead(self, queue: Queue, link: Link) -> None:
        channel = await link.new_channel()
        try:
            # One gateway at a time.
            await channel.lock(f"{queue.name}.mender")
        except aiormq.ChannelLockedResource:
            return
        if not await self._is_dead(queue) or self._links.sound_for < SETTLED:
            return
        log.error("%s has no leader and gets none: it is replaced, and begins empty", queue.name)
        await channel.delete(queue.name)
        await channel.declare(queue)
        await channel.bind(queue)
        log.warning("%s is replaced; the history has what it held", queue.name)

    async def _is_dead(self, queue: Queue) -> bool:
        """Whether it gives no answer while a queue that is made now, in the same way, gives one.

        Raises :class:`LinkFailed`, :data:`AMQP_ERRORS`.
        """
        arguments = {**queue.arguments, "x-expires": int(MEND * 1000)}
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
        link = await self._links.apart(queue.name)
        try:
            channel = await link.new_channel()
            if declare:
                await channel.declare(queue)
            await channel.get(queue.name)
        except ConnectionInternalError:
            return False
        except aiormq.AMQPChannelError:
            return True
        else:
            return True
        finally:
            await link.close("the queue was looked into")
