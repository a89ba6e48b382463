"""A client's own connection to one broker node, STOMP passed through.

Downstream the broker's WebSocket frames go to the client as the bytes they came in: only their
headers are walked, and the first byte of a payload tells an ERROR from what just passes, and both
from a heart-beat, which is between the broker and the gateway (a client may want none). Upstream
the client's judged STOMP frames are sent as they are or as the judge rebuilt them.
"""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from broker.balancer import Lease
from broker.pulse import Pulse
from broker.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, StompError
from broker.ticker import Ticker
from broker.upstream import Upstream
from broker.wsframes import CloseCode, Opcode, WebSocketError, close_payload, walk
from gateway.errors import BrokerUnavailable, GatewayError, Refused, TooSlow
from gateway.live.wire import Stalled, Wire

#: A plain number: looking a member of an enumeration up costs as much as walking a header.
_LAST_OF_DATA: Final = int(Opcode.BINARY)
_ERROR: Final = b"E"[0]
_RECEIPT: Final = b"R"[0]
_LINE_END: Final = b"\n"[0]
_HEART_BEAT: Final = b"\n"
#: Silence of so many heart-beats, and the node is left. RabbitMQ keeps well below the interval (it
#: looks twice within it), and a move that was not needed costs a pause only.
_PATIENCE: Final = 2.0
#: RabbitMQ cancels a subscription when its queue is gone, and leaves the connection open
#: (rabbitmq-server#2410): the client comes back, and looks at the history for what was in it.
_CANCELLED: Final = "Server cancelled subscription"


class _Closed(Exception):
    """The broker has closed in good order."""


class _Refusal(Exception):
    """The client has got the broker's ERROR; ``meaning`` is what remains to be done."""

    def __init__(self, meaning: GatewayError) -> None:
        super().__init__(str(meaning))
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """``frame_bytes`` of the broker's, which are held until they are whole; ``stall_timeout``:
    seconds that a node may take no bytes."""

    frame_bytes: int
    stall_timeout: float


class Ended(Protocol):
    def __call__(self, error: GatewayError | None, *, told: bool = False) -> None:
        """``told``: an ERROR frame that says why has been passed to the client."""


class Relay:
    """Runs from the moment it is made until :meth:`close`.

    ``client`` takes the broker's frames. ``answered`` is told the id of each RECEIPT. ``ended`` is
    called once: with None when the broker closed in good order, with the error otherwise
    (:class:`BrokerUnavailable`: the path is lost, another node may do); not after :meth:`close`.
    """

    def __init__(
        self,
        upstream: Upstream,
        lease: Lease,
        *,
        client: Wire,
        answered: Callable[[str], None],
        ended: Ended,
        ticker: Ticker,
        limits: RelayLimits,
    ) -> None:
        self.node = lease.node.name
        self._loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._lease = lease
        self._client = client
        self._answered = answered
        self._ended = ended
        self._frame_bytes = limits.frame_bytes
        self._held = upstream.leftover
        self._waiting: Task[None] | None = None
        self._closed = False
        sends, hears = upstream.heart_beat
        self._pulse = Pulse(sends / 1000, hears / 1000, patience=_PATIENCE)
        self.due = 0.0
        self._ticker = ticker
        self._wire = Wire(upstream.stream, stall_timeout=limits.stall_timeout)
        self._wire.attach(received=self._received, lost=self._lost)
        ticker.add(self)
        if self._held:
            self._loop.call_soon(self._received, b"")

    @property
    def to_be_left(self) -> bool:
        """Whether the node drains, or is not configured any more."""
        return self._lease.leaving

    @property
    def flowing(self) -> bool:
        """Whether the broker has taken all that was sent."""
        return not self._wire.backlog

    def send(self, frame: bytes) -> None:
        """Pass STOMP bytes on. Who does not wait for :meth:`drained` makes the backlog grow."""
        self._wire.write(self._upstream.frame(frame))

    def pass_on(self, frames: bytes) -> None:
        """Pass the client's own WebSocket frames on, as they are."""
        self._wire.write(frames)

    async def drained(self) -> None:
        """Wait until the broker has taken all, or the relay has ended for that it does not."""
        try:
            await self._wire.drained()
        except Stalled:
            self._end(BrokerUnavailable("the broker takes no more frames"))

    def check(self, now: float) -> None:
        """What the ticker calls: the heart-beats with the node."""
        heard_at = self._wire.silent_since(now)
        if now >= self._pulse.lost_at(heard_at):
            self._end(BrokerUnavailable("the broker fell silent"))
            return
        if now >= self._pulse.beat_at(self._wire.sent_at):
            self.send(_HEART_BEAT)
        self.due = min(self._pulse.beat_at(self._wire.sent_at), self._pulse.lost_at(heard_at))

    def close(self) -> None:
        """Give everything back; whatever is on its way is dropped."""
        if not self._closed:
            self._closed = True
            self._ticker.remove(self)
            if not self._wire.backlog:
                farewell = close_payload(CloseCode.NORMAL)
                self._wire.write(self._upstream.frame(farewell, Opcode.CLOSE))
            self._wire.close()
            self._lease.release()
            if self._waiting is not None:
                self._waiting.cancel()

    def _end(self, error: GatewayError | None, *, told: bool = False) -> None:
        if not self._closed:
            self.close()
            self._ended(error, told=told)

    def _lost(self) -> None:
        self._end(BrokerUnavailable("the connection to the broker was lost"))

    def _received(self, data: bytes) -> None:
        if self._closed:
            return
        if self._held:
            data = self._held + data
        try:
            end = self._forward(data)
        except WebSocketError as error:
            self._end(BrokerUnavailable(f"the broker sent a broken frame: {error}"))
        except _Refusal as error:
            self._end(error.meaning, told=True)
        except _Closed:
            self._end(None)
        else:
            self._held = data[end:]
            if self._client.backlog and self._wire.listening:
                self._wire.hold()
                self._waiting = self._loop.create_task(self._wait_for_client())

    async def _wait_for_client(self) -> None:
        try:
            await self._client.drained()
        except Stalled:
            self._end(TooSlow("messages were not read fast enough"))
        else:
            self._wire.listen()

    def _forward(self, data: bytes) -> int:
        """Pass the whole frames on, so that a frame of ours may follow at any time; where the rest
        begins."""
        begin = start = frames = 0
        for opcode, _, payload, end in walk(data, frame_bytes=self._frame_bytes):
            if opcode > _LAST_OF_DATA:
                self._pass(data, begin, start, frames)
                begin, frames = end, 0
                if opcode == Opcode.CLOSE:
                    raise _Closed
                if opcode == Opcode.PING:
                    self._wire.write(self._upstream.frame(data[payload:end], Opcode.PONG))
            elif opcode and payload < end:
                kind = data[payload]
                if kind == _LINE_END:
                    self._pass(data, begin, start, frames)
                    begin, start, frames = end, end, 0
                    continue
                if kind == _RECEIPT:
                    self._answered(_header(data[payload:end], "receipt-id") or "")
                elif kind == _ERROR:
                    self._pass(data, begin, start, frames)
                    self._refuse(data[payload:end], data[start:end])
                frames += 1
            start = end
        self._pass(data, begin, start, frames)
        return start

    def _refuse(self, error: bytes, frame: bytes) -> NoReturn:
        """End with the broker's ERROR, which the client gets as it is."""
        self._client.write(frame, frames=1)
        message = _header(error, "message")
        if message == _CANCELLED:
            raise _Refusal(BrokerUnavailable("the broker cancelled a subscription"))
        raise _Refusal(Refused(f"the broker refused: {message}"))

    def _pass(self, data: bytes, begin: int, end: int, frames: int) -> None:
        if begin < end:
            self._client.write(data[begin:end], frames=frames)


def _header(payload: bytes, name: str) -> str | None:
    """A header of the broker's frame; None also if it is no STOMP at all."""
    limits = Limits(frame_bytes=len(payload), header_bytes=len(payload))
    try:
        frame = next(FrameParser(limits, SERVER_COMMANDS).feed(payload))
    except (StompError, StopIteration):
        return None
    return frame.get(name) if isinstance(frame, Frame) else None
