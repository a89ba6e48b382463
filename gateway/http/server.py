"""Tornado's HTTP server, with a limit on connections that never keeps a probe from its answer."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import time
from collections.abc import Awaitable, Callable, Container, Hashable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from tornado.httpserver import HTTPServer, _HTTPRequestContext
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.netutil import ssl_wrap_socket

from broker.timing.readings import Monotonic
from gateway.budget.addresses import network_of
from gateway.budget.budgets import Budgets
from gateway.budget.cap import IN_ALL, Lease, Places
from gateway.budget.rank import Rank
from gateway.budget.table import HTTP_CONNECTIONS, HTTP_CONNECTS, Scope
from gateway.config import UNIX
from gateway.descriptors import lowest_free
from gateway.errors import GatewayError, Invalid, NoCapacity, TooManyConnects, outcome
from gateway.http.caller import nearest
from gateway.http.lingering import Lingering
from gateway.http.open_connections import Open
from gateway.http.probes import Probes
from gateway.http.proxy_headers import ProxyHeaders
from gateway.http.serving import Serving
from gateway.http.streams import NOT_SENT, Guarded, GuardedStream, GuardedTlsStream, answer
from gateway.http.tls_turns import TlsTurns
from gateway.observe.events import Events, Kind
from gateway.rotation import Rotation, Share, Turn, Waiting, share_key

logger = logging.getLogger(__name__)

#: Unlike the loop's clock, it advances within a turn of the loop.
_now: Monotonic = time.monotonic

#: The names of the limits on connections, that of an address first.
_OF_PLACES: Final = tuple(map(HTTP_CONNECTIONS.met, HTTP_CONNECTIONS.limits))
#: The beginnings of RabbitMQ's questions.
_QUESTIONS: Final = (b"GET /broker/auth/", b"POST /broker/auth/")
#: Connections without a free place whose requests are read all the same, because one may be a
#: probe.
SPARE: Final = 16
#: Connections that are accepted in one turn, and the seconds that it may take, but for one
#: connection in any case. The rest stays in the kernel: what follows for each costs twice as much
#: again.
_AT_ONCE: Final = 64
ACCEPTING: Final = 0.000_25
#: Seconds until a paused listener tries to accept again.
_PAUSE: Final = 0.25
#: Seconds between two log lines about a shortage.
_LOG_INTERVAL: Final = 60.0
#: Bytes of answers that wait for their clients, in all: some sixty pages of the history. A client
#: that reads at all has taken its own within seconds.
_UNSENT: Final = 64 * 1024 * 1024
#: Errors of accept(2) for a lack of resources: descriptors of the process or of the system; memory.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Capacity:
    """The number of connections without a WebSocket that the public listener accepts.

    The ``trusted_proxies`` carry many clients, so the limits per address do not count for them.
    Descriptors from the number ``descriptors`` on are not for this listener, but for ``spare``
    connections without a place; None: all are. Requests take their turns in the ``rotation``; None:
    they are handled at once. ``known``: the user of a request's headers, if that is known without
    asking anybody. ``headers``: whether connections of the proxies begin with a header of the PROXY
    protocol.
    """

    def __init__(
        self,
        budgets: Budgets,
        trusted_proxies: Container[str] = (),
        *,
        descriptors: int | None = None,
        spare: int = SPARE,
        rotation: Rotation | None = None,
        known: Callable[[HTTPHeaders], str | None] = lambda _: None,
        headers: bool = False,
    ) -> None:
        self.descriptors = descriptors
        self.spare = spare
        self._known = known
        self._connections = budgets.cap(HTTP_CONNECTIONS)
        self._connects = budgets.rate(HTTP_CONNECTS)
        self._trusted_proxies = trusted_proxies
        self._headers = headers
        self._rotation = rotation
        self._accepting = Share()

    def share(self, stream: Guarded) -> None:
        """Give a new connection its share of the rotation."""
        if self._rotation is None:
            return
        address = stream.address
        stream.take_turns(
            self._rotation,
            self._rotation.share(share_key(None, address)),
            whose=partial(self._whose, address),
            of_many=address in self._trusted_proxies,
        )

    def _whose(self, peer: str, head: bytes) -> Hashable:
        """The key of a client's share, as far as its request's head tells without asking anybody:
        many have the same address, a school's or a proxy's."""
        headers = _headers(head)
        address = nearest(peer, headers, trusted_proxies=self._trusted_proxies)
        return share_key(self._known(headers), address)

    def accept(self, some: Turn) -> Waiting | None:
        """Accept some connections now, or when it is their turn: they are taken as one client,
        because nobody knows yet who they are."""
        if self._rotation is None:
            some()
        elif self._rotation.may_work(self._accepting):
            self._rotation.work(some, self._accepting)
        else:
            return self._rotation.wait(some, self._accepting)
        return None

    def wants_header(self, address: str) -> bool:
        """Whether a connection from there begins with a header of the PROXY protocol."""
        return self._headers and address in self._trusted_proxies

    def comes(self, address: str) -> None:
        """Count a new connection. Raises :class:`TooManyConnects`."""
        self._connects.take(self._key(address), None)

    def introduced(self, headers: HTTPHeaders, too_fast: TooManyConnects) -> None:
        """Count a new connection that came too fast for its address as one of its user, if that is
        known. Raises :class:`TooManyConnects`."""
        user = self._known(headers)
        if user is None:
            raise too_fast
        self._connects.take(None, user)

    def refusal(self, address: str) -> GatewayError | None:
        """The reason against one more connection from there."""
        key, taken = self._key(address), self._connections.taken
        return self._connections.against(
            None if key is None else taken(Scope.ADDRESS, key), taken(Scope.ALL), rank=Rank.HOST
        )

    def count(self, error: GatewayError) -> None:
        """Count a refusal for want of a place; one for another reason is counted already."""
        if error.budget in _OF_PLACES:
            self._connections.count(error)

    def hold(self, address: str) -> Lease:
        """Take a place."""
        return self._connections.hold(self._key(address))

    def _key(self, address: str) -> str | None:
        return None if address in self._trusted_proxies else address


class FixedCapacity:
    """As :class:`Capacity`, for a listener that only operators, Prometheus and RabbitMQ reach."""

    def __init__(
        self,
        most: int,
        *,
        descriptors: int | None = None,
        spare: int = SPARE,
        rotation: Rotation | None = None,
    ) -> None:
        self.descriptors = descriptors
        self.spare = spare
        self._most = most
        self._rotation = rotation
        self._places = Places()

    def share(self, stream: Guarded) -> None:
        """Let everything but RabbitMQ's questions take turns: relays wait for these."""
        if self._rotation is not None:
            share = self._rotation.share(("internal", stream.address))
            stream.take_turns(self._rotation, share, at_once=_QUESTIONS)

    def accept(self, some: Turn) -> None:
        """Accept some connections now: operators come rarely, and wait for no client."""
        some()

    def wants_header(self, _: str) -> bool:
        return False

    def comes(self, _: str) -> None:
        """Let new connections come as often as they will."""

    def introduced(self, _: HTTPHeaders, too_fast: TooManyConnects) -> None:
        raise too_fast

    def refusal(self, _: str) -> GatewayError | None:
        if self._places.taken(IN_ALL) < self._most:
            return None
        return NoCapacity(f"the limit of {self._most} HTTP connections is reached", retry_after=2.0)

    def count(self, error: GatewayError) -> None:
        """Count nothing: it is no client's budget."""

    def hold(self, _: str) -> Lease:
        return Lease([(self._places, IN_ALL)], 1)


def _headers(head: bytes) -> HTTPHeaders:
    """The headers of a request's head; none if they are wrong, which is answered later."""
    try:
        return HTTPHeaders.parse(head.partition(b"\n")[2].decode("latin-1"))
    except HTTPInputError:
        return HTTPHeaders()


def _no_descriptor() -> GatewayError:
    return NoCapacity("the gateway has no file descriptor left", retry_after=2.0)


def _has_left(connection: socket.socket) -> bool:
    """Whether the client of a new connection has gone without a word. Such a one takes a tenth of
    what a stream for it would."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


#: Reasons for making room, and what to do about each.
_MORE_FILES: Final = "raise the limit of open files"
_SHORT: Final = ("file descriptors are short", _MORE_FILES)
_FULL: Final = ("limits.http_connections is reached", "raise it if these are no attack")
_FULL_FROM: Final = (
    "limits.http_connections_per_address is reached",
    "raise it, or name the address in server.trusted_proxies, if these are no attack",
)
_Why = tuple[str, str]


class Server(HTTPServer):
    """Tornado's server, which accepts and guards connections by itself.

    Without a free place, the connection that has waited longest for the rest of a request is
    closed: a client that sends none loses nothing. If there is none, it is the one whose client
    takes its answer most slowly. If all others have requests in hand, a few more are accepted whose
    requests are read: a probe is answered, everything else is refused. Beyond those, new
    connections wait in the kernel while descriptors are short, and are refused otherwise.
    """

    def equip(
        self,
        *,
        what: str,
        capacity: Capacity | FixedCapacity | None,
        events: Events,
        probes: Probes,
    ) -> None:
        """Set up once, before :meth:`add_sockets`: Tornado's class is made without a
        constructor."""
        self.lingering = Lingering()
        self.tls_turns = TlsTurns()
        self.probes = probes
        self.headers = ProxyHeaders()
        self._what = what
        self._capacity = capacity
        self._events = events
        self._places: Open[Guarded] = Open()
        self._spare: Open[Guarded] = Open()
        self._leases: dict[Guarded, Lease] = {}
        #: Those of the spare ones whose address opens too many.
        self._too_fast: dict[Guarded, TooManyConnects] = {}
        self._most_spare = SPARE if capacity is None else capacity.spare
        # Streams end idle connections themselves: by Tornado's way each request would go through
        # two more futures, and two more turns of the loop.
        self.conn_params.header_timeout = None
        #: Of each stream with an answer that its client has not taken: the bytes that wait. Who has
        #: been so for longest is the first.
        self._unsent: dict[Guarded, int] = {}
        self._unsent_bytes = 0
        self._logged_at = -math.inf
        self._closed_since = 0
        self._retries: dict[int, asyncio.TimerHandle] = {}
        #: Listeners whose turn to accept has to come.
        self._turns: dict[int, Waiting] = {}

    @property
    def head_bytes(self) -> int:
        """Bytes that a request's head may have."""
        most: int = self.conn_params.max_header_size
        return most

    @head_bytes.setter
    def head_bytes(self, most: int) -> None:
        # Every connection reads it before each request.
        self.conn_params.max_header_size = most

    # Accepting

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
        if turn := self._turns.pop(number, None):
            turn.cancel()

    def _accept(self, listening: socket.socket) -> None:
        if self._capacity is None:
            self._accept_some(listening)
            return
        waiting = self._capacity.accept(partial(self._take_turn, listening))
        if waiting is not None:
            number = listening.fileno()
            self._loop.remove_reader(number)
            self._turns[number] = waiting

    def _take_turn(self, listening: socket.socket) -> None:
        """Accept some connections; one that had to wait listens again, whatever comes of it."""
        try:
            self._accept_some(listening)
        finally:
            number = listening.fileno()
            if self._turns.pop(number, None) is not None and number not in self._retries:
                self._loop.add_reader(number, self._accept, listening)

    def _accept_some(self, listening: socket.socket) -> None:
        """Accept connections for a moment, but :data:`_AT_ONCE` at most, and one in any case."""
        spare, end = 0, _now() + ACCEPTING
        for number in range(_AT_ONCE):
            if (number and _now() >= end) or spare > self._most_spare // 2:
                # Spare ones must be read before others displace them.
                return
            is_short = not self._has_descriptors
            if is_short and not self._may_make_room:
                self._pause(listening, _SHORT)
                return
            try:
                connection, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    why = (str(error.strerror).lower(), _MORE_FILES)
                    if not self._close_one_that_waits(why):
                        self._pause(listening, why)
                        return
                # accept(2) fails for one connection only: go on with the next.
                continue
            where = address[0] if isinstance(address, tuple) else UNIX
            if self._capacity is not None and self._capacity.wants_header(where):
                self._await_header(connection, where, self._capacity, is_short=is_short)
            else:
                spare += self._meet(connection, where, is_short=is_short)

    def _await_header(
        self,
        connection: socket.socket,
        proxy: str,
        capacity: Capacity | FixedCapacity,
        *,
        is_short: bool,
    ) -> None:
        """Read from the proxy's connection whose it is, and decide then. Until then it has a place
        in all, as one that waits for a request; without room only a few are read, because one may
        be a probe."""
        has_room = (not is_short or self._close_one_that_waits(_SHORT)) and (
            self._no_room(proxy) is None or self._close_one_that_waits(_FULL)
        )
        if not has_room and len(self.headers) >= self._most_spare:
            self.headers.end_oldest()

        def met(connection: socket.socket, source: str | None) -> None:
            where = proxy if source is None else source
            self._meet(connection, where, is_short=not self._has_descriptors)

        def ended(why: str) -> None:
            detail = f"a connection of a trusted proxy has no header of the PROXY protocol: {why}"
            self._note(proxy, Invalid(detail))

        self.headers.await_header(connection, capacity.hold(proxy), met, ended)

    def _meet(self, connection: socket.socket, where: str, *, is_short: bool) -> bool:
        """Decide about a new connection. Whether it is a spare one, or is turned away."""
        if _has_left(connection):
            # It is not counted either: others at its address may need the connections.
            connection.close()
            return False
        refusal = self._refusal(where, is_short=is_short)
        if refusal is None and is_short:
            connection = _lowered(connection)
        self._take(connection, where, refusal)
        return refusal is not None

    @property
    def _has_descriptors(self) -> bool:
        if self._capacity is None or self._capacity.descriptors is None:
            return True
        lowest = lowest_free()
        return lowest is not None and lowest < self._capacity.descriptors

    @property
    def _may_make_room(self) -> bool:
        return (
            len(self._spare) < self._most_spare
            or len(self.lingering) > 0
            or len(self.headers) > self._most_spare
            or self._places.longest_waiting() is not None
            or self._spare.longest_waiting() is not None
            or len(self._unsent) > 0
        )

    def _refusal(self, where: str, *, is_short: bool) -> GatewayError | None:
        """The reason against one more connection from there, after an attempt to make room."""
        if is_short and not self._close_one_that_waits(_SHORT):
            return _no_descriptor()
        try:
            if self._capacity is not None:
                self._capacity.comes(where)
        except GatewayError as error:
            return error
        if (full := self._no_room(where)) is None:
            return None
        if full.budget == _OF_PLACES[0]:
            self._close_one_that_waits(_FULL_FROM, where)
        else:
            self._close_one_that_waits(_FULL)
        return self._no_room(where)

    def _no_room(self, where: str) -> GatewayError | None:
        return None if self._capacity is None else self._capacity.refusal(where)

    def _close_one_that_waits(self, why: _Why, where: str | None = None) -> bool:
        """Make room (for one from that address). False: there is nobody to close."""
        if why[1] is _MORE_FILES and self.lingering.end_oldest():
            return True
        if where is None and len(self.headers) > self._most_spare:
            # Not even its header has come; it is noted by itself.
            self.headers.end_oldest()
            return True
        if (oldest := self._places.longest_waiting(where)) is not None:
            oldest.drop()
        elif (oldest := self._longest_unread(where)) is not None:
            oldest.abort()
        else:
            return False
        # Its loop ends later.
        self._forget(oldest)
        self._closed_since += 1
        self._log(
            "connections without a whole request are closed to make room"
            f" ({self._closed_since} since the last such line, {len(self._places)} are open)",
            why,
            code="made_room",
        )
        return True

    def _longest_unread(self, where: str | None) -> Guarded | None:
        """The connection (from that address) whose client has not taken its answer for longest."""
        network = None if where is None else network_of(where)
        for stream in self._unsent:
            if stream in self._places and network in (None, network_of(stream.address)):
                return stream
        return None

    def _pause(self, listening: socket.socket, why: _Why) -> None:
        """Leave new connections to the kernel for a moment."""
        number = listening.fileno()
        self._loop.remove_reader(number)
        self._retries[number] = self._loop.call_later(_PAUSE, self._resume, listening)
        self._log(
            f"no connection is accepted for now ({len(self._places)} HTTP connections are open)",
            why,
            code="accept_paused",
        )

    def _resume(self, listening: socket.socket) -> None:
        number = listening.fileno()
        del self._retries[number]
        self._loop.add_reader(number, self._accept, listening)

    def _log(self, what: str, why: _Why, *, code: str) -> None:
        """Say it, once a minute."""
        now = self._loop.time()
        if now < self._logged_at + _LOG_INTERVAL:
            return
        self._logged_at, self._closed_since = now, 0
        reason, remedy = why
        logger.warning("%s: %s, because %s: %s", self._what, what, reason, remedy)
        self._events.note(Kind.REFUSAL, code, f"{self._what}: {reason}", status=503)

    def _take(self, connection: socket.socket, where: str, error: GatewayError | None) -> None:
        places = self._places
        if isinstance(error, TooManyConnects) and self.ssl_options is not None:
            # Its handshake alone would cost what the limit saves.
            self._turn_away(connection, where, error)
            return
        if error is not None:
            places = self._spare
            if len(places) >= self._most_spare:
                if (oldest := places.longest_waiting()) is None:
                    self._turn_away(connection, where, error)
                    return
                oldest.drop()
                places.remove(oldest)
        with suppress(OSError):
            # Until it becomes a WebSocket, the kernel keeps little for a client that takes nothing.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)
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
        if places is self._places:
            self._give_place(stream, where)
        else:
            places.add(stream, where)
        if isinstance(error, TooManyConnects):
            self._too_fast[stream] = error
        stream.guard(self, where)
        if self._capacity is not None and places is self._places:
            # Without a place it is answered at once: while it waited, a probe would have no place.
            self._capacity.share(stream)
        self.handle_stream(stream, where)

    def _turn_away(self, connection: socket.socket, where: str, error: GatewayError) -> None:
        self._note(where, error)
        if self.ssl_options is not None:
            connection.close()
            return
        connection.setblocking(False)
        with suppress(OSError):
            connection.send(answer(error))
        self.lingering.take(connection)

    # Serving

    def handle_stream(self, stream: Any, address: Any) -> None:
        context = _HTTPRequestContext(stream, (address,), self.protocol, self.trusted_downstream)
        # Tornado would take the socket's own, which may be a proxy's, or have none.
        context.remote_ip = address
        connection = Serving(stream, self.conn_params, context)
        self._connections.add(connection)
        connection.start_serving(self)

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        delegate = super().start_request(server_conn, request_conn)
        stream: Guarded = server_conn.stream
        if stream not in self._spare:
            return delegate
        return _WithoutPlace(delegate, stream, self)

    def promote(self, stream: Guarded, headers: HTTPHeaders) -> GatewayError | None:
        """Give the spare connection a place. ``headers``: of its request. Returns what is against
        it; None: it has one now."""
        if (too_fast := self._too_fast.get(stream)) is not None and self._capacity is not None:
            try:
                self._capacity.introduced(headers, too_fast)
            except TooManyConnects as refused:
                return refused
        if not self._has_descriptors:
            return _no_descriptor()
        if (error := self._no_room(stream.address)) is None:
            self._spare.remove(stream)
            self._too_fast.pop(stream, None)
            self._give_place(stream, stream.address)
            if self._capacity is not None:
                self._capacity.share(stream)
        return error

    def _give_place(self, stream: Guarded, where: str) -> None:
        self._places.add(stream, where)
        if self._capacity is not None:
            self._leases[stream] = self._capacity.hold(where)

    def _forget(self, stream: Guarded) -> None:
        self._places.remove(stream)
        self._spare.remove(stream)
        self._too_fast.pop(stream, None)
        if lease := self._leases.pop(stream, None):
            lease.give_back()

    def on_close(self, server_conn: Any) -> None:
        """The connection is gone, or has become a WebSocket."""
        super().on_close(server_conn)
        stream: Guarded = server_conn.stream
        stream.leave()
        self.unsent(stream, 0)
        self._forget(stream)

    # What streams say

    def refused(self, stream: Guarded, error: GatewayError) -> None:
        self._note(stream.address, error)

    def waits(self, stream: Guarded) -> None:
        self._places.waits(stream)
        self._spare.waits(stream)

    def works(self, stream: Guarded) -> None:
        self._places.works(stream)
        self._spare.works(stream)

    def unsent(self, stream: Guarded, size: int) -> None:
        self._unsent_bytes += size - self._unsent.get(stream, 0)
        if not size:
            self._unsent.pop(stream, None)
            return
        self._unsent[stream] = size
        while self._unsent_bytes > _UNSENT and len(self._unsent) > 1:
            next(iter(self._unsent)).abort()

    def _note(self, where: str, error: GatewayError) -> None:
        row = outcome(error)
        if self._capacity is not None:
            self._capacity.count(error)
        self._events.note(
            Kind.REFUSAL,
            row.code,
            error.detail,
            status=row.status,
            address=where,
            budget=error.budget,
        )


def _lowered(connection: socket.socket) -> socket.socket:
    """The connection under the lowest free descriptor: not under one of those that are kept, when
    another was closed for it."""
    try:
        lower = connection.dup()
    except OSError:
        return connection
    connection.close()
    return lower


class _WithoutPlace(HTTPMessageDelegate):
    """A request on a connection without a place: a probe is answered, and so is any other request
    if there is a place meanwhile."""

    def __init__(self, delegate: HTTPMessageDelegate, stream: Guarded, server: Server) -> None:
        self._delegate: HTTPMessageDelegate | None = delegate
        self._stream = stream
        self._server = server

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        delegate = self._delegate
        if self._stream.closed():
            # It has made room for another one.
            self._delegate = None
            return None
        is_probe = isinstance(start_line, RequestStartLine) and self._server.probes.are(
            start_line.method, start_line.path
        )
        error = self._server.promote(self._stream, headers)
        if delegate is not None and (error is None or is_probe):
            return delegate.headers_received(start_line, headers)
        self._delegate = None
        if error is not None:
            self._server.refused(self._stream, error)
            self._stream.write(answer(error))
        self._stream.close()
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return None if self._delegate is None else self._delegate.data_received(chunk)

    def finish(self) -> None:
        if self._delegate is not None:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()
