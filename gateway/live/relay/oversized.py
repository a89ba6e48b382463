"""A WebSocket frame of the broker that is too large to be held: only its head is read. Pure.

The head tells what the frame is, because RabbitMQ puts one STOMP frame in a WebSocket frame.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from broker.protocol.stomp import (
    SERVER_COMMANDS,
    Frame,
    FrameParser,
    Limits,
    StompError,
    serialise,
)

#: Bytes of the frame that are kept: RabbitMQ's own headers, and those of a producer.
HEAD_BYTES: Final = 131_072
#: Headers that are read at most.
_HEADERS: Final = 10_000
#: Headers of a message that describe its body.
_OF_THE_BODY: Final = frozenset({"content-type", "content-length", "content-encoding"})


class Parking(Protocol):
    """The place where RabbitMQ keeps messages of private queues that are too large."""

    @property
    def queue(self) -> str:
        """Its name in RabbitMQ."""

    async def ready(self, room: int, what: str) -> None:
        """Wait until a message that is rejected in the room's private queue is moved there;
        ``what`` tells of it."""

    def rejected(self) -> None:
        """Note that RabbitMQ was told to move messages there."""


def frame_bytes(data: bytes | bytearray) -> tuple[int, int]:
    """The offset and the size of the payload of the server's frame at the beginning of ``data``
    (RFC 6455, section 5.2). The offset needs two bytes, the size all bytes before the payload."""
    match data[1]:
        case 126:
            return 4, int.from_bytes(data[2:4])
        case 127:
            return 10, int.from_bytes(data[2:10])
        case size:
            return 2, size


def needed(data: bytes | bytearray) -> int:
    """The size in bytes of the frame at the beginning of ``data``; 0 while it is not known."""
    if len(data) < 2:
        return 0
    start, size = frame_bytes(data)
    return start + size if len(data) >= start else 0


class Oversized:
    """A frame that is being read past. ``data`` begins with its header, which must be whole."""

    def __init__(self, data: bytes) -> None:
        start, self.size = frame_bytes(data)
        self._left = self.size
        self._head = bytearray()
        self.rest = self.take(data[start:])

    @property
    def over(self) -> bool:
        """Whether the whole frame has been read; :attr:`rest` is what followed it."""
        return not self._left

    def take(self, data: bytes) -> bytes:
        """Read on, and return what does not belong to the frame."""
        mine = data[: self._left]
        self._left -= len(mine)
        self._head += mine[: HEAD_BYTES - len(self._head)]
        self.rest = data[len(mine) :]
        return self.rest

    @property
    def head(self) -> bytes:
        return bytes(self._head)

    def frame(self) -> Frame | None:
        """The STOMP frame without its body; None if it is not STOMP."""
        head, blank, _ = bytes(self._head).partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"content-length:")]
        if not blank:
            return None
        parser = FrameParser(
            Limits(frame_bytes=HEAD_BYTES, header_bytes=HEAD_BYTES, header_count=_HEADERS),
            SERVER_COMMANDS,
        )
        try:
            found = next(parser.feed(b"\n".join(lines) + b"\n\n\0"))
        except (StompError, StopIteration):
            return None
        return found if isinstance(found, Frame) else None


def replacement(message: Frame, size: int, *, limit: int, detail: str) -> bytes:
    """The MESSAGE that a client gets in place of one that is too large.

    It has the headers of the original, so that the client can acknowledge it, and says why. Sizes
    are in bytes.
    """
    body = {"type": "too_large", "bytes": size, "limit": limit, "detail": detail}
    headers = [(n, v) for n, v in message.headers if n not in _OF_THE_BODY]
    headers += [("content-type", "application/json"), ("too-large", str(size))]
    return serialise("MESSAGE", headers, json.dumps(body).encode())
