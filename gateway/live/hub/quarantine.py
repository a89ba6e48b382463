"""The patterns whose messages break off the feeds: found by trials, and kept off them. Pure.

RabbitMQ gives STOMP's subscribers what AMQP cannot write: a property or a header's name of more
than 255 bytes, from a producer that does not speak AMQP 0-9-1, or such a routing key of a dead
letter.
It breaks off each AMQP connection that is to get it, and does not say what it was. For the gateway
that is both feeds, with all that they bring. A client's own relay gets such a message like any
other. So the patterns of feeds that break off again and again are tried, one half and then the
other, while the rest are followed by relays, until the one is found that does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from broker.feeds.listener import Pattern

#: Seconds within which both feeds break off at the same message.
ONE_BREAK: Final = 1.0
#: Seconds after which a break is forgotten: the first one may be anything.
MEMORY: Final = 600.0
#: Seconds that a half is tried: twice what has passed between the breaks, within these bounds.
SHORTEST: Final = 30.0
LONGEST: Final = 600.0
#: Seconds for which the pattern that was found is followed by relays.
KEPT_OFF: Final = 3_600.0
#: Patterns that were found and are remembered.
MOST: Final = 1_000


class Quarantine:
    """The patterns that feeds must not bring now. ``now`` is in seconds, on one clock."""

    def __init__(self) -> None:
        self._broke_at = float("-inf")
        #: The patterns that are tried now, since when and until when, and how long the next ones
        #: are.
        self._tried: Sequence[Pattern] = ()
        self._tried_since = self._tried_until = 0.0
        self._seconds = SHORTEST
        self._waiting: deque[Sequence[Pattern]] = deque()
        #: All that wait.
        self._suspects: set[Pattern] = set()
        self._found: dict[Pattern, float] = {}

    def broke(self, patterns: Iterable[Pattern], now: float) -> Sequence[Pattern]:
        """A feed with these patterns has broken off. Returns those among which it is searched for;
        if it is one, that is it. Nothing: the same was told before, or it was the first time."""
        since = now - self._broke_at
        if since < ONE_BREAK:
            return ()
        self._broke_at = now
        if now < self._tried_until:
            suspects = self._tried
            since = min(since, now - self._tried_since)
        elif since > MEMORY:
            return ()
        else:
            suspects = [each for each in patterns if not self.keeps_off(each, now)]
        self._seconds = min(LONGEST, max(SHORTEST, 2 * since))
        if len(suspects) == 1:
            self._found[suspects[0]] = now + KEPT_OFF
            if len(self._found) > MOST:
                del self._found[next(iter(self._found))]
        else:
            middle = len(suspects) // 2
            self._waiting.extendleft(
                half for half in (suspects[middle:], suspects[:middle]) if half
            )
        self._try_next(now)
        return suspects

    def keeps_off(self, pattern: Pattern, now: float) -> bool:
        """Whether this pattern is to be followed by relays now."""
        if self._tried and now >= self._tried_until:
            self._try_next(now)
        return pattern in self._suspects or self._found.get(pattern, now) > now

    def _try_next(self, now: float) -> None:
        self._tried = self._waiting.popleft() if self._waiting else ()
        self._tried_since = now
        self._tried_until = now + self._seconds if self._tried else now
        self._suspects = {each for half in self._waiting for each in half}
