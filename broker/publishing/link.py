"""One AMQP connection by aiormq, with what aiormq lacks: a bounded dial, a sign of life, a cut.

aiormq closes politely and believes in a silent peer for three heart-beats; a node that hangs would
hold everybody up for that long.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiormq
from yarl import URL

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.amqp_errors import AMQP_ERRORS, AiormqCalls, describe
from broker.publishing.channels import Channels
from broker.publishing.confirming import Confirming
from broker.publishing.cuttable import GOODBYE, CuttableSocket
from broker.publishing.liveness import Signs
from broker.publishing.queue_channel import QueueChannel
from broker.publishing.sending import Sending
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Seconds between heart-beats, as agreed with RabbitMQ: it drops a silent gateway after twice that.
HEARTBEAT: Final = 5


class LinkFailed(Exception):
    """No AMQP connection to a node; the text holds no secret."""

    def __init__(self, node: str, what: str) -> None:
        super().__init__(f"{node}: {what}")
        self.what = what


class Link:
    """A connection with its channels. Make it with :meth:`open`.

    ``channels`` are for publishing only: an error on a channel ends it, so everything else goes
    through channels of its own. ``aside`` is for what must not wait, and needs no confirm.
    ``lost`` is the reason, once the link is gone.
    """

    def __init__(
        self,
        node: Node,
        socket: CuttableSocket,
        connection: aiormq.Connection,
        channel: Confirming,
        aside: Sending,
        tasks: Tasks,
    ) -> None:
        self.node = node
        self.channels = Channels(connection, channel, tasks)
        self.aside = aside
        self.lost: str | None = None
        #: Publications that wait for their answer.
        self.unanswered = 0
        self._answered = 0
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
        socket = CuttableSocket(ssl_context if secure else None)
        connection = aiormq.Connection(_url(node, credentials), transport_factory=socket)
        try:
            async with asyncio.timeout(timeout):
                with AiormqCalls():
                    await connection.connect()
                    channel = Confirming(await connection.channel())
                    aside = Sending(await connection.channel(publisher_confirms=False))
        except TimeoutError:
            socket.cut()
            raise LinkFailed(node.name, f"no AMQP session within {timeout:g} s") from None
        except AMQP_ERRORS as error:
            socket.cut()
            raise LinkFailed(node.name, describe(error)) from error
        except BaseException:
            socket.cut()
            raise
        return cls(node, socket, connection, channel, aside, tasks.part())

    @property
    def over(self) -> bool:
        """Whether the connection has ended, though the supervisor may not have been told yet."""
        return self._connection_closing.done() or self.aside.closing.done()

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
        with AiormqCalls():
            await self._connection.ready()

    async def publish(self, channel: Confirming, frames: bytes, message_id: str) -> None:
        """Publish on this channel and wait for the confirm.

        Raises :data:`AMQP_ERRORS`: ``PublishError`` if no queue takes it, ``DeliveryError`` for a
        nack, which wears the channel out.
        """
        self.unanswered += 1
        try:
            await channel.publish(frames, message_id)
        except (aiormq.PublishError, aiormq.DeliveryError):
            self._answered += 1
            raise
        else:
            self._answered += 1
        finally:
            self.unanswered -= 1

    async def new_channel(self) -> QueueChannel:
        """A channel that may fail without harm to publishing. Raises :data:`AMQP_ERRORS`."""
        with AiormqCalls():
            return QueueChannel(await self._connection.channel(publisher_confirms=False))

    @property
    def signs(self) -> Signs:
        return Signs(self._socket.heard, self._answered, self.unanswered, self.blocked)

    def ends(self, deadline: asyncio.Timeout) -> None:
        """Let a deadline expire at once when the link is lost."""
        self._deadlines.add(deadline)
        if self.lost is not None:
            _expire(deadline)

    def spares(self, deadline: asyncio.Timeout) -> None:
        self._deadlines.discard(deadline)

    async def ended(self, *, within: float) -> str | None:
        """Why aiormq gave the connection up, or None: not so in that time."""
        await asyncio.wait(self._endings(), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for ending in self._endings():
            if ending.done():
                error = None if ending.cancelled() else ending.exception()
                return "the connection was closed" if error is None else describe(error)
        return None

    def _endings(self) -> tuple[asyncio.Future[Any], ...]:
        # A channel that publishes is replaced when RabbitMQ ends it for what one message was.
        return self._connection_closing, self.aside.closing

    def ask(self) -> None:
        """Make the node show a sign of life, if it can; one question at a time."""
        if self._question is None or self._question.done():
            self._question = self._tasks.spawn(self._ask(), "question to an AMQP node")

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
        closing = self._tasks.spawn(self._say_goodbye(), "goodbye to an AMQP node")
        await asyncio.wait({closing}, timeout=GOODBYE)
        self._socket.cut()
        await asyncio.wait({closing}, timeout=GOODBYE)
        await self._tasks.close()

    async def _say_goodbye(self) -> None:
        try:
            with AiormqCalls():
                await self._connection.close()
        except AMQP_ERRORS as error:
            log.debug("%s: closing ended with: %s", self.node.name, describe(error))


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
    host = parts.hostname or ""
    if ":" in host:
        # An IPv6 address: urlsplit has taken its brackets off.
        host = f"[{host}]"
    return URL(
        f"{parts.scheme}://{user}:{secret}@{host}:{port}/{vhost}"
        f"?heartbeat={HEARTBEAT}&name=interact-gateway",
        encoded=True,
    )
