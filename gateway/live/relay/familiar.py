"""The kinds of SENDs that RabbitMQ has taken from a client. Pure.

RabbitMQ closes a session in the same way when it refuses a SEND and when an operator ends it. What
it has taken a moment ago is hardly the reason.
"""

from __future__ import annotations

from typing import Final

from broker.protocol.stomp import Frame

#: Kinds that are remembered.
MOST: Final = 100
#: The headers whose values decide whether RabbitMQ takes a SEND; of the others the names do, as
#: long as their values fit into a short string of AMQP.
_DECIDE: Final = frozenset(
    {"destination", "expiration", "user-id", "priority", "persistent", "timestamp", "reply-to"}
)
_SHORT: Final = 255
#: Bytes of a body that RabbitMQ always takes; ``max_message_size`` is more.
_ALWAYS: Final = 1024 * 1024

Kind = frozenset[tuple[str, str]]


def kind(send: Frame) -> Kind | None:
    """The kind of a SEND; None: it is like no other one."""
    if len(send.body) > _ALWAYS or send.get("transaction") is not None:
        return None
    if any(len(value.encode()) > _SHORT for _, value in send.headers):
        return None
    return frozenset((name, value if name in _DECIDE else "") for name, value in send.headers)


class Familiar:
    """One client's kinds, over all its sessions."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[Kind, None] = {}

    def __contains__(self, kind: Kind | None) -> bool:
        return kind in self._kinds

    def learn(self, kind: Kind) -> None:
        """RabbitMQ has taken one of this kind. Beyond :data:`MOST` the oldest is forgotten."""
        self._kinds[kind] = None
        if len(self._kinds) > MOST:
            del self._kinds[next(iter(self._kinds))]
