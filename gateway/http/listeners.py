"""The two HTTP servers: the public one and the internal one."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from typing import Final

from tornado.netutil import bind_sockets
from tornado.web import Application

from gateway.config import StartError
from gateway.http.api import LARGEST_BODY_READ
from gateway.http.probes import Probes
from gateway.http.server import Capacity, FixedCapacity, Server
from gateway.http.streams import HEAD_BYTES
from gateway.observe.events import Events

logger = logging.getLogger(__name__)

#: Connections that wait to be accepted: a whole school that comes back at once. The kernel may
#: allow fewer (net.core.somaxconn).
_BACKLOG: Final = 4096


class Listener:
    """An application that is served on an address.

    ``what`` names its configuration keys in errors; refusals that no handler sees are noted among
    the ``events``. ``body_bytes``: the most of a body that is read, whoever sends it. ``path``:
    what the application's paths begin with.
    """

    def __init__(
        self,
        application: Application,
        *,
        what: str,
        events: Events,
        tls: ssl.SSLContext | None = None,
        capacity: Capacity | FixedCapacity | None = None,
        body_bytes: int = LARGEST_BODY_READ,
        path: str = "",
    ) -> None:
        self._what = what
        self._path = path
        self._scheme = "http" if tls is None else "https"
        self._sockets: list[socket.socket] = []
        self._server = Server(
            application,
            ssl_options=tls,
            max_header_size=HEAD_BYTES,
            max_body_size=body_bytes,
            # The time of heads, bodies, answers and idling is limited by the streams.
        )
        self._server.equip(what=what, capacity=capacity, events=events, probes=Probes(path))

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
            return f"{self._scheme}://localhost:{self.port}{self._path}"
        return f"{self._scheme}://{_name(self._sockets[0])}{self._path}"

    def make_room_for(self, token_bytes: int) -> None:
        """Let a request's head have a token of so many bytes, from the next request on."""
        self._server.head_bytes = HEAD_BYTES + token_bytes

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
        self._server.lingering.close()


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
