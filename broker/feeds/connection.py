"""An AMQP connection to one node with two open channels: dialling and logging in; then the caller
reads.

It is our own, and not aiormq's, because a feed needs little of AMQP and reads a great deal: a
message is one loop over bytes, and there is no task and no future for each. Whatever fails, the
socket is closed when the exception reaches the caller.
"""

from __future__ import annotations

import re
import ssl
from collections import deque
from typing import Final
from urllib.parse import urlsplit

from tornado.iostream import IOStream, StreamClosedError

from broker.dialling import ConnectionLost, LoginRefused, cause, connect, deadline
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol import amqp_methods as amqp
from broker.protocol.amqp_deliveries import DeliveryReader, Event, Received
from broker.protocol.amqp_methods import AmqpError, Method, Value, encode

#: The channel that a consumer gets its messages on, and the one for declaring and binding, which
#: RabbitMQ may take long for: messages do not wait behind it.
MESSAGES: Final = 1
METADATA: Final = 2
#: Channels at most; for the others, see :mod:`broker.feeds.pattern_session` and
#: :mod:`broker.feeds.overflow`.
CHANNELS: Final = 5
#: Bytes of a frame at most, unless the node wants less: RabbitMQ's own default.
FRAME_MAX: Final = 131_072
#: Seconds without a byte from us after half of which, and twice of which, RabbitMQ gives us up. It
#: is long, so that a gateway that stands still for a moment keeps its feeds; how soon we give up a
#: node is decided in :mod:`broker.feeds.feed`.
HEARTBEAT: Final = 30

_READ_BYTES: Final = 262_144
#: In the table of a node's properties, which is left undecoded: a short string, and a long one.
_VERSION: Final = re.compile(rb"\x07versionS.{4}(\d+)\.", re.DOTALL)
_CLIENT_PROPERTIES: Final[dict[str, amqp.TableValue]] = {
    "product": "interact-gateway",
    "capabilities": {
        # A refused login gets a reason, and not only the end of the connection.
        "authentication_failure_close": True,
        "consumer_cancel_notify": True,
    },
}


class Connection:
    """A connection on which nothing is consumed yet. Made by :func:`open_connection`."""

    def __init__(self, node: Node, stream: IOStream, reader: DeliveryReader) -> None:
        self.node = node
        self.stream = stream
        self._reader = reader
        self._events: deque[Event] = deque()
        #: The first number of RabbitMQ's version; 0: the node has not told it.
        self.major_version = 0

    def send(self, data: bytes) -> None:
        """Send whole frames. Raises StreamClosedError."""
        self.stream.write(data)

    def request(self, channel: int, method: Method, **values: Value) -> None:
        """Send one method. Raises StreamClosedError."""
        self.send(encode(channel, method, **values))

    async def read(self) -> list[Event]:
        """The next events, perhaps none. Raises StreamClosedError and :class:`AmqpError`."""
        if self._events:
            found = list(self._events)
            self._events.clear()
            return found
        return list(self._reader.feed(await self.stream.read_bytes(_READ_BYTES, partial=True)))

    async def answer(self, method: Method) -> dict[str, Value]:
        """The next method, which must be this one; for the dial.

        Raises StreamClosedError, :class:`AmqpError`, and :class:`NodeClosed`.
        """
        while not self._events:
            self._events.extend(await self.read())
        event = self._events.popleft()
        if isinstance(event, Received):
            if event.method is method:
                return event.values
            raise_if_closed(event)
        what = event.method.name if isinstance(event, Received) else "a message"
        raise AmqpError(f"{what} instead of {method.name}")

    def close(self) -> None:
        """Close, with a word of farewell if the socket takes it at once. May be called again."""
        if not self.stream.closed():
            if not self.stream.writing():
                self.request(0, amqp.CONNECTION_CLOSE, reply_code=200, reply_text="bye")
            self.stream.close()


class NodeClosed(Exception):
    """The node has closed the connection, or one of its channels; the text is RabbitMQ's."""


def raise_if_closed(event: Received) -> None:
    """Raises :class:`NodeClosed` for the node's end of the connection or of a channel."""
    if event.method in (amqp.CONNECTION_CLOSE, amqp.CHANNEL_CLOSE):
        raise NodeClosed(f"{event.values['reply_code']!s} {event.values['reply_text']!s}")


async def open_connection(
    node: Node,
    credentials: Credentials,
    *,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    tls: ssl.SSLContext | None = None,
    name: str,
    message_bytes: int,
) -> Connection:
    """Connect, log in and open both channels.

    ``name`` is what RabbitMQ's management shows; ``message_bytes`` bounds a message; ``tls``
    verifies the certificate of an ``amqps://`` node. Raises :class:`DialError`, in ``timeout``
    seconds at the latest.
    """
    url = urlsplit(node.amqp)
    secure = url.scheme == "amqps"
    if secure and tls is None:
        raise ValueError(f"{node.name}: amqps:// needs a context that verifies the certificate")
    async with deadline(node, timeout, "no AMQP session"):
        stream = await connect(node, url, tls if secure else None, port=5671 if secure else 5672)
        reader = DeliveryReader(frame_max=FRAME_MAX, message_bytes=message_bytes)
        connection = Connection(node, stream, reader)
        try:
            await _log_in(connection, credentials, name, reader)
        except BaseException as error:
            stream.close()
            if isinstance(error, StreamClosedError):
                raise ConnectionLost(node.name, cause(error)) from error
            if isinstance(error, AmqpError):
                raise ConnectionLost(node.name, f"not AMQP: {error}") from error
            if isinstance(error, NodeClosed):
                raise LoginRefused(node.name, str(error)) from error
            raise
    return connection


async def _log_in(
    connection: Connection, credentials: Credentials, name: str, reader: DeliveryReader
) -> None:
    connection.send(amqp.PROTOCOL_HEADER)
    started = await connection.answer(amqp.CONNECTION_START)
    if found := _VERSION.search(started["server_properties"]):  # type: ignore[arg-type]
        connection.major_version = int(found[1])
    connection.request(
        0,
        amqp.CONNECTION_START_OK,
        client_properties={**_CLIENT_PROPERTIES, "connection_name": name},
        mechanism="PLAIN",
        response=f"\0{credentials.login}\0{credentials.passcode}".encode(),
        locale="en_US",
    )
    proposed = await connection.answer(amqp.CONNECTION_TUNE)
    # 0 means that the node has no limit.
    reader.frame_max = min(int(proposed["frame_max"]) or FRAME_MAX, FRAME_MAX)  # type: ignore[arg-type]
    connection.send(
        encode(
            0,
            amqp.CONNECTION_TUNE_OK,
            channel_max=CHANNELS,
            frame_max=reader.frame_max,
            heartbeat=HEARTBEAT,
        )
        + encode(0, amqp.CONNECTION_OPEN, virtual_host=credentials.vhost)
        + encode(MESSAGES, amqp.CHANNEL_OPEN)
        + encode(METADATA, amqp.CHANNEL_OPEN)
    )
    await connection.answer(amqp.CONNECTION_OPEN_OK)
    for _ in (MESSAGES, METADATA):
        await connection.answer(amqp.CHANNEL_OPEN_OK)
