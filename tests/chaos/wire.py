"""STOMP over WebSocket as a browser speaks it, with a separate codec.

It shares no code with the gateway, so that it sees exactly what was sent.
"""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_UNESCAPES = {b"\\n": b"\n", b"\\r": b"\r", b"\\c": b":", b"\\\\": b"\\"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A STOMP frame; the first of repeated headers counts."""

    command: str
    headers: dict[str, str]
    body: bytes


class Listener(Protocol):
    """The receiver of a wire's events."""

    def opened(self) -> None:
        """The WebSocket is open."""

    def frame(self, frame: Frame) -> None: ...

    def closed(self, code: int | None, why: str) -> None:
        """Once, at the end; `code` is the Close frame's, None without one."""


class Wire(asyncio.Protocol):
    """One WebSocket connection."""

    def __init__(self, host: str, listener: Listener) -> None:
        self._host = host
        self._listener = listener
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        #: The loop's time when something came last, or might have come.
        self._received = self._loop.time()
        self._stalled = False
        self._take: Callable[[], bool] = self._handshake
        self._bytes = bytearray()
        self._text = bytearray()
        self._may_write = True
        self._code: int | None = None
        self._why = ""

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """A frame; its header values must need no escape."""
        head = "\n".join([command, *(f"{name}:{value}" for name, value in headers.items())])
        self._write(_TEXT, f"{head}\n\n".encode() + body + b"\0")

    def beat(self) -> None:
        self._write(_TEXT, b"\n")

    def abort(self, why: str) -> None:
        """Drop the TCP connection."""
        self._why = self._why or why
        self._transport.abort()

    def close(self) -> None:
        """Send the Close frame of a client that leaves (1000)."""
        self._write(_CLOSE, (1000).to_bytes(2))

    def half_close(self) -> None:
        """Shut down the sending side: the peer reads the end, and can still send."""
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._may_write = False

    def reset_when_aborted(self) -> None:
        """Let `abort` send RST instead of FIN (socket(7), SO_LINGER)."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @property
    def silence(self) -> float:
        """Seconds for which nothing has come; who does not read cannot tell."""
        return 0.0 if self._stalled else self._loop.time() - self._received

    def stall(self) -> None:
        """Stop reading."""
        self._stalled = True
        self._transport.pause_reading()

    def read_on(self) -> None:
        self._stalled = False
        self._received = self._loop.time()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: {self._host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: v12.stomp",
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._received = self._loop.time()
        self._bytes += data
        try:
            while self._take():
                pass
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            self.abort(f"cannot be read: {error!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.closed(self._code, self._why or str(exc or "closed without a word"))

    # What comes: each of these is done with one piece and says whether to go on

    def _handshake(self) -> bool:
        head, end, rest = self._bytes.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            self.abort(head.partition(b"\r\n")[0].decode("latin-1"))
            return False
        self._bytes = rest
        self._take = self._websocket_frame
        self._listener.opened()
        return True

    def _websocket_frame(self) -> bool:
        data = self._bytes
        if len(data) < 2:
            return False
        length, begin = data[1], 2
        if length > 125:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin])
        if len(data) < begin + length:
            return False
        opcode, payload = data[0] & 0x0F, bytes(data[begin : begin + length])
        del data[: begin + length]
        if opcode == _CLOSE:
            self._code = int.from_bytes(payload[:2]) if payload else None
            self.abort(payload[2:].decode() or self._why)
            return False
        if opcode == _PING:
            self._write(_PONG, payload)
        elif opcode != _PONG:
            self._text += payload
            while self._stomp_frame():
                pass
        return True

    def _stomp_frame(self) -> bool:
        text = self._text
        while text.startswith((b"\n", b"\r")):
            del text[:1]
        head_end = text.find(b"\n\n")
        if head_end < 0:
            return False
        command, *lines = bytes(text[:head_end]).split(b"\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise ValueError(f"a header without a colon: {line!r}")
            headers.setdefault(_unescape(name), _unescape(value))
        begin = head_end + 2
        if "content-length" in headers:
            end = begin + int(headers["content-length"])
        else:
            end = text.find(0, begin)
        if end < 0 or len(text) <= end:
            return False
        if text[end]:
            raise ValueError("no NUL ends the frame")
        body = bytes(text[begin:end])
        del text[: end + 1]
        self._listener.frame(Frame(command.decode(), headers, body))
        return True

    def _write(self, opcode: int, payload: bytes) -> None:
        if self._transport.is_closing() or not self._may_write:
            return
        mask = bytes(4)
        length = len(payload)
        size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2)
        self._transport.write(bytes((0x80 | opcode,)) + size + mask + payload)


def _unescape(value: bytes) -> str:
    if b"\\" in value:
        parts = value.split(b"\\\\")
        for escaped, plain in _UNESCAPES.items():
            parts = [part.replace(escaped, plain) for part in parts]
        value = b"\\".join(parts)
    return value.decode()
