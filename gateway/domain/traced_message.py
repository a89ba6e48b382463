"""A stored message as operators see it: everything but what was said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from broker.topology import Stream


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """A message of the history. ``sender``: empty if it was deleted by request; ``size``: bytes of
    its body; ``published``: RabbitMQ has confirmed it."""

    id: UUID
    stream: Stream
    seq: int
    sender: str
    type: str
    sent_at: datetime
    size: int
    published: bool
