"""The channels on which a link's publications wait for their confirms.

RabbitMQ 3.10 stops a whole channel when the first publication on it for a quorum queue goes to a
leader whose node hangs (``rabbit_fifo_client`` calls it). Streams that belong to a link's node have
published there before, so they share a channel. Those that come because their own node is away have
not: they are spread over several, so that one room's queue stops few others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from zlib import crc32

import aiormq

from broker.publishing.amqp_errors import AMQP_ERRORS, AiormqCalls
from broker.publishing.confirming import Confirming
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Channels for streams that belong to other nodes, made as they are needed.
GUESTS: Final = 16
#: Seconds in which a channel that is replaced has its publications answered.
RETIREMENT: Final = 10.0
_HOME: Final = 0


def slot(key: str, *, home: bool) -> int:
    """Which of a link's channels a routing key has."""
    return _HOME if home else 1 + crc32(key.encode()) % GUESTS


class Channels:
    """``home`` is the channel of those that belong here."""

    def __init__(self, connection: aiormq.Connection, home: Confirming, tasks: Tasks) -> None:
        self._connection = connection
        self._open = {_HOME: home}
        self._renewing = asyncio.Lock()
        self._tasks = tasks

    async def take(self, key: str, *, home: bool) -> Confirming:
        """The channel for what is published next; ``home``: the stream belongs to this node.

        At once, without a turn of the loop, if there is one that no nack has worn. Raises
        :data:`broker.publishing.amqp_errors.AMQP_ERRORS`.
        """
        place = slot(key, home=home)
        channel = self._open.get(place)
        if channel is None or channel.worn:
            async with self._renewing:
                channel = self._open.get(place)
                if channel is None or channel.worn:
                    channel = await self._renew(place)
        return channel

    async def _renew(self, place: int) -> Confirming:
        with AiormqCalls():
            channel = Confirming(await self._connection.channel())
        if (worn := self._open.get(place)) is not None and worn.ended_by is not None:
            log.warning("a channel is replaced that RabbitMQ has ended: %s", worn.ended_by)
        if place in self._open:
            self._tasks.spawn(_retire(self._open[place]), "channel that retires")
        self._open[place] = channel
        return channel


async def _retire(channel: Confirming) -> None:
    """Close a channel when the rest of its messages are confirmed."""
    await channel.settled(within=RETIREMENT)
    try:
        await channel.close()
    except AMQP_ERRORS:
        # It has ended already, or the connection has.
        return
