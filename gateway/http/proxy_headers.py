"""New connections from trusted proxies, until each has said by the PROXY protocol whose it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.budget.cap import Lease
from gateway.http.proxy_header import BadHeader, ProxyHeader

#: Seconds for a header. A proxy sends it with the first bytes that it sends at all.
SECONDS: Final = 5.0
#: Bytes that are looked at at once.
_LOOK: Final = 8192
#: Connections that wait for theirs, whatever room there is; one more ends the oldest.
MOST: Final = 1024

#: Takes a connection whose header has come, and the client's address (which may be
#: :data:`gateway.http.proxy_header.UNKNOWN`); None: it is the proxy's own.
Met = Callable[[socket.socket, str | None], None]
#: Is told why a connection was ended.
Ended = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A header that is to come. ``place``: what its connection takes until then."""

    timer: asyncio.TimerHandle
    header: ProxyHeader
    place: Lease
    met: Met
    ended: Ended


class ProxyHeaders:
    """The connections whose headers are not complete. What follows a header stays in the socket,
    for TLS or HTTP."""

    def __init__(self) -> None:
        #: What each waits for; the oldest first.
        self._waiting: dict[socket.socket, _Awaited] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def await_header(self, connection: socket.socket, place: Lease, met: Met, ended: Ended) -> None:
        """Read the new connection's header; then its ``place`` is given back, and it is ``met``. A
        header that is wrong, does not come within :data:`SECONDS`, or breaks off ends it."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        if len(self._waiting) >= MOST:
            self.end_oldest()
        timer = loop.call_later(SECONDS, self._end, connection, f"none came within {SECONDS:g} s")
        self._waiting[connection] = _Awaited(timer, ProxyHeader(), place, met, ended)
        loop.add_reader(connection.fileno(), self._readable, connection)
        # A proxy sends it at once, so it is mostly there.
        self._readable(connection)

    def end_oldest(self) -> None:
        """End the connection that has waited longest."""
        self._end(next(iter(self._waiting)), "too many connections wait for one")

    def close(self) -> None:
        for connection in list(self._waiting):
            self._forget(connection)
            connection.close()

    def _readable(self, connection: socket.socket) -> None:
        awaited = self._waiting[connection]
        header = awaited.header
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
            awaited.met(connection, header.source)

    def _end(self, connection: socket.socket, why: str) -> None:
        awaited = self._forget(connection)
        connection.close()
        awaited.ended(why)

    def _forget(self, connection: socket.socket) -> _Awaited:
        found = self._waiting.pop(connection)
        found.timer.cancel()
        found.place.give_back()
        asyncio.get_running_loop().remove_reader(connection.fileno())
        return found
