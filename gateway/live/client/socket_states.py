"""The states of a client's WebSocket, as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a WebSocket (RFC 6455, section 7).

    ``unknown``: CONNECT is not accepted yet, and what comes is counted. ``known``: it is accepted.
    ``closing``: our Close is sent. ``left``: the client's Close has come. ``closed``: both.
    """

    UNKNOWN = "unknown"
    KNOWN = "known"
    CLOSING = "closing"
    LEFT = "left"
    CLOSED = "closed"


class Input(StrEnum):
    """An input to the WebSocket: a client's frame (upper case), or an act of the connection.

    ``DATA``: a frame of text or binary. ``introduced``: CONNECT is accepted. ``goodbye``: our Close
    is sent.
    """

    DATA = "DATA"
    PING = "PING"
    PONG = "PONG"
    CLOSE = "CLOSE"
    INTRODUCED = "introduced"
    GOODBYE = "goodbye"


#: (state, input) -> next state. What is not here is ignored.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.UNKNOWN, Input.DATA): State.UNKNOWN,
    (State.UNKNOWN, Input.PING): State.UNKNOWN,
    (State.UNKNOWN, Input.PONG): State.UNKNOWN,
    (State.UNKNOWN, Input.INTRODUCED): State.KNOWN,
    (State.UNKNOWN, Input.CLOSE): State.LEFT,
    (State.UNKNOWN, Input.GOODBYE): State.CLOSING,
    (State.KNOWN, Input.DATA): State.KNOWN,
    (State.KNOWN, Input.PING): State.KNOWN,
    (State.KNOWN, Input.PONG): State.KNOWN,
    (State.KNOWN, Input.CLOSE): State.LEFT,
    (State.KNOWN, Input.GOODBYE): State.CLOSING,
    # Nothing is taken or answered any more but the client's Close.
    (State.CLOSING, Input.CLOSE): State.CLOSED,
    (State.LEFT, Input.GOODBYE): State.CLOSED,
}
