"""Tornado's streams with limits on the size and the time of a request, and on the time of an
answer."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from time import monotonic, thread_time
from typing import Any, Final, Protocol

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError, UnsatisfiableReadError

from gateway.budget.addresses import network_of
from gateway.errors import (
    BodyTooSlow,
    GatewayError,
    HeadTooLarge,
    HeadTooSlow,
    Invalid,
    NoCapacity,
    RateLimited,
)
from gateway.http import problem
from gateway.http.lingering import Lingering
from gateway.http.probes import Probes
from gateway.http.tls_turns import TlsTurns
from gateway.payer import Payer
from gateway.rotation import REQUEST, Rotation, Share, Waiting, share_key
from gateway.stopwatch import Stopwatch

#: Bytes of a request's head; where tokens are taken, there is room for the longest beside that.
HEAD_BYTES: Final = 16 * 1024
#: Lines of a head; a browser sends some twenty. Parsing one costs more than receiving it.
HEAD_LINES: Final = 128
#: Chunks of a body (RFC 9112, section 7.1), and one more for each so many bytes of it. Each costs
#: as much as a short request does.
CHUNKS: Final = 16
CHUNK_BYTES: Final = 1024
#: Pieces in which a head, or a body, may come before each further one waits for a turn, and one
#: more for each so many bytes of a body. Reading one costs as much as reading a whole head, and a
#: thousand connections that send a byte each would have the loop for themselves.
PIECES: Final = 8
PIECE_BYTES: Final = 1024
#: Seconds of the loop's time that a chunk counts for.
_CHUNK: Final = 0.000_1
#: Seconds from a head's first byte to its last; for the first request of a connection, from the
#: moment it was accepted.
HEAD_SECONDS: Final = 10.0
#: Seconds that a kept-alive connection may be idle.
IDLE_SECONDS: Final = 75.0
#: Seconds that a request waits for its turn. Clients give up after some more, and ask again: if
#: those that have given up were served all the same, whoever came after them would give up, too,
#: long after there is time for all again.
TURN_SECONDS: Final = 10.0
#: Requests of one client that may wait at a time, before it is its own doing that one waits for too
#: long: a page has six connections.
_OF_ONE: Final = 24
#: Seconds until one that had none should come again.
_AFTER_NO_TURN: Final = 5.0
#: A body may take so many seconds, and one more for each so many of its bytes that have come; but
#: no longer than that. A phone on a bad line sends some KiB a second.
BODY_SECONDS: Final = 10.0
BODY_RATE: Final = 1024
BODY_LONGEST: Final = 120.0
#: Seconds between two checks that the client takes its answer, and the least bytes in between.
ANSWER_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 10 * 1024
#: Bytes that wait in the kernel at most, to be sent for the first time (tcp(7)).
NOT_SENT: Final = 128 * 1024
#: On, for no seconds: socket(7).
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_READ_OR_WRITE: Final = IOLoop.READ | IOLoop.WRITE


#: The key of the share of the client that has sent a request's head.
Whose = Callable[[bytes], Hashable]


class Guardian(Protocol):
    """The server, as far as its streams know it."""

    lingering: Lingering
    tls_turns: TlsTurns
    probes: Probes

    @property
    def head_bytes(self) -> int:
        """Bytes that a request's head may have."""

    def refused(self, stream: Guarded, error: GatewayError) -> None:
        """The stream was refused where no handler sees it."""

    def waits(self, stream: Guarded) -> None:
        """The stream waits for a request, or for the rest of one."""

    def works(self, stream: Guarded) -> None:
        """The stream has a whole request."""

    def unsent(self, stream: Guarded, size: int) -> None:
        """So many bytes of answers wait for the stream's client."""


class Guarded(IOStream):
    """A stream that ends a connection whose client is too slow or sends too much, with an answer if
    a request has begun.

    A client may close its sending side after a request (RFC 9293, section 3.6); it gets its answer.
    """

    #: The client's address.
    address = ""
    #: Whether anything has come since the connection was accepted.
    _has_spoken = False
    #: Whether anything has been written since the last head.
    _has_answered = False
    #: Whether the client has closed its sending side.
    _has_ended = False
    _guardian: Guardian | None = None
    _awaits_head = False
    _head_timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None
    _body_began: float | None = None
    _body_bytes = 0
    _chunks = 0
    _answer_timer: asyncio.TimerHandle | None = None
    _taken = 0
    _unsent = 0
    _rotation: Rotation | None = None
    _share: Share | None = None
    _watch: Stopwatch | None = None
    #: The time that the connection has had, among those of its share.
    had = 0.0
    #: Seconds of the loop's time that the request has had, and those that were counted.
    _has_had = _counted = 0.0
    #: Seconds that threads have computed for the request, and those that its client rests for.
    _computed = _rested = 0.0
    _request: _Request | None = None
    #: Whether a handler has the request.
    _is_handled = False
    #: Whether nothing is lost with the request, though it may have come as a whole.
    _is_dispensable = False
    _at_once: tuple[bytes, ...] = ()
    _whose: Whose | None = None
    _is_of_many = False
    #: Whether nothing has come since a head was asked for but what somebody waited for.
    _listens = False
    #: Whether the kernel sends what is small at once.
    _has_no_delay = False
    #: Pieces of the head, or of the body, that have come; and the turn that the next one waits for.
    _pieces = 0
    _next_piece: Waiting | None = None
    _has_piece = False

    def guard(self, guardian: Guardian, address: str) -> None:
        """Guard the new connection from ``address`` from now on."""
        self._guardian = guardian
        self.address = address
        self._awaits_head = True
        guardian.waits(self)
        self._head_has_begun()

    def take_turns(
        self,
        rotation: Rotation,
        share: Share,
        *,
        at_once: tuple[bytes, ...] = (),
        whose: Whose | None = None,
        of_many: bool = False,
    ) -> None:
        """Begin requests only in the turns that the ``share`` has of the ``rotation``; but those
        whose heads begin like a probe's, as long as these are few, or like one of ``at_once``, at
        once. ``whose``: asked for the share until the user is known; ``of_many``: and from then on,
        too, because one client's request follows another's."""
        self._rotation, self._share, self._watch = rotation, share, rotation.watch
        self._at_once, self._whose, self._is_of_many = at_once, whose, of_many

    @property
    def watch(self) -> Stopwatch:
        """The stopwatch for the time that the connection takes of the loop."""
        if self._watch is None:
            self._watch = Stopwatch(clock=monotonic, cpu=thread_time)
        return self._watch

    def belongs_to(self, user: str) -> None:
        """Let the next requests take the user's turns: nobody waits behind the requests of unknown
        clients at the same address."""
        if self._rotation is None:
            return
        if not self._is_of_many:
            self._whose = None
        share = self._rotation.share(share_key(user, self.address))
        if share is not self._share:
            # Whoever opens a connection for each request has it all as somebody unknown.
            self._rotation.charge_too(max(self._counted, self._has_had), share)
            self._move_to(share)

    def _move_to(self, share: Share) -> None:
        if share is not self._share:
            self._share, self.had = share, 0.0

    async def next_turn(self) -> None:
        """Wait for the next turn: for a request that has had one already."""
        rotation, share = self._rotation, self._share
        if rotation is None or share is None:
            await asyncio.sleep(0)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rotation.wait(partial(_go_on, turn, rotation), share, self)
        await turn
        # What the turn was estimated at is counted with it.
        self._has_had, self._counted = 0.0, REQUEST

    def holds_refusal(self) -> float:
        """Seconds for which a refusal is kept from the client, if it asks for much; else 0."""
        rotation, share = self._rotation, self._share
        return 0.0 if rotation is None or share is None else rotation.holds_refusal(share)

    def makes_room(self) -> None:
        """Let the connection make room for others until its next request, like one without a
        request."""
        self._is_dispensable = True
        if self._guardian is not None:
            self._guardian.waits(self)

    def has_taken(self, seconds: float) -> None:
        """Count so much more time that the connection has taken of the loop: for its request, or
        for the next one."""
        rotation, share = self._rotation, self._share
        self._has_had += seconds
        if rotation is None or share is None or self._has_had <= self._counted:
            return
        rotation.charge(self._has_had - self._counted, share, self)
        if self._is_handled:
            rotation.learn(self._has_had, share)
        self._counted = self._has_had

    def payer(self) -> Payer:
        """The one who pays for what threads compute for the present request. A thread may end after
        it, and the next request on the connection be another client's."""
        request = self._request = _Request()

        def pay(seconds: float) -> None:
            if self._request is request:
                self.has_computed(seconds)
            elif self._rotation is not None and request.share is not None:
                self._rotation.charge_too(seconds, request.share)

        return pay

    def has_computed(self, seconds: float) -> None:
        """Count so much time that a thread has had for the request."""
        rotation, share = self._rotation, self._share
        if rotation is None or share is None:
            return
        rotation.charge_too(seconds, share)
        self._computed += seconds
        if self._computed > self._rested:
            rotation.rest(self._computed - self._rested, share)
            self._rested = self._computed

    def has_ended(self) -> None:
        """The request is over."""
        if self._rotation is not None and self._share is not None:
            self._rotation.learn(self._has_had, self._share)
            self._rotation.learn_computing(self._computed, self._share)
        if self._request is not None:
            self._request.share, self._request = self._share, None
        self._is_handled = False
        self._has_had = self._counted = self._computed = self._rested = 0.0

    def leave(self) -> None:
        """Guard it no longer: it is closed, or has become a WebSocket."""
        self._guardian = None
        self._stop_timers()
        if self._next_piece is not None:
            self._next_piece.cancel()
            self._next_piece = None
        if not self.closed():
            with suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 0)

    # Reading

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        # Tornado's HTTP server uses this method only to read a request's head.
        self._awaits_head = self._listens = True
        self._has_answered = False
        future = asyncio.ensure_future(super().read_until_regex(regex, max_bytes))
        if future.done():
            self._head_is_over(future)
        else:
            future.add_done_callback(self._head_is_over)
            if self._guardian is not None:
                self._guardian.waits(self)
            if self._head_timer is not None:
                pass
            elif self._read_buffer_size:
                # A part of the next head has come together with the data before it.
                self._head_has_begun()
            else:
                loop = asyncio.get_running_loop()
                self._idle_timer = loop.call_later(IDLE_SECONDS, self.close)
        if self._rotation is None or self._share is None:
            return future
        return self._in_turn(future, self._rotation)

    async def _in_turn(self, head: asyncio.Future[bytes], rotation: Rotation) -> bytes:
        """The head, when it is its turn. One whose turn does not come in time is refused."""
        try:
            found = await head
        finally:
            # Its error would hold this frame, and this frame the error.
            del head
        if self._whose is not None:
            self._move_to(rotation.share(self._whose(found)))
        share = self._share
        if share is None:
            return found
        self._is_handled = True
        self._counted += share.request
        self._rested = share.computing
        line: Guarded | None = self
        if self._guardian is not None and found.startswith(self._guardian.probes.heads):
            # Not behind other requests from there, nor by what it has had of another share.
            share, line = rotation.share(("probes", network_of(self.address))), None
            if rotation.may_probe(share):
                return found
        elif rotation.may_work(share) or (self._at_once and found.startswith(self._at_once)):
            rotation.charge(share.request, share, self)
            rotation.rest(share.computing, share)
            return found
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        waiting = rotation.wait(partial(_begin, turn, rotation, share), share, line)
        end = loop.call_later(TURN_SECONDS, _give_up, turn, waiting)
        try:
            has_turn = await turn
        finally:
            end.cancel()
        if not has_turn:
            rotation.charge(REQUEST, share, line)
            # Behind many of its own it waits for these, and not for the gateway.
            kind = RateLimited if len(share.waiting) > _OF_ONE else NoCapacity
            self._tell(
                kind(
                    f"the request had no turn within {TURN_SECONDS:g} s", retry_after=_AFTER_NO_TURN
                )
            )
            self.close()
        if self.closed():
            raise StreamClosedError(real_error=self.error)
        return found

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Awaitable[bytes]:
        future = super().read_bytes(num_bytes, partial)
        self._body_is_read()
        return future

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        # The size of a chunk.
        self._chunks += 1
        if self._rotation is not None and self._share is not None:
            self._rotation.charge(_CHUNK, self._share, self)
        if self._chunks > CHUNKS + self._body_bytes / CHUNK_BYTES:
            self._tell(
                Invalid(
                    f"a body may have {CHUNKS} chunks, and one more for each {CHUNK_BYTES} bytes;"
                    " send larger ones"
                )
            )
            self.close()
            # More of them may be there already.
            raise StreamClosedError
        future = super().read_until(delimiter, max_bytes)
        self._body_is_read()
        return future

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        size = super().read_from_fd(buf)
        if size:
            self._has_spoken = True
            if not self._awaits_head:
                self._body_bytes += size
            elif self._head_timer is None:
                self._head_has_begun()
        elif size == 0 and (self._read_future is None or self._find_read_pos() is not None):
            # The request has come as a whole. The next read meets this end again.
            self._has_ended = True
            return None
        return size

    def _check_max_bytes(self, delimiter: Any, size: int) -> None:
        super()._check_max_bytes(delimiter, size)
        if self._awaits_head and self._read_buffer.count(b"\n", 0, size) > HEAD_LINES:
            raise UnsatisfiableReadError(f"more than {HEAD_LINES} lines")

    def reading(self) -> bool:
        # Between a head and its body Tornado would leave the loop's poll and come back, by two
        # system calls for each request.
        return self._listens or super().reading()

    def _handle_events(self, fd: Any, events: int) -> None:
        if events & IOLoop.READ and not self._has_piece and self._has_to_wait():
            self._ignore(IOLoop.READ)
            events &= ~IOLoop.READ
            if not events:
                return
        watch = self.watch
        begun = watch.begin()
        if self._read_future is None:
            # Something came that nobody waits for yet.
            self._listens = False
            if self._read_buffer_size:
                events &= ~IOLoop.READ
        super()._handle_events(fd, events)
        if not self._has_piece:
            self.has_taken(watch.since(begun))
        if self._has_ended and not self.closed() and not self.reading():
            # An end that has been seen would be reported in each turn of the loop.
            self._ignore(IOLoop.READ)

    def _has_to_wait(self) -> bool:
        """Whether what has come is to be read in a later turn: it comes in many pieces."""
        rotation, share = self._rotation, self._share
        if self._next_piece is not None:
            return True
        self._pieces += 1
        if rotation is None or share is None:
            return False
        if self._pieces <= PIECES + self._body_bytes // PIECE_BYTES or rotation.may_work(share):
            return False
        self._next_piece = rotation.wait(self._take_piece, share, self)
        return True

    def _take_piece(self) -> None:
        self._next_piece = None
        if self.closed() or self._guardian is None:
            return
        self._has_piece = True
        try:
            # The rotation counts its time.
            self._handle_events(self.fileno(), IOLoop.READ)
        finally:
            self._has_piece = False

    def _ignore(self, events: int) -> None:
        if self._state is not None and self._state & events:
            self._state &= ~events
            self.io_loop.update_handler(self.fileno(), self._state)

    # Writing

    def set_nodelay(self, value: bool) -> None:
        # Tornado's HTTP server turns it on after each answer and off before the next one, by a
        # system call each.
        if value and not self._has_no_delay:
            self._has_no_delay = True
            super().set_nodelay(value)

    def write(self, data: bytes | memoryview) -> asyncio.Future[None]:
        self._has_answered = True
        future = super().write(data)
        if self._write_buffer and self._guardian is not None:
            self._count_unsent()
            if self._answer_timer is None and not self.closed():
                self._taken = self._taken_now()
                self._watch_answer()
        return future

    def _handle_write(self) -> None:
        super()._handle_write()
        if self._unsent:
            self._count_unsent()
        if self._answer_timer is not None and not self._write_buffer:
            # The next answer has its own time, and its own start.
            self._answer_timer.cancel()
            self._answer_timer = None

    def _count_unsent(self) -> None:
        size = len(self._write_buffer or ())
        if size != self._unsent and self._guardian is not None:
            self._unsent = size
            self._guardian.unsent(self, size)

    def _watch_answer(self) -> None:
        loop = asyncio.get_running_loop()
        self._answer_timer = loop.call_later(ANSWER_SECONDS, self._check_answer)

    def _check_answer(self) -> None:
        self._answer_timer = None
        if not self.writing():
            return
        taken, before = self._taken_now(), self._taken
        if taken < before + ANSWER_BYTES:
            self.abort()
            return
        self._taken = taken
        self._watch_answer()

    def _taken_now(self) -> int:
        """Bytes that the client's system has acknowledged: tcp(7), SIOCOUTQ, which is the same
        number as TIOCOUTQ."""
        held = fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return self._total_write_done_index - int.from_bytes(held, sys.byteorder)

    # The end

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        # Tornado's HTTP server sets one once a request has come as a whole.
        if callback is not None and self._guardian is not None and not self._is_dispensable:
            self._guardian.works(self)
        super().set_close_callback(callback)

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and self._awaits_head:
            most = HEAD_BYTES if self._guardian is None else self._guardian.head_bytes
            self._tell(
                HeadTooLarge(
                    f"the request's head must have at most {most} bytes and {HEAD_LINES} lines"
                )
            )
        self._stop_timers()
        super().close(exc_info)
        if self.error is not None:
            # It was raised in a method of this stream, which its traceback would hold.
            self.error.__traceback__ = None
        if self._unsent:
            self._count_unsent()

    def drop(self) -> None:
        """Close at once, to make room: nothing lingers."""
        self._has_answered = False
        self.close()

    def abort(self) -> None:
        """Reset the connection: what the client has not taken is dropped, in the kernel too."""
        if not self.closed():
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._has_answered = False
            self.close()

    def close_fd(self) -> None:
        lingers = self._has_answered and not self._has_ended and self.error is None
        if lingers and self._guardian is not None:
            connection, self.socket = self.socket, None  # type: ignore[assignment]
            self._guardian.lingering.take(connection)
        else:
            super().close_fd()

    # Heads

    def _head_has_begun(self) -> None:
        self._stop_idling()
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_over(self, _: asyncio.Future[bytes]) -> None:
        self._awaits_head = self._is_dispensable = False
        self._body_began, self._body_bytes, self._chunks = None, self._read_buffer_size, 0
        self._pieces = 0
        if self._body_timer is not None:
            # That of the request before, which would end this one's body at its own time.
            self._body_timer.cancel()
            self._body_timer = None
        self._stop_idling()
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._guardian is not None and not self.closed():
            self._guardian.works(self)

    def _stop_idling(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _head_is_late(self) -> None:
        # A browser that opened a connection in advance would show this as the answer to its next
        # request.
        if self._has_spoken:
            self._tell(HeadTooSlow(f"the request's head did not arrive within {HEAD_SECONDS:g} s"))
        self.close()

    # Bodies

    def _body_is_read(self) -> None:
        """Watch the body, unless all that is wanted of it is there already."""
        if self._read_future is None or self._body_timer is not None or self._guardian is None:
            return
        loop = asyncio.get_running_loop()
        if self._body_began is None:
            self._body_began = loop.time()
            self._guardian.waits(self)
        self._body_timer = loop.call_at(self._body_is_due, self._check_body)

    @property
    def _body_is_due(self) -> float:
        seconds = min(BODY_SECONDS + self._body_bytes / BODY_RATE, BODY_LONGEST)
        return (self._body_began or 0.0) + seconds

    def _check_body(self) -> None:
        self._body_timer = None
        if self._read_future is None or self._awaits_head:
            # The client is not waited for.
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._body_is_due:
            self._body_timer = loop.call_at(self._body_is_due, self._check_body)
            return
        self._tell(
            BodyTooSlow(
                f"a body must arrive at {BODY_RATE} bytes a second, after {BODY_SECONDS:g} s at the"
                f" start, and within {BODY_LONGEST:g} s"
            )
        )
        self.close()

    # Both

    def _stop_timers(self) -> None:
        self._stop_idling()
        for timer in (self._head_timer, self._body_timer, self._answer_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._body_timer = self._answer_timer = None

    def _tell(self, error: GatewayError) -> None:
        """Send as much as the socket takes at once; the client may be gone, or not speak HTTP."""
        if self._guardian is None or self._write_buffer or self.closed():
            return
        self._guardian.refused(self, error)
        try:
            self.socket.send(answer(error))
        except OSError:
            # The socket takes nothing.
            return
        self._has_answered = True


class _Request:
    """One request. ``share``: whose it was, once it is over."""

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share: Share | None = None


class GuardedStream(Guarded):
    """A guarded stream without TLS."""


class GuardedTlsStream(Guarded, SSLIOStream):
    """A guarded stream with TLS, whose handshake counts as part of the first head's time."""

    #: Whether a step of the handshake waits for its turn, or is in it.
    _is_due = False
    _has_turn = False

    def _do_ssl_handshake(self) -> None:
        if self._has_turn or self._guardian is None:
            super()._do_ssl_handshake()
        elif not self._is_due:
            self._is_due = True
            self._guardian.tls_turns.due(self._take_turn)

    def _take_turn(self) -> None:
        self._is_due = False
        if self.closed():
            return
        self._has_turn = True
        try:
            self._handle_events(self.fileno(), IOLoop.READ)
        finally:
            self._has_turn = False

    def _handle_events(self, fd: Any, events: int) -> None:
        super()._handle_events(fd, events)
        if self._is_due and not self.closed():
            # What has come stays readable, and would be reported in each turn of the loop.
            self._ignore(_READ_OR_WRITE)


def _begin(turn: asyncio.Future[bool], rotation: Rotation, share: Share) -> None:
    if not turn.done():
        rotation.spend(share.request)
        rotation.rest(share.computing, share)
        turn.set_result(True)


def _give_up(turn: asyncio.Future[bool], waiting: Waiting) -> None:
    waiting.cancel()
    if not turn.done():
        turn.set_result(False)


def _go_on(turn: asyncio.Future[None], rotation: Rotation) -> None:
    if not turn.done():
        rotation.spend(REQUEST)
        turn.set_result(None)


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
