"""A channel for publishing only. All that is published in a turn of the loop leaves in one write.

aiormq's own ``basic_publish`` takes several turns of the loop and a write for each message.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from aiormq import Channel
from aiormq.abc import AbstractChannel, ChannelFrame

from broker.protocol import amqp as amqpframes
from broker.publishing.amqp_errors import AiormqCalls

#: Seconds until another look at a full queue.
_FULL: Final = 0.001


class Sending:
    """Without a confirm: what is sent may be lost."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = cast("Channel", channel)
        self._turn: list[bytes] = []
        #: Ends with the channel.
        self.closing: asyncio.Future[Any] = channel.closing

    @property
    def number(self) -> int:
        return self._channel.number

    @property
    def frame_max(self) -> int:
        """Bytes of a frame at most, as agreed with the node."""
        return self._channel.max_content_size + amqpframes.OVERHEAD

    def send(self, frames: bytes) -> None:
        """In the order of the calls; dropped if the channel is closed."""
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn.append(frames)

    async def close(self) -> None:
        """Raises :data:`broker.publishing.amqp_errors.AMQP_ERRORS`."""
        with AiormqCalls():
            await self._channel.close()

    def _flush(self) -> None:
        channel, loop = self._channel, asyncio.get_running_loop()
        if channel.is_closed:
            # RabbitMQ would take frames now for another mistake.
            self._turn.clear()
        elif channel.write_queue.full():
            # By aiormq's own requests: it holds ten frames, until its writer's next turn.
            loop.call_later(_FULL, self._flush)
        else:
            # Emptied first: what cannot be written must not keep the next turn from beginning.
            frames, self._turn = b"".join(self._turn), []
            channel.write_queue.put_nowait(ChannelFrame(frames, should_close=False))
