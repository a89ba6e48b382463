"""The two HTTP servers: the public one and the internal one."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import ssl
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets, ssl_wrap_socket
from tornado.web import Application

from gateway.config import StartError
from gateway.descriptors import lowest_free
from gateway.errors import GatewayError, TooManyHttp, outcome
from gateway.http.api import LARGEST_BODY_READ
from gateway.http.streams import HEAD_BYTES, Guarded, GuardedStream, GuardedTlsStream, answer
from gateway.limits import LiveLimits
from gateway.observe.events import Events, Kind

logger = logging.getLogger(__name__)

#: Connections that wait to be accepted: a whole school that comes back at once. The kernel may
#: allow fewer (net.core.somaxconn).
_BACKLOG: Final = 4096
#: Seconds that a kept-alive connection may be idle, and that a body may take to arrive.
_IDLE: Final = 75.0
_BODY: Final = 30.0
#: Connections that are accepted in one turn of the loop.
_AT_ONCE: Final = 64
#: Seconds until a paused listener tries to accept again.
_PAUSE: Final = 0.25
#: Seconds between two log lines about a pause.
_LOG_INTERVAL: Final = 60.0
#: Errors of accept(2) for a lack of resources: descriptors of the process or of the system; memory.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Capacity:
    """The number of connections without a WebSocket that a listener accepts.

    The ``trusted_proxies`` carry many clients, so the limit per address does not count for them.
    Descriptors from the number ``descriptors`` on are not for clients; None: all are.
    """

    limits: LiveLimits
    trusted_proxies: frozenset[str] = frozenset()
    descriptors: int | None = None


class _Server(HTTPServer):
    """Tornado's server, extended to count and guard connections, and to let them wait when there is
    no room."""

    def equip(self, *, what: str, capacity: Capacity | None, events: Events) -> None:
        """Set up once, before :meth:`add_sockets`: Tornado's class is made without a
        constructor."""
        self._what = what
        self._capacity = capacity
        self._events = events
        #: The client's address of each stream without a WebSocket, and the number of them by
        #: address.
        self._open: dict[IOStream, str] = {}
        self._from: Counter[str] = Counter()
        self._logged_at = -math.inf
        self._retries: dict[int, asyncio.TimerHandle] = {}

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        for listening in sockets:
            number = listening.fileno()
            self._sockets[number] = listening
            self._handlers[number] = partial(self._stop_accepting, number)
            self._loop.add_reader(number, self._accept, listening)

    def _stop_accepting(self, number: int) -> None:
        self._loop.remove_reader(number)
        if retry := self._retries.pop(number, None):
            retry.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._has_descriptors(listening):
                self._pause(listening, "descriptors are short")
                return
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(listening, str(error.strerror).lower())
                    return
                # accept(2) fails for one connection only: go on with the next.
                continue
            self._take(connection, address)

    def _has_descriptors(self, listening: socket.socket) -> bool:
        if self._capacity is None or self._capacity.descriptors is None:
            return True
        lowest = lowest_free(listening.fileno())
        return lowest is not None and lowest < self._capacity.descriptors

    def _pause(self, listening: socket.socket, why: str) -> None:
        """Leave new connections to the kernel for a moment, and close idle ones to make room."""
        number = listening.fileno()
        self._loop.remove_reader(number)
        self._retries[number] = self._loop.call_later(_PAUSE, self._resume, listening)
        idle = [stream for stream in self._open if isinstance(stream, Guarded) and stream.idle]
        for stream in idle:
            stream.close()
        now = self._loop.time()
        if now >= self._logged_at + _LOG_INTERVAL:
            self._logged_at = now
            logger.warning(
                "%s: no connection is accepted for now, because %s (%d HTTP connections are open, "
                "%d idle ones were"
                " closed): raise the limit of open files",
                self._what,
                why,
                len(self._open) - len(idle),
                len(idle),
            )
            self._events.note(Kind.REFUSAL, "accept_paused", f"{self._what}: {why}", status=503)

    def _resume(self, listening: socket.socket) -> None:
        number = listening.fileno()
        del self._retries[number]
        self._loop.add_reader(number, self._accept, listening)

    def _take(self, connection: socket.socket, address: Any) -> None:
        where = str(address[0]) if isinstance(address, tuple) else ""
        refused = partial(self._note, where)
        if (error := self._no_room(where)) is not None:
            refused(error)
            if self.ssl_options is None:
                connection.setblocking(False)
                with suppress(OSError):
                    connection.send(answer(error))
            connection.close()
            return
        stream: Guarded
        if self.ssl_options is None:
            stream = GuardedStream(connection)
        else:
            try:
                secure = ssl_wrap_socket(
                    connection, self.ssl_options, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                # The client has gone already (ssl.SSLError is one of these).
                connection.close()
                return
            stream = GuardedTlsStream(secure)
        self._open[stream] = where
        self._from[where] += 1
        stream.guard(refused)
        self.handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """The connection is gone, or has become a WebSocket."""
        super().on_close(server_conn)
        where = self._open.pop(server_conn.stream)
        self._from[where] -= 1
        if not self._from[where]:
            del self._from[where]

    def _no_room(self, where: str) -> GatewayError | None:
        if self._capacity is None:
            return None
        limits = self._capacity.limits.now
        most, per_address = limits.http_connections, limits.http_connections_per_address
        if len(self._open) >= most:
            return TooManyHttp(f"the limit of {most} HTTP connections is reached", retry_after=2.0)
        if where not in self._capacity.trusted_proxies and self._from[where] >= per_address:
            return TooManyHttp(
                f"the limit of {per_address} HTTP connections from your address is reached",
                retry_after=2.0,
            )
        return None

    def _note(self, where: str, error: GatewayError) -> None:
        row = outcome(error)
        self._events.note(Kind.REFUSAL, row.code, error.detail, status=row.status, address=where)


class Listener:
    """An application that is served on an address.

    ``what`` names its configuration keys in errors; refusals that no handler sees are noted among
    the ``events``.
    """

    def __init__(
        self,
        application: Application,
        *,
        what: str,
        events: Events,
        tls: ssl.SSLContext | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        self._what = what
        self._scheme = "http" if tls is None else "https"
        self._sockets: list[socket.socket] = []
        self._server = _Server(
            application,
            ssl_options=tls,
            max_header_size=HEAD_BYTES,
            max_body_size=LARGEST_BODY_READ,
            idle_connection_timeout=_IDLE,
            body_timeout=_BODY,
        )
        self._server.equip(what=what, capacity=capacity, events=events)

    def open(self, address: str, port: int) -> None:
        """Bind and serve; port 0 takes a free one. Raises :class:`StartError`.

        ``::`` stands for every address of both families, as in most servers.
        """
        try:
            every = address in ("", "::")
            self._sockets = bind_sockets(port, None if every else address, backlog=_BACKLOG)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            where = f"{address or 'every address'}, port {port}"
            raise StartError(f"{self._what}: cannot listen on {where}: {reason}") from error
        self._server.add_sockets(self._sockets)
        # An address may mean several sockets, or fewer than expected.
        logger.info("%s: listening on %s", self._what, " and ".join(map(_name, self._sockets)))

    @property
    def port(self) -> int:
        port: int = self._sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        host: str = self._sockets[0].getsockname()[0]
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return f"{self._scheme}://localhost:{self.port}"
        return f"{self._scheme}://{_name(self._sockets[0])}"

    def use(self, tls: ssl.SSLContext) -> None:
        """Use this certificate for new connections; existing ones stay."""
        self._server.ssl_options = tls

    def no_keep_alive(self) -> None:
        """Answer with ``Connection: close`` from now on, also on existing connections (RFC 9112,
        section 9.6)."""
        self._server.conn_params.no_keep_alive = True

    async def close(self) -> None:
        """Accept nothing more, and cut off all connections."""
        self._server.stop()
        with suppress(ssl.SSLError):
            await self._server.close_all_connections()


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
