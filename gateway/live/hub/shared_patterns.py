"""The patterns that clients of this gateway follow together, each subscribed once on every feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Final

from broker.feeds.feeds import Feeds
from broker.feeds.listener import Pattern
from broker.timing.readings import Monotonic
from broker.timing.ticker import RESOLUTION, Ticker
from gateway.live.hub.fanout import FanOut, Subscriber
from gateway.live.hub.quarantine import KEPT_OFF, Quarantine
from gateway.live.hub.shared_pattern import NotShared, SharedPattern

logger = logging.getLogger(__name__)

#: Patterns at a time. Beyond that, clients get relays of their own.
MOST: Final = 1_000
#: Bytes of messages that all patterns hold together: those that are being fanned out, and those
#: that one feed alone has brought. RabbitMQ keeps what comes faster, but counts it in messages, not
#: in bytes.
HELD: Final = 64 * 1024 * 1024
#: Bytes that have come between two looks at how many are held.
_LOOK: Final = 1024 * 1024
#: Seconds that a pattern stays subscribed when its last subscriber has left.
LINGER: Final = 30.0
_UNWRITABLE: Final = "RabbitMQ breaks off the feeds at a message that AMQP cannot write"


class SharedPatterns:
    """The table of patterns. ``token`` is this gateway's own, in this run."""

    def __init__(
        self,
        feeds: Feeds,
        fan_out: FanOut,
        *,
        clock: Monotonic,
        rng: Random,
        ticker: Ticker,
        most: int = MOST,
        linger: float = LINGER,
    ) -> None:
        #: When :meth:`check` is to be called next, for the ticker.
        self.due = 0.0
        self._feeds = feeds
        self._fan_out = fan_out
        self._clock = clock
        self._token = f"{rng.getrandbits(64):016x}"
        self._made = 0
        self._came = 0
        self._most = most
        self._linger = linger
        self._ticker = ticker
        self._loop = asyncio.get_running_loop()
        self._patterns: dict[Pattern, SharedPattern] = {}
        self._lingering: dict[Pattern, asyncio.TimerHandle] = {}
        self._quarantine = Quarantine()

    def __len__(self) -> int:
        """The number of subscribed patterns."""
        return len(self._patterns)

    def __contains__(self, pattern: Pattern) -> bool:
        """Whether it is subscribed already."""
        return pattern in self._patterns

    @property
    def alone(self) -> int:
        """The number of patterns whose subscribers must come again if the leading feed is lost."""
        return sum(not each.has_successor for each in self._patterns.values())

    async def join(self, pattern: Pattern, subscriber: Subscriber) -> Callable[[], None]:
        """Add a subscriber; returns what must be called when it leaves.

        When this returns, RabbitMQ has confirmed that the binding stands. Raises
        :class:`NotShared` and :class:`BrokerUnavailable`; then the subscriber has left already.
        """
        shared = self._enter(pattern)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._leave(shared, subscriber)

        try:
            await shared.join(subscriber)
        except BaseException:
            leave()
            raise
        return leave

    def close(self) -> None:
        for timer in self._lingering.values():
            timer.cancel()
        self._ticker.remove(self)

    def check(self, now: float) -> None:
        """Look at what is late. Called by the ticker."""
        self.due = now + RESOLUTION
        for shared in tuple(self._patterns.values()):
            shared.check()

    def _took(self, size: int) -> None:
        self._came += size
        if self._came < _LOOK:
            return
        self._came = 0
        if sum(each.held for each in self._patterns.values()) > HELD:
            max(self._patterns.values(), key=lambda each: each.held).relieve()

    def _broke(self) -> None:
        """A feed was broken off: keep those off the feeds that may be why."""
        now = self._clock()
        suspects = self._quarantine.broke(tuple(self._patterns), now)
        if not suspects:
            return
        if len(suspects) == 1:
            logger.warning(
                "%s: for %d minutes its clients are served by relays, not by the feeds, which "
                "RabbitMQ breaks off at a message of it: a producer past this gateway, or a dead "
                "letter, has a property, a header's name or a routing key of more than 255 bytes",
                "/".join(suspects[0]),
                KEPT_OFF // 60,
            )
        for pattern, shared in tuple(self._patterns.items()):
            if self._quarantine.keeps_off(pattern, now):
                self._remove(pattern)
                shared.keep_off(_UNWRITABLE)

    def _enter(self, pattern: Pattern) -> SharedPattern:
        if self._quarantine.keeps_off(pattern, self._clock()):
            raise NotShared(_UNWRITABLE)
        shared = self._patterns.get(pattern)
        if shared is None:
            shared = self._make(pattern)
        elif shared.refusal is not None:
            raise NotShared(shared.refusal)
        else:
            if timer := self._lingering.pop(pattern, None):
                timer.cancel()
            # Its exchange may have been deleted, and the binding with it.
            self._feeds.confirm_pattern(pattern)
        shared.users += 1
        return shared

    def _make(self, pattern: Pattern) -> SharedPattern:
        if len(self._patterns) >= self._most:
            raise NotShared(f"{self._most} patterns are followed already")
        if not self._patterns:
            self._ticker.add(self)
        self._made += 1
        shared = self._patterns[pattern] = SharedPattern(
            pattern,
            token=f"{self._token}-{self._made}",
            fan_out=self._fan_out,
            clock=self._clock,
            settling=lambda: self._feeds.settling,
            took=self._took,
            broke=self._broke,
        )
        self._feeds.subscribe_pattern(pattern, shared)
        return shared

    def _leave(self, shared: SharedPattern, subscriber: Subscriber) -> None:
        shared.broadcaster.remove(subscriber)
        shared.users -= 1
        pattern = shared.pattern
        if not shared.users and self._patterns.get(pattern) is shared:
            self._lingering[pattern] = self._loop.call_later(self._linger, self._remove, pattern)

    def _remove(self, pattern: Pattern) -> None:
        del self._patterns[pattern]
        if timer := self._lingering.pop(pattern, None):
            timer.cancel()
        self._feeds.unsubscribe_pattern(pattern)
        if not self._patterns:
            self._ticker.remove(self)
