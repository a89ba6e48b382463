"""The meanings of STOMP destinations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.topology import Stream, Topology

#: SEND a fresh token here to extend the connection.
RENEWAL: Final = "/gateway/token"

#: SEND with a ``receipt`` here to hear whether the connection is alive: nothing else answers.
PING: Final = "/gateway/ping"


@dataclass(frozen=True, slots=True)
class RoomTopic:
    """A room's public or private topic."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class RoomQueue:
    """A room's private queue, consumed by its hosts."""

    room: int


@dataclass(frozen=True, slots=True)
class TokenRenewal:
    """The destination :data:`RENEWAL`."""


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """The destination :data:`PING`."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Any other destination of the broker: closed unless an access rule opens it."""


Destination = RoomTopic | RoomQueue | TokenRenewal | SignOfLife | Elsewhere


def parse(destination: str, topology: Topology | None) -> Destination:
    """Read a destination as RabbitMQ would; only exact names are a room's. ``topology`` None: in a
    virtual host without rooms.

    https://www.rabbitmq.com/docs/stomp#d: the kind, a slash, the name with ``/`` as ``%2F``. A
    room's name has no slash, so a name with an escape is never a room's.
    """
    if destination == RENEWAL:
        return TokenRenewal()
    if destination == PING:
        return SignOfLife()
    if topology is None:
        return Elsewhere()
    kind, _, name = destination.rpartition("/")
    match kind:
        case "/topic" if stream := topology.stream(name):
            return RoomTopic(stream)
        case "/queue" | "/amq/queue" if room := topology.private_queue_room(name):
            return RoomQueue(room)
    return Elsewhere()
