"""The two HTTP servers: the public one and the internal one."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from tornado.web import Application

from gateway.http.api import LARGEST_BODY_READ
from gateway.http.probes import Probes
from gateway.http.server import Capacity, FixedCapacity, Server
from gateway.http.sockets import Place, Sockets, name, opened
from gateway.http.streams import HEAD_BYTES
from gateway.observe.events import Events

logger = logging.getLogger(__name__)


class Listener:
    """An application that is served at a place.

    ``what`` names its configuration keys in the log; refusals that no handler sees are noted among
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
        self._sockets = Sockets([])
        self._server = Server(
            application,
            ssl_options=tls,
            max_header_size=HEAD_BYTES,
            max_body_size=body_bytes,
            # The time of heads, bodies, answers and idling is limited by the streams.
        )
        self._server.equip(
            what=what,
            capacity=capacity,
            events=events,
            probes=Probes(path),
        )

    def open(self, place: Place, inherited: Sequence[socket.socket] = ()) -> None:
        """Serve on the ``inherited`` sockets, or else bind; port 0 takes a free one. Raises
        :class:`StartError`."""
        self._sockets = Sockets(inherited) if inherited else opened(place)
        self._server.add_sockets(self._sockets.opened)
        # An address may mean several sockets, or fewer than expected.
        names = " and ".join(map(name, self._sockets.opened))
        whose = f" ({place.name}, opened by the service manager)" if inherited else ""
        logger.info("%s: listening on %s%s", self._what, names, whose)

    @property
    def port(self) -> int:
        port: int = self._sockets.opened[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL, or the path of a socket in the file system."""
        first = self._sockets.opened[0]
        if first.family is socket.AF_UNIX:
            return f"{name(first)}{self._path}"
        host: str = first.getsockname()[0]
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return f"{self._scheme}://localhost:{self.port}{self._path}"
        return f"{self._scheme}://{name(first)}{self._path}"

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
        self._sockets.forget_file()
        self._server.headers.close()
        with suppress(ssl.SSLError):
            await self._server.close_all_connections()
        self._server.lingering.close()
