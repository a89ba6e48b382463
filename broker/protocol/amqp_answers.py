"""RabbitMQ's answers to publications, taken out of the bytes of a connection that somebody else
reads. Pure.

A general client has a dozen steps, two queues and two tasks for each confirm, and there is one for
each message or two. Here it is one look at 21 bytes. Section numbers are those of the AMQP 0-9-1
specification; confirms are RabbitMQ's own (https://www.rabbitmq.com/docs/confirms).
"""

from __future__ import annotations

import struct
from collections.abc import Container
from struct import Struct
from typing import Final, NamedTuple

from broker.protocol.amqp_methods import END, FRAME, OVERHEAD, Kind
from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import MalformedFrame

_NUMBERS: Final = Struct("!HH")
_ACK, _NACK, _RETURN = (60, 80), (60, 120), (60, 50)
_CHANNEL_CLOSE, _CHANNEL_OPEN_OK = (20, 40), (20, 11)
#: Section 1.8.3.13: the tag, and bits of which the first says "multiple".
_TAG: Final = Struct("!QB")
_MULTIPLE: Final = 1
#: Class, weight, size of the body; the flags and the properties follow (section 4.2.6.1).
_CONTENT: Final = Struct("!HHQ")
_KINDS: Final = frozenset(Kind)


class Confirmed(NamedTuple):
    """The message of this ``tag`` on the channel, with ``multiple`` all up to it, is safe; or, if
    it is not ``taken``, RabbitMQ could not take it."""

    channel: int
    tag: int
    multiple: bool
    taken: bool


class Returned(NamedTuple):
    """No queue took the message; that it is confirmed follows."""

    channel: int
    message_id: str


Answer = Confirmed | Returned


class AnswerReader:
    """A reader of bytes that may be cut anywhere.

    ``channels`` are those whose answers are taken out; ``frame_max``: bytes of a frame at most.
    Everything else is left as it came, frame by frame, and so are bytes that are no AMQP: whoever
    reads them says what is wrong.
    """

    def __init__(self, channels: Container[int], *, frame_max: int) -> None:
        self._channels = channels
        self._frame_max = frame_max
        #: The beginning of a frame.
        self._begun = b""
        #: By channel: the bytes of a returned message's body that are to come; None: its header is.
        self._returning: dict[int, int | None] = {}
        #: Channels that the node has ended, until it opens another one of the same number: nothing
        #: that follows is an answer.
        self._ended: set[int] = set()
        self._is_lost = False

    def feed(self, data: bytes) -> tuple[list[Answer], bytes]:
        """The answers that these bytes complete, and what is left for others."""
        if self._is_lost:
            return [], data
        buffer = self._begun + data if self._begun else data
        answers: list[Answer] = []
        left: list[bytes] = []
        at = left_from = 0
        size = len(buffer)
        while size - at >= OVERHEAD:
            kind, channel, length = FRAME.unpack_from(buffer, at)
            start = at + FRAME.size
            end = start + length
            if kind not in _KINDS or length > self._frame_max:
                self._is_lost = True
                break
            if end >= size:
                break
            if buffer[end] != END:
                self._is_lost = True
                break
            known = channel in self._channels or channel in self._ended
            if known and self._take(kind, channel, buffer[start:end], answers):
                left.append(buffer[left_from:at])
                left_from = end + 1
            if self._is_lost:
                break
            at = end + 1
        if self._is_lost:
            at = size
        left.append(buffer[left_from:at])
        self._begun = buffer[at:]
        return answers, b"".join(left)

    def rest(self) -> bytes:
        """The beginning of a frame that never became whole; for the end of the connection."""
        begun, self._begun = self._begun, b""
        return begun

    def _take(self, kind: int, channel: int, payload: bytes, answers: list[Answer]) -> bool:
        """Take a frame if it is of an answer."""
        try:
            if kind == Kind.METHOD:
                return self._take_method(channel, payload, answers)
            if channel in self._returning:
                self._take_content(kind, channel, payload, answers)
                return True
        except (struct.error, MalformedFrame):
            # What came back is not known: no answer may count as good news any more.
            self._is_lost = True
        return False

    def _take_method(self, channel: int, payload: bytes, answers: list[Answer]) -> bool:
        method = _NUMBERS.unpack_from(payload)
        if method == _CHANNEL_CLOSE:
            self._ended.add(channel)
            self._returning.pop(channel, None)
        elif method == _CHANNEL_OPEN_OK:
            self._ended.discard(channel)
        elif channel in self._ended:
            return False
        elif method in (_ACK, _NACK):
            tag, bits = _TAG.unpack_from(payload, _NUMBERS.size)
            answers.append(Confirmed(channel, tag, bool(bits & _MULTIPLE), method == _ACK))
            return True
        elif method == _RETURN:
            self._returning[channel] = None
            return True
        return False

    def _take_content(self, kind: int, channel: int, payload: bytes, answers: list[Answer]) -> None:
        left = self._returning[channel]
        if left is None:
            _class, _weight, left = _CONTENT.unpack_from(payload)
            headers = dict(stomp_headers(payload[_CONTENT.size :], any_bytes=True))
            answers.append(Returned(channel, headers.get("amqp-message-id", "")))
        elif kind == Kind.BODY:
            left -= len(payload)
        if left > 0:
            self._returning[channel] = left
        else:
            del self._returning[channel]
