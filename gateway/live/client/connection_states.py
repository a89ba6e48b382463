"""The states of a client's connection, and of its end, as a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a connection.

    ``serving``: its frames are carried out. ``departing``: the client has closed without
    DISCONNECT, and RabbitMQ is asked whether it has taken everything. ``closing``: the end has been
    told and everything given back; the client has some seconds to answer our Close. ``gone``: the
    socket may be closed.
    """

    SERVING = "serving"
    DEPARTING = "departing"
    CLOSING = "closing"
    GONE = "gone"


class Input(StrEnum):
    """An input to a connection's state: a step towards its end.

    ``end``: somebody here ends it, with a reason or because the client has sent DISCONNECT.
    ``closed``: the client has sent Close, and nothing that it sent is in doubt; ``closed in
    doubt``: something is. ``lost``: the socket broke off, or is cut off. ``late``: the client did
    not answer our Close in time.
    """

    END = "end"
    CLOSED = "closed"
    CLOSED_IN_DOUBT = "closed in doubt"
    LOST = "lost"
    LATE = "late"


#: (state, input) -> next state. What is not here changes nothing, so a connection ends once.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.SERVING, Input.END): State.CLOSING,
    (State.SERVING, Input.CLOSED): State.GONE,
    (State.SERVING, Input.CLOSED_IN_DOUBT): State.DEPARTING,
    (State.SERVING, Input.LOST): State.GONE,
    (State.DEPARTING, Input.END): State.CLOSING,
    (State.DEPARTING, Input.CLOSED): State.GONE,
    (State.DEPARTING, Input.LOST): State.GONE,
    (State.CLOSING, Input.CLOSED): State.GONE,
    (State.CLOSING, Input.LOST): State.GONE,
    (State.CLOSING, Input.LATE): State.GONE,
}

#: Nothing has been given back yet, and the client may be told something.
OPEN: Final = frozenset({State.SERVING, State.DEPARTING})
