"""Finds the message for which RabbitMQ ends a channel.

RabbitMQ ends a channel, or the whole connection, for one bad message, and does not say which. So
each message that was on it goes out alone the next time, on a connection of its own, where it harms
no other.
"""

from __future__ import annotations

import asyncio
from typing import Final

from broker.publishing.channels import ChannelEnded
from broker.publishing.links import Links
from broker.publishing.publication import Publication, Refused

#: Messages that are published alone at the same time.
AT_ONCE: Final = 4
#: Ids that are remembered; beyond that the oldest is forgotten, and may end one more channel.
CAPACITY: Final = 10_000


class Suspects:
    """The messages that were on a channel when RabbitMQ ended it, and any that are too large."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._ids: dict[str, None] = {}
        #: Bytes of a body that RabbitMQ takes at most, once it has said so.
        self._max_size: int | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)

    def __contains__(self, publication: Publication) -> bool:
        """Whether a message has to go out alone."""
        return self._is_too_large(publication) or publication.message_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def note(self, publication: Publication, ended: ChannelEnded) -> None:
        """A message was on a channel that has ended."""
        if ended.max_size is not None:
            # The size says which message it was.
            self._max_size = ended.max_size
        elif ended.refused:
            self._ids[publication.message_id] = None
            if len(self._ids) > CAPACITY:
                del self._ids[next(iter(self._ids))]

    async def publish(self, publication: Publication) -> None:
        """Publish a message on a connection of its own.

        Raises :class:`Refused` if RabbitMQ ends that, too, for what the message is; otherwise as
        :meth:`broker.publishing.channels.ConfirmChannel.publish`, and
        :class:`broker.publishing.link.LinkFailed`.
        """
        async with self._turn:
            link = await self._links.dial(publication.routing_key)
            try:
                channel = await link.channels.take(publication.routing_key, home=True)
                await channel.publish(publication)
            except ChannelEnded as ended:
                self.note(publication, ended)
                if ended.for_good:
                    raise Refused(str(ended)) from ended
                raise
            finally:
                await link.close("it was for one message")
        self._ids.pop(publication.message_id, None)
        if self._is_too_large(publication):
            # The limit was raised.
            self._max_size = None

    def _is_too_large(self, publication: Publication) -> bool:
        return self._max_size is not None and len(publication.body) > self._max_size
