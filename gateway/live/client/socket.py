"""A client's WebSocket: STOMP frames in and out, heart-beats, the closing handshake."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from tornado.iostream import IOStream

from broker.protocol.heartbeat import STILL, HeartBeats
from broker.protocol.stomp import (
    CLIENT_COMMANDS,
    Frame,
    FrameParser,
    FrameTooLarge,
    HeadTooLarge,
    HeartBeat,
    Limits,
    StompError,
    serialise,
)
from broker.protocol.websocket import (
    Close,
    CloseCode,
    Data,
    Event,
    MessageReader,
    Opcode,
    Ping,
    Pong,
    WebSocketProtocolError,
    build,
    close_payload,
    ends_with_close,
)
from gateway.budget.rate import Rate
from gateway.config import LARGEST_TOKEN
from gateway.errors import BadFrame, BadUtf8, ConnectFirst, Invalid, TooLarge
from gateway.live.client.allowance import PING, Allowance, units_of
from gateway.live.client.socket_states import TRANSITIONS, Input, State
from gateway.live.transport import Transport
from gateway.poller import Poller
from gateway.rotation import Rotation, Share

#: Bytes of answers (receipts, pongs) that a client may leave unread while it asks for more.
_ANSWER_BYTES: Final = 65_536
#: Seconds that a client has to answer our Close.
_LINGER: Final = 2.0
#: The same for one that is behind: our Close waits for its turn, too.
_LINGER_BEHIND: Final = 15.0
#: The same for one whose access has ended.
_LINGER_REVOKED: Final = 1.0
#: WebSocket frames before CONNECT is accepted, and bytes of their payloads in all: a client needs
#: one, or a few for a long token.
FRAMES_BEFORE_CONNECT: Final = 100
BYTES_BEFORE_CONNECT: Final = 65_536
#: WebSocket frames that are skipped at a time while our Close waits for an answer. What comes from
#: whoever sends more is only asked whether it ends with a Close.
FRAMES_SKIPPED: Final = 128
#: Bytes of CONNECT's headers: the longest token, and what may be beside it in any frame.
HEADERS_BEFORE_CONNECT: Final = LARGEST_TOKEN + Limits().header_bytes
#: Units (:mod:`gateway.live.client.allowance`) at once, and a second, until then.
_BURST_BEFORE_CONNECT: Final = 200
_RATE_BEFORE_CONNECT: Final = 100.0
#: Seconds between the pings to a client that sends no heart-beats of its own.
_PING_INTERVAL: Final = 30.0
#: Seconds in which a client that owes a heart-beat must have answered a ping. Browsers let a hidden
#: tab run once a minute only; what answers a ping is never held back.
_PONG: Final = 5.0
_HEART_BEAT_FRAME: Final = build(Opcode.TEXT, b"\n")
_PING_FRAME: Final = build(Opcode.PING, b"")
#: What a fault of the framing is called; all others are broken frames.
_FAULTS: Final = {CloseCode.INVALID_DATA: BadUtf8}
_INPUTS: Final[dict[type[Event], Input]] = {
    Data: Input.DATA,
    Ping: Input.PING,
    Pong: Input.PONG,
    Close: Input.CLOSE,
}


class Pause(Enum):
    """A mark between frames: it is the turn of other clients."""

    PAUSE = "pause"


PAUSE: Final = Pause.PAUSE


class ClientSocket:
    """A client's WebSocket; :data:`TRANSITIONS` says what is taken when.

    ``stream`` is upgraded already. ``frame_bytes`` bounds a WebSocket and a STOMP frame;
    ``stall_timeout``: seconds that the client may take no bytes while something waits for it.
    """

    __slots__ = (
        "_answers",
        "_broken",
        "_bytes_left",
        "_frame_bytes",
        "_frames",
        "_frames_left",
        "_lingering",
        "_loop",
        "_messages",
        "_pinged_at",
        "_pings",
        "_pulse",
        "_revoked",
        "_state",
        "allowance",
        "client_code",
        "frames_in",
        "transport",
    )

    def __init__(
        self,
        stream: IOStream,
        *,
        frame_bytes: int,
        stall_timeout: float,
        poller: Poller,
        rotation: Rotation,
        share: Share,
    ) -> None:
        #: What this client may make us do. Before CONNECT nobody knows who pays for it.
        self.allowance = Allowance(rate=_RATE_BEFORE_CONNECT, burst=_BURST_BEFORE_CONNECT)
        self.transport = Transport(
            stream, stall_timeout=stall_timeout, poller=poller, rotation=rotation, share=share
        )
        #: STOMP frames that have come.
        self.frames_in = 0
        #: The code of the client's Close, if that came before ours.
        self.client_code: int | None = None
        self._state = State.UNKNOWN
        self._frame_bytes = frame_bytes
        before = min(frame_bytes, BYTES_BEFORE_CONNECT)
        #: WebSocket frames and bytes that may still come before CONNECT is accepted.
        self._frames_left, self._bytes_left = FRAMES_BEFORE_CONNECT, before
        self._loop = asyncio.get_running_loop()
        self._messages = MessageReader(before, masked=True)
        self._frames = FrameParser(
            Limits(frame_bytes=before, header_bytes=HEADERS_BEFORE_CONNECT), CLIENT_COMMANDS
        )
        self._lingering: asyncio.TimerHandle | None = None
        self._revoked = False
        #: Whether a WebSocket frame was wrong: where the next ones begin nobody knows.
        self._broken = False
        self._pinged_at = self.transport.received_at
        self._pulse = STILL
        self._pings = False
        self._answers = 0

    @property
    def left(self) -> bool:
        """Whether the client has sent Close: nothing more comes."""
        return self._state in (State.LEFT, State.CLOSED)

    @property
    def between_frames(self) -> bool:
        """Whether what comes next begins a frame, and may be taken past :meth:`frames`."""
        return self._messages.idle and self._frames.idle and self._state is State.KNOWN

    @property
    def awaits_nul(self) -> bool:
        """Whether a STOMP frame has begun that no NUL has ended."""
        return self._messages.idle and self._frames.held > 0

    @property
    def held(self) -> int:
        """The bytes that have come and were not taken yet: parts of frames, and what waits for its
        turn."""
        return self._messages.held + self._frames.held

    def introduced(
        self,
        *,
        rate: float,
        burst: float,
        bytes_in: Rate | None = None,
        met: Counter[str] | None = None,
    ) -> None:
        """CONNECT is accepted: ``rate`` units of work a second from now on, ``burst`` at once, and
        so many ``bytes_in``. Waits are counted in ``met``."""
        self._receive(Input.INTRODUCED)
        self._messages.frame_bytes = self._frame_bytes
        self._frames.allow(Limits(frame_bytes=self._frame_bytes))
        self.allowance.replace(rate=rate, burst=burst, bytes_in=bytes_in, met=met)

    def frames(self, data: bytes) -> Iterator[Frame | HeartBeat | Pause]:
        """The frames that ``data`` completes; none once :meth:`say_goodbye` was called. ``PAUSE``
        stands wherever the turn of this client is over; the caller ends the turn before going on.

        Raises :class:`BadFrame`, :class:`BadUtf8`, :class:`TooLarge`, :class:`ConnectFirst`, after
        the good frames.
        """
        # However little it is, it took a turn of the loop and a system call.
        self.allowance.spend(1)
        if self._broken or self._state is State.CLOSING:
            self._skip(data)
            return iter(())
        return self._read(data)

    def _skip(self, data: bytes) -> None:
        """Drop what comes before the client's Close. Much may be under way, or may be sent on
        purpose, and none of it is worth a look."""
        if self._broken:
            closes = ends_with_close(data)
        else:
            try:
                closes = self._messages.skip(data, most=FRAMES_SKIPPED)
            except WebSocketProtocolError:
                self._broken, closes = True, ends_with_close(data)
        if closes:
            self._receive(Input.CLOSE)

    def _read(self, data: bytes) -> Iterator[Frame | HeartBeat | Pause]:
        allowance = self.allowance
        try:
            for event in self._messages.feed(data):
                allowance.spend(1)
                if (self._state, _INPUTS[type(event)]) in TRANSITIONS:
                    if self._state is State.UNKNOWN:
                        self._count(event)
                    if isinstance(event, Data):
                        yield from self._stomp(event.payload)
                    else:
                        self._control(event)
                if allowance.turn_is_over:
                    yield PAUSE
        except (WebSocketProtocolError, StompError) as error:
            raise self._fault(error) from error

    def _stomp(self, data: bytes) -> Iterator[Frame | HeartBeat | Pause]:
        allowance = self.allowance
        for frame in self._frames.feed(data):
            if isinstance(frame, Frame):
                self.frames_in += 1
                allowance.spend(units_of(frame.command, len(frame.headers)))
            yield frame
            if allowance.turn_is_over:
                yield PAUSE

    def _control(self, event: Ping | Pong | Close) -> None:
        if isinstance(event, Ping):
            self.allowance.spend(PING)
            self._answer(Opcode.PONG, event.payload)
        elif isinstance(event, Close):
            self.client_code = event.code
            self._receive(Input.CLOSE)

    def _fault(self, error: WebSocketProtocolError | StompError) -> Invalid:
        """The error for the client behind a frame that is wrong."""
        match error:
            case WebSocketProtocolError(close_code=code):
                self._broken = True
                if code != CloseCode.TOO_LARGE:
                    return _FAULTS.get(code, BadFrame)(str(error))
            case HeadTooLarge():
                return TooLarge(str(error))
            case FrameTooLarge():
                pass
            case _:
                return BadFrame(str(error))
        if self._state is State.UNKNOWN:
            return TooLarge(f"{error} before CONNECT is accepted")
        return TooLarge(f"{error}; the gateway's key limits.frame_bytes allows more")

    def _count(self, event: Event) -> None:
        self._frames_left -= 1
        self._bytes_left -= len(event.payload) if isinstance(event, Data) else 0
        if self._frames_left < 0 or self._bytes_left < 0:
            raise ConnectFirst(
                f"before CONNECT at most {FRAMES_BEFORE_CONNECT} WebSocket frames and"
                f" {min(self._frame_bytes, BYTES_BEFORE_CONNECT)} bytes are taken; send CONNECT"
                " first"
            )

    def _receive(self, received: Input) -> None:
        self._state = TRANSITIONS.get((self._state, received), self._state)

    @property
    def asks_too_much(self) -> bool:
        """Whether the client leaves so many answers unread that it should not be read either,
        until :meth:`answers_taken` returns."""
        if not self.transport.backlog:
            self._answers = 0
        return self._answers > _ANSWER_BYTES

    async def answers_taken(self) -> None:
        """Wait until the client has taken its answers. Raises :class:`Stalled`."""
        await self.transport.drained()
        self._answers = 0

    def send(self, command: str, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self._answer(Opcode.TEXT, serialise(command, headers, body), frames=1)

    def keep_alive(self, *, sends: float, wants: float) -> None:
        """Keep the agreed heart-beats, in seconds: what the client sends and what it wants, 0 for
        none. A client that sends none is pinged instead; one that owes some, before it is judged.
        """
        self._pings = not sends
        self._pulse = HeartBeats(outgoing=wants, incoming=sends or _PING_INTERVAL)

    def check(self, now: float) -> float | None:
        """Send what is due of heart-beats and pings. Returns when to check again on the loop's
        clock; None: the client is dead."""
        transport = self.transport
        heard_at = transport.silent_since(now)
        lost_at = self._pulse.lost_at(heard_at)
        if now >= lost_at and not self._pings:
            if self._pinged_at <= heard_at:
                self._ping(now)
            lost_at = self._pinged_at + _PONG
        if now >= lost_at:
            return None
        if now >= self._pulse.beat_at(transport.sent_at):
            transport.write(_HEART_BEAT_FRAME)
        if self._pings and now >= self._pinged_at + _PING_INTERVAL:
            self._ping(now)
        return min(
            self._pulse.beat_at(transport.sent_at),
            lost_at,
            self._pinged_at + _PING_INTERVAL if self._pings else math.inf,
        )

    def _ping(self, now: float) -> None:
        self._pinged_at = now
        self.transport.write(_PING_FRAME)

    def revoke(self) -> None:
        """The client may have nothing more: drop now what waits here, and in :meth:`close` what the
        kernel still holds then."""
        self._revoked = True
        self.transport.drop()

    def say_goodbye(self, code: CloseCode, gone: Callable[[], None]) -> None:
        """Send Close; ``gone`` is called if the client does not answer soon."""
        self._receive(Input.GOODBYE)
        self.transport.write(build(Opcode.CLOSE, close_payload(code)))
        if self._revoked:
            linger = _LINGER_REVOKED
        else:
            linger = _LINGER_BEHIND if self.transport.backlog else _LINGER
        self._lingering = self._loop.call_later(linger, gone)

    def close(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            # A timer of uvloop keeps its context, which may know this connection, when it is over.
            self._lingering = None
        # A client that has answered our Close has taken everything.
        self.transport.close(reset=self._revoked and not self.left)

    def _answer(self, opcode: Opcode, payload: bytes, *, frames: int = 0) -> None:
        frame = build(opcode, payload)
        # All of it: the payload of a ping may be empty.
        self._answers += len(frame)
        self.transport.write(frame, frames=frames)
