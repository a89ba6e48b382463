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

from tornado.iostream import StreamClosedError

from broker.balancer import Lease
from broker.pulse import Pulse
from broker.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, StompError
from broker.ticker import Ticker
from broker.upstream import Upstream
from broker.wsframes import Opcode, WebSocketError, walk
from gateway.errors import BrokerUnavailable, GatewayError, Refused, TooSlow
from gateway.live.writer import Stalled, Writer

_READ_BYTES: Final = 65_536
_ERROR: Final = b"E"[0]
_RECEIPT: Final = b"R"[0]
_LINE_END: Final = b"\n"[0]
_HEART_BEAT: Final = b"\n"
#: RabbitMQ cancels a subscription when its queue is gone, and leaves the connection open
#: (rabbitmq-server#2410): the client comes back, and looks at the history for what was in it.
_CANCELLED: Final = "Server cancelled subscription"


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
        client: Writer,
        answered: Callable[[str], None],
        ended: Ended,
        ticker: Ticker,
        limits: RelayLimits,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.node = lease.node.name
        self._upstream = upstream
        self._lease = lease
        self._client = client
        self._answered = answered
        self._ended = ended
        self._frame_bytes = limits.frame_bytes
        self._writer = Writer(
            upstream.stream, stall_timeout=limits.stall_timeout, encode=upstream.frame
        )
        self._received_at = loop.time()
        self._closed = False
        sends, hears = upstream.heart_beat
        self._pulse = Pulse(outgoing=sends / 1000, incoming=hears / 1000)
        self.due = 0.0
        self._ticker = ticker
        ticker.add(self)
        self._pumping: Task[None] = loop.create_task(self._run())

    async def send(self, frame: bytes) -> None:
        """Pass a STOMP frame or heart-beat on, as fast as the broker takes them."""
        self._writer.write(frame)
        try:
            await self._writer.drained()
        except Stalled:
            self._end(BrokerUnavailable("the broker takes no more frames"))

    def check(self, now: float) -> None:
        """What the ticker calls: the heart-beats with the node."""
        if now >= self._pulse.lost_at(self._received_at):
            self._end(BrokerUnavailable("the broker fell silent"))
            return
        if now >= self._pulse.beat_at(self._writer.sent_at):
            self._writer.write(_HEART_BEAT)
        self.due = min(
            self._pulse.beat_at(self._writer.sent_at), self._pulse.lost_at(self._received_at)
        )

    def close(self) -> None:
        """Give everything back; whatever is on its way is dropped."""
        if not self._closed:
            self._closed = True
            self._ticker.remove(self)
            self._upstream.close()
            self._lease.release()
            self._pumping.cancel()

    def _end(self, error: GatewayError | None, *, told: bool = False) -> None:
        if not self._closed:
            self.close()
            self._ended(error, told=told)

    async def _run(self) -> None:
        try:
            await self._pump()
        except StreamClosedError:
            self._end(BrokerUnavailable("the connection to the broker was lost"))
        except WebSocketError as error:
            self._end(BrokerUnavailable(f"the broker sent a broken frame: {error}"))
        except Stalled:
            self._end(TooSlow("messages were not read fast enough"))
        except _Refusal as error:
            self._end(error.meaning, told=True)
        else:
            self._end(None)

    async def _pump(self) -> None:
        """Until the broker sends Close."""
        loop = asyncio.get_running_loop()
        stream, client = self._upstream.stream, self._client
        held = bytearray(self._upstream.leftover)
        while self._forward(held):
            await client.drained()
            held += await stream.read_bytes(_READ_BYTES, partial=True)
            self._received_at = loop.time()

    def _forward(self, held: bytearray) -> bool:
        """Pass the whole frames on and keep the rest, so that a frame of ours may follow at any
        time; False once the broker has closed."""
        begin = start = frames = 0
        for opcode, _, payload, end in walk(held, frame_bytes=self._frame_bytes):
            if opcode > Opcode.BINARY:
                self._pass(held, begin, start, frames)
                begin, frames = end, 0
                if opcode == Opcode.CLOSE:
                    return False
                if opcode == Opcode.PING:
                    self._upstream.pong(bytes(held[payload:end]))
            elif opcode and payload < end:
                if held[payload] == _LINE_END:
                    self._pass(held, begin, start, frames)
                    begin, start, frames = end, end, 0
                    continue
                if held[payload] == _RECEIPT:
                    self._answered(_header(held[payload:end], "receipt-id") or "")
                elif held[payload] == _ERROR:
                    self._pass(held, begin, start, frames)
                    self._refuse(bytes(held[payload:end]), bytes(held[start:end]))
                frames += 1
            start = end
        self._pass(held, begin, start, frames)
        del held[:start]
        return True

    def _refuse(self, error: bytes, frame: bytes) -> NoReturn:
        """End with the broker's ERROR, which the client gets as it is."""
        self._client.write(frame, frames=1)
        message = _header(error, "message")
        if message == _CANCELLED:
            raise _Refusal(BrokerUnavailable("the broker cancelled a subscription"))
        raise _Refusal(Refused(f"the broker refused: {message}"))

    def _pass(self, held: bytearray, begin: int, end: int, frames: int) -> None:
        if begin < end:
            self._client.write(bytes(held[begin:end]), frames=frames)


def _header(payload: bytes | bytearray, name: str) -> str | None:
    """A header of the broker's frame; None also if it is no STOMP at all."""
    limits = Limits(frame_bytes=len(payload), header_bytes=len(payload))
    try:
        frame = next(FrameParser(limits, SERVER_COMMANDS).feed(bytes(payload)))
    except (StompError, StopIteration):
        return None
    return frame.get(name) if isinstance(frame, Frame) else None
