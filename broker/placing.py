"""Which link takes a stream: a stable choice among the links that serve best. Pure.

Rendezvous hashing (https://en.wikipedia.org/wiki/Rendezvous_hashing): when a node goes, only its
own streams move, spread over the others; when it is back, the same streams return.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b


class LinkState(StrEnum):
    """How a node's AMQP link serves, the best first.

    ``draining``: works, but is to be left. ``suspect``: stood still lately while it looked alive.
    ``blocked``: RabbitMQ reads nothing because of an alarm. ``down``: there is no link.
    """

    UP = "up"
    DRAINING = "draining"
    SUSPECT = "suspect"
    BLOCKED = "blocked"
    DOWN = "down"


_PREFERENCE = tuple(LinkState)


def place(key: str, states: Mapping[str, LinkState]) -> str | None:
    """The node for a routing key, or None: every link is down."""
    best = min(states.values(), key=_PREFERENCE.index, default=LinkState.DOWN)
    if best is LinkState.DOWN:
        return None
    serving = [name for name, state in states.items() if state is best]
    return max(serving, key=lambda name: (_weight(key, name), name))


def _weight(key: str, name: str) -> bytes:
    return blake2b(f"{name} {key}".encode(), digest_size=8).digest()
