"""One AMQP connection by aiormq, with what aiormq lacks: a bounded dial, a sign of life, a cut.

aiormq closes politely and believes in a silent peer for three heart-beats; a node that hangs would
hold everybody up for that long.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import aiormq
from aiormq import Channel
from aiormq.abc import AbstractChannel
from yarl import URL

from broker.credentials import Credentials
from broker.node import Node

#: Seconds between heart-beats, as agreed with RabbitMQ: it drops a silent gateway after twice that.
HEARTBEAT: Final = 5
#: Seconds for a farewell before the socket is cut.
GOODBYE: Final = 1.0
#: Seconds that a worn channel's last messages have to be confirmed.
RETIREMENT: Final = 10.0

#: What aiormq raises when a connection or channel fails; RuntimeError is its "channel closed".
AMQP_ERRORS: Final = (aiormq.AMQPError, OSError, RuntimeError)


def describe(error: BaseException) -> str:
    """The text of an exception of aiormq, some of which have none."""
    return str(error) or type(error).__name__


class LinkFailed(Exception):
    """No AMQP connection to a node; the text holds no secret."""


class _Socket(aiormq.TransportFactory):
    """Opens the socket for aiormq, and can cut it, which aiormq cannot."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl_context = ssl_context
        self._transport: asyncio.WriteTransport | None = None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = self._ssl_context is not None
        reader, writer = await asyncio.open_connection(
            url.host,
            url.port,
            ssl=self._ssl_context,
            ssl_shutdown_timeout=GOODBYE if tls else None,
        )
        self._transport = writer.transport
        return reader, writer

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Link:
    """A connection with one confirming channel. Make it with :meth:`open`.

    ``channel`` is for publishing only: an error on a channel ends it, so everything else goes
    through channels of its own. ``lost`` is the reason, once the link is gone.
    """

    def __init__(
        self, node: Node, socket: _Socket, connection: aiormq.Connection, channel: Channel
    ) -> None:
        self.node = node
        self.channel = channel
        self.lost: str | None = None
        self._asked_at: float | None = None
        self._worn = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._socket = socket
        self._connection = connection
        self._deadlines: set[asyncio.Timeout] = set()
        self._question: asyncio.Task[None] | None = None
        self._connection_closing: asyncio.Future[Any] = connection.closing
        self._channel_closing: asyncio.Future[Any] = channel.closing

    @classmethod
    async def open(
        cls,
        node: Node,
        credentials: Credentials,
        *,
        ssl_context: ssl.SSLContext | None,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> Link:
        """Dial and log in within ``timeout`` seconds. Raises :class:`LinkFailed`."""
        secure = urlsplit(node.amqp).scheme == "amqps"
        socket = _Socket(ssl_context if secure else None)
        connection = aiormq.Connection(_url(node, credentials), transport_factory=socket)
        try:
            async with asyncio.timeout(timeout):
                await connection.connect()
                channel = cast("Channel", await connection.channel())
        except TimeoutError:
            socket.cut()
            raise LinkFailed(f"{node.name}: no AMQP session within {timeout:g} s") from None
        except (*AMQP_ERRORS, UnicodeError) as error:
            socket.cut()
            raise LinkFailed(f"{node.name}: {describe(error)}") from error
        except BaseException:
            socket.cut()
            raise
        return cls(node, socket, connection, channel)

    @property
    def blocked(self) -> bool:
        """Whether RabbitMQ has stopped reading because of an alarm.

        https://www.rabbitmq.com/docs/connection-blocked
        """
        unblocked = self._connection.ready()
        try:
            unblocked.send(None)
        except StopIteration:
            return False
        unblocked.close()
        return True

    async def ready(self) -> None:
        """Wait until the connection is not blocked; at once, without a turn of the loop, if so."""
        await self._connection.ready()

    def wear(self, channel: Channel) -> None:
        """A message on this channel was refused: use it no more.

        A channel that meets a quorum queue without a leader refuses everything for that queue from
        then on, also when there is one again (RabbitMQ 3.10.8); a new channel is fine.
        """
        self._worn = self._worn or channel is self.channel

    async def renew(self) -> None:
        """Replace a worn channel; at once, without a turn of the loop, if it is not.

        Raises :data:`AMQP_ERRORS`.
        """
        if not self._worn:
            return
        channel = cast("Channel", await self._connection.channel())
        retiring = asyncio.create_task(self._retire(self.channel))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        self._worn = False
        self.channel = channel
        self._channel_closing = channel.closing

    async def _retire(self, channel: Channel) -> None:
        """Close a channel when the rest of its messages are confirmed."""
        if waiting := [future for future in channel.confirmations.values() if not future.done()]:
            await asyncio.wait(waiting, timeout=RETIREMENT)
        try:
            await channel.close()
        except AMQP_ERRORS:
            # The connection has ended: ended() tells why.
            return

    async def new_channel(self) -> AbstractChannel:
        """A channel that may fail without harm to publishing. Raises :data:`AMQP_ERRORS`."""
        return await self._connection.channel(publisher_confirms=False)

    def asked(self) -> None:
        """A message was handed over."""
        if self._asked_at is None:
            self._asked_at = asyncio.get_running_loop().time()

    def answered(self) -> None:
        """A message was confirmed or refused, or cannot be for the time being."""
        self._asked_at = None

    @property
    def unanswered_for(self) -> float:
        """Seconds since a message was handed over, without an answer to any since then."""
        return 0 if self._asked_at is None else asyncio.get_running_loop().time() - self._asked_at

    @contextmanager
    def expiring(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """Let a deadline expire at once when the link is lost."""
        if self.lost is not None:
            _expire(deadline)
        self._deadlines.add(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)

    async def ended(self, *, within: float) -> str | None:
        """Why aiormq gave the connection or the channel up, or None: not so in that time."""
        await asyncio.wait(
            {self._connection_closing, self._channel_closing},
            timeout=within,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for ending in (self._connection_closing, self._channel_closing):
            if ending.done():
                error = None if ending.cancelled() else ending.exception()
                return "the connection was closed" if error is None else describe(error)
        return None

    async def answers(self, *, within: float) -> bool:
        """Whether the node's channels react; one question at a time is left unanswered."""
        if self._question is None:
            self._question = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait({self._question}, timeout=within)
        if done:
            self._question = None
        return bool(done)

    async def _ask(self) -> None:
        try:
            channel = await self.new_channel()
            await channel.close()
        except AMQP_ERRORS:
            # The connection has ended: ended() tells why.
            return

    async def lose(self, reason: str) -> None:
        """Whoever waits fails now, and the socket is cut."""
        self._fail(reason)
        self._socket.cut()
        await self._end()

    async def close(self, reason: str) -> None:
        """Whoever waits fails now; then close as AMQP wants it, if the node lets us."""
        self._fail(reason)
        await self._end()

    def _fail(self, reason: str) -> None:
        self.lost = reason
        for deadline in self._deadlines:
            _expire(deadline)

    async def _end(self) -> None:
        closing = asyncio.create_task(self._connection.close())
        await asyncio.wait({closing}, timeout=GOODBYE)
        self._socket.cut()
        await closing
        await asyncio.gather(*self._retiring, *filter(None, [self._question]))


def _expire(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())


def _url(node: Node, credentials: Credentials) -> URL:
    parts = urlsplit(node.amqp)
    port = parts.port or {"amqp": 5672, "amqps": 5671}[parts.scheme]
    user, secret, vhost = (
        quote(part, safe="")
        for part in (credentials.login, credentials.passcode, credentials.vhost)
    )
    return URL(
        f"{parts.scheme}://{user}:{secret}@{parts.hostname}:{port}/{vhost}"
        f"?heartbeat={HEARTBEAT}&name=interact-gateway",
        encoded=True,
    )
