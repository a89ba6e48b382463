"""Messages that RabbitMQ refuses by what they are: stored, numbered, and not published for now.

They stay in the history, from which whoever follows the topic gets them, and in the store's outbox;
the messages behind them go on. Each is tried again now and then, for what RabbitMQ takes can be
configured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from broker.topology import Stream
from gateway.domain.message import Message

#: Seconds until a message is tried again.
AGAIN: Final = 3600.0
#: Seconds between two looks for what else a stream with such a message may have in the store.
LOOK: Final = 60.0
#: Messages that are known at once; beyond that the oldest is tried again.
CAPACITY: Final = 10_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Parked:
    stream: Stream
    seq: int
    reason: str
    until: float


@dataclass(slots=True)
class _Seqs:
    """Of one stream; ``look_at``: when the store may be asked for the rest."""

    look_at: float
    seqs: set[int] = field(default_factory=set)


class Parking:
    """``clock`` gives seconds and never goes back."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._parked: dict[UUID, _Parked] = {}
        self._streams: dict[Stream, _Seqs] = {}

    def __len__(self) -> int:
        return len(self._parked)

    def __contains__(self, message_id: object) -> bool:
        """Whether it is not to be published now."""
        if not isinstance(message_id, UUID):
            return False
        parked = self._parked.get(message_id)
        return parked is not None and self._clock() < parked.until

    def awaits(self, stream: Stream, seq: int) -> bool:
        """Whether RabbitMQ has not taken this message."""
        of = self._streams.get(stream)
        return of is not None and seq in of.seqs

    def lets_look(self, stream: Stream) -> bool:
        """Whether it is time to look for more of this stream. What is parked is found there each
        time, so not as often as elsewhere."""
        of = self._streams.get(stream)
        now = self._clock()
        if of is None:
            return True
        if now < of.look_at:
            return False
        of.look_at = now + LOOK
        return True

    def park(self, message: Message, seq: int, reason: str) -> None:
        """RabbitMQ has refused it when it was alone; ``seq`` is its number."""
        now = self._clock()
        level = logging.DEBUG if message.id in self._parked else logging.ERROR
        _log.log(
            level,
            "%s: message %d is not published, RabbitMQ refuses it: %s. It is in the history, and "
            "is tried again every hour",
            message.stream,
            seq,
            reason,
        )
        if len(self._parked) >= CAPACITY:
            self.forget(next(iter(self._parked)))
        self._parked[message.id] = _Parked(message.stream, seq, reason, now + AGAIN)
        of = self._streams.setdefault(message.stream, _Seqs(now + LOOK))
        of.seqs.add(seq)

    def forget(self, message_id: UUID) -> None:
        """It was taken, or somebody else has it; one that is not there is no error."""
        parked = self._parked.pop(message_id, None)
        if parked is None:
            return
        of = self._streams[parked.stream]
        of.seqs.discard(parked.seq)
        if not of.seqs:
            del self._streams[parked.stream]

    def keep_only(self, streams: Container[Stream]) -> None:
        """These are all that the store's outbox still has something of."""
        gone = [id for id, parked in self._parked.items() if parked.stream not in streams]
        for id in gone:
            self.forget(id)

    @property
    def problem(self) -> str | None:
        """What people are to know of it."""
        if not self._parked:
            return None
        last = next(reversed(self._parked.values()))
        return (
            f"{len(self._parked)} messages are not published because RabbitMQ refuses them, the "
            f"last is {last.seq} of {last.stream}: {last.reason}"
        )
