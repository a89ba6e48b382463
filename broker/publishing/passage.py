"""What of a stream is on the wire: on one channel at a time, so that nothing overtakes."""

from __future__ import annotations

import asyncio

from broker.publishing.attempt import Attempt
from broker.publishing.confirming import Confirming
from broker.publishing.link import Link


class Passage:
    """One routing key's publications that are under way.

    RabbitMQ keeps the order of a channel, and of nothing more. So a stream changes its channel only
    when nothing of it is unanswered there; the outbox does the rest, by holding back what is new
    while it publishes again what has failed.
    """

    def __init__(self) -> None:
        #: Calls take the wire in their order.
        self.turn = asyncio.Lock()
        self.users = 0
        #: Calls that have failed before they took the wire.
        self.failures = 0
        self._channel: Confirming | None = None
        self._unanswered = 0
        self._free = asyncio.Event()
        self._confirmed = self._seen = 0

    async def enter(self, key: str, attempt: Attempt) -> tuple[Link, Confirming]:
        """Take a place on the channel where the stream belongs now; give it back by :meth:`leave`.

        Without a turn of the loop if the stream has nothing unanswered elsewhere. Raises
        :data:`broker.publishing.amqp_errors.AMQP_ERRORS`.
        """
        try:
            while True:
                link, channel = await attempt.channel(key)
                if not self._unanswered or channel is self._channel:
                    self._channel = channel
                    self._unanswered += 1
                    self._free.clear()
                    return link, channel
                await self._free.wait()
        except BaseException:
            self.failures += 1
            raise

    async def enter_alone(self) -> None:
        """Take a place when nothing of the stream is unanswered; nothing else of it goes out until
        :meth:`leave`."""
        try:
            while self._unanswered:
                await self._free.wait()
        except BaseException:
            self.failures += 1
            raise
        self._channel = None
        self._unanswered = 1
        self._free.clear()

    def confirmed(self) -> None:
        """The broker has taken a message of this stream."""
        self._confirmed += 1

    def look(self) -> bool:
        """Whether something waits and nothing was confirmed since the last look."""
        stuck = self._unanswered > 0 and self._confirmed == self._seen
        self._seen = self._confirmed
        return stuck

    def leave(self) -> None:
        self._unanswered -= 1
        if not self._unanswered:
            self._free.set()
