"""A TCP or TLS stream to a node within a deadline, and the errors of every dial.

Whatever fails, the socket is closed when the exception reaches the caller.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import SplitResult

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from broker.nodes.node import Node

#: Bound of the IOStream's read buffer; ask it for less at a time.
BUFFER_BYTES: Final = 1_048_576

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


class DialError(Exception):
    """There is no session with this node. No text contains a secret.

    DialError
    ├── ConnectFailed      TCP or TLS
    ├── HandshakeRefused   the answer was not a Web-STOMP handshake
    ├── LoginRefused       ERROR to our CONNECT, or AMQP's connection.close to our login
    ├── SetUpRefused       logged in, but what was to be set up was refused
    ├── ConnectionLost     closed, or another protocol, before the session stood
    └── DialTimeout
    """

    def __init__(self, node: str, what: str) -> None:
        super().__init__(f"{node}: {what}")
        self.node = node
        self.what = what


class ConnectFailed(DialError):
    """The TCP connection or its TLS handshake failed."""


class HandshakeRefused(DialError):
    """The answer to the upgrade was not a Web-STOMP handshake."""


class LoginRefused(DialError):
    """RabbitMQ refused the login.

    ``message`` is RabbitMQ's text. It may quote its authentication back end, so it is not for
    clients.
    """

    def __init__(self, node: str, message: str) -> None:
        super().__init__(node, f"login refused: {message}")
        self.message = message


class SetUpRefused(DialError):
    """RabbitMQ refused what was to be set up after the login."""


class ConnectionLost(DialError):
    """The node closed the connection, or sent nonsense, before the session stood."""


class DialTimeout(DialError):
    """The session did not stand within the time for a dial."""


@asynccontextmanager
async def deadline(node: Node, seconds: float, what: str) -> AsyncIterator[None]:
    """A block that raises :class:`DialTimeout` after so many seconds; ``what`` is missing then."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DialTimeout(node.name, f"{what} within {seconds:g} s") from None


async def connect(
    node: Node, url: SplitResult, ssl_options: ssl.SSLContext | None, *, port: int
) -> IOStream:
    """A stream to the first address of the URL's host that accepts the connection.

    ``port`` counts where the URL has none. Raises :class:`ConnectFailed`. Tornado's TCPClient is
    not used because it leaks its socket when it is cancelled.
    """
    host = url.hostname or ""
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(
            host, url.port or port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(node.name, f"{host} cannot be resolved: {error}") from error
    failures: list[str] = []
    for family, kind, number, _, address in addresses:
        try:
            return await _open(socket.socket(family, kind, number), address, host, ssl_options)
        except StreamClosedError as error:
            failures.append(cause(error))
        except OSError as error:
            failures.append(error.strerror or str(error))
    raise ConnectFailed(node.name, "; ".join(dict.fromkeys(failures)))


async def _open(
    sock: socket.socket, address: Address, host: str, ssl_options: ssl.SSLContext | None
) -> IOStream:
    stream = (
        IOStream(sock, max_buffer_size=BUFFER_BYTES)
        if ssl_options is None
        else SSLIOStream(sock, ssl_options=ssl_options, max_buffer_size=BUFFER_BYTES)
    )
    try:
        await stream.connect(address, server_hostname=host)
    except BaseException:
        stream.close()
        raise
    stream.set_nodelay(True)
    return stream


def cause(error: StreamClosedError) -> str:
    """Why a stream was closed, for people."""
    reason = error.real_error
    if isinstance(reason, ssl.SSLError):
        return str(reason)
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    return "the connection was closed"
