"""The rooms' protection from RabbitMQ's own users, whom RabbitMQ itself judges.

RabbitMQ's permissions know nothing of memberships: whoever may read ``amq.topic`` there, as most
users of an existing application may, could read every room. So the gateway lets no frame of such a
user pass that reaches the rooms' names, unless the configuration leaves this to RabbitMQ
(``auth.rabbitmq.rooms``), for instance because topic permissions are set there.
"""

from __future__ import annotations

from typing import Final

from broker.protocol.stomp import Frame
from broker.topology import EXCHANGE, Topology
from gateway.auth.access import Direction
from gateway.auth.patterns import MAX_NAME_BYTES, Kind, parse_leniently, reaches, words
from gateway.domain.identity import Identity
from gateway.errors import Refused

#: Headers by which a client names a queue, or where RabbitMQ is to publish a dead message.
_NAMES: Final = ("x-queue-name", "x-dead-letter-exchange", "x-dead-letter-routing-key")


class Outsiders:
    """The judge of frames of RabbitMQ's own users, as far as rooms are concerned. ``rooms``: it is
    left to RabbitMQ."""

    def __init__(self, topology: Topology, *, rooms: bool) -> None:
        self._prefix = topology.prefix
        self._words = words(topology.prefix)
        self._rooms = rooms

    def check(self, who: Identity, direction: Direction, frame: Frame) -> None:
        """Raises :class:`Refused` for a frame that reaches a room."""
        if self._rooms or who.vhost is not None:
            return
        if any(self._is_own(frame.get(name) or "") for name in _NAMES) or self._reaches(
            direction, frame.get("destination") or ""
        ):
            raise Refused(
                f"names that begin with {self._prefix!r} are those of rooms, which are not open to"
                " RabbitMQ's own users (a wildcard must not match them either), unless"
                " auth.rabbitmq.rooms says so"
            )

    def _reaches(self, direction: Direction, destination: str) -> bool:
        try:
            # Not by our own stricter rules: RabbitMQ takes "queue" for /queue/queue, and wildcards
            # of any length.
            request = parse_leniently(destination)
        except ValueError:
            # RabbitMQ refuses it, and may say what is wrong with it.
            return False
        if self._is_own(request.exchange or ""):
            return True
        if direction is Direction.SEND or request.kind not in (Kind.TOPIC, Kind.EXCHANGE):
            # On any exchange: a queue of the user's own could hand it on to that of the rooms.
            return self._is_own(".".join(request.words))
        if request.kind is Kind.EXCHANGE and request.exchange != EXCHANGE:
            return False
        # No key has as many words. To compare them would take the time of others.
        return len(request.words) > MAX_NAME_BYTES or reaches(request.words, self._words)

    def _is_own(self, name: str) -> bool:
        return name == self._prefix or name.startswith(f"{self._prefix}.")
