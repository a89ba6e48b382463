"""The two HTTP servers: the public one and the internal one."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from typing import Final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from gateway.config import StartError
from gateway.handlers.api import LARGEST_BODY_READ

logger = logging.getLogger(__name__)

#: Connections that wait to be accepted: a school's worth that comes back at once. The kernel may
#: allow fewer (net.core.somaxconn).
_BACKLOG: Final = 4096
#: Bytes of a request's head; a token in it may have 8 KiB.
_HEAD_BYTES: Final = 32 * 1024
#: Seconds that a kept-alive connection may idle, and that a body may take to arrive.
_IDLE: Final = 75.0
_BODY: Final = 30.0


class Listener:
    """An application on an address. ``what`` names its configuration keys in errors."""

    def __init__(
        self, application: Application, *, what: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._what = what
        self._scheme = "http" if tls is None else "https"
        self._sockets: list[socket.socket] = []
        self._server = HTTPServer(
            application,
            ssl_options=tls,
            max_header_size=_HEAD_BYTES,
            max_body_size=LARGEST_BODY_READ,
            idle_connection_timeout=_IDLE,
            body_timeout=_BODY,
        )

    def open(self, address: str, port: int) -> None:
        """Bind and serve; port 0 takes a free one. Raises :class:`StartError`.

        ``::`` is every address of both families, as most servers have it.
        """
        try:
            every = address in ("", "::")
            self._sockets = bind_sockets(port, None if every else address, backlog=_BACKLOG)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            where = f"{address or 'every address'}, port {port}"
            raise StartError(f"{self._what}: cannot listen on {where}: {reason}") from error
        self._server.add_sockets(self._sockets)
        # An address may mean several, or fewer than one thinks.
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
        """Show this certificate to those who connect from now on; connections that stand stay."""
        self._server.ssl_options = tls

    def no_keep_alive(self) -> None:
        """Answer with ``Connection: close`` from now on, also on connections that are open
        (RFC 9112, section 9.6)."""
        self._server.conn_params.no_keep_alive = True

    async def close(self) -> None:
        """Accept nothing more, and cut off what is still open."""
        self._server.stop()
        with suppress(ssl.SSLError):
            await self._server.close_all_connections()


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
