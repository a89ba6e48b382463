"""What aiormq raises when a connection or a channel fails."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Final

import aiormq
from aiormq.exceptions import (
    ChannelClosed,
    ConnectionCommandInvalid,
    ConnectionFrameError,
    ConnectionSyntaxError,
    ConnectionUnexpectedFrame,
)

#: RuntimeError is its "channel closed".
AMQP_ERRORS: Final = (aiormq.AMQPError, OSError, RuntimeError)


class BrokenOff(aiormq.AMQPError):
    """aiormq has ended a call without an error of its own: what it waited for is gone."""


#: Which ends of a channel or connection are about the very frames that were sent on it: 406, 501,
#: 502, 503, 505. Others tell of the node (it stops, something in it has failed) or of permissions
#: and exchanges, which may change.
_FOR_GOOD: Final = (
    aiormq.ChannelPreconditionFailed,
    ConnectionFrameError,
    ConnectionSyntaxError,
    ConnectionCommandInvalid,
    ConnectionUnexpectedFrame,
)


#: As in ``message size 30000 is larger than configured max size 20000``.
_LARGEST: Final = re.compile(r"message size \d+ is larger than.* max size (\d+)")


class ChannelEnded(aiormq.ChannelInvalidStateError):
    """The channel has ended before the confirm came."""

    def __init__(self, cause: BaseException | None) -> None:
        told = isinstance(cause, BaseException) and any(cause.args)
        super().__init__(describe(cause) if told and cause is not None else "the channel closed")
        #: Whether RabbitMQ has refused something that was sent on it: this publication or another.
        self.refused = told and isinstance(cause, (ChannelClosed, *_FOR_GOOD))
        #: Whether that was something which it will never take.
        self.for_good = told and isinstance(cause, _FOR_GOOD)

    @property
    def largest(self) -> int | None:
        """Bytes of a body that RabbitMQ takes at most, if it was about that."""
        found = _LARGEST.search(str(self))
        return None if found is None else int(found[1])


class AiormqCalls:
    """Around every ``await`` on aiormq: such a block ends in :data:`AMQP_ERRORS` or not at all.

    aiormq ends whoever waits for a connection that closes by ``CancelledError``, by a bare
    ``Exception``, or by whatever its reader stumbled over. None of them may get out: the first
    looks as if the caller's own task were cancelled, and would end that without a word. Only a
    cancellation that the task was asked for passes.
    """

    __slots__ = ("_asked", "_task")

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        # Not just zero: who is being cancelled may still have a connection to close.
        self._asked = 0 if self._task is None else self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # TimeoutError is an OSError: neither aiormq's nor a timeout's of ours is touched.
        if error is None or isinstance(error, AMQP_ERRORS):
            return
        if isinstance(error, asyncio.CancelledError):
            if self._task is None or self._task.cancelling() > self._asked:
                return
            raise BrokenOff("the connection was closed") from error
        if isinstance(error, Exception):
            raise BrokenOff(describe(error)) from error


def describe(error: BaseException) -> str:
    """The text of an exception of aiormq, some of which have none."""
    return str(error) or type(error).__name__
