"""A connection's loop of requests, whose time on the event loop counts for its client."""

from __future__ import annotations

from tornado.http1connection import HTTP1ServerConnection
from tornado.httputil import HTTPServerConnectionDelegate

from gateway.http.streams import Guarded
from gateway.metered import Metered


class Serving(HTTP1ServerConnection):
    """Tornado's loop of one connection: it reads heads and bodies and finds handlers, which costs
    as much as most handlers do."""

    async def _server_request_loop(self, delegate: HTTPServerConnectionDelegate) -> None:
        loop = super()._server_request_loop(delegate)
        if isinstance(self.stream, Guarded):
            await Metered(loop, self.stream.has_taken, watch=self.stream.watch)
        else:
            await loop
