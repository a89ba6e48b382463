"""Tornado's streams with limits on the size and the time of a request's head."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tornado.iostream import IOStream, SSLIOStream, UnsatisfiableReadError

from gateway.errors import GatewayError, HeadTooLarge, HeadTooSlow
from gateway.http import problem

#: Bytes of a request's head; a token in it may have 8 KiB.
HEAD_BYTES: Final = 16 * 1024
#: Seconds from a head's first byte to its last; for the first request of a connection, from the
#: moment it was accepted.
HEAD_SECONDS: Final = 10.0
#: Bytes that are read and dropped before a connection that still sends is closed: closing before
#: that would destroy the answer on its way (RFC 9112, section 9.6).
_FORGOTTEN: Final = 1024 * 1024
_CHUNK: Final = 65_536

#: The callback for each refusal that no handler has seen.
Refused = Callable[[GatewayError], None]


class Guarded(IOStream):
    """A stream that ends a connection whose head is late or too large, with an answer if a head has
    begun."""

    #: Whether it waits for a head, and nothing of it has come.
    idle = False
    #: Whether anything has come since the connection was accepted.
    _has_spoken = False
    _refused: Refused | None = None
    _awaits_head = False
    _timer: asyncio.TimerHandle | None = None

    def guard(self, refused: Refused) -> None:
        """Guard the new connection from now on."""
        self._refused = refused
        self._head_has_begun()

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        # Tornado's HTTP server uses this method only to read a request's head.
        self._awaits_head = True
        self.idle = self._timer is None
        future = asyncio.ensure_future(super().read_until_regex(regex, max_bytes))
        if future.done():
            self._head_is_over(future)
        else:
            future.add_done_callback(self._head_is_over)
            if self._read_buffer_size and self._timer is None:
                # A part of the next head has come together with the data before it.
                self._head_has_begun()
        return future

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        size = super().read_from_fd(buf)
        self._has_spoken = self._has_spoken or bool(size)
        if size and self._awaits_head and self._timer is None:
            self._head_has_begun()
        return size

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and self._awaits_head:
            self._tell(HeadTooLarge(f"the request's head must have at most {HEAD_BYTES} bytes"))
        self._stop_timer()
        super().close(exc_info)

    def _head_has_begun(self) -> None:
        self.idle = False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEAD_SECONDS, self._late)

    def _head_is_over(self, _: asyncio.Future[bytes]) -> None:
        self._awaits_head = self.idle = False
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        # A browser that opened a connection in advance would show this as the answer to its next
        # request.
        if self._has_spoken:
            self._tell(HeadTooSlow(f"the request's head did not arrive within {HEAD_SECONDS:g} s"))
        self.close()

    def _tell(self, error: GatewayError) -> None:
        """Send as much as the socket takes at once; the client may be gone, or not speak HTTP."""
        if self._refused is not None:
            self._refused(error)
        try:
            self.socket.send(answer(error))
            for _ in range(_FORGOTTEN // _CHUNK):
                if not self.socket.recv(_CHUNK):
                    break
        except OSError:
            # The socket takes nothing, or nothing more has come.
            return


class GuardedStream(Guarded):
    """A guarded stream without TLS."""


class GuardedTlsStream(Guarded, SSLIOStream):
    """A guarded stream with TLS, whose handshake counts as part of the first head's time."""


def answer(error: GatewayError) -> bytes:
    """A whole HTTP answer, for clients that no handler serves."""
    document = problem.document(error)
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = {
        **problem.headers(error),
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    head = [f"HTTP/1.1 {document['status']} {document['title']}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body
