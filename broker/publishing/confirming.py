"""A channel in confirm mode.

What RabbitMQ answers is still aiormq's business: it finds each message in the books that it keeps
for its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.channel import Returning

from broker.publishing.amqp_errors import AiormqCalls, ChannelEnded
from broker.publishing.sending import Sending


class Confirming(Sending):
    """Whoever waits for a confirm when the channel closes fails at once."""

    def __init__(self, channel: AbstractChannel) -> None:
        super().__init__(channel)
        #: The end of the connection comes to its channels late, and as a cancellation.
        self._connection_closing: asyncio.Future[Any] = channel.connection.closing
        for closing in (self._connection_closing, self.closing):
            closing.add_done_callback(self._fail)
        self._refused = False

    @property
    def worn(self) -> bool:
        """Whether it is to be replaced.

        A channel that meets a quorum queue without a leader refuses everything for that queue from
        then on, also when there is one again (RabbitMQ 3.10.8); a new channel is fine.
        """
        return self._refused or self.closing.done()

    @property
    def ended_by(self) -> str | None:
        """What RabbitMQ says why it has ended the channel, if it has."""
        if not self.closing.done():
            return None
        ended = ChannelEnded(self._cause())
        return str(ended) if ended.refused else None

    async def publish(self, frames: bytes, message_id: str) -> None:
        """Send a message, in the order of the calls, and wait for the confirm.

        Raises aiormq's ``PublishError`` if no queue takes it, ``DeliveryError`` for a nack,
        :class:`ChannelEnded` when the channel closes.
        """
        channel = self._channel
        if channel.is_closed:
            raise aiormq.ChannelInvalidStateError("the channel is closed")
        channel.delivery_tag += 1
        confirmation = asyncio.get_running_loop().create_future()
        channel.confirmations[channel.delivery_tag] = confirmation
        # By this it knows a message that comes back, which names no delivery tag.
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        self.send(frames)
        try:
            with AiormqCalls():
                await confirmation
        except aiormq.DeliveryError:
            self._refused = True
            raise
        finally:
            channel.message_id_delivery_tag.pop(message_id, None)

    async def settled(self, *, within: float) -> None:
        """Return when nothing waits for its confirm, or after so many seconds."""
        if waiting := self._waiting():
            await asyncio.wait(waiting, timeout=within)

    def _fail(self, closing: asyncio.Future[Any]) -> None:
        cause = self._cause()
        for confirmation in self._waiting():
            confirmation.set_exception(ChannelEnded(cause))
        # Nobody asks the connection about this channel any more.
        self._connection_closing.cancel()

    def _cause(self) -> BaseException | None:
        for closing in (self._connection_closing, self.closing):
            if closing.done() and not closing.cancelled():
                return closing.exception()
        return None

    def _waiting(self) -> list[asyncio.Future[Any]]:
        # A Returning stands for a message that came back: nobody waits for its confirm any more.
        return [
            each
            for each in self._channel.confirmations.values()
            if not each.done() and not isinstance(each, Returning)
        ]
