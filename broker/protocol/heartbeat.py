"""Heart-beats with one peer (STOMP 1.2, "Heart-beating"): when to send, when to give up. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: Silence of so many intervals is death, unless said otherwise: the specification asks for a
#: margin, and RabbitMQ allows its own peers two to three.
PATIENCE: Final = 2.5


@dataclass(frozen=True, slots=True)
class HeartBeats:
    """What was agreed, in seconds, 0 for none: we send at least every ``outgoing``, and hear
    something at least every ``incoming``, or else after ``patience`` times that it is dead."""

    outgoing: float
    incoming: float
    patience: float = PATIENCE

    def beat_at(self, sent_at: float) -> float:
        """When to send something, if nothing was since ``sent_at``: with half the time to spare."""
        return sent_at + self.outgoing / 2 if self.outgoing else math.inf

    def lost_at(self, received_at: float) -> float:
        """When the peer is dead, if nothing was heard of it since ``received_at``."""
        return received_at + self.incoming * self.patience if self.incoming else math.inf


#: Nothing is agreed yet.
STILL: Final = HeartBeats(0.0, 0.0)
