"""The keys of the kept state by which hosts keep order in a room."""

from __future__ import annotations

from typing import Final

from broker.protocol.numerals import natural
from broker.topology import Audience

#: The room's settings: ``{"chat": bool, "slow": seconds, "approve": bool}``, to everyone.
SETTINGS: Final = "settings"
#: A muted participant, to hosts: ``muted:<user>``; or ``muted`` with ``of``, for any name.
MUTED: Final = "muted"
#: A hidden message, to everyone: ``hidden:<seq>``.
HIDES: Final = "hidden"
#: What the hosts have prepared, to hosts: ``set:<set>`` and ``set:<set>:<question>``. The gateway
#: only copies it.
PREPARED: Final = "set"
#: Seconds between two messages at most.
SLOWEST: Final = 3600


def hidden_seq(key: str) -> int | None:
    """The seq of the public message that an entry with this key hides. None: it hides none."""
    kind, _, seq = key.partition(":")
    return natural(seq) or None if kind == HIDES else None


def is_order(audience: Audience, key: str) -> bool:
    """Whether an entry with this key is an order that decides who may speak."""
    if audience is Audience.PUBLIC:
        return key == SETTINGS
    return key.partition(":")[0] == MUTED


def muted_user(key: str, of: str | None) -> str | None:
    """The user whom an entry with this key mutes. None: it mutes nobody."""
    if of is not None:
        return of if key == MUTED else None
    kind, _, user = key.partition(":")
    return user if kind == MUTED and user else None
