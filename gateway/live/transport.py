"""The transport of bytes to and from one peer: a socket, plain or TLS.

What comes is handed over as it comes; what is sent leaves at once, or waits and is counted.

Tornado's IOStream makes the handshakes. From then on its futures and coroutines would cost more
than all that is done with a message; here a readable socket is one call.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from typing import Final, cast

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamClosedError

from broker.protocol.websocket import walk
from gateway.live.bytes_in_hand import Account
from gateway.poller import Poller
from gateway.rotation import Rotation, Share, Waiting

#: Where all sockets are read into, one after the other; nothing stays in it. No less than a record
#: of TLS (RFC 8446, section 5.1): a part of one would wait unseen in the library.
_BUFFER: Final = memoryview(bytearray(65_536))
#: What is smaller is joined while it waits; what is larger is kept as it is, shared by many.
_SMALL: Final = 4_096
#: Bytes that are joined at most, and that one turn of the loop sends at least.
_JOINED: Final = 65_536
#: On, for no seconds: socket(7).
_NO_LINGER: Final = struct.pack("ii", 1, 0)
#: The places behind the whole frames of what was written.
Ends = Callable[[bytes | bytearray], Iterable[int]]
#: The context of a socket that is closed.
_NOBODY: Final = Context()
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stalled(Exception):
    """The peer has not taken what was written within the time allowed."""


class Transport:
    """One peer's socket, taken over from an open ``stream``. Nothing is read until :meth:`attach`.

    Only whole frames are written, so that any frame may follow any other; ``ends`` finds where
    frames end in what was written. ``stall_timeout``: seconds that :meth:`drained` waits for the
    peer. It is read in the turns that its ``share`` has of the ``rotation``; what is behind stays
    in the socket. Raises StreamClosedError.
    """

    __slots__ = (
        "_context",
        "_early",
        "_ends",
        "_gone",
        "_listening_since",
        "_loop",
        "_lost",
        "_parted",
        "_parting",
        "_polled",
        "_poller",
        "_queue",
        "_received",
        "_rotation",
        "_socket",
        "_stall_timeout",
        "_turn",
        "_waiters",
        "account",
        "backlog",
        "bytes_in",
        "bytes_out",
        "closed",
        "coming",
        "frames_out",
        "had",
        "largest",
        "listening",
        "received_at",
        "sent_at",
        "share",
    )

    def __init__(
        self,
        stream: IOStream,
        *,
        stall_timeout: float,
        poller: Poller,
        rotation: Rotation,
        share: Share,
        ends: Ends | None = None,
    ) -> None:
        reading = asyncio.ensure_future(stream.read_bytes(stream.max_buffer_size, partial=True))
        if stream.closed():
            raise StreamClosedError(stream.error)
        IOLoop.current().remove_handler(stream.fileno())
        self._early = reading.result() if reading.done() else b""
        self._socket: socket.socket = stream.socket
        self._stall_timeout = stall_timeout
        self._ends = ends or _ends_of_websocket_messages
        self._loop = asyncio.get_running_loop()
        self._received: Callable[[bytes], None] | None = None
        self._lost: Callable[[], None] | None = None
        self._queue: deque[bytes | bytearray | memoryview] | None = None
        self._waiters: deque[tuple[int, asyncio.Future[None]]] | None = None
        #: The end of the time that the peer has to close, while it is awaited.
        self._parting: asyncio.TimerHandle | None = None
        self._parted: Callable[[], None] | None = None
        #: Where the backlog is counted, if anywhere.
        self.account: Account | None = None
        self._poller = poller
        #: The one that it is read in: of whoever attaches, for logs.
        self._context: Context = copy_context()
        self._rotation = rotation
        #: The turn that it waits for, to be read.
        self._turn: Waiting | None = None
        self.share = share
        #: The time that it has had, among the connections of its share.
        self.had = 0.0
        #: Whether nothing is written any more; :attr:`_gone`: whether the socket is closed, too.
        self.closed = self._gone = False
        self.listening = False
        #: Whether the loop polls the socket; see :meth:`hold`.
        self._polled = False
        #: When anything came last, and when anything was sent last, on the loop's clock.
        self.received_at = self.sent_at = self._listening_since = self._loop.time()
        self.bytes_in = 0
        #: Bytes sent in all, and of them those that wait for the peer.
        self.bytes_out = 0
        self.backlog = 0
        #: Bytes of the largest message among those that wait or have waited with them, as noted by
        #: whoever writes messages of topics.
        self.largest = 0
        #: Bytes of a frame for the peer that has come in part; see :meth:`comes`.
        self.coming = 0
        #: STOMP frames in them, as the callers of :meth:`write` count.
        self.frames_out = 0

    def attach(self, *, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Listen: ``received`` gets what comes, ``lost`` is called once when the peer is gone, not
        after :meth:`close`."""
        self._received, self._lost = received, lost
        self._context = copy_context()
        self.listen()

    def move_to(self, share: Share) -> None:
        """Take turns with the connections of another share from now on."""
        self.share, self.had = share, 0.0

    def listen(self) -> None:
        """Go on reading after :meth:`hold`."""
        if not (self.listening or self._turn or self._gone):
            self.listening = True
            self._listening_since = self._loop.time()
            if not self._polled:
                self._polled = True
                self._poller.add(self._socket.fileno(), self._readable, self._context)
            if self._early:
                self._loop.call_soon(self._hand_over_early)

    def hold(self) -> None:
        """Leave what comes in the socket.

        The loop polls it until something comes: most clients are silent until they are answered,
        and then leaving the poll and coming back, half a dozen system calls, was for nothing.
        """
        self.listening = False
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _leave_poll(self) -> None:
        if self._polled:
            self._polled = False
            self._poller.remove(self._socket.fileno())

    def silent_since(self, now: float) -> float:
        """The time at which anything came last; while nobody listens, silence says nothing."""
        return max(self.received_at, self._listening_since) if self.listening else now

    def write(self, data: bytes, *, frames: int = 0) -> None:
        """Send, or keep until the socket takes it. A closed transport swallows it, because the
        reader, which sees the end first-hand, is the one to act on it."""
        if self.closed:
            return
        size = len(data)
        self.bytes_out += size
        self.frames_out += frames
        self.sent_at = self._loop.time()
        if self.backlog:
            self._keep(data)
            return
        try:
            sent = self._socket.send(data)
        except _NOT_NOW:
            sent = 0
        except OSError:
            self._break_off()
            return
        if sent < size:
            self._keep(memoryview(data)[sent:] if sent else data)

    def comes(self, size: int) -> None:
        """Note the bytes of a frame for the peer that is not whole yet: they count like those that
        wait."""
        if size != self.coming and not self.closed:
            self.coming = size
            self._count()

    async def drained(self) -> None:
        """Wait until everything written so far has left, or never will. Raises :class:`Stalled`."""
        if not self.backlog or self.closed:
            return
        left = self._loop.create_future()
        if self._waiters is None:
            self._waiters = deque()
        self._waiters.append((self.bytes_out, left))
        try:
            async with asyncio.timeout(self._stall_timeout):
                await left
        except TimeoutError as error:
            raise Stalled(f"nothing taken for {self._stall_timeout:g} seconds") from error

    def drop(self) -> None:
        """Drop what waits, but for the rest of the frame that has left in part.

        Under TLS the first chunk stays as a whole: OpenSSL may have taken more of it than it says,
        and insists on the rest (SSL_write(3), SSL_R_BAD_LENGTH). What was dropped counts in
        :attr:`bytes_out` all the same.
        """
        if not self._queue:
            return
        rest = self._queue[0]
        if not isinstance(self._socket, ssl.SSLSocket):
            rest = _rest_of_frame(rest, self._ends)
        self.backlog = len(rest)
        if rest:
            self._queue = deque([rest])
        else:
            self._queue = None
            self._loop.remove_writer(self._socket.fileno())
        self._count()
        self._wake()

    def close(self, *, reset: bool = False) -> None:
        """Close at once; what waits is dropped.

        ``reset``: so is what the kernel holds because the peer does not take it (RFC 9293, section
        3.10.4: ABORT); the connection is reset. A peer that has taken all sees an orderly end.
        """
        if not self._gone:
            if reset and not self.is_acknowledged:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.hold()
            self._leave_poll()
            self._gone = True
            self._received = self._lost = None
            self._write_no_more()
            if self._parting is not None:
                self._parting.cancel()
                self._parting = None
            # It may know this connection: nothing is to be left to the collector of garbage.
            self._context = _NOBODY
            self._socket.close()
            parted, self._parted = self._parted, None
            if parted is not None:
                parted()

    def part(self, *, within: float, gone: Callable[[], None] | None = None) -> None:
        """Close when the peer has closed, or after so many seconds; ``gone`` is called then.

        What waits is still sent, and what comes is dropped: were it left unread, the system would
        reset the connection, and the peer lose what it has not read yet (RFC 9293, section 3.10.4).
        """
        if self.closed:
            # The peer takes nothing more.
            self.close()
            return
        self.closed = True
        self._received = self._lost = None
        self._parting = self._loop.call_later(within, self.close)
        self._parted = gone
        self._wake(self.bytes_out)
        self.listen()

    def _write_no_more(self) -> None:
        self.closed = True
        if self.backlog:
            self._loop.remove_writer(self._socket.fileno())
        self._queue = None
        self.backlog = self.coming = 0
        self._count()
        self._wake()

    def _break_off(self) -> None:
        """The peer takes nothing more. What it had sent before may be in the socket still, with its
        end behind it."""
        if self.listening or self._turn is not None:
            self._write_no_more()
        else:
            self._loop.call_soon(self._lose)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the peer's system has acknowledged everything that was sent: tcp(7), SIOCOUTQ,
        which is the same number as TIOCOUTQ. Not after :meth:`close`."""
        held = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return not self.backlog and not any(held)

    def give_up_after(self, seconds: float) -> None:
        """Let the kernel end the connection when the peer's system acknowledges nothing of what was
        sent, or takes nothing, for so long (tcp(7), TCP_USER_TIMEOUT)."""
        if self._socket.family in (socket.AF_INET, socket.AF_INET6):
            milliseconds = int(1000 * seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def _readable(self) -> None:
        if not self.listening:
            self._leave_poll()
            return
        if not self._rotation.may_work(self.share):
            self.hold()
            self._leave_poll()
            self._turn = self._rotation.wait(self._have_turn, self.share, self)
            return
        self._rotation.work(self._read, self.share, self)

    def _have_turn(self) -> None:
        self._turn = None
        self.listen()
        self._read()

    def _read(self) -> None:
        if self._early:
            # uvloop calls readers before what was to be called soon.
            self._hand_over_early()
            return
        try:
            size = self._socket.recv_into(_BUFFER)
        except _NOT_NOW:
            return
        except OSError:
            size = 0
        if size:
            self._hand_over(bytes(_BUFFER[:size]))
        else:
            self._lose()

    def _hand_over_early(self) -> None:
        if self._early and self.listening:
            early, self._early = self._early, b""
            self._hand_over(early)

    def _hand_over(self, data: bytes) -> None:
        self.received_at = self._loop.time()
        self.bytes_in += len(data)
        if self._received is not None:
            self._received(data)

    def _lose(self) -> None:
        lost = self._lost
        self.close()
        if lost is not None:
            lost()

    def _keep(self, data: bytes | memoryview) -> None:
        if self._queue is None:
            self._queue = deque()
        if not self.backlog:
            self._loop.add_writer(self._socket.fileno(), self._writable)
        self.backlog += len(data)
        self._count()
        if len(data) > _SMALL or isinstance(data, memoryview):
            # A view is the rest of a chunk, which knows where its frame ends.
            self._queue.append(data)
        elif self._queue and type(last := self._queue[-1]) is bytearray and len(last) < _JOINED:
            last += data
        else:
            self._queue.append(bytearray(data))

    def _writable(self) -> None:
        queue, sent = self._queue, 0
        while queue and sent < _JOINED:
            chunk = queue[0]
            try:
                taken = self._socket.send(chunk)
            except _NOT_NOW:
                break
            except OSError:
                self._break_off()
                return
            sent += taken
            self.backlog -= taken
            if taken < len(chunk):
                queue[0] = memoryview(chunk)[taken:]
                break
            queue.popleft()
        if not self.backlog:
            self._queue = None
            self._loop.remove_writer(self._socket.fileno())
        self._count()
        self._wake()

    def _count(self) -> None:
        if self.account is not None:
            self.account.keep(self.backlog + self.coming)

    def _wake(self, left: int | None = None) -> None:
        """Release those that wait until so many bytes have left; without a number, as have."""
        waiters = self._waiters
        if left is None:
            left = self.bytes_out - self.backlog
        while waiters and waiters[0][0] <= left:
            future = waiters.popleft()[1]
            if not future.done():
                future.set_result(None)
        if not waiters:
            self._waiters = None


def _rest_of_frame(chunk: bytes | bytearray | memoryview, ends: Ends) -> memoryview | bytes:
    """The part of ``chunk`` that completes the frame of which the beginning has left.

    A chunk begins with a frame, and is a view of its end once a part of it has left.
    """
    if not isinstance(chunk, memoryview):
        return b""
    whole = cast("bytes | bytearray", chunk.obj)
    left = len(whole) - len(chunk)
    for end in ends(whole):
        if end >= left:
            return chunk[: end - left]
    return chunk


def _ends_of_websocket_messages(whole: bytes | bytearray) -> Iterator[int]:
    return (end for _, final, _, end in walk(whole, frame_bytes=len(whole)) if final)
