"""The messages that were too large for hosts, in the queue where RabbitMQ keeps them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from broker.publishing.provision import QueueFailed
from broker.timing.tasks import Tasks
from broker.topology import Topology

#: Seconds between two looks at the queue.
INTERVAL: Final = 30.0
#: After a rejection: seconds between two looks, and the most of them until RabbitMQ
#: has moved the message there.
SOON: Final = 1.0
LOOKS: Final = 20
#: Seconds until the next attempt to make the queue, while a message waits to be moved there.
AGAIN: Final = 2.0

logger = logging.getLogger(__name__)


class ParkingBroker(Protocol):
    """The publisher, as far as it knows what is parked. Both raise :class:`QueueFailed`."""

    async def parked_messages(self) -> int:
        """The number of parked messages; their queue is made if it is missing."""
        ...

    async def parks_rejected(self, room: int) -> bool:
        """Whether the room's private queue parks what is rejected, by its own arguments."""
        ...


class Parked:
    """The parked messages of all rooms: how many there are, and a place for the next one."""

    def __init__(self, broker: ParkingBroker, topology: Topology, *, tasks: Tasks) -> None:
        self.queue = topology.parking.queue
        self._broker = broker
        self._tasks = tasks
        #: The number of parked messages at the last look.
        self.count = 0
        self._last: str | None = None
        self._moved = asyncio.Event()

    def start(self) -> None:
        """Look at the queue now and then, until :meth:`close`."""
        self._tasks.forever(self._run, "parked messages")

    async def close(self) -> None:
        """End."""
        await self._tasks.close()

    @property
    def problem(self) -> str | None:
        """The problem in a sentence, for the operator."""
        if not self.count:
            return None
        last = "" if self._last is None else f"; the last one here: {self._last}"
        return (
            f"the queue {self.queue} holds {self.count} messages that were too large for hosts: "
            f"look at them by `gateway parked list`{last}"
        )

    async def ready(self, room: int, what: str) -> None:
        """Wait until a message that is rejected in the room's private queue is moved to this queue.
        ``what`` tells of the message."""
        failed = False
        while True:
            try:
                await self._broker.parked_messages()
                parks = await self._broker.parks_rejected(room)
                break
            except QueueFailed as error:
                if not failed:
                    logger.warning(
                        "a message that is too large (%s) waits in its queue, because %s cannot be "
                        "used: %s; trying again",
                        what,
                        self.queue,
                        error,
                    )
                failed = True
                await asyncio.sleep(AGAIN)
        if not parks:
            logger.error(
                "the private queue of room %d was declared by an earlier version of the gateway: a "
                "message that is too large (%s) is moved to %s only if `gateway topology apply "
                "--admin NAME` has set the policy, and is lost otherwise",
                room,
                what,
                self.queue,
            )
        self._last = what

    def rejected(self) -> None:
        """Note that RabbitMQ was told to move messages here: they are looked for."""
        self._moved.set()

    async def _run(self) -> None:
        while True:
            await self._look()
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._moved.wait()
            except TimeoutError:
                continue
            await self._look_for_the_last()

    async def _look_for_the_last(self) -> None:
        """Look until the message that was just rejected is there."""
        self._moved.clear()
        before = self.count
        for _ in range(LOOKS):
            await asyncio.sleep(SOON)
            await self._look()
            if self.count > before:
                return
        logger.error(
            "a message that was too large for hosts (%s) was rejected, but has not come into the "
            "queue %s within %g s: it is lost, unless somebody has taken it out already, the queue "
            "is full, or its session has ended first (then its host gets it again)",
            self._last,
            self.queue,
            LOOKS * SOON,
        )

    async def _look(self) -> None:
        try:
            self._found(await self._broker.parked_messages())
        except QueueFailed as error:
            logger.debug("the parked messages cannot be counted, trying again: %s", error)

    def _found(self, count: int) -> None:
        if count > self.count:
            logger.warning(
                "the queue %s holds %d messages that were too large for hosts: look at them by "
                "`gateway parked list`, then put them back or drop them",
                self.queue,
                count,
            )
        self.count = count
