"""The sending half of one peer's stream: ordered, counted, with a backlog that is known."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from tornado.iostream import IOStream, StreamClosedError


class Stalled(Exception):
    """The peer has not taken what was written within the time allowed."""


class Writer:
    """Only whole frames are written, so that any frame may follow any other.

    ``encode`` makes of what is written what is sent, by default the same. ``stall_timeout``:
    seconds that :meth:`drained` waits for the peer.
    """

    def __init__(
        self,
        stream: IOStream,
        *,
        stall_timeout: float,
        encode: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._stream = stream
        self._encode = encode
        self._stall_timeout = stall_timeout
        self._loop = asyncio.get_running_loop()
        self._last: asyncio.Future[None] | None = None
        self.sent_at = self._loop.time()
        #: Bytes sent in all, and of them those that wait for the peer.
        self.bytes = 0
        self.backlog = 0
        #: STOMP frames in them, as the callers of :meth:`write` count.
        self.frames = 0

    def write(self, data: bytes, *, frames: int = 0) -> None:
        """Send, or keep until the socket takes it. A closed stream swallows it: its reader, which
        sees the end first-hand, is the one to act on it."""
        if self._stream.closed():
            return
        if self._encode is not None:
            data = self._encode(data)
        self.bytes += len(data)
        self.frames += frames
        self.sent_at = self._loop.time()
        if not self.backlog:
            data = data[self._send_now(data) :]
        if data:
            self._keep(data)

    async def drained(self) -> None:
        """Wait until everything written has left. Raises :class:`Stalled`."""
        if self._last is None or not self.backlog:
            return
        try:
            async with asyncio.timeout(self._stall_timeout):
                await asyncio.shield(self._last)
        except TimeoutError as error:
            raise Stalled(f"nothing taken for {self._stall_timeout:g} seconds") from error
        except StreamClosedError:
            pass

    def _send_now(self, data: bytes) -> int:
        """What the kernel takes at once; IOStream.write would cost several times as much."""
        try:
            return self._stream.write_to_fd(memoryview(data))
        except (BlockingIOError, ssl.SSLError):
            return 0
        except OSError:
            return len(data)

    def _keep(self, data: bytes) -> None:
        try:
            self._last = self._stream.write(data)
        except StreamClosedError:
            return
        size = len(data)
        self.backlog += size

        def gone(_: asyncio.Future[None]) -> None:
            self.backlog -= size

        self._last.add_done_callback(gone)
