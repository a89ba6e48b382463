"""The sending half of one peer's stream: ordered, counted, with back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tornado.iostream import IOStream, StreamClosedError


class Stalled(Exception):
    """The peer has not taken what was written within the time allowed."""


class Writer:
    """``send`` writes to ``stream``, by default as it is; only whole frames are written, so that
    any frame may follow any other. ``stall_timeout``: seconds that :meth:`drained` waits.
    """

    def __init__(
        self,
        stream: IOStream,
        *,
        stall_timeout: float,
        send: Callable[[bytes], asyncio.Future[None]] | None = None,
    ) -> None:
        self._stream = stream
        self._send = send or stream.write
        self._stall_timeout = stall_timeout
        self._loop = asyncio.get_running_loop()
        self._last: asyncio.Future[None] | None = None
        self.sent_at = self._loop.time()
        self.bytes = 0

    def write(self, data: bytes) -> None:
        """Send, or keep until the socket takes it. A closed stream swallows it: its reader, which
        sees the end first-hand, is the one to act on it."""
        self.bytes += len(data)
        self.sent_at = self._loop.time()
        try:
            self._last = self._send(data)
        except StreamClosedError:
            self._last = None

    async def drained(self) -> None:
        """Wait until everything written has left. Raises :class:`Stalled`."""
        if self._last is None or not self._stream.writing():
            return
        try:
            async with asyncio.timeout(self._stall_timeout):
                await asyncio.shield(self._last)
        except TimeoutError as error:
            raise Stalled(f"nothing taken for {self._stall_timeout:g} seconds") from error
        except StreamClosedError:
            self._last = None
