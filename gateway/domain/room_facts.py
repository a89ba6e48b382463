"""The facts about a room that operators are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream of a room. ``lately``: messages of the last minute; ``unpublished``: those that
    RabbitMQ has not confirmed yet."""

    head: int
    first: int
    bytes: int
    lately: int
    unpublished: int


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """A room, as the database has it. ``hosts``: some of them, by name. ``streams``: by audience.
    ``open_polls``: the keys of the polls that take votes. ``queue``: the number of its private
    queue, ``queue_due`` the work that is due on it."""

    title: str
    created_at: datetime
    closed_at: datetime | None
    members: int
    hosts: Sequence[str]
    streams: Mapping[str, StreamFacts]
    open_polls: Sequence[str]
    queue: int
    queue_due: str | None
