"""The states of an uplink, as a table. Pure.

The uplink (:mod:`gateway.live.relay.uplink`) reports what happens, moves to the state that
:data:`TRANSITIONS` names, and does what entering that state means.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.live.relay.state import Ending, Verdict


class State(StrEnum):
    """The state of an uplink.

    ``opening``: the first session is being dialled. ``open``: frames may pass. ``moving``: there is
    no session, another node is being looked for. A planned move has its next session already:
    ``proving`` asks the old node whether it has taken everything, ``parting`` waits until it has
    ended the session. The client leaves: ``leaving`` asks the same, ``farewell`` has sent
    DISCONNECT. The ends: ``left`` with everything taken, ``failed`` with a reason that the client
    is told, ``closed`` by the connection.
    """

    OPENING = "opening"
    OPEN = "open"
    MOVING = "moving"
    PROVING = "proving"
    PARTING = "parting"
    LEAVING = "leaving"
    FAREWELL = "farewell"
    LEFT = "left"
    FAILED = "failed"
    CLOSED = "closed"


class Input(StrEnum):
    """An input to an uplink: something that happens to it.

    ``session``: a node has taken the login. ``lost``: the node broke off or fell silent, and the
    session may go on elsewhere; ``lost again``: the same, but another node was lost at the same
    request; ``lost in doubt``: it may not go on, because nobody knows what became of something.
    ``ended`` and ``ended in doubt``: the same, but the node has closed in good order.
    ``refused``: the node has closed because of what the client sent. ``error``: another reason that
    no other node would help against. ``relocate``: a planned move. ``leave``: the client
    disconnects. ``disconnect``: DISCONNECT has been sent. ``receipt``: RabbitMQ has answered it.
    ``timeout``: the node of a planned move did not end the session in time. ``close``: the
    connection needs the uplink no more.
    """

    SESSION = "session"
    LOST = "lost"
    LOST_AGAIN = "lost again"
    LOST_IN_DOUBT = "lost in doubt"
    ENDED = "ended"
    ENDED_IN_DOUBT = "ended in doubt"
    REFUSED = "refused"
    ERROR = "error"
    RELOCATE = "relocate"
    LEAVE = "leave"
    DISCONNECT = "disconnect"
    RECEIPT = "receipt"
    TIMEOUT = "timeout"
    CLOSE = "close"


#: (state, input) -> next state. What is not here changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.OPENING, Input.SESSION): State.OPEN,
    (State.OPENING, Input.CLOSE): State.CLOSED,
    (State.OPEN, Input.LOST): State.MOVING,
    (State.OPEN, Input.LOST_AGAIN): State.MOVING,
    (State.OPEN, Input.ENDED): State.MOVING,
    (State.OPEN, Input.LOST_IN_DOUBT): State.FAILED,
    (State.OPEN, Input.ENDED_IN_DOUBT): State.FAILED,
    (State.OPEN, Input.REFUSED): State.FAILED,
    (State.OPEN, Input.ERROR): State.FAILED,
    (State.OPEN, Input.RELOCATE): State.PROVING,
    (State.OPEN, Input.LEAVE): State.LEAVING,
    (State.OPEN, Input.CLOSE): State.CLOSED,
    (State.MOVING, Input.SESSION): State.OPEN,
    (State.MOVING, Input.ERROR): State.FAILED,
    (State.MOVING, Input.CLOSE): State.CLOSED,
    # The next session stands already, so this one's end is no loss unless something is in doubt.
    (State.PROVING, Input.LOST): State.MOVING,
    (State.PROVING, Input.LOST_AGAIN): State.MOVING,
    (State.PROVING, Input.ENDED): State.MOVING,
    (State.PROVING, Input.LOST_IN_DOUBT): State.FAILED,
    (State.PROVING, Input.ENDED_IN_DOUBT): State.FAILED,
    (State.PROVING, Input.REFUSED): State.FAILED,
    (State.PROVING, Input.ERROR): State.FAILED,
    (State.PROVING, Input.DISCONNECT): State.PARTING,
    (State.PROVING, Input.TIMEOUT): State.MOVING,
    (State.PROVING, Input.CLOSE): State.CLOSED,
    # Everything was proven before, so nothing can be in doubt.
    (State.PARTING, Input.LOST): State.MOVING,
    (State.PARTING, Input.LOST_AGAIN): State.MOVING,
    (State.PARTING, Input.ENDED): State.MOVING,
    (State.PARTING, Input.LOST_IN_DOUBT): State.MOVING,
    (State.PARTING, Input.ENDED_IN_DOUBT): State.MOVING,
    (State.PARTING, Input.REFUSED): State.MOVING,
    (State.PARTING, Input.ERROR): State.FAILED,
    (State.PARTING, Input.TIMEOUT): State.MOVING,
    (State.PARTING, Input.CLOSE): State.CLOSED,
    (State.LEAVING, Input.LOST): State.FAILED,
    (State.LEAVING, Input.LOST_AGAIN): State.FAILED,
    (State.LEAVING, Input.ENDED): State.FAILED,
    (State.LEAVING, Input.LOST_IN_DOUBT): State.FAILED,
    (State.LEAVING, Input.ENDED_IN_DOUBT): State.FAILED,
    (State.LEAVING, Input.REFUSED): State.FAILED,
    (State.LEAVING, Input.ERROR): State.FAILED,
    (State.LEAVING, Input.DISCONNECT): State.FAREWELL,
    (State.LEAVING, Input.CLOSE): State.CLOSED,
    # RabbitMQ 3.10 nearly always closes before its RECEIPT of DISCONNECT is out.
    (State.FAREWELL, Input.RECEIPT): State.LEFT,
    (State.FAREWELL, Input.ENDED): State.LEFT,
    (State.FAREWELL, Input.ENDED_IN_DOUBT): State.LEFT,
    (State.FAREWELL, Input.REFUSED): State.LEFT,
    # Whoever has asked it to leave tells the client.
    (State.FAREWELL, Input.LOST): State.CLOSED,
    (State.FAREWELL, Input.LOST_AGAIN): State.CLOSED,
    (State.FAREWELL, Input.LOST_IN_DOUBT): State.CLOSED,
    (State.FAREWELL, Input.ERROR): State.FAILED,
    (State.FAREWELL, Input.CLOSE): State.CLOSED,
    (State.LEFT, Input.CLOSE): State.CLOSED,
    (State.FAILED, Input.CLOSE): State.CLOSED,
}

#: Nothing more is sent or dialled.
FINAL: Final = frozenset({State.LEFT, State.FAILED, State.CLOSED})
#: Frames of the client wait meanwhile.
PAUSED: Final = frozenset({State.MOVING, State.PROVING, State.PARTING})

#: What the end of a session is to the table: how it ended, and what that means.
INPUTS: Final[Mapping[tuple[Ending, Verdict], Input]] = {
    (Ending.LOST, Verdict.MOVE): Input.LOST,
    (Ending.LOST, Verdict.SUSPECT): Input.LOST_AGAIN,
    (Ending.LOST, Verdict.UNKNOWN): Input.LOST_IN_DOUBT,
    (Ending.SILENT, Verdict.MOVE): Input.LOST,
    (Ending.SILENT, Verdict.UNKNOWN): Input.LOST_IN_DOUBT,
    (Ending.CLOSED, Verdict.MOVE): Input.ENDED,
    (Ending.CLOSED, Verdict.UNKNOWN): Input.ENDED_IN_DOUBT,
    (Ending.CLOSED, Verdict.REFUSED): Input.REFUSED,
}
