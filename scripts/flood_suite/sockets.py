"""A WebSocket that speaks STOMP, or whatever a flood makes it say."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build, client_handshake, walk
from flood_suite.site import Site

_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_FRAME_BYTES = 1 << 24
_READ = 1 << 18
#: As valid as any other, and costs nothing.
MASK = bytes(4)


class Refused(Exception):
    """The gateway refuses, or has closed. The text is a status, or a close code with a reason."""


class Socket:
    """One connection after its handshake. Raises `Refused`, `OSError` and `EOFError`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._rest = b""
        self._error = ""
        self._end: Refused | None = None

    @classmethod
    async def open(cls, site: Site, *, token: str = "") -> Self:
        """Connect and become a WebSocket; with a token, the handshake has it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=site.context)
        socket = cls(reader, writer)
        try:
            writer.write(handshake(site, token))
            head = await reader.readuntil(b"\r\n\r\n")
        except BaseException:
            socket.close()
            raise
        if not head.startswith(b"HTTP/1.1 101 "):
            socket.close()
            raise Refused(head[9:12].decode())
        return socket

    async def connect(self, token: str) -> None:
        """CONNECT, until CONNECTED."""
        self.send(
            "CONNECT",
            {"accept-version": "1.2", "host": "/", "passcode": token, "heart-beat": "0,0"},
        )
        await self.until(b"CONNECTED")

    async def subscribe(self, destination: str, id: str = "s", **headers: str) -> None:
        """SUBSCRIBE, until its RECEIPT."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send("SUBSCRIBE", {"destination": destination, "id": id, "receipt": id, **named})
        await self.until(b"RECEIPT")

    def send(self, command: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.writer.write(frame(command, headers, body))

    async def until(self, command: bytes) -> bytes:
        """The next frame of this command; those before are dropped."""
        while True:
            for payload in await self.frames():
                if payload.startswith(command):
                    return payload

    async def swallow(self) -> None:
        """Read everything until the gateway closes."""
        while True:
            await self.frames()

    async def frames(self) -> list[bytes]:
        """The STOMP frames of what comes next; pings are answered."""
        if self._end is not None:
            raise self._end
        data = await self.reader.read(_READ)
        if not data:
            raise Refused(self._error or "closed without a word")
        self._rest += data
        found, end = [], 0
        for opcode, _, begin, end in walk(self._rest, frame_bytes=_FRAME_BYTES):
            payload = self._rest[begin:end]
            if opcode == Opcode.PING:
                self.writer.write(build(Opcode.PONG, payload, mask=MASK))
            elif opcode == Opcode.CLOSE:
                self._end = Refused(f"{int.from_bytes(payload[:2])} {self._error}".rstrip())
            elif payload.startswith(b"ERROR"):
                self._error = _message(payload)
            else:
                found.append(payload)
        self._rest = self._rest[end:]
        return found

    def stop_reading(self) -> None:
        """Leave in the system what comes, so that the gateway cannot send on."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def flood(self, data: bytes) -> None:
        """Write, and wait until the system takes more."""
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()


@asynccontextmanager
async def connected(site: Site, token: str) -> AsyncIterator[Socket]:
    """A socket of somebody who is known since the handshake, after CONNECTED."""
    async with await Socket.open(site, token=token) as socket:
        await socket.connect(token)
        yield socket


async def pour(socket: Socket, block: bytes, tally: Counter[str]) -> None:
    """Write the same bytes again and again, as fast as the gateway reads them."""
    while True:
        await socket.flood(block)
        tally["bytes sent"] += len(block)


def handshake(site: Site, token: str = "") -> bytes:
    """The opening handshake; with a token, it has credentials."""
    head = client_handshake(site.host, "/ws", _KEY, ["v12.stomp"])
    return head[:-2] + f"Authorization: Bearer {token}\r\n\r\n".encode() if token else head


def frame(command: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A STOMP frame in a masked WebSocket frame."""
    return build(Opcode.TEXT, serialise(command, list(headers.items()), body), mask=MASK)


def _message(payload: bytes) -> str:
    begin = payload.find(b"\nmessage:") + 9
    return payload[begin : payload.find(b"\n", begin)].decode() if begin >= 9 else "ERROR"
