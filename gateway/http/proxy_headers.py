"""New connections from trusted proxies, until each has said by the PROXY protocol whose it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from gateway.http.proxy_header import BadHeader, ProxyHeader

#: Seconds for a header. A proxy sends it with the first bytes that it sends at all.
SECONDS: Final = 5.0
#: Bytes that are looked at at once.
_LOOK: Final = 8192
#: Connections that wait for theirs; one more ends the oldest.
MOST: Final = 1024

#: Takes a connection whose header has come, and the client's address; None: the proxy's own.
Met = Callable[[socket.socket, str | None], None]
#: Is told why a connection was ended.
Ended = Callable[[str], None]


class ProxyHeaders:
    """The connections whose headers are not complete. What follows a header stays in the socket,
    for TLS or HTTP."""

    def __init__(self) -> None:
        #: What each waits for; the oldest first.
        self._waiting: dict[socket.socket, tuple[asyncio.TimerHandle, ProxyHeader, Met, Ended]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def await_header(self, connection: socket.socket, met: Met, ended: Ended) -> None:
        """Read the new connection's header; then it is ``met``. A header that is wrong, does not
        come within :data:`SECONDS`, or breaks off ends it."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        if len(self._waiting) >= MOST:
            self._end(next(iter(self._waiting)), "too many connections wait for a header")
        timer = loop.call_later(SECONDS, self._end, connection, f"none came within {SECONDS:g} s")
        self._waiting[connection] = timer, ProxyHeader(), met, ended
        loop.add_reader(connection.fileno(), self._readable, connection)
        # A proxy sends it at once, so it is mostly there.
        self._readable(connection)

    def close(self) -> None:
        for connection in list(self._waiting):
            self._forget(connection)
            connection.close()

    def _readable(self, connection: socket.socket) -> None:
        _, header, met, _ = self._waiting[connection]
        try:
            data = connection.recv(_LOOK, socket.MSG_PEEK)
            if not data:
                self._end(connection, "it broke off")
                return
            # At once: these bytes are there.
            connection.recv(header.feed(data))
        except BlockingIOError:
            return
        except BadHeader as error:
            self._end(connection, str(error))
            return
        except OSError:
            self._end(connection, "it broke off")
            return
        if header.complete:
            self._forget(connection)
            met(connection, header.source)

    def _end(self, connection: socket.socket, why: str) -> None:
        *_, ended = self._forget(connection)
        connection.close()
        ended(why)

    def _forget(
        self, connection: socket.socket
    ) -> tuple[asyncio.TimerHandle, ProxyHeader, Met, Ended]:
        found = self._waiting.pop(connection)
        found[0].cancel()
        asyncio.get_running_loop().remove_reader(connection.fileno())
        return found
