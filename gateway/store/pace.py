"""The pace at which the senders of a batch may speak, in slow mode. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.topology import Stream
from gateway.domain.message import Draft
from gateway.errors import SlowMode


@dataclass(slots=True)
class Pace:
    """The time of each sender's ``last`` message, by stream and sender; of those who must wait
    between two."""

    last: dict[tuple[Stream, str], datetime] = field(default_factory=dict)

    def refusal(self, draft: Draft) -> SlowMode | None:
        """The error for a draft that comes too soon."""
        last = self.last.get((draft.stream, draft.sender))
        if last is None:
            return None
        left = (last + timedelta(seconds=draft.apart) - draft.sent_at).total_seconds()
        if left <= 0:
            return None
        return SlowMode(
            f"in room {draft.stream.room} {draft.apart} s must pass between two messages",
            # The clock of the gateway that took the last one may be ahead.
            retry_after=min(left, draft.apart),
        )

    def take(self, draft: Draft) -> None:
        """Note a draft that is stored."""
        self.last[draft.stream, draft.sender] = draft.sent_at
