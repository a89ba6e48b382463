"""The WebSocket frames of a subscriber's stream: its STOMP messages, and all others."""

from collections.abc import Callable

from broker.protocol.websocket import Opcode, walk

_FRAME_BYTES = 1 << 20


class FrameReader:
    """A reader that tells MESSAGE frames from all others.

    ``message`` is called with the payload of a MESSAGE, ``other`` with the opcode and payload of
    any other frame.
    """

    def __init__(
        self, *, message: Callable[[bytes], None], other: Callable[[int, bytes], None]
    ) -> None:
        self._message = message
        self._other = other
        self._rest = b""

    def feed(self, chunk: bytes | memoryview) -> None:
        """Read a piece of the stream; a frame that has come in part waits for the rest."""
        data = self._rest + bytes(chunk)
        end = 0
        for opcode, _, begin, end in walk(data, frame_bytes=_FRAME_BYTES):
            payload = data[begin:end]
            if opcode <= Opcode.BINARY and payload.startswith(b"MESSAGE\n"):
                self._message(payload)
            else:
                self._other(opcode, payload)
        self._rest = data[end:]
