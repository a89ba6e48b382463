"""A reader of what a node sends to a consumer: messages and methods from an AMQP byte stream. Pure.

It is written out by hand because every message of every topic passes here twice, once for each
feed. A message larger than the limit is drained without being held, and reported: it must not cost
all other keys their feed. Section numbers are those of the AMQP 0-9-1 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from broker.protocol.amqp_methods import (
    END,
    FRAME,
    OVERHEAD,
    AmqpError,
    Kind,
    Method,
    Value,
    decode,
)

_NUMBERS: Final = Struct("!HH")
_DELIVER: Final = (60, 60)
#: The delivery tag and the bit "redelivered" (section 1.8.3.9).
_TAG: Final = Struct("!QB")
#: Class, weight, size of the body; the flags and the properties follow (section 4.2.6.1).
_CONTENT: Final = Struct("!HHQ")
_BASIC: Final = 60


class Delivery(NamedTuple):
    """A message. ``tag`` counts those of the channel. ``properties`` are the flags and properties
    as they came, for :func:`broker.protocol.amqp_properties.stomp_headers`; ``envelope`` is what
    basic.deliver says, for :func:`origin`."""

    routing_key: str
    tag: int
    properties: bytes
    body: bytes
    channel: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message with a body of ``size`` bytes, more than the limit, which was drained."""

    routing_key: str
    size: int
    channel: int
    tag: int
    envelope: bytes


class Origin(NamedTuple):
    """The consumer that a message is for, and where it was published."""

    consumer: str
    exchange: bytes
    routing_key: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A method on a channel."""

    channel: int
    method: Method
    values: dict[str, Value]


Event = Delivery | TooLarge | Received


def origin(envelope: bytes) -> Origin:
    """Read the fields of basic.deliver (section 1.8.3.9), which a reader has checked."""
    at = 1 + envelope[0]
    consumer = envelope[1:at].decode(errors="replace")
    at += _TAG.size
    key = at + 1 + envelope[at]
    return Origin(consumer, envelope[at + 1 : key], envelope[key + 1 :])


class _Content:
    """The message that is arriving; ``properties`` is None until its header has come."""

    __slots__ = ("channel", "envelope", "left", "parts", "properties", "routing_key", "size", "tag")

    #: Bytes of the body, and those that have not come yet; known with the header.
    size: int
    left: int

    def __init__(self, channel: int, tag: int, routing_key: str, envelope: bytes) -> None:
        self.channel = channel
        self.envelope = envelope
        self.tag = tag
        self.routing_key = routing_key
        self.properties: bytes | None = None
        #: None while a message is drained.
        self.parts: list[bytes] | None = []


class DeliveryReader:
    """A reader of bytes that may be cut anywhere.

    ``frame_max``: bytes of a frame at most, as agreed with the node; ``message_bytes``: bytes of a
    message at most, its properties included. It holds no more than a frame, a chunk, and a message
    for each channel; a header may be as large as a message.
    """

    def __init__(self, *, frame_max: int, message_bytes: int) -> None:
        self.frame_max = frame_max
        self._message_bytes = message_bytes
        self._buffer = b""
        #: The message that is arriving, by channel.
        self._contents: dict[int, _Content] = {}

    @property
    def _header_max(self) -> int:
        return max(self.frame_max, self._message_bytes)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete, without heart-beats. Raises :class:`AmqpError`."""
        buffer = self._buffer + data if self._buffer else data
        at, size = 0, len(buffer)
        try:
            while size - at >= OVERHEAD:
                kind, channel, length = FRAME.unpack_from(buffer, at)
                # RabbitMQ does not cut headers, however long they are.
                most = self._header_max if kind == Kind.HEADER else self.frame_max
                if length > most - OVERHEAD:
                    raise AmqpError(f"a frame of {length + OVERHEAD} bytes, over {most}")
                start = at + FRAME.size
                end = start + length
                if end >= size:
                    break
                if buffer[end] != END:
                    raise AmqpError(f"a frame that does not end with {END}")
                at = end + 1
                event = self._frame(kind, channel, buffer, start, end)
                if event is not None:
                    yield event
        except (struct.error, IndexError) as error:
            raise AmqpError("a frame whose content ends too early") from error
        self._buffer = buffer[at:]

    def _frame(self, kind: int, channel: int, buffer: bytes, start: int, end: int) -> Event | None:
        if kind == Kind.METHOD:
            if _NUMBERS.unpack_from(buffer, start) == _DELIVER:
                self._begin(channel, buffer, start + _NUMBERS.size, end)
                return None
            if channel in self._contents:
                raise AmqpError("a method in the middle of a message")
            return Received(channel, *decode(buffer[start:end]))
        if kind == Kind.HEART_BEAT:
            return None
        content = self._contents.get(channel)
        if content is None:
            raise AmqpError(f"a frame of type {kind} outside of a message")
        if kind == Kind.HEADER:
            return self._header(content, buffer, start, end)
        if kind == Kind.BODY:
            return self._body(content, buffer, start, end)
        raise AmqpError(f"a frame of the unknown type {kind}")

    def _begin(self, channel: int, buffer: bytes, at: int, end: int) -> None:
        if channel in self._contents:
            raise AmqpError("a message in the middle of another")
        start = at
        # The tag of the consumer, of whom there is one.
        at += 1 + buffer[at]
        tag, _redelivered = _TAG.unpack_from(buffer, at)
        at += _TAG.size
        # The exchange.
        at += 1 + buffer[at]
        key = at + 1
        if key + buffer[at] != end:
            raise AmqpError("basic.deliver of the wrong length")
        routing_key = buffer[key:end].decode(errors="replace")
        self._contents[channel] = _Content(channel, tag, routing_key, buffer[start:end])

    def _header(self, content: _Content, buffer: bytes, start: int, end: int) -> Event | None:
        if content.properties is not None:
            raise AmqpError("a second header of one message")
        number, _weight, content.size = _CONTENT.unpack_from(buffer, start)
        if number != _BASIC:
            raise AmqpError(f"a message of class {number}")
        content.properties = buffer[start + _CONTENT.size : end]
        content.left = content.size
        if content.size + end - start > self._message_bytes:
            content.parts = None
        return None if content.left else self._end(content, b"")

    def _body(self, content: _Content, buffer: bytes, start: int, end: int) -> Event | None:
        if content.properties is None or end - start > content.left:
            raise AmqpError("more body than the message's header says")
        content.left -= end - start
        piece = b"" if content.parts is None else buffer[start:end]
        if not content.left:
            return self._end(content, piece)
        if content.parts is not None:
            content.parts.append(piece)
        return None

    def _end(self, content: _Content, last: bytes) -> Event:
        channel, envelope = content.channel, content.envelope
        del self._contents[channel]
        if content.parts is None:
            return TooLarge(content.routing_key, content.size, channel, content.tag, envelope)
        body = b"".join((*content.parts, last)) if content.parts else last
        properties = content.properties or b""
        return Delivery(content.routing_key, content.tag, properties, body, channel, envelope)
