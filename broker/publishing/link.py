"""One AMQP connection by aiormq, with what aiormq lacks: a bounded dial, a sign of life, a cut.

aiormq closes politely and believes in a silent peer for three heart-beats; a node that hangs would
hold up everybody for that long.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, SupportsIndex
from urllib.parse import quote, urlsplit

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.exceptions import InvalidFrameError, ProbableAuthenticationError
from yarl import URL

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.protocol.amqp_answers import AnswerReader
from broker.protocol.amqp_methods import HEART_BEAT
from broker.publishing.channels import (
    AMQP_ERRORS,
    AiormqCalls,
    Channels,
    ConfirmChannel,
    LinkLost,
    SendChannel,
    Traffic,
    describe,
)
from broker.publishing.liveness import Activity
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Seconds between heart-beats, as agreed with RabbitMQ, which drops a silent gateway after twice
#: that.
HEARTBEAT: Final = 5
#: Seconds after which aiormq is given a sign of life that it does not see.
_SIGN_OF_LIFE: Final = 1.0
#: Bytes of a frame that no node exceeds: what RabbitMQ proposes unless it is configured otherwise,
#: and some; a larger one is none.
_FRAME_MAX: Final = 16 * 1024 * 1024
#: Seconds for an orderly close before the socket is cut.
CLOSING: Final = 1.0


class LinkFailed(Exception):
    """No AMQP connection to a node; the text holds no secret."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node}: {reason}")
        self.reason = reason


class Link:
    """A connection to one node with its channels. Made by :meth:`open`.

    ``channels`` are for publishing only: an error on a channel ends it, so everything else goes
    through channels of its own. ``aside`` is a channel for what must not wait and needs no confirm.
    ``lost`` is the reason, once the link is gone.
    """

    def __init__(
        self,
        node: Node,
        socket: CuttableSocket,
        connection: aiormq.Connection,
        channels: Channels,
        aside: SendChannel,
        tasks: Tasks,
    ) -> None:
        self.node = node
        self.channels = channels
        self.aside = aside
        self.lost: str | None = None
        #: The loop's time until which the exchanges before the private queues are known to stand.
        self.sorted_until = 0.0
        self._socket = socket
        self._connection = connection
        self._deadlines: set[asyncio.Timeout] = set()
        self._question: asyncio.Task[None] | None = None
        self._tasks = tasks
        self._connection_closing: asyncio.Future[Any] = connection.closing

    @classmethod
    async def open(
        cls,
        node: Node,
        credentials: Credentials,
        *,
        ssl_context: ssl.SSLContext | None,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
        tasks: Tasks,
    ) -> Link:
        """Dial and log in within ``timeout`` seconds. Raises :class:`LinkFailed`."""
        secure = urlsplit(node.amqp).scheme == "amqps"
        traffic, part = Traffic(), tasks.part()
        socket = CuttableSocket(ssl_context if secure else None, traffic)
        connection = aiormq.Connection(_url(node, credentials), transport_factory=socket)
        try:
            async with asyncio.timeout(timeout):
                with AiormqCalls():
                    await connection.connect()
                    home = ConfirmChannel(await connection.channel(), traffic)
                    aside = SendChannel(await connection.channel(publisher_confirms=False))
        except TimeoutError:
            socket.cut()
            raise LinkFailed(node.name, f"no AMQP session within {timeout:g} s") from None
        except AMQP_ERRORS as error:
            socket.cut()
            raise LinkFailed(node.name, _refusal(error, credentials)) from error
        except BaseException:
            socket.cut()
            raise
        channels = Channels(connection, home, traffic, part)
        return cls(node, socket, connection, channels, aside, part)

    @property
    def state(self) -> LinkState:
        """Up, blocked by an alarm, or down: the connection has ended.

        Publications hear of the connection's end before the supervisor does: sent here again, and
        refused without a turn of the event loop, they would keep it from ever hearing of it.
        """
        if self._connection_closing.done() or self.aside.closing.done():
            return LinkState.DOWN
        return LinkState.BLOCKED if self.blocked else LinkState.UP

    @property
    def blocked(self) -> bool:
        """Whether RabbitMQ has stopped reading because of an alarm.

        https://www.rabbitmq.com/docs/connection-blocked
        """
        # aiormq keeps it in a private event; waiting for that ends at once if it is set.
        unblocked = self._connection.ready()
        try:
            unblocked.send(None)
        except StopIteration:
            return False
        unblocked.close()
        return True

    @property
    def server_version(self) -> str:
        """RabbitMQ's version, as the node told it at the login."""
        return str(self._connection.server_properties.get("version", "unknown"))

    @property
    def unanswered(self) -> int:
        """Publications that wait for their confirm."""
        return self.channels.traffic.unanswered

    @property
    def activity(self) -> Activity:
        traffic = self.channels.traffic
        return Activity(self._socket.heard, traffic.answered, traffic.unanswered, self.blocked)

    async def unblocked(self) -> None:
        """Wait until no alarm blocks the connection; bound it by :meth:`ends`."""
        with AiormqCalls():
            await self._connection.ready()

    async def new_channel(self, *, confirms: bool = False) -> AbstractChannel:
        """An aiormq channel that may fail without harm to publishing. With ``confirms`` aiormq
        waits for the confirm of what is published on it, and raises for what is returned.

        Raises :data:`AMQP_ERRORS`.
        """
        with AiormqCalls():
            return await self._connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )

    @contextmanager
    def ends(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """A block whose deadline expires at once when the link is lost."""
        self._deadlines.add(deadline)
        if self.lost is not None:
            _expire(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)

    async def ended(self, *, within: float) -> str | None:
        """Why aiormq gave up the connection, or None: it has not, within so many seconds."""
        await asyncio.wait(self._endings(), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for ending in self._endings():
            if ending.done():
                error = None if ending.cancelled() else ending.exception()
                return "the connection was closed" if error is None else describe(error)
        return None

    def _endings(self) -> tuple[asyncio.Future[Any], ...]:
        # A channel that publishes is replaced when RabbitMQ ends it because of one message.
        return self._connection_closing, self.aside.closing

    def ask(self) -> None:
        """Ask the node for a sign of life; one question at a time."""
        if self._question is None or self._question.done():
            self._question = self._tasks.spawn(self._ask(), "question to an AMQP node")

    async def _ask(self) -> None:
        try:
            await SendChannel(await self.new_channel()).close()
        except AMQP_ERRORS:
            # The connection has ended: ended() says why.
            return

    async def lose(self, reason: str) -> None:
        """Fail everything that waits, and cut the socket."""
        self._fail(reason)
        self._socket.cut()
        await self._end()

    async def close(self, reason: str) -> None:
        """Fail everything that waits, then close as AMQP demands, if the node lets us."""
        self._fail(reason)
        await self._end()

    def _fail(self, reason: str) -> None:
        self.lost = reason
        self.channels.fail(partial(LinkLost, f"{self.node.name}: {reason}"))
        for deadline in self._deadlines:
            _expire(deadline)

    async def _end(self) -> None:
        try:
            closing = self._tasks.spawn(self._close_connection(), "closing an AMQP connection")
            await asyncio.wait({closing}, timeout=CLOSING)
            self._socket.cut()
            await asyncio.wait({closing}, timeout=CLOSING)
            await self._tasks.close()
        finally:
            self._socket.cut()

    async def _close_connection(self) -> None:
        try:
            with AiormqCalls():
                await self._connection.close()
        except AMQP_ERRORS as error:
            log.debug(
                "AMQP connection to %s: closing it ended with: %s", self.node.name, describe(error)
            )


class _Reader(asyncio.StreamReader):
    """A stream reader that counts the arrivals of data, which aiormq does not tell, and hands the
    answers to publications to their channels; aiormq reads the rest."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        self.heard = 0
        self._channels = traffic.channels
        self._answers = AnswerReader(traffic.channels, frame_max=_FRAME_MAX)
        self._loop_time = asyncio.get_running_loop().time
        #: When aiormq had something to read last.
        self._gave_at = 0.0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.heard += 1
        answers, rest = self._answers.feed(bytes(data))
        for answer in answers:
            if (channel := self._channels.get(answer.channel)) is not None:
                channel.take(answer)
        if answers and not rest and self._loop_time() - self._gave_at > _SIGN_OF_LIFE:
            # While RabbitMQ sends answers it sends no heart-beats; aiormq, which sees neither,
            # would take it for dead.
            rest = HEART_BEAT
        if rest:
            self._gave_at = self._loop_time()
            super().feed_data(rest)

    def feed_eof(self) -> None:
        if rest := self._answers.rest():
            super().feed_data(rest)
        super().feed_eof()


class CuttableSocket(aiormq.TransportFactory):
    """The socket of a link, opened for aiormq; it can be cut, which aiormq cannot do."""

    def __init__(self, ssl_context: ssl.SSLContext | None, traffic: Traffic) -> None:
        self._ssl_context = ssl_context
        self._transport: asyncio.WriteTransport | None = None
        self._reader = _Reader(traffic)

    @property
    def heard(self) -> int:
        """The number of times that data came on the socket."""
        return self._reader.heard

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # As asyncio.open_connection does it, with a reader of our own.
        loop, reader = asyncio.get_running_loop(), self._reader
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _protocol = await loop.create_connection(
            lambda: protocol,
            url.host or "",
            url.port or 0,
            ssl=self._ssl_context,
            ssl_shutdown_timeout=None if self._ssl_context is None else CLOSING,
        )
        self._transport = transport
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def cut(self) -> None:
        """Close the socket at once, without a farewell."""
        if self._transport is not None:
            self._transport.abort()


def _expire(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())


def _refusal(error: BaseException, credentials: Credentials) -> str:
    """Why a node takes no login, where the text of aiormq's error does not say it."""
    match error:
        case ProbableAuthenticationError():
            return (
                f"ACCESS_REFUSED: user {credentials.login!r} is unknown, or the password is wrong"
            )
        case InvalidFrameError() if "Connection.OpenOk" in str(error):
            # RabbitMQ closes the connection instead; aiormq drops the reason.
            return (
                f"user {credentials.login!r} may not enter vhost {credentials.vhost!r}, or a limit "
                "of its connections is reached; RabbitMQ's log says which"
            )
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            return describe(error)


def _url(node: Node, credentials: Credentials) -> URL:
    parts = urlsplit(node.amqp)
    port = parts.port or {"amqp": 5672, "amqps": 5671}[parts.scheme]
    user, secret, vhost = (
        quote(part, safe="")
        for part in (credentials.login, credentials.passcode, credentials.vhost)
    )
    host = parts.hostname or ""
    if ":" in host:
        # An IPv6 address: urlsplit has taken its brackets off.
        host = f"[{host}]"
    return URL(
        f"{parts.scheme}://{user}:{secret}@{host}:{port}/{vhost}"
        f"?heartbeat={HEARTBEAT}&name=interact-gateway",
        encoded=True,
    )
