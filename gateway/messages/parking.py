"""Parked messages: stored and numbered, but not published for now because RabbitMQ refuses them.

They stay in the history, from which subscribers of the topic get them, and in the store's outbox;
the messages behind them go on. Each is tried again now and then, because RabbitMQ's limits can be
configured.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from broker.timing.readings import Monotonic
from broker.topology import Stream
from gateway.domain.message import Message

#: Seconds until a message is tried again.
AGAIN: Final = 3600.0
#: Seconds between two reads of what else the store has of a stream with such a message.
READ_INTERVAL: Final = 60.0
#: The most messages that are remembered; beyond that the oldest is tried again.
CAPACITY: Final = 10_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Parked:
    """A parked message's stream, number and reason."""

    stream: Stream
    seq: int
    reason: str
    until: float


@dataclass(slots=True)
class _Seqs:
    """The parked messages of one stream; ``read_at``: when the store may be asked for the rest."""

    read_at: float
    seqs: set[int] = field(default_factory=set)


class Parking:
    """The parked messages of all streams."""

    def __init__(self, *, clock: Monotonic) -> None:
        self._clock = clock
        self._parked: dict[UUID, _Parked] = {}
        self._streams: dict[Stream, _Seqs] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def __contains__(self, message_id: object) -> bool:
        """Whether the message is not to be published now."""
        if not isinstance(message_id, UUID):
            return False
        parked = self._parked.get(message_id)
        return parked is not None and self._clock() < parked.until

    def awaits(self, stream: Stream, seq: int) -> bool:
        """Whether RabbitMQ has not taken this message."""
        of = self._streams.get(stream)
        return of is not None and seq in of.seqs

    def may_read(self, stream: Stream) -> bool:
        """Whether it is time to read more of this stream. Each read finds the parked messages
        again, so it is done less often than elsewhere."""
        of = self._streams.get(stream)
        now = self._clock()
        if of is None:
            return True
        if now < of.read_at:
            return False
        of.read_at = now + READ_INTERVAL
        return True

    def park(self, message: Message, seq: int, reason: str) -> None:
        """Park a message that RabbitMQ has refused when it was alone on its channel; ``seq`` is its
        number."""
        now = self._clock()
        level = logging.DEBUG if message.id in self._parked else logging.ERROR
        _log.log(
            level,
            "%s: message %d is not published, because RabbitMQ refuses it: %s. It is in the "
            "history, and "
            "is tried again every hour",
            message.stream,
            seq,
            reason,
        )
        if len(self._parked) >= CAPACITY:
            self.forget(next(iter(self._parked)))
        self._parked[message.id] = _Parked(message.stream, seq, reason, now + AGAIN)
        of = self._streams.setdefault(message.stream, _Seqs(now + READ_INTERVAL))
        of.seqs.add(seq)

    def forget(self, message_id: UUID) -> None:
        """Forget a message that was taken or belongs to another gateway. An unknown one is no
        error."""
        parked = self._parked.pop(message_id, None)
        if parked is None:
            return
        of = self._streams[parked.stream]
        of.seqs.discard(parked.seq)
        if not of.seqs:
            del self._streams[parked.stream]

    def keep_only(self, streams: Container[Stream]) -> None:
        """Forget all other streams: these are the only ones with entries in the store's outbox."""
        gone = [id for id, parked in self._parked.items() if parked.stream not in streams]
        for id in gone:
            self.forget(id)

    @property
    def problem(self) -> str | None:
        """The problem in a sentence, for the operator."""
        if not self._parked:
            return None
        last = next(reversed(self._parked.values()))
        return (
            f"{len(self._parked)} messages are not published, because RabbitMQ refuses them; the "
            f"last is {last.seq} of {last.stream}: {last.reason}"
        )
