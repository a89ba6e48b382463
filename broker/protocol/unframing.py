"""The STOMP frames of a feed: one in each WebSocket message, whatever a producer put into it.

Sans-I/O. RabbitMQ puts one frame into a message, and a producer's headers into the frame as they
came, bytes that are no text included; and a producer may publish more than anybody here wants. Such
a message is drained without being held, and told: it must not cost all others their feed.
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

#: Headers of a frame: a producer with many is no reason to leave its message out.
_HEADERS: Final = 10_000
#: Bytes of a message's beginning that are looked at: there is RabbitMQ's first header, which names
#: the subscription, before all that a producer has a say in.
_BEGINNING: Final = 256
_SUBSCRIPTION: Final = re.compile(rb"MESSAGE\r?\nsubscription:([^\r\n\\]*)\r?\n")

TOO_LARGE: Final = "too_large"
MALFORMED: Final = "malformed"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message without a frame for us. ``subscription`` is the id of the one that it came for,
    None if it is no MESSAGE at all; ``why`` is one of few words, ``detail`` is for people."""

    subscription: str | None
    why: str
    detail: str


class Unframing:
    """``frame_bytes`` bounds a frame, and so what is held."""

    def __init__(self, frame_bytes: int) -> None:
        self._limits = Limits(frame_bytes, header_bytes=frame_bytes, header_count=_HEADERS)
        self._parser: FrameParser | None = None
        # Of the present message:
        self._frame: Frame | None = None
        self._fault: StompError | None = None
        self._beginning = b""

    def feed(self, piece: Data) -> Frame | LeftOut | None:
        """What is in the message that this piece ends; None: it goes on, or was a heart-beat."""
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
                    # By a content-length of its own a producer could say where its message ends.
                    raise MalformedFrame("a second frame in one message")
                self._frame = event
        if piece.last and not self._parser.idle:
            raise MalformedFrame("the message ends within a frame")

    def _left_out(self, fault: StompError) -> LeftOut:
        found = _SUBSCRIPTION.match(self._beginning)
        why = TOO_LARGE if isinstance(fault, FrameTooLarge) else MALFORMED
        return LeftOut(found and found[1].decode(errors="replace"), why, str(fault))
