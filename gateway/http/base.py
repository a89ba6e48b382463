"""The base of all handlers: a request id, security headers, problem details, a quiet log."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from asyncio import wait
from collections.abc import Awaitable, Container
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, Final

from tornado.http1connection import HTTP1Connection
from tornado.iostream import IOStream, StreamClosedError
from tornado.util import ObjectDict
from tornado.web import HTTPError, RequestHandler, stream_request_body

from broker.protocol.numerals import natural
from gateway.errors import (
    GatewayError,
    RateLimited,
    StoreUnavailable,
    TooLarge,
    Unavailable,
    UnknownPath,
)
from gateway.http import problem
from gateway.http.caller import caller
from gateway.http.internal_access import InternalAccess
from gateway.http.streams import Guarded
from gateway.metered import Metered
from gateway.observe import logs
from gateway.observe.events import Events, Kind
from gateway.observe.metrics import Metrics

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("gateway.access")

#: https://owasp.org/www-project-secure-headers/
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    # A page of another origin that has opened ours gets no hold of its window.
    "Cross-Origin-Opener-Policy": "same-origin",
}

#: Made once: ``json.dumps`` makes a new encoder at each call that has options.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

#: Statuses that are noted as refusals. Others (400, 404, 422 …) are caused by scanners all day.
_TURNED_AWAY: Final = frozenset({401, 403, 429, 503})

#: Bytes of a body that are read and dropped by a handler that takes none: closing while the client
#: still sends would destroy the answer on its way.
_DROPPED: Final = 65_536

#: The longest path that the log shows, in characters.
_LOGGED_PATH: Final = 300
#: The path of a room, or of something in it.
_ROOM_PATH: Final = re.compile(r"/api/rooms/([1-9][0-9]{0,17})(?:/|$)")


class BaseHandler(RequestHandler):
    """A handler whose errors are answered as problem details, whatever raised them."""

    #: What a browser may do with an answer of this handler that it shows as a page.
    content_security_policy: ClassVar[str] = "default-src 'none'; frame-ancestors 'none'"

    #: The level of the line in the access log; requests that machines send all the time are for
    #: debugging.
    log_level: ClassVar[int] = logging.INFO

    #: The ``code`` of the problem that was answered.
    refused_as: str | None = None
    refused_because: str = ""
    #: The budget that was met.
    refused_by: str | None = None

    #: The user, once known.
    user: str | None = None

    _id: str | None = None
    #: The refusal that is answered a little later, and the seconds until then.
    _held: GatewayError | None = None
    _held_for = 0.0
    #: Done when the client has gone, or made room, while it waits for its refusal.
    _gone: asyncio.Future[None] | None = None

    def set_default_headers(self) -> None:
        # Called again before an error is written, which also drops the headers that a handler has
        # set.
        self.clear_header("Server")
        for name, value in _SECURITY_HEADERS.items():
            # Not by set_header, which would examine each again for every answer.
            self._headers[name] = value
        self.set_header("Content-Security-Policy", self.content_security_policy)
        # RFC 6797, section 7.2: over TLS only, which may end at a proxy.
        hsts = self.settings.get("hsts")
        if hsts is not None and caller(self.request, trusted_proxies=self._proxies).secure:
            self.set_header("Strict-Transport-Security", f"max-age={hsts}")

    def prepare(self) -> Awaitable[None] | None:
        self.set_header("X-Request-Id", self._take_id())
        access: InternalAccess | None = self.settings.get("internal_access")
        if access is not None:
            access.check_host(self.request)
        return None

    async def _execute(self, transforms: Any, *args: bytes, **kwargs: bytes) -> None:
        # The one place of Tornado's through which everything of a request goes.
        # Its templates point back here, and only an answered request drops them: those that become
        # a WebSocket, or whose clients go away, would wait for the collector of garbage.
        self.ui = ObjectDict()
        stream = getattr(self.request.connection, "stream", None)
        work = super()._execute(transforms, *args, **kwargs)
        if not isinstance(stream, Guarded):
            await work
            return
        try:
            await Metered(work, stream.has_taken, watch=stream.watch, pays=stream.payer())
            if self._held is not None:
                if not stream.closed():
                    # However many wait so, others from the same address come in.
                    stream.makes_room()
                    self._gone = asyncio.get_running_loop().create_future()
                    await wait((self._gone,), timeout=self._held_for)
                await Metered(self._refuse(self._held), stream.has_taken, watch=stream.watch)
        finally:
            stream.has_ended()
            _untie(getattr(self.request, "_body_future", None))

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def _refuse(self, held: GatewayError) -> None:
        try:
            # Tornado wants to find it in sys.exc_info().
            raise held
        except GatewayError as error:
            super()._handle_request_exception(error)
        finally:
            # Its traceback holds this handler, which holds it.
            held.__traceback__ = self._held = None

    def _handle_request_exception(self, e: BaseException) -> None:
        stream = getattr(self.request.connection, "stream", None)
        if (
            self._held is None
            and isinstance(e, GatewayError)
            and (isinstance(e, RateLimited) or e.budget is not None)
            and isinstance(stream, Guarded)
            and (seconds := stream.holds_refusal())
        ):
            self._held, self._held_for = e, seconds
            return
        super()._handle_request_exception(e)

    @property
    def is_refused(self) -> bool:
        """Whether the request is refused, and hears of it a little later."""
        return self._held is not None

    @property
    def _proxies(self) -> Container[str]:
        proxies: Container[str] = self.settings.get("trusted_proxies", ())
        return proxies

    def write_json(self, value: Any, *, status: int = 200) -> None:
        """Answer with ``value``, which may be any JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(encoded(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = problem.refusal(kwargs["exc_info"][1] if "exc_info" in kwargs else None)
        document = problem.document(error)
        self.refused_as, self.refused_because = document["code"], error.detail
        self.refused_by = error.budget
        for name, value in problem.headers(error).items():
            self.set_header(name, value)
        if document["status"] == 405:
            self.set_header("Allow", ", ".join(self.served_methods()))
        # None yet: the path could not even be decoded.
        self.set_header("X-Request-Id", self._id or self._take_id())
        self.set_header("Cache-Control", "no-store")
        self.set_status(document["status"])
        self.finish(json.dumps(document, ensure_ascii=False))

    @property
    def request_id(self) -> str | None:
        """The id in ``X-Request-Id`` and in the log; also of what becomes a connection."""
        return self._id

    def _take_id(self) -> str:
        self._id = logs.new_connection_id()
        logs.connection.set(self._id)
        return self._id

    def hand_over(self) -> IOStream:
        """The connection, which Tornado and the server let go of: whoever gets it answers. It may
        be closed."""
        stream: IOStream = self.detach()
        if isinstance(stream, Guarded):
            # Not later, when the server notices: it could close the socket to make room meanwhile.
            stream.leave()
        with suppress(StreamClosedError):
            stream.set_nodelay(True)
        return stream

    def served_methods(self) -> list[str]:
        """The methods that this handler implements."""
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # Refusals are in the access log. Tornado's own lines would show the query.
        method, path = self.request.method, shortened(self.request.path)
        if isinstance(value, StoreUnavailable):
            # The store logs the reason itself, once and not for each request.
            _log.debug("%s %s: %s (%s)", method, path, value.detail, value.reason)
        elif isinstance(value, Unavailable):
            cause = f" ({value.__cause__})" if value.__cause__ else ""
            _log.warning("%s %s: %s%s", method, path, value.detail, cause)
        elif not isinstance(value, GatewayError | HTTPError):
            _log.error("%s %s failed", method, path, exc_info=value or True)


def encoded(value: Any) -> bytes:
    """The value as JSON."""
    # A lone surrogate, which a message sent by STOMP may contain, stays the escape that it came as.
    return _JSON.encode(value).encode(errors="backslashreplace")


def _untie(body: asyncio.Future[None] | None) -> None:
    """Let the error of a client that went away within its body forget where it was raised: the
    frame that waited for the body holds the request, and that holds the error."""
    if body is None or not body.done() or body.cancelled():
        return
    if (error := body.exception()) is not None:
        error.__traceback__ = None


@stream_request_body
class BodilessHandler(BaseHandler):
    """A handler that takes no body: one that comes is dropped, and a large one is refused at
    once."""

    def prepare(self) -> Awaitable[None] | None:
        waiting = super().prepare()
        self.refuse_a_large_body()
        return waiting

    def refuse_a_large_body(self) -> None:
        """Raises :class:`TooLarge`. Of a body without an announced length no more is read
        either."""
        length = natural(self.request.headers.get("Content-Length", "0"))
        if length is None or length > _DROPPED:
            raise TooLarge("this resource takes no body")
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connection.set_max_body_size(_DROPPED)

    def data_received(self, chunk: bytes) -> None:
        """Drop a part of the body."""


def account_for(
    handler: RequestHandler, *, metrics: Metrics, events: Events, trusted_proxies: Container[str]
) -> None:
    """Count an answered request, and log it in a line without the query; a refusal is noted as an
    event, and when it is repeated, it is logged for debugging only."""
    request, status = handler.request, handler.get_status()
    route = type(handler).__name__.removesuffix("Handler").lower()
    # A method that does not exist must not add a series to the metrics.
    method = request.method or "" if request.method in handler.SUPPORTED_METHODS else "other"
    metrics.answered(method, route, status, seconds=request.request_time())
    address = caller(request, trusted_proxies=trusted_proxies).address
    level, answer = logging.INFO, str(status)
    if isinstance(handler, BaseHandler):
        level = handler.log_level
        if handler.refused_as is not None:
            answer = f"{status} {handler.refused_as}"
            if (status in _TURNED_AWAY or handler.refused_by is not None) and not events.note(
                Kind.REFUSAL,
                handler.refused_as,
                f"{request.method} {shortened(request.path)}: {handler.refused_because}",
                status=status,
                user=handler.user,
                address=address,
                connection=handler.request_id,
                budget=handler.refused_by,
                room=_room_of(request.path.removeprefix(handler.settings.get("base_path", ""))),
            ):
                # Once a minute is enough for the log; the events count.
                level = logging.DEBUG
    _access_log.log(
        logging.ERROR if status == 500 else level,
        "%s %s %s %.1f ms from %s",
        request.method,
        shortened(request.path),
        answer,
        1000 * request.request_time(),
        address,
    )


def _room_of(path: str) -> int | None:
    """The room that a request is about, by its path below the gateway's."""
    found = _ROOM_PATH.match(path)
    return None if found is None else int(found[1])


def shortened(path: str) -> str:
    """The part of a path that a log line shows."""
    return path if len(path) <= _LOGGED_PATH else path[:_LOGGED_PATH] + "…"


class NothingHereHandler(BodilessHandler):
    """The answer to every path without a route."""

    def prepare(self) -> None:
        super().prepare()
        raise UnknownPath(f"no resource has the path {self.request.path[:200]}")
