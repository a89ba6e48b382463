"""When a node that keeps its connection open is given up all the same. Pure.

Looks are counted, not seconds: while the gateway's own loop stood still nobody could have heard
anything, and however long that was, it is one look.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Seconds between two looks.
PULSE: Final = 0.5
#: A node of which nothing is heard in so many looks, asked for a sign of life, hangs.
SILENT: Final = 4
#: One that confirms nothing in so many looks, though it is alive, may sit in a minority. More than
#: it takes RabbitMQ to give up a node that hangs (``net_ticktime``): until then it confirms nothing
#: that goes to a queue there too, and a new link would be no better.
STALLED: Final = 24


class Verdict(StrEnum):
    """Why a link is to be given up."""

    SILENT = f"no sign of life for {SILENT * PULSE:g} s"
    STALLED = f"nothing confirmed for {STALLED * PULSE:g} s"


@dataclass(frozen=True, slots=True)
class Signs:
    """What a link shows: how often something was ``heard`` on its socket, and publications
    ``answered``, both ever; publications ``unanswered`` now; whether an alarm has ``blocked`` it.
    """

    heard: int
    answered: int
    unanswered: int
    blocked: bool


class Vigil:
    """Wants a look every :data:`PULSE` seconds."""

    def __init__(self) -> None:
        self._last = Signs(heard=0, answered=0, unanswered=0, blocked=False)
        #: How many looks ago something was heard.
        self.silent = 0
        self._stalled = 0

    def look(self, signs: Signs) -> Verdict | None:
        """None: the link is kept.

        RabbitMQ says when it reads nothing because of an alarm: then no answer tells nothing.
        """
        last, self._last = self._last, signs
        if signs.blocked:
            self.silent = self._stalled = 0
            return None
        self.silent = self.silent + 1 if signs.heard == last.heard else 0
        waits = bool(last.unanswered and signs.unanswered)
        self._stalled = self._stalled + 1 if waits and signs.answered == last.answered else 0
        if self.silent >= SILENT:
            return Verdict.SILENT
        if self._stalled >= STALLED:
            return Verdict.STALLED
        return None
