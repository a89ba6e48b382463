"""The choice of the link for a stream: a stable one, among the links that work best. Pure.

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
    """The condition of a node's AMQP link, the best first.

    ``draining``: works, but is to be left. ``suspect``: its node hung lately while it looked alive.
    ``partitioned``: its node has lost the others. ``blocked``: RabbitMQ reads nothing because of an
    alarm. ``down``: there is no link.
    """

    UP = "up"
    DRAINING = "draining"
    SUSPECT = "suspect"
    PARTITIONED = "partitioned"
    BLOCKED = "blocked"
    DOWN = "down"


_PREFERENCE: Final = {state: rank for rank, state in enumerate(LinkState)}


def worse(one: LinkState, other: LinkState) -> LinkState:
    """The worse of two states."""
    return max(one, other, key=_PREFERENCE.__getitem__)


def place(
    key: str, nodes: tuple[str, ...], state: Callable[[str], LinkState]
) -> tuple[str, LinkState] | None:
    """The node for a routing key and its link's state, or None: every link is down."""
    best, chosen = LinkState.DOWN, None
    for name in _ranked(key, nodes):
        now = state(name)
        if now is LinkState.UP:
            # Nearly always the first node: no other is looked at.
            return name, now
        if _PREFERENCE[now] < _PREFERENCE[best]:
            best, chosen = now, name
    return None if chosen is None else (chosen, best)


@lru_cache(maxsize=4096)
def home(key: str, nodes: tuple[str, ...]) -> str:
    """The node for a routing key while every link is up."""
    return _ranked(key, nodes)[0]


@lru_cache(maxsize=4096)
def _ranked(key: str, nodes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(nodes, key=lambda name: _weight(key, name), reverse=True))


def _weight(key: str, name: str) -> tuple[bytes, str]:
    return blake2b(f"{name} {key}".encode(), digest_size=8).digest(), name
