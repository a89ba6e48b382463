"""The conversation with one client: STOMP frames in, requests out.

Sans-I/O. :data:`TRANSITIONS` says which command is legal in which state; the requests are plain
data, which the connection has judged and then carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from broker.protocol.stomp import Frame
from broker.topology import Topology
from gateway.budget.budgets import CapBudget
from gateway.errors import BadFrame
from gateway.live.client.requests import Request, Subscribe, Unsubscribe, read
from gateway.live.destinations import Destination


class State(StrEnum):
    """The state of a client's STOMP session."""

    OPENING = "opening"
    AUTHENTICATING = "authenticating"
    CONNECTED = "connected"
    LEAVING = "leaving"


#: CONNECT has not come yet.
OPENING: Final = State.OPENING


class Input(StrEnum):
    """An input to the session: a client's command, or the connection's report (lower case)."""

    CONNECT = "CONNECT"
    STOMP = "STOMP"
    SUBSCRIBE = "SUBSCRIBE"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    SEND = "SEND"
    ACK = "ACK"
    NACK = "NACK"
    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ABORT = "ABORT"
    DISCONNECT = "DISCONNECT"
    AUTHENTICATED = "authenticated"


class Session:
    """The STOMP session of one client. Raises :class:`BadFrame` for a frame that is illegal now.

    ``places``: how many subscriptions it may have. ``largest_body`` gives the bytes that a message
    to a room may have now.
    """

    def __init__(
        self, topology: Topology, *, places: CapBudget, largest_body: Callable[[], int]
    ) -> None:
        self.state = State.OPENING
        self.version = "1.0"
        self.subscriptions: dict[str, Destination] = {}
        self._topology: Topology | None = topology
        self._places = places
        self._largest_body = largest_body

    def receive(self, frame: Frame) -> Request:
        """Read one frame of the client and move to the next state."""
        next_state = self._next(Input(frame.command))
        request = read(
            frame,
            version=self.version,
            topology=self._topology,
            largest_body=self._largest_body(),
        )
        match request:
            case Subscribe():
                self._subscribe(request)
            case Unsubscribe(key):
                request = replace(request, destination=self.subscriptions.pop(key, None))
        self.state = next_state
        return request

    def authenticated(self, version: str, *, rooms: bool = True) -> None:
        """The client's CONNECT was accepted in this STOMP version. ``rooms``: whether there are
        rooms in its virtual host."""
        self.state = self._next(Input.AUTHENTICATED)
        self.version = version
        if not rooms:
            self._topology = None

    def _subscribe(self, request: Subscribe) -> None:
        # Noted before it is judged: a membership that ends meanwhile must find it.
        if request.key in self.subscriptions:
            raise BadFrame(f"subscription {request.key!r} exists; give each SUBSCRIBE its own id")
        self._places.check_counted(len(self.subscriptions))
        self.subscriptions[request.key] = request.destination

    def _next(self, received: Input) -> State:
        try:
            return TRANSITIONS[self.state, received]
        except KeyError:
            raise BadFrame(f"{received} {_ILLEGAL[self.state]}") from None


#: (state, input) -> next state. What is not here is an error of the client's.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.OPENING, Input.CONNECT): State.AUTHENTICATING,
    (State.OPENING, Input.STOMP): State.AUTHENTICATING,
    (State.AUTHENTICATING, Input.AUTHENTICATED): State.CONNECTED,
    (State.CONNECTED, Input.SUBSCRIBE): State.CONNECTED,
    (State.CONNECTED, Input.UNSUBSCRIBE): State.CONNECTED,
    (State.CONNECTED, Input.SEND): State.CONNECTED,
    (State.CONNECTED, Input.ACK): State.CONNECTED,
    (State.CONNECTED, Input.NACK): State.CONNECTED,
    (State.CONNECTED, Input.BEGIN): State.CONNECTED,
    (State.CONNECTED, Input.COMMIT): State.CONNECTED,
    (State.CONNECTED, Input.ABORT): State.CONNECTED,
    (State.CONNECTED, Input.DISCONNECT): State.LEAVING,
}

_ILLEGAL: Final = {
    State.OPENING: "before CONNECT; send CONNECT first",
    State.AUTHENTICATING: "while CONNECT is not answered yet; wait for CONNECTED",
    State.CONNECTED: "on a connection that is open already; it is sent once, at the beginning",
    State.LEAVING: "after DISCONNECT; DISCONNECT is the last frame",
}
