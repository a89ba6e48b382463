"""The reader of a feed's STOMP frames: one in each WebSocket message. Pure.

RabbitMQ puts one frame into a message, and copies a producer's headers into the frame as they came,
even bytes that are not text; a producer may also publish larger messages than we accept. Such a
message is drained without being held, and reported as left out: it must not cost all other keys
their feed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from broker.protocol.stomp import (
    SERVER_COMMANDS,
    Frame,
    FrameParser,
    FrameTooLarge,
    Limits,
    MalformedFrame,
    StompError,
)
from broker.protocol.websocket import Data

#: Headers of a frame at most: many headers are no reason to leave a message out.
_HEADERS: Final = 10_000
#: Bytes of a message's beginning that are kept: RabbitMQ's first header, which names the
#: subscription, stands there before everything that a producer controls.
_BEGINNING: Final = 256
_SUBSCRIPTION: Final = re.compile(rb"MESSAGE\r?\nsubscription:([^\r\n\\]*)\r?\n")

TOO_LARGE: Final = "too_large"
MALFORMED: Final = "malformed"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A WebSocket message that holds no usable frame.

    ``subscription`` is the id of the subscription that it came for, None if it is no MESSAGE.
    ``why`` is :data:`TOO_LARGE` or :data:`MALFORMED`; ``detail`` is for people.
    """

    subscription: str | None
    why: str
    detail: str


class Unframing:
    """A reader of pieces of WebSocket messages; ``frame_bytes`` bounds a frame, so the memory."""

    def __init__(self, frame_bytes: int) -> None:
        self._limits = Limits(frame_bytes, header_bytes=frame_bytes, header_count=_HEADERS)
        self._parser: FrameParser | None = None
        # About the current message:
        self._frame: Frame | None = None
        self._fault: StompError | None = None
        self._beginning = b""

    def feed(self, piece: Data) -> Frame | LeftOut | None:
        """The content of the message that this piece ends; None: it goes on, or is a heart-beat."""
        if self._fault is None:
            self._beginning += piece.payload[: _BEGINNING - len(self._beginning)]
            try:
                self._read(piece)
            except StompError as error:
                self._fault = error
                self._parser = self._frame = None
        if not piece.last:
            return None
        found = self._frame if self._fault is None else self._left_out(self._fault)
        self._frame = self._fault = None
        self._beginning = b""
        return found

    def _read(self, piece: Data) -> None:
        if self._parser is None:
            self._parser = FrameParser(self._limits, SERVER_COMMANDS)
        for event in self._parser.feed(piece.payload):
            if isinstance(event, Frame):
                if self._frame is not None:
                    # With a content-length of its own a producer could end its message early.
                    raise MalformedFrame("a second frame in one message")
                self._frame = event
        if piece.last and not self._parser.idle:
            raise MalformedFrame("the message ends within a frame")

    def _left_out(self, fault: StompError) -> LeftOut:
        found = _SUBSCRIPTION.match(self._beginning)
        why = TOO_LARGE if isinstance(fault, FrameTooLarge) else MALFORMED
        return LeftOut(found and found[1].decode(errors="replace"), why, str(fault))
