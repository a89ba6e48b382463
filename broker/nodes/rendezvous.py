"""Which link takes a stream: a stable choice among the links that serve best. Pure.

Rendezvous hashing (https://en.wikipedia.org/wiki/Rendezvous_hashing): when a node goes, only its
own streams move, spread over the others; when it is back, the same streams return.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final


class LinkState(StrEnum):
    """How a node's AMQP link serves, the best first.

    ``draining``: works, but is to be left. ``suspect``: stood still lately while it looked alive.
    ``apart``: has lost the other nodes.
    ``blocked``: RabbitMQ reads nothing because of an alarm. ``down``: there is no link.
    """

    UP = "up"
    DRAINING = "draining"
    SUSPECT = "suspect"
    APART = "apart"
    BLOCKED = "blocked"
    DOWN = "down"


_PREFERENCE: Final = {state: rank for rank, state in enumerate(LinkState)}


def worse(one: LinkState, other: LinkState) -> LinkState:
    return max(one, other, key=_PREFERENCE.__getitem__)


def place(key: str, nodes: tuple[str, ...], state: Callable[[str], LinkState]) -> str | None:
    """The node for a routing key, or None: every link is down."""
    best, chosen = LinkState.DOWN, None
    for name in _ranked(key, nodes):
        now = state(name)
        if now is LinkState.UP:
            # Nearly always the first one: no other is looked at.
            return name
        if _PREFERENCE[now] < _PREFERENCE[best]:
            best, chosen = now, name
    return chosen


def home(key: str, nodes: tuple[str, ...]) -> str:
    """The node for a routing key while every link is up."""
    return _ranked(key, nodes)[0]


@lru_cache(maxsize=4096)
def _ranked(key: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(nodes, key=lambda name: _weight(key, name), reverse=True))


def _weight(key: str, name: str) -> tuple[bytes, str]:
    return blake2b(f"{name} {key}".encode(), digest_size=8).digest(), name
