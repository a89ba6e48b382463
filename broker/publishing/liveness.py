"""The signs by which a link is given up although its node keeps the connection open. Pure.

Checks are counted, not seconds: nothing can be heard while the gateway's own event loop stands
still, and however long that was, it is one check.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Seconds between two checks.
INTERVAL: Final = 0.5
#: Checks without a byte from a node, which was asked for a sign of life, after which it hangs.
SILENT: Final = 4
#: Checks without a confirm from a node that is alive, after which it may be in a minority. They
#: take longer than RabbitMQ needs to give up a node that hangs (``net_ticktime``): until then it
#: confirms nothing that goes to a queue there too, and a new link would be no better.
STALLED: Final = 24


class Verdict(StrEnum):
    """The reason for giving up a link."""

    SILENT = f"no sign of life for {SILENT * INTERVAL:g} s"
    STALLED = f"nothing confirmed for {STALLED * INTERVAL:g} s"


@dataclass(frozen=True, slots=True)
class Activity:
    """The signs of life of a link at one moment.

    ``heard``: how often data came on its socket since it was opened. ``answered``: publications
    since then. ``unanswered``: publications now. ``blocked``: whether an alarm blocks it.
    """

    heard: int
    answered: int
    unanswered: int
    blocked: bool


class Liveness:
    """The judgement of one link; wants a check every :data:`INTERVAL` seconds."""

    def __init__(self) -> None:
        self._last = Activity(heard=0, answered=0, unanswered=0, blocked=False)
        #: Checks in a row in which nothing was heard.
        self.silent = 0
        self._stalled = 0

    def check(self, activity: Activity) -> Verdict | None:
        """The reason to give up the link, or None: it is kept.

        RabbitMQ says when it reads nothing because of an alarm: then a missing answer means
        nothing.
        """
        last, self._last = self._last, activity
        if activity.blocked:
            self.silent = self._stalled = 0
            return None
        self.silent = self.silent + 1 if activity.heard == last.heard else 0
        waits = bool(last.unanswered and activity.unanswered)
        self._stalled = self._stalled + 1 if waits and activity.answered == last.answered else 0
        if self.silent >= SILENT:
            return Verdict.SILENT
        if self._stalled >= STALLED:
            return Verdict.STALLED
        return None
