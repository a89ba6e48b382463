"""The pauses of a feed between two attempts to get a session. Pure except for the random draw."""

from __future__ import annotations

from enum import Enum, auto
from random import Random
from typing import Final

from broker.timing.backoff import BackOff

#: Looking for a node costs the broker nothing, so the pauses stay short and a feed is back soon
#: after its node.
LOOKING: Final = BackOff(first=0.05, longest=2.0)
#: A session that never stood has cost the broker a queue for each topic, which it must delete: each
#: attempt would make a slow broker slower.
SUBSCRIBING: Final = BackOff(first=0.5, longest=30.0)


class Outcome(Enum):
    """The result of one attempt: no session, a session that did not work, or one that did."""

    NOT_REACHED = auto()
    FELL = auto()
    STOOD = auto()


class Pauses:
    """Pauses that grow until a session has worked."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._looked = 0
        self._subscribed = 0

    def after(self, outcome: Outcome) -> float:
        """Seconds to wait after this outcome: at random half to all of the delay that is due, so
        that feeds do not keep step."""
        match outcome:
            case Outcome.STOOD:
                self._looked = self._subscribed = 0
                due = LOOKING.first
            case Outcome.FELL:
                self._looked = 0
                self._subscribed += 1
                due = SUBSCRIBING.delay(self._subscribed)
            case Outcome.NOT_REACHED:
                self._looked += 1
                due = LOOKING.delay(self._looked)
        return due * self._rng.uniform(0.5, 1.0)
