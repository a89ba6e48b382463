"""Heart-beats with one peer (STOMP 1.2, "Heart-beating"): when to send, when to give up. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: The number of silent intervals after which a peer counts as dead by default: the specification
#: asks for a margin, and RabbitMQ allows its own peers two to three.
PATIENCE: Final = 2.5


@dataclass(frozen=True, slots=True)
class HeartBeats:
    """The heart-beats agreed with one peer, in seconds; 0 is none.

    We send something at least every ``outgoing``; the peer does so at least every ``incoming``, and
    counts as dead after ``patience`` times that interval.
    """

    outgoing: float
    incoming: float
    patience: float = PATIENCE

    def beat_at(self, sent_at: float) -> float:
        """The time to beat if nothing was sent since ``sent_at``: half an interval later."""
        return sent_at + self.outgoing / 2 if self.outgoing else math.inf

    def lost_at(self, received_at: float) -> float:
        """The time from which the peer counts as dead if nothing came since ``received_at``."""
        return received_at + self.incoming * self.patience if self.incoming else math.inf


#: Nothing is agreed yet.
STILL: Final = HeartBeats(0.0, 0.0)
