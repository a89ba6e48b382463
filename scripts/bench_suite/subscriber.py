"""A client of the load generator: WebSocket and STOMP up to the first message."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from broker.protocol.stomp import serialise
from broker.protocol.websocket import (
    HandshakeError,
    Opcode,
    build,
    check_server_handshake,
    client_handshake,
)

_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_SUBPROTOCOLS = ("v12.stomp",)
#: Costs nothing and leaves the payload as it is, and is as valid as any other mask.
MASK = bytes(4)
#: The same for all, so that a gateway may send the same bytes to all.
SUBSCRIPTION = "s"


@dataclass(frozen=True)
class Client:
    """A client's address, user and subscription: `subscribe`, whose messages say
    that they are of `destination`. Without a subscription it is only connected."""

    host: str
    port: int
    login: str
    passcode: str = field(repr=False)
    subscribe: str = ""
    destination: str = ""
    acknowledge: bool = False


class Intake(Protocol):
    """Takes the bytes that come once the WebSocket is open, in chunks of any size."""

    def feed(self, chunk: bytes | memoryview) -> None: ...


class Subscriber(asyncio.BufferedProtocol):
    """A client that connects and subscribes.

    ``ready`` is done when it is subscribed, and fails when it cannot be.

    ``buffer`` may be shared by all: it is used up before anybody else is called.
    """

    def __init__(self, client: Client, intake: Intake, *, buffer: memoryview) -> None:
        self.client = client
        self.lost = ""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._intake = intake
        self._buffer = buffer
        self._take: Callable[[memoryview], None] = self._handshake
        self._head = b""
        self._transport: asyncio.Transport

    @property
    def joined(self) -> bool:
        """Whether it was ready once, even if it has been lost since."""
        return self.ready.done() and self.ready.exception() is None

    def send(self, command: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        frame = serialise(command, list(headers), body)
        self._transport.write(build(Opcode.TEXT, frame, mask=MASK))

    def close(self) -> None:
        self.lost = self.lost or "we left"
        self._transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        host = f"{self.client.host}:{self.client.port}"
        self._transport.write(client_handshake(host, "/ws", _KEY, _SUBPROTOCOLS))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._take(self._buffer[:nbytes])
        except Exception as error:  # whatever it is, it is this client's end
            self._fail(f"{type(error).__name__}: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc or "the connection was closed"))

    # What comes

    def _handshake(self, data: memoryview) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return
        try:
            check_server_handshake(head + end, _KEY, _SUBPROTOCOLS)
        except HandshakeError as error:
            self._fail(str(error))
            return
        client = self.client
        self.send(
            "CONNECT",
            [
                ("accept-version", "1.2"),
                ("host", "/"),
                ("login", client.login),
                ("passcode", client.passcode),
                ("heart-beat", "0,0"),
            ],
        )
        self._take = self._messages
        if rest:
            self._messages(memoryview(rest))

    def _messages(self, data: memoryview) -> None:
        self._intake.feed(data)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self._transport.write(build(Opcode.PONG, payload, mask=MASK))
        elif opcode == Opcode.CLOSE:
            code = int.from_bytes(payload[:2])
            self._fail(f"closed with {code} {payload[2:].decode(errors='replace')}".rstrip())
        elif payload.startswith(b"CONNECTED"):
            self._connected()
        elif payload.startswith(b"RECEIPT"):
            self._is_ready()
        elif payload.startswith(b"ERROR"):
            self._fail(payload.decode(errors="replace")[:300])

    def _connected(self) -> None:
        client = self.client
        if not client.subscribe:
            self._is_ready()
            return
        self.send(
            "SUBSCRIBE",
            [
                ("id", SUBSCRIPTION),
                ("destination", client.subscribe),
                ("ack", "client-individual" if client.acknowledge else "auto"),
                ("receipt", "subscribed"),
            ],
        )

    def _is_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _fail(self, reason: str) -> None:
        self.lost = self.lost or reason
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(reason))
        self._transport.abort()
