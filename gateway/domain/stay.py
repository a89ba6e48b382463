"""Stays: who was in a room, from when until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.room import MemberRole


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of a member in a room, as one gateway saw it.

    ``until`` is None while it lasts. ``seen``: when the gateway last noted that it lasts.
    ``name``: what was shown beside the user's name when it began. A member with a socket at each of
    two gateways has two stays at the same time.
    """

    room: int
    user: str
    role: MemberRole
    since: datetime
    until: datetime | None
    seen: datetime
    name: str | None = None
