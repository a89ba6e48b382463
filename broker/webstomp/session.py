"""A Web-STOMP session with one node: dialling and logging in; then the caller reads the bytes.

https://www.rabbitmq.com/docs/web-stomp. Whatever fails, the socket is closed when the exception
reaches the caller. No WebSocket ping is ever sent: RabbitMQ judges STOMP heart-beats by the octets
on the socket, and pings and pongs would count.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from broker.dialling import (
    ConnectionLost,
    HandshakeRefused,
    LoginRefused,
    cause,
    connect,
    deadline,
)
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol import stomp
from broker.protocol.websocket import (
    CloseCode,
    HandshakeError,
    Opcode,
    WebSocketError,
    build,
    check_server_handshake,
    client_handshake,
    close_payload,
    walk,
)

#: The response head to the upgrade: RabbitMQ's has about 200 bytes.
HEAD_BYTES: Final = 16_384
#: A CONNECTED or ERROR frame; RabbitMQ's have a few hundred bytes.
LOGIN_BYTES: Final = 65_536
#: Masking keys drawn at a time.
KEYS_DRAWN: Final = 64

RandomBytes = Callable[[int], bytes]


class WebSocketStream:
    """An upgraded connection: :attr:`stream` is open and carries WebSocket frames only."""

    def __init__(self, node: Node, stream: IOStream, random_bytes: RandomBytes) -> None:
        self.node = node
        self.stream = stream
        self.random_bytes = random_bytes
        self._keys = b""

    def frame(self, data: bytes, opcode: int = Opcode.BINARY) -> bytes:
        """STOMP bytes as one masked frame.

        It is always binary: RabbitMQ accepts both, but refuses broken UTF-8 in text.
        """
        # RFC 6455 §5.3: a fresh, unpredictable key for each frame. Many are drawn at a time,
        # because the system call costs more than everything else here.
        if not self._keys:
            self._keys = self.random_bytes(KEYS_DRAWN * 4)
        key, self._keys = self._keys[:4], self._keys[4:]
        return build(opcode, data, mask=key)

    def send(self, data: bytes) -> asyncio.Future[None]:
        """Send STOMP bytes; the future is done when the kernel has them.

        Raises StreamClosedError.
        """
        return self._write(Opcode.BINARY, data)

    def pong(self, payload: bytes) -> asyncio.Future[None]:
        """Answer a ping (RFC 6455 §5.5.3). Raises StreamClosedError."""
        return self._write(Opcode.PONG, payload)

    def close(self, code: int = CloseCode.NORMAL) -> None:
        """Close, with a Close frame if the socket takes it at once. May be called repeatedly."""
        if not self.stream.closed():
            if not self.stream.writing():
                self._write(Opcode.CLOSE, close_payload(code))
            self.stream.close()

    def _write(self, opcode: int, payload: bytes) -> asyncio.Future[None]:
        return self.stream.write(self.frame(payload, opcode))


class WebStompSession(WebSocketStream):
    """A logged-in session with one node.

    ``connected`` is RabbitMQ's CONNECTED frame. ``leftover`` are the bytes read after it: whole or
    partial WebSocket frames that come before anything read from ``stream``. ``heart_beat`` are the
    agreed intervals in milliseconds: the longest between two sends of ours, and of the node; 0 is
    none (STOMP 1.2, "Heart-beating").
    """

    def __init__(
        self,
        websocket: WebSocketStream,
        *,
        connected: stomp.Frame,
        leftover: bytes,
        heart_beat: tuple[int, int],
    ) -> None:
        super().__init__(websocket.node, websocket.stream, websocket.random_bytes)
        self.connected = connected
        self.leftover = leftover
        self.heart_beat = heart_beat


async def dial(
    node: Node,
    *,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ssl_options: ssl.SSLContext | None = None,
    protocol: str = "v12.stomp",
    random_bytes: RandomBytes = os.urandom,
) -> WebSocketStream:
    """Connect by TCP, TLS for ``wss://``, and the handshake of RFC 6455.

    ``ssl_options`` verifies the certificate of a ``wss://`` node; other nodes ignore it.
    Raises :class:`DialError`, in ``timeout`` seconds at the latest.
    """
    url = urlsplit(node.web_stomp)
    if url.scheme != "wss":
        ssl_options = None
    elif ssl_options is None:
        raise ValueError(f"{node.name}: wss:// needs ssl_options that verify the certificate")
    async with deadline(node, timeout, "no WebSocket"):
        port = 80 if ssl_options is None else 443
        stream = await connect(node, url, ssl_options, port=port)
        try:
            await _upgrade(node, url, stream, protocol=protocol, random_bytes=random_bytes)
        except BaseException:
            stream.close()
            raise
    return WebSocketStream(node, stream, random_bytes)


async def log_in(
    websocket: WebSocketStream,
    credentials: Credentials,
    *,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    version: str = "1.2",
    heart_beat: tuple[int, int] = (0, 0),
) -> WebStompSession:
    """Send CONNECT and wait for CONNECTED.

    ``version`` is the header ``accept-version``; ``heart_beat`` is in milliseconds: the interval
    that we offer and the one that we want. Raises :class:`DialError`, in ``timeout`` seconds at the
    latest. Web-STOMP keeps the socket open after a refused CONNECT, so it is closed here.

    CONNECT cannot go with the handshake (RFC 6455, section 4.1, forbids it): RabbitMQ's web server
    sometimes takes it for the next HTTP request, and answers 400.
    """
    headers = [
        ("accept-version", version),
        ("host", credentials.vhost),
        ("login", credentials.login),
        ("passcode", credentials.passcode),
        ("heart-beat", f"{heart_beat[0]},{heart_beat[1]}"),
    ]
    try:
        async with deadline(websocket.node, timeout, "no CONNECTED"):
            websocket.send(stomp.serialise("CONNECT", headers))
            answer, leftover = await _first_frame(websocket)
        if answer.command != "CONNECTED":
            raise LoginRefused(websocket.node.name, _error_text(answer))
        return WebStompSession(
            websocket,
            connected=answer,
            leftover=leftover,
            heart_beat=_agreed(heart_beat, stomp.parse_heart_beat(answer.get("heart-beat"))),
        )
    except BaseException as error:
        websocket.close()
        if isinstance(error, StreamClosedError):
            raise ConnectionLost(websocket.node.name, cause(error)) from error
        if isinstance(error, (stomp.StompError, WebSocketError)):
            raise ConnectionLost(websocket.node.name, f"not STOMP: {error}") from error
        raise


async def open_session(
    node: Node,
    credentials: Credentials,
    *,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    tls: ssl.SSLContext | None = None,
    version: str = "1.2",
    heart_beat: tuple[int, int] = (0, 0),
) -> WebStompSession:
    """Dial and log in, each within ``timeout`` seconds; ``tls`` is for ``wss://`` nodes.

    ``version`` is the only STOMP version offered. Raises :class:`DialError`.
    """
    protocol = f"v{version.replace('.', '')}.stomp"
    websocket = await dial(node, timeout=timeout, ssl_options=tls, protocol=protocol)
    return await log_in(
        websocket, credentials, timeout=timeout, version=version, heart_beat=heart_beat
    )


async def _upgrade(
    node: Node, url: SplitResult, stream: IOStream, *, protocol: str, random_bytes: RandomBytes
) -> None:
    key = base64.b64encode(random_bytes(16)).decode()
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        # A write that fails closes the stream, and then the read fails.
        stream.write(client_handshake(url.netloc, path, key, [protocol]))
        head = await stream.read_until(b"\r\n\r\n", max_bytes=HEAD_BYTES)
        chosen = check_server_handshake(head, key, [protocol])
    except StreamClosedError as error:
        too_long = isinstance(error.real_error, UnsatisfiableReadError)
        what = f"a head above {HEAD_BYTES} bytes" if too_long else cause(error)
        raise HandshakeRefused(node.name, f"in the handshake: {what}") from error
    except HandshakeError as error:
        raise HandshakeRefused(node.name, str(error)) from error
    if chosen is None:
        raise HandshakeRefused(node.name, f"a WebSocket, but not for {protocol}")


async def _first_frame(websocket: WebSocketStream) -> tuple[stomp.Frame, bytes]:
    """The first STOMP frame, and the bytes after the WebSocket frame that ends it."""
    parser = stomp.FrameParser(stomp.Limits(frame_bytes=LOGIN_BYTES), stomp.SERVER_COMMANDS)
    buffer, start = b"", 0
    while True:
        buffer = buffer[start:] + await websocket.stream.read_bytes(LOGIN_BYTES, partial=True)
        start = 0
        for opcode, _, payload, end in walk(buffer, frame_bytes=LOGIN_BYTES):
            start = end
            data = buffer[payload:end]
            if opcode == Opcode.CLOSE:
                raise StreamClosedError(ConnectionError(close_text(data)))
            if opcode == Opcode.PING:
                websocket.pong(data)
            elif opcode != Opcode.PONG:
                # RabbitMQ puts one STOMP frame and the line end after it into a message.
                for event in parser.feed(data):
                    if isinstance(event, stomp.Frame):
                        return event, buffer[end:]


def _agreed(ours: tuple[int, int], theirs: tuple[int, int]) -> tuple[int, int]:
    (can_send, want), (they_send, they_want) = ours, theirs
    return (
        max(can_send, they_want) if can_send and they_want else 0,
        max(want, they_send) if want and they_send else 0,
    )


def _error_text(frame: stomp.Frame) -> str:
    parts = (frame.get("message") or frame.command, frame.body.decode(errors="replace"))
    return ": ".join(part.strip() for part in parts if part.strip())[:500]


def close_text(payload: bytes) -> str:
    """The content of a Close frame, for people."""
    code = int.from_bytes(payload[:2]) if payload else CloseCode.NO_STATUS
    return f"closed with {code:d} {payload[2:].decode(errors='replace')}".rstrip()
