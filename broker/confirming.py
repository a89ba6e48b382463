"""A channel in confirm mode. All that is published in a turn of the loop leaves in one write.

aiormq's own ``basic_publish`` takes several turns of the loop and a write for each message. What
RabbitMQ answers is still aiormq's business: it finds each message in the books that it keeps for
its own.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import aiormq
from aiormq import Channel
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Returning

from broker import amqpframes

#: Seconds until another look at a full queue.
_FULL: Final = 0.001


class Confirming:
    """Whoever waits for a confirm when the channel closes fails at once."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = cast("Channel", channel)
        self._turn: list[bytes] = []
        #: Ends with the channel.
        self.closing: asyncio.Future[Any] = channel.closing
        self.closing.add_done_callback(self._fail)

    @property
    def number(self) -> int:
        return self._channel.number

    @property
    def frame_max(self) -> int:
        """Bytes of a frame at most, as agreed with the node."""
        return self._channel.max_content_size + amqpframes.OVERHEAD

    async def publish(self, frames: bytes, message_id: str) -> None:
        """Send a message, in the order of the calls, and wait for the confirm.

        Raises aiormq's ``PublishError`` if no queue takes it, ``DeliveryError`` for a nack,
        ``ChannelInvalidStateError`` when the channel closes.
        """
        channel = self._channel
        if channel.is_closed:
            raise aiormq.ChannelInvalidStateError("the channel is closed")
        channel.delivery_tag += 1
        confirmation = asyncio.get_running_loop().create_future()
        channel.confirmations[channel.delivery_tag] = confirmation
        # By this it knows a message that comes back, which names no delivery tag.
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        self._send(frames)
        try:
            await confirmation
        finally:
            channel.message_id_delivery_tag.pop(message_id, None)

    async def settled(self, *, within: float) -> None:
        """Return when nothing waits for its confirm, or after so many seconds."""
        if waiting := self._waiting():
            await asyncio.wait(waiting, timeout=within)

    async def close(self) -> None:
        """Raises :data:`broker.amqp.AMQP_ERRORS`."""
        await self._channel.close()

    def _send(self, frames: bytes) -> None:
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn.append(frames)

    def _flush(self) -> None:
        channel, loop = self._channel, asyncio.get_running_loop()
        if channel.is_closed:
            # Whoever waits has failed; RabbitMQ would take frames now for another mistake.
            self._turn.clear()
        elif channel.write_queue.full():
            # By aiormq's own requests: it holds ten frames, until its writer's next turn.
            loop.call_later(_FULL, self._flush)
        else:
            channel.write_queue.put_nowait(ChannelFrame(b"".join(self._turn), should_close=False))
            self._turn.clear()

    def _fail(self, closing: asyncio.Future[Any]) -> None:
        for confirmation in self._waiting():
            confirmation.set_exception(aiormq.ChannelInvalidStateError("the channel closed"))

    def _waiting(self) -> list[asyncio.Future[Any]]:
        # A Returning stands for a message that came back: nobody waits for its confirm any more.
        return [
            each
            for each in self._channel.confirmations.values()
            if not each.done() and not isinstance(each, Returning)
        ]
