"""Channels that publish and wait for confirms: the one module that works on aiormq's internals.

aiormq's own ``basic_publish`` takes several turns of the event loop and one write for each message,
and its reader two tasks and two queues for each confirm. So a channel here writes its frames itself
and keeps the books of what is unconfirmed; the answers are taken out of what the socket brings
before aiormq reads it (:mod:`broker.protocol.amqp_answers`). setup.cfg pins aiormq's minor version
for that. ``tests/unit/broker/publishing/test_aiormq.py`` names every attribute that is used here
and shows what it has to do.

https://www.rabbitmq.com/docs/confirms: RabbitMQ confirms a message once every queue that it was
routed to has it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from types import TracebackType
from typing import Any, Final, cast
from zlib import crc32

import aiormq
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.exceptions import (
    ChannelClosed,
    ConnectionCommandInvalid,
    ConnectionFrameError,
    ConnectionSyntaxError,
    ConnectionUnexpectedFrame,
)

from broker.protocol import amqp
from broker.protocol.amqp_answers import Answer, Confirmed
from broker.publishing.publication import NotConfirmed, Publication, Refused, Returned
from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Channels for the streams of other nodes, opened when they are needed.
GUEST_CHANNELS: Final = 16
#: Seconds between two replacements of a channel because of a nack: a queue may refuse everything
#: for ever.
REPLACEMENT: Final = BackOff(first=0.1, longest=5.0)
#: Seconds without a replacement after which the next nack is no longer one of a row.
CALM: Final = 10.0
#: Seconds that the publications on a replaced channel have to be answered.
RETIREMENT: Final = 10.0
#: Seconds in which a node opens a channel; no queue is involved. Then another one is tried.
OPENING: Final = 2.0
_HOME: Final = 0
#: Seconds until the next attempt to write while aiormq's queue of frames is full.
_QUEUE_FULL: Final = 0.001

#: What aiormq raises when a connection or a channel fails. RuntimeError is its "channel closed".
AMQP_ERRORS: Final = (aiormq.AMQPError, OSError, RuntimeError)

#: Errors that end a channel or connection because of the very frames that were sent on it: 406,
#: 501, 502, 503, 505. The others are about the node (it stops, something in it has failed) or about
#: permissions and exchanges, which may change.
_CAUSED_BY_A_MESSAGE: Final = (
    aiormq.ChannelPreconditionFailed,
    ConnectionFrameError,
    ConnectionSyntaxError,
    ConnectionCommandInvalid,
    ConnectionUnexpectedFrame,
)

#: As in ``message size 30000 is larger than configured max size 20000``.
_MAX_SIZE: Final = re.compile(r"message size \d+ is larger than.* max size (\d+)")


class BrokenOff(aiormq.AMQPError):
    """aiormq ended a call without an error of its own: the connection that it used is gone."""


class LinkLost(aiormq.AMQPError):
    """The gateway gave up the connection; the text says which node's and why."""


class NotOpened(aiormq.AMQPError):
    """The node has not opened a channel in time."""


class ChannelEnded(aiormq.ChannelInvalidStateError):
    """The channel ended before the confirm came."""

    def __init__(self, cause: BaseException | None) -> None:
        explained = isinstance(cause, BaseException) and any(cause.args)
        super().__init__(describe(cause) if explained and cause is not None else "channel closed")
        #: Whether RabbitMQ refused something that was sent on it: this publication or another.
        self.refused = explained and isinstance(cause, (ChannelClosed, *_CAUSED_BY_A_MESSAGE))
        #: Whether RabbitMQ will never take what it refused.
        self.for_good = explained and isinstance(cause, _CAUSED_BY_A_MESSAGE)

    @property
    def max_size(self) -> int | None:
        """Bytes of a body that RabbitMQ takes at most, if the body's size was the reason."""
        found = _MAX_SIZE.search(str(self))
        return None if found is None else int(found[1])


class AiormqCalls:
    """A guard around every ``await`` on aiormq: it ends in :data:`AMQP_ERRORS` or not at all.

    When a connection closes, aiormq ends its waiters by ``CancelledError``, by a bare
    ``Exception``, or by whatever its reader failed with. None of them may get out: the first looks
    as if the caller's own task were cancelled, and would end that without a word. A cancellation
    that the task was asked for passes, whatever aiormq makes of it: a loop that took its error for
    one of the connection would go on for ever.
    """

    __slots__ = ("_asked", "_task")

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        # Not just zero: a task that is being cancelled may still have a connection to close.
        self._asked = 0 if self._task is None else self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None and self._task.cancelling() > self._asked:
            if error is None or isinstance(error, Exception):
                # aiormq has made an error of its own of it, or nothing at all.
                raise asyncio.CancelledError from error
            return
        # TimeoutError is an OSError: neither aiormq's nor one of our own timeouts is touched.
        if error is None or isinstance(error, AMQP_ERRORS):
            return
        if isinstance(error, asyncio.CancelledError):
            raise BrokenOff("the connection was closed") from error
        if isinstance(error, Exception):
            raise BrokenOff(describe(error)) from error


def describe(error: BaseException) -> str:
    """The text of an exception of aiormq's, some of which have none."""
    return str(error) or type(error).__name__


@dataclass(slots=True)
class Traffic:
    """The publications on one link: ``unanswered`` now, and ``answered`` since it was opened; and
    the ``channels`` that wait for answers, by their numbers."""

    unanswered: int = 0
    answered: int = 0
    channels: dict[int, ConfirmChannel] = field(default_factory=dict, compare=False, repr=False)


class SendChannel:
    """A channel without confirms: what it sends may be lost.

    Everything that is sent in one turn of the event loop leaves in one write.
    """

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = cast("aiormq.Channel", channel)
        self._turn: list[bytes] = []
        self.number: int = self._channel.number
        #: Bytes of a frame at most, as agreed with the node.
        self.frame_max: int = self._channel.max_content_size + amqp.OVERHEAD
        #: Done when the channel has ended.
        self.closing: asyncio.Future[Any] = self._channel.closing

    @property
    def closed(self) -> bool:
        """Whether nothing may be sent any more.

        aiormq acknowledges that RabbitMQ has ended the channel, and calls it closed some turns of
        the event loop later. A frame that was sent meanwhile would cost the whole connection: 504,
        ``expected 'channel.open'``.
        """
        return self._channel.is_closed or self._channel._close_exception is not None  # noqa: SLF001

    def send(self, frames: bytes) -> None:
        """Send frames in the order of the calls; they are dropped if the channel is closed."""
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._flush)
        self._turn.append(frames)

    async def close(self) -> None:
        """Close the channel. Raises :data:`AMQP_ERRORS`."""
        with AiormqCalls():
            await self._channel.close()

    def _flush(self) -> None:
        channel = self._channel
        if self.closed:
            self._turn.clear()
        elif channel.write_queue.full():
            # With aiormq's own requests: it holds ten frames until its writer's next turn.
            asyncio.get_running_loop().call_later(_QUEUE_FULL, self._flush)
        else:
            # Emptied first: what cannot be written must not keep the next turn from beginning.
            frames, self._turn = b"".join(self._turn), []
            channel.write_queue.put_nowait(ChannelFrame(frames, should_close=False))


class ConfirmChannel(SendChannel):
    """A channel in confirm mode. A publication that waits when the channel closes fails at once."""

    def __init__(self, channel: AbstractChannel, traffic: Traffic) -> None:
        super().__init__(channel)
        self._traffic = traffic
        #: The number of the last message published, which RabbitMQ counts, too.
        self._tag = 0
        #: The publications that have no answer yet, by their numbers. The answer is what went
        #: wrong, or None.
        self._waiting: dict[int, asyncio.Future[type[NotConfirmed] | None]] = {}
        #: Their numbers by the messages' ids: a message that comes back names no number.
        self._tags: dict[str, int] = {}
        #: aiormq tells its channels of a connection's end late, and as a cancellation.
        self._connection_closing: asyncio.Future[Any] = self._channel.connection.closing
        for closing in (self._connection_closing, self.closing):
            closing.add_done_callback(self._ended)
        self._nacked = False
        traffic.channels[self.number] = self

    @property
    def worn_out(self) -> bool:
        """Whether it has to be replaced.

        RabbitMQ 3.10.8: a channel that meets a quorum queue without a leader refuses everything for
        that queue from then on, also when there is a leader again; a new channel works.
        """
        return self._nacked or self.closed

    @property
    def ended_by(self) -> str | None:
        """RabbitMQ's reason for ending the channel, or None: RabbitMQ has not ended it."""
        if not self.closed:
            return None
        ended = ChannelEnded(self._cause())
        return str(ended) if ended.refused else None

    async def publish(self, publication: Publication) -> None:
        """Send a message, in the order of the calls, and wait for its confirm.

        Raises :class:`NotConfirmed` for RabbitMQ's answer: :class:`Returned`, :class:`Refused` if
        AMQP cannot express the message, itself for a nack, which wears the channel out. Raises
        :class:`ChannelEnded` when the channel closes, and :data:`AMQP_ERRORS`.
        """
        traffic = self._traffic
        if self.closed:
            raise aiormq.ChannelInvalidStateError("the channel is closed")
        try:
            frames = publication.frames(self.number, frame_max=self.frame_max)
        except ValueError as error:
            raise Refused(f"AMQP cannot express it: {error}") from error
        self._tag = tag = self._tag + 1
        answer = self._waiting[tag] = asyncio.get_running_loop().create_future()
        self._tags[publication.message_id] = tag
        traffic.unanswered += 1
        self.send(frames)
        try:
            with AiormqCalls():
                wrong = await answer
        finally:
            traffic.unanswered -= 1
            self._waiting.pop(tag, None)
            self._tags.pop(publication.message_id, None)
        traffic.answered += 1
        if wrong is Returned:
            raise Returned(f"no queue for {publication.routing_key}")
        if wrong is not None:
            raise NotConfirmed("the broker could not take it (nack)")

    def take(self, answer: Answer) -> None:
        """Take RabbitMQ's answer. One for which nobody waits any more is ignored."""
        if isinstance(answer, Confirmed):
            if not answer.taken:
                self._nacked = True
            for tag in self._up_to(answer.tag) if answer.multiple else (answer.tag,):
                self._answer(tag, None if answer.taken else NotConfirmed)
        elif (returned := self._tags.get(answer.message_id)) is not None:
            self._answer(returned, Returned)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fail every publication that waits; an answer that still comes is ignored."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error())
        self._waiting.clear()

    async def settled(self, *, within: float) -> None:
        """Return when no publication waits any more, or after ``within`` seconds."""
        if self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=within)

    def _up_to(self, tag: int) -> list[int]:
        return list(takewhile(lambda each: each <= tag, self._waiting))

    def _answer(self, tag: int, wrong: type[NotConfirmed] | None) -> None:
        waiting = self._waiting.pop(tag, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(wrong)

    def _ended(self, closing: asyncio.Future[Any]) -> None:
        self.fail(partial(ChannelEnded, self._cause()))
        # Nobody asks the connection about this channel any more.
        self._connection_closing.cancel()
        if self._traffic.channels.get(self.number) is self:
            del self._traffic.channels[self.number]

    def _cause(self) -> BaseException | None:
        for closing in (self._connection_closing, self.closing):
            if closing.done() and not closing.cancelled():
                return closing.exception()
        return self._channel._close_exception  # noqa: SLF001


def slot(key: str, *, home: bool) -> int:
    """The number of the channel that a routing key has on a link."""
    return _HOME if home else 1 + crc32(key.encode()) % GUEST_CHANNELS


class Channels:
    """The channels of one link that publish.

    RabbitMQ 3.10 stops a whole channel when the first publication on it for a quorum queue goes to
    a leader whose node hangs (``rabbit_fifo_client`` calls it). The streams that belong to a link's
    node have published there before, so they share the channel ``home``. Streams that come because
    their own node is away have not: they are spread over several channels, so that one room's queue
    stops few others.
    """

    def __init__(
        self, connection: aiormq.Connection, home: ConfirmChannel, traffic: Traffic, tasks: Tasks
    ) -> None:
        self.traffic = traffic
        self._connection = connection
        self._open = {_HOME: home}
        #: By slot: replacements in a row, and when the last one was.
        self._replaced: dict[int, tuple[int, float]] = {}
        self._renewing = asyncio.Lock()
        self._retiring: set[ConfirmChannel] = set()
        self._tasks = tasks

    def at_hand(self, key: str, *, home: bool) -> ConfirmChannel | None:
        """The channel for a routing key's next publication, or None: :meth:`take` opens one.

        ``home``: the stream belongs to this node.
        """
        number = slot(key, home=home)
        channel = self._open.get(number)
        if channel is None or channel.closed:
            return None
        return None if channel.worn_out and self._may_replace(number) else channel

    def _may_replace(self, number: int) -> bool:
        times, last = self._replaced.get(number, (0, 0.0))
        since = asyncio.get_running_loop().time() - last
        return not times or since >= REPLACEMENT.delay(times)

    async def take(self, key: str, *, home: bool) -> ConfirmChannel:
        """The channel of :meth:`at_hand`, opened if there is none. Raises :data:`AMQP_ERRORS`."""
        async with self._renewing:
            channel = self.at_hand(key, home=home)
            return channel or await self._renew(slot(key, home=home))

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fail every publication that waits on any of the channels."""
        for channel in (*self._open.values(), *self._retiring):
            channel.fail(error)

    async def _renew(self, number: int) -> ConfirmChannel:
        try:
            async with asyncio.timeout(OPENING):
                with AiormqCalls():
                    channel = ConfirmChannel(await self._connection.channel(), self.traffic)
        except TimeoutError:
            # All streams of the link wait for the lock meanwhile.
            raise NotOpened(f"no new channel within {OPENING:g} s") from None
        worn_out = self._open.get(number)
        if worn_out is not None:
            if worn_out.ended_by is not None:
                log.warning(
                    "RabbitMQ ended an AMQP channel, which is replaced: %s", worn_out.ended_by
                )
            self._tasks.spawn(self._retire(worn_out), "channel that retires")
            self._note_replacement(number)
        self._open[number] = channel
        return channel

    def _note_replacement(self, number: int) -> None:
        times, last = self._replaced.get(number, (0, 0.0))
        now = asyncio.get_running_loop().time()
        self._replaced[number] = (times + 1 if now - last < CALM else 1), now

    async def _retire(self, channel: ConfirmChannel) -> None:
        """Close a channel when the rest of its messages are confirmed."""
        self._retiring.add(channel)
        try:
            await channel.settled(within=RETIREMENT)
            await channel.close()
        except AMQP_ERRORS:
            # It has ended already, or the connection has.
            return
        finally:
            self._retiring.discard(channel)
