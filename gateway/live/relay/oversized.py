"""A WebSocket frame of the broker's that is larger than may be held: read past, but for its head.

Pure. What it is can be told from there: RabbitMQ puts one STOMP frame in a WebSocket frame.
"""

from __future__ import annotations

from typing import Final

from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, StompError

#: Bytes of it that are looked at: RabbitMQ's own headers, and those of a producer.
HEAD_BYTES: Final = 131_072


def frame_bytes(data: bytes) -> tuple[int, int]:
    """Where the payload of the server's frame begins that ``data`` begins with, and its size; RFC
    6455, section 5.2. The header must be whole."""
    match data[1]:
        case 126:
            return 4, int.from_bytes(data[2:4])
        case 127:
            return 10, int.from_bytes(data[2:10])
        case size:
            return 2, size


def needed(data: bytes | bytearray) -> int:
    """How many bytes the frame has that ``data`` begins with, 0 while that is not known."""
    head = bytes(data[:10])
    if len(head) < 2 or len(head) < {126: 4, 127: 10}.get(head[1], 2):
        return 0
    start, size = frame_bytes(head)
    return start + size


class Oversized:
    """``data`` begins with the frame's header, which is whole."""

    def __init__(self, data: bytes) -> None:
        start, self.size = frame_bytes(data)
        self._left = self.size
        self._head = bytearray()
        self.rest = self.take(data[start:])

    @property
    def over(self) -> bool:
        """Whether all of it has come by; :attr:`rest` is what was behind it."""
        return not self._left

    def take(self, data: bytes) -> bytes:
        """Read on; what does not belong to it."""
        mine = data[: self._left]
        self._left -= len(mine)
        self._head += mine[: HEAD_BYTES - len(self._head)]
        self.rest = data[len(mine) :]
        return self.rest

    @property
    def head(self) -> bytes:
        return bytes(self._head)

    def frame(self) -> Frame | None:
        """The STOMP frame without its body; None if it is none."""
        head, blank, _ = bytes(self._head).partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"content-length:")]
        if not blank:
            return None
        parser = FrameParser(
            Limits(frame_bytes=HEAD_BYTES, header_bytes=HEAD_BYTES, header_count=10_000),
            SERVER_COMMANDS,
        )
        try:
            found = next(parser.feed(b"\n".join(lines) + b"\n\n\0"))
        except (StompError, StopIteration):
            return None
        return found if isinstance(found, Frame) else None
