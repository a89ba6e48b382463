"""A client's own connection to one broker node, STOMP passed through.

Downstream the broker's WebSocket frames go to the client as the bytes they came in: only their
headers are walked, and the first byte of a payload tells an ERROR from what just passes, and both
from a heart-beat. What is UTF-8 becomes a text frame, whatever RabbitMQ makes it
(``web_stomp.ws_frame``): older clients garble text from binary ones. All else is binary. A
heart-beat is between the broker and the gateway (a client may want none). Of the messages in what
was read only the number is noted, and the newest one's beginning.

Upstream the client's judged STOMP frames are sent as they are or as the judge rebuilt them.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from broker.nodes.balancer import Lease
from broker.protocol.heartbeat import HeartBeats
from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, StompError
from broker.protocol.websocket import (
    CloseCode,
    Opcode,
    WebSocketError,
    WebSocketProtocolError,
    build,
    close_payload,
    data_opcode,
    walk,
)
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.webstomp.session import WebStompSession, close_text
from gateway.errors import BrokerUnavailable, GatewayError, Internal, TooSlow
from gateway.live.relay import refusals
from gateway.live.relay.acknowledgements import Deliveries, LeftOut, Noted
from gateway.live.relay.missed import Gap, MissedMessages
from gateway.live.relay.oversized import Oversized, Parking, needed
from gateway.live.relay.partings import Partings
from gateway.live.relay.state import Ending
from gateway.live.transport import Stalled, Transport
from gateway.poller import Poller
from gateway.rotation import Rotation

logger = logging.getLogger(__name__)

#: A plain number: looking a member of an enumeration up costs as much as walking a header.
_LAST_OF_DATA: Final = int(Opcode.BINARY)
#: Bytes of the newest message that are kept: its id is among the first headers.
_HEAD: Final = 1_024
_MESSAGE: Final = b"M"[0]
_ERROR: Final = b"E"[0]
_RECEIPT: Final = b"R"[0]
_LINE_END: Final = b"\n"[0]
_HEART_BEAT: Final = b"\n"
#: Silence of so many heart-beats, and the node is left. RabbitMQ keeps below one interval (it looks
#: twice within it), and a move that was not needed costs a pause only. A relay should have moved
#: before the private queue knows that its consumer is gone (conf/rabbitmq: net_ticktime).
PATIENCE: Final = 1.75


class _Closed(Exception):
    """The broker has closed in good order."""


class _Missing(Exception):
    """Others are missing before a message."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(f"before {gap.seq} of {gap.stream}")
        self.gap = gap


class _Refusal(Exception):
    """The client has got the broker's ERROR; ``meaning`` is what remains to be done."""

    def __init__(self, meaning: GatewayError) -> None:
        super().__init__(str(meaning))
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """Limits of a relay: ``frame_bytes`` of a broker's frame that is held until it is whole;
    ``stall_timeout``: seconds for which a node may take no bytes."""

    frame_bytes: int
    stall_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayContext:
    """The services that all relays share."""

    limits: RelayLimits
    ticker: Ticker
    poller: Poller
    rotation: Rotation
    tasks: Tasks
    acknowledgements: Noted
    missed: MissedMessages
    parking: Parking
    partings: Partings


@dataclass(frozen=True, slots=True)
class End:
    """The end of a relay that nobody closed.

    ``error`` is what it means for the client; ``error_sent``: an ERROR frame that says why has been
    passed to the client. ``ending`` is None when no other node would help.
    """

    ending: Ending | None
    error: GatewayError
    error_sent: bool = False


class Owner(Protocol):
    """The owner of a relay; it hears nothing after :meth:`Relay.close`."""

    @property
    def in_doubt(self) -> bool:
        """Whether something was sent of which nobody knows whether RabbitMQ has taken it."""

    @property
    def returning(self) -> bool:
        """Whether the session asks again for what an earlier one had."""

    def answered(self, receipt: str) -> bool:
        """A RECEIPT has come. Returns whether it is the gateway's own, and not for the client."""

    def oversized(self, message: Frame, size: int) -> bytes | None:
        """The frame that the client gets instead of a message whose frame of ``size`` bytes was
        read past, if any; ``message`` has no body. Raises :class:`GatewayError`: the client's
        end."""

    def missed(self, gap: Gap) -> AsyncIterator[bytes]:
        """The MESSAGE frames of what is missing before a message of a private queue."""
        ...

    def ended(self, end: End) -> None:
        """Once, when the relay has ended by itself."""


class Relay:
    """A client's connection to one node. It runs from the moment it is made until :meth:`close`.

    ``client`` takes the broker's frames, ``deliveries`` notes its messages.
    """

    __slots__ = (
        "_client",
        "_closed",
        "_deliveries",
        "_filling",
        "_frame_bytes",
        "_gap",
        "_held",
        "_lease",
        "_leaving",
        "_left_out",
        "_loop",
        "_needed",
        "_oversized",
        "_owner",
        "_partings",
        "_pulse",
        "_silent",
        "_tasks",
        "_ticker",
        "_transport",
        "_upstream",
        "_waiting",
        "due",
        "node",
    )

    def __init__(
        self,
        upstream: WebStompSession,
        lease: Lease,
        *,
        client: Transport,
        deliveries: Deliveries,
        owner: Owner,
        context: RelayContext,
    ) -> None:
        self.node = lease.node.name
        self._loop = asyncio.get_running_loop()
        self._upstream = upstream
        self._lease = lease
        self._client = client
        self._deliveries = deliveries
        self._owner = owner
        self._frame_bytes = context.limits.frame_bytes
        #: A part of a frame: few bytes, or more and how many it takes to be whole.
        self._held = bytearray(upstream.leftover)
        self._needed = 0
        self._oversized: Oversized | None = None
        self._waiting: Task[None] | None = None
        #: Where messages are missing that the client gets from the history; it is being done.
        self._gap: Gap | None = None
        #: Messages that the client does not get, to be acknowledged for it.
        self._left_out: list[LeftOut] = []
        self._filling = False
        self._leaving = False
        self._closed = False
        self._silent = False
        sends, hears = upstream.heart_beat
        self._pulse = HeartBeats(sends / 1000, hears / 1000, patience=PATIENCE)
        self.due = 0.0
        self._ticker = context.ticker
        self._tasks = context.tasks
        self._partings = context.partings
        self._transport = Transport(
            upstream.stream,
            stall_timeout=context.limits.stall_timeout,
            poller=context.poller,
            rotation=context.rotation,
            share=client.share,
        )
        self._transport.attach(received=self._received, lost=self._lost)
        context.ticker.add(self)
        if self._held:
            self._loop.call_soon(self._received, b"")

    @property
    def to_be_left(self) -> bool:
        """Whether the node drains, or is not configured any more."""
        return self._lease.leaving

    @property
    def flowing(self) -> bool:
        """Whether the broker has taken all that was sent."""
        return not self._transport.backlog

    def send(self, frame: bytes) -> None:
        """Pass STOMP bytes on. Without waiting for :meth:`drained` the backlog grows."""
        self._transport.write(self._upstream.frame(frame))

    def pass_on(self, frames: bytes) -> None:
        """Pass the client's own WebSocket frames on, as they are."""
        self._transport.write(frames)

    async def drained(self) -> None:
        """Wait until the broker has taken everything; if it does not, the relay ends."""
        try:
            await self._transport.drained()
        except Stalled:
            self._lose("the broker takes no more frames", Ending.SILENT)

    def check(self, now: float) -> None:
        """Look at the heart-beats with the node; called by the ticker."""
        heard_at = self._transport.silent_since(now)
        if now >= self._pulse.lost_at(heard_at):
            self._silent = True
            self._lease.silent()
            self._lose("the broker fell silent", Ending.SILENT)
            return
        if now >= self._pulse.beat_at(self._transport.sent_at):
            self.send(_HEART_BEAT)
        self.due = min(self._pulse.beat_at(self._transport.sent_at), self._pulse.lost_at(heard_at))

    def close(self) -> None:
        """Give everything back. The broker gets what it was sent; what it sends is dropped."""
        if not self._closed:
            self._closed = True
            self._ticker.remove(self)
            farewell = close_payload(CloseCode.NORMAL)
            self._transport.write(self._upstream.frame(farewell, Opcode.CLOSE))
            if self._silent and not self._owner.in_doubt:
                # Nobody misses anything, and the places of many relays are needed elsewhere.
                self._transport.close()
            else:
                self._partings.part(self._transport)
            self._client.comes(0)
            self._lease.release()
            if self._waiting is not None:
                self._waiting.cancel()

    def stop_filling(self) -> None:
        """Give the client nothing more from the history, nor from its private queues: it would
        come before what is missing. It comes again in the next session."""
        self._leaving = True
        if self._filling and self._waiting is not None:
            self._waiting.cancel()
            self._deliveries.muted = True
            self._go_on()

    def _end(self, end: End) -> None:
        if not self._closed:
            self.close()
            self._owner.ended(end)

    def _lose(self, why: str, ending: Ending = Ending.LOST) -> None:
        self._end(End(ending, BrokerUnavailable(why)))

    def _lost(self) -> None:
        self._lose("the connection to the broker was lost")

    def _received(self, data: bytes) -> None:
        if self._closed:
            return
        if self._held:
            self._held += data
            if len(self._held) < self._needed or self._filling:
                self._client.comes(len(self._held))
                return
            data = bytes(self._held)
            self._held.clear()
            self._client.comes(0)
        try:
            self._read(data)
        except Exception as error:
            self._end(self._end_by(error))
        else:
            if self._gap is not None:
                self._transport.hold()
                self._filling = True
                self._waiting = self._tasks.spawn(
                    self._fill(self._gap), "relay: missed messages", failed=self._wait_failed
                )
                self._gap = None
            elif self._client.backlog and self._transport.listening:
                self._transport.hold()
                self._waiting = self._tasks.spawn(
                    self._wait_for_client(), "relay: a client's backlog", failed=self._wait_failed
                )

    async def _fill(self, gap: Gap) -> None:
        """Give the client what is missing before the message that was read last, and read on."""
        try:
            async for frame in self._owner.missed(gap):
                self._client.write(build(Opcode.TEXT, frame), frames=1)
                await self._client.drained()
        except Stalled:
            self._end(End(None, TooSlow("messages were not read fast enough")))
        except GatewayError as error:
            self._end(End(None, error))
        else:
            if self._deliveries.consumer(gap.before) is not None:
                self._deliveries.given.came(gap.stream, gap.seq - 1)
            self._go_on()

    def _go_on(self) -> None:
        self._filling = False
        self._transport.listen()
        self._received(b"")

    def _wait_failed(self, fault: Exception) -> None:
        if not (self._closed or self._deliveries.muted):
            # Cancelled by somebody else, for one: nobody would read on.
            self._end(self._end_by(fault))

    def _end_by(self, error: Exception) -> End:
        match error:
            case WebSocketError():
                detail = f"the broker sent a broken frame: {error}"
                return End(Ending.LOST, BrokerUnavailable(detail))
            case _Refusal():
                return End(None, error.meaning, error_sent=True)
            case GatewayError():
                return End(None, error)
            case _Closed():
                return self._closed_by_broker(str(error))
            case _:
                # What came with it is lost: the client must not go on as if nothing were missing.
                logger.error(
                    "a frame of the broker could not be handled; its client is disconnected",
                    exc_info=error,
                )
                return End(None, Internal("the gateway failed; its log says why"))

    def _read(self, data: bytes) -> None:
        while data:
            if self._oversized is not None:
                data = self._oversized.take(data)
            else:
                end = self._forward(data)
                if self._oversized is None:
                    self._hold(data, end)
                    return
                data = self._oversized.rest
            if self._oversized.over:
                self._replace(self._oversized)
                self._oversized = None

    def _hold(self, data: bytes, end: int) -> None:
        """Keep the rest of it, the beginning of a frame."""
        if end < len(data):
            self._held += data[end:] if end else data
            self._needed = needed(self._held)
            self._client.comes(len(self._held))

    def _replace(self, oversized: Oversized) -> None:
        message = oversized.frame()
        if message is None or message.command != "MESSAGE":
            raise WebSocketProtocolError(
                CloseCode.TOO_LARGE, f"{oversized.size} bytes that are no message"
            )
        self._came(oversized.head, [0])
        instead = self._owner.oversized(message, oversized.size)
        if instead is not None:
            self._client.write(build(Opcode.TEXT, instead), frames=1)

    def _closed_by_broker(self, why: str) -> End:
        # RabbitMQ also closes in good order when it has not heard our heart-beat: we stood still.
        beat = self._pulse.outgoing
        late = beat and self._loop.time() - self._transport.sent_at > PATIENCE * beat
        ending = Ending.LOST if late else Ending.CLOSED
        return End(ending, BrokerUnavailable(f"RabbitMQ ended the session ({why})"))

    async def _wait_for_client(self) -> None:
        try:
            await self._client.drained()
        except Stalled:
            self._end(End(None, TooSlow("messages were not read fast enough")))
        else:
            self._transport.listen()

    def _forward(self, data: bytes) -> int:  # noqa: C901 - whatever comes passes here
        """Pass whole frames on, so that a frame of ours may follow at any time. Returns where the
        rest begins."""
        begin = start = frames = 0
        messages: list[int] = []
        numbered = self._deliveries.numbered
        #: The same bytes, but for the first ones of frames whose kind is to be another.
        out: bytes | bytearray = data
        try:
            for opcode, final, payload, end in walk(data, frame_bytes=self._frame_bytes):
                if opcode > _LAST_OF_DATA:
                    self._pass(out, begin, start, frames)
                    begin, frames = end, 0
                    self._control(opcode, data[payload:end])
                elif opcode and payload < end:
                    kind = data[payload]
                    if kind == _MESSAGE:
                        # As a whole: a long name of a sender or subscription is in it.
                        stays = numbered and self._is_kept(
                            data[payload : data.find(b"\n\n", payload, end) + 2]
                        )
                        messages.append(payload)
                    elif kind == _ERROR:
                        self._pass(out, begin, start, frames)
                        self._refuse(data[payload:end])
                    else:
                        stays = self._stays(kind, data[payload:end])
                    if stays:
                        self._pass(out, begin, start, frames)
                        begin, start, frames = end, end, 0
                        continue
                    if final and opcode != (kind := data_opcode(data[payload:end])):
                        out = out if isinstance(out, bytearray) else bytearray(out)
                        out[start] ^= opcode ^ kind
                    frames += 1
                start = end
        except _Missing as missing:
            self._gap = missing.gap
        except WebSocketProtocolError as error:
            if error.close_code != CloseCode.TOO_LARGE:
                self._pass(out, begin, start, frames)
                raise
            self._oversized = Oversized(data[start:])
        if messages:
            self._came(data, messages)
        self._pass(out, begin, start, frames)
        return start

    def _is_kept(self, head: bytes) -> bool:
        """Whether a message of a private queue is not for the client, which has it already or gets
        it in its next session. Raises :class:`_Missing`."""
        came = self._deliveries.came(head)
        if came is None:
            return False
        if isinstance(came, Gap):
            if not self._leaving:
                raise _Missing(came)
            self._deliveries.muted = True
            return True
        if came.tag:
            self._left_out.append(came)
        return True

    def _came(self, data: bytes, messages: list[int]) -> None:
        """Note the messages that begin at these places of ``data``."""
        deliveries = self._deliveries
        if deliveries.streams:
            self._look_for_streams(data, messages)
        deliveries.last += len(messages)
        if deliveries.expected:
            deliveries.newest = _head(data, messages[-1])
        if deliveries.mixed:
            for begin in messages:
                deliveries.passed(_head(data, begin))
        while self._left_out:
            self.send(deliveries.left_out(self._left_out.pop(0)))

    def _look_for_streams(self, data: bytes, messages: list[int]) -> None:
        for begin in messages:
            if self._deliveries.reads_stream(data[begin : data.find(b"\n\n", begin) + 2]):
                raise BrokerUnavailable(
                    "a subscription reads a stream, and its node was lost: only you know how far "
                    "you have read; subscribe again with x-stream-offset"
                )

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.CLOSE:
            raise _Closed(close_text(payload))
        if opcode == Opcode.PING:
            self._transport.write(self._upstream.frame(payload, Opcode.PONG))

    def _stays(self, kind: int, payload: bytes) -> bool:
        """Whether it is a heart-beat, or the RECEIPT of a frame of ours."""
        if kind != _RECEIPT:
            return kind == _LINE_END
        frame = _parse(payload)
        return frame is not None and self._owner.answered(frame.get("receipt-id") or "")

    def _refuse(self, error: bytes) -> NoReturn:
        """End with the broker's ERROR, which the client gets as it is, but for what stays here."""
        found = _parse(error)
        if found is None:
            raise WebSocketProtocolError(CloseCode.PROTOCOL_ERROR, "an ERROR that is no STOMP")
        public = refusals.public(found)
        self._client.write(build(data_opcode(error), error if public is None else public), frames=1)
        raise _Refusal(refusals.meaning(found, returning=self._owner.returning))

    def _pass(self, data: bytes | bytearray, begin: int, end: int, frames: int) -> None:
        if begin < end:
            # Of bytes as a whole no copy is made.
            part = (
                data[begin:end] if isinstance(data, bytes) else bytes(memoryview(data)[begin:end])
            )
            self._client.write(part, frames=frames)


def _head(data: bytes, begin: int) -> bytes:
    return data[begin : begin + _HEAD]


def _parse(payload: bytes) -> Frame | None:
    """The broker's frame; None if it is no STOMP at all."""
    limits = Limits(frame_bytes=len(payload), header_bytes=len(payload))
    try:
        frame = next(FrameParser(limits, SERVER_COMMANDS).feed(payload))
    except (StompError, StopIteration):
        return None
    return frame if isinstance(frame, Frame) else None
