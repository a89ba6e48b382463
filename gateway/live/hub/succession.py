"""The feed that leads, and the succession of another when that one is lost. Pure.

One feed leads: subscribers get exactly what its queue gives. The others follow and are compared
with it (:mod:`gateway.live.hub.comparison`). When the leader is lost, or late, a follower takes
over behind the last message that was delivered; where that place is not sure, :class:`Broken` says
so, and the subscribers must be told.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from gateway.live.hub.comparison import SKEW, Comparison, Unsure

T = TypeVar("T")

#: Seconds that a binding may take to be known by every node: see :mod:`gateway.live.hub.topic`.
SETTLING: Final = 2.0
#: Seconds that one feed may be behind another: a leader that is loses the lead, a follower is
#: compared anew.
LAG: Final = 1.0
#: Seconds that a follower, taking over, waits for the messages that were delivered already. It is
#: more than :data:`SKEW`.
HOLD: Final = 1.0
#: Contents that are remembered for :data:`SKEW` seconds.
CAPACITY: Final = 20_000


class Broken(Exception):
    """Messages may be missing or come twice from here on; the text says why."""


class _Follower(Generic[T]):
    """A feed that stands and does not lead. ``ready_at``: when it can be compared from."""

    __slots__ = ("comparison", "ready_at")

    def __init__(self, ready_at: float) -> None:
        self.ready_at = ready_at
        self.comparison: Comparison[T] | None = None

    def begin_anew(self, now: float) -> None:
        """Forget the comparison, and begin another one later."""
        self.comparison, self.ready_at = None, now + SETTLING


class Succession(Generic[T]):
    """The feeds of one pattern. ``now`` is in seconds, on one clock.

    The methods return what is to be delivered now, in this order. They raise :class:`Broken` once
    for each break; the lead then begins anew with any feed that stands.
    """

    def __init__(self) -> None:
        #: The number of the feed whose messages are delivered.
        self.leader: int | None = None
        #: The feed that is about to take over, and since when.
        self._successor: tuple[int, float] | None = None
        self._followers: dict[int, _Follower[T]] = {}
        #: The contents that have come lately, from any feed, and when.
        self._seen: dict[bytes, float] = {}
        self._overflown_at = float("-inf")

    @property
    def led(self) -> bool:
        """Whether messages are delivered, now or as soon as a feed has taken over."""
        return self.leader is not None or self._successor is not None

    def has_successor(self, now: float) -> bool:
        """Whether the leader can be lost without a break."""
        return self.leader is not None and any(
            each.comparison is not None and each.comparison.is_sure(now)
            for each in self._followers.values()
        )

    @property
    def held(self) -> int:
        """The bytes of the messages that wait for the leading feed."""
        found = (each.comparison for each in self._followers.values())
        return sum(each.held for each in found if each is not None)

    def forget(self, now: float) -> None:
        """Hold nothing: until the followers have been compared again, none can take over."""
        if self._successor is None:
            for follower in self._followers.values():
                follower.begin_anew(now)

    def subscribed(self, feed: int, now: float) -> None:
        """The feed brings everything from now on; any number of times."""
        if feed != self.leader and feed not in self._followers:
            self._followers[feed] = _Follower(now + SETTLING)
        if not self.led:
            self._begin(now)

    def message(self, feed: int, digest: bytes, message: T, size: int, now: float) -> list[T]:
        """The feed has brought a message of this content, of ``size`` bytes."""
        self._compare(now)
        self._note(digest, now)
        if feed == self.leader:
            for follower in self._followers.values():
                if follower.comparison is not None:
                    follower.comparison.led(digest, now)
            return [message]
        follower_ = self._followers.get(feed)
        if follower_ is None or follower_.comparison is None:
            return []
        follower_.comparison.followed(digest, message, size, now)
        if self._successor is not None and self._successor[0] == feed:
            return self._take_over(now)
        if follower_.comparison.full:
            follower_.begin_anew(now)
        return []

    def lost(self, feed: int, now: float) -> list[T]:
        """The feed brings nothing more until it is subscribed again."""
        self._followers.pop(feed, None)
        if feed == self.leader:
            self.leader = None
            return self._succeed(now)
        if self._successor is not None and self._successor[0] == feed:
            return self._succeed(now)
        return []

    def skipped(self, feed: int, now: float) -> list[T]:
        """A message of this feed could not be read. Both feeds have it, so nobody can pass it."""
        if feed == self.leader or self._successor is not None:
            self._break("a message that cannot be passed on", now)
        if follower := self._followers.get(feed):
            # If the leader is lost before it comes to this message, nobody may go on behind it.
            follower.begin_anew(now)
        return []

    def swept(self, now: float) -> list[T]:
        """No feed may have brought anything for a while."""
        if self.led:
            self._break("another gateway took this one for dead", now)
        return []

    def check(self, now: float) -> list[T]:
        """Look at what is late; to be called several times a second."""
        self._compare(now)
        if self._successor is not None:
            if now - self._successor[1] > HOLD:
                self._break("no feed has brought what the lost one had", now)
            return self._take_over(now)
        for feed, follower in self._followers.items():
            comparison = follower.comparison
            if comparison is None:
                continue
            behind, ahead = comparison.behind_since, comparison.ahead_since
            if self.leader is not None and ahead is not None and now - ahead > LAG:
                self._followers[self.leader] = _Follower(now + SETTLING)
                self.leader = None
                return self._succeed(now, feed)
            if comparison.full or (behind is not None and now - behind > LAG):
                follower.begin_anew(now)
        return []

    def _begin(self, now: float) -> None:
        """Let the feed lead that has stood longest."""
        if self._followers:
            self._lead(min(self._followers, key=lambda each: self._followers[each].ready_at), now)

    def _lead(self, feed: int, now: float) -> None:
        del self._followers[feed]
        self.leader, self._successor = feed, None
        for follower in self._followers.values():
            follower.comparison = None
            follower.ready_at = max(follower.ready_at, now)

    def _succeed(self, now: float, feed: int | None = None) -> list[T]:
        if feed is None:
            feed = next((n for n, each in self._followers.items() if each.comparison), None)
        if feed is None:
            self._break("no other feed brought the same", now)
            return []
        self._successor = (feed, now)
        return self._take_over(now)

    def _take_over(self, now: float) -> list[T]:
        if self._successor is None:
            return []
        feed, lost_at = self._successor
        comparison = self._followers[feed].comparison
        try:
            if comparison is None or comparison.full:
                raise Unsure("the feeds could not be compared")
            rest = comparison.rest(now, lost_at=lost_at)
        except Unsure as error:
            self._break(str(error), now)
            return []
        if rest is None:
            return []
        self._lead(feed, now)
        return rest

    def _break(self, why: str, now: float) -> None:
        if self.leader is not None:
            self._followers[self.leader] = _Follower(now)
        self.leader = self._successor = None
        self._begin(now)
        raise Broken(why)

    def _compare(self, now: float) -> None:
        """Begin the comparisons that are due."""
        if self.leader is None:
            return
        for follower in self._followers.values():
            if follower.comparison is None and follower.ready_at <= now:
                if self._overflown_at > now - SKEW:
                    return
                recent = ((d, at) for d, at in self._seen.items() if at > now - SKEW)
                follower.comparison = Comparison(recent)

    def _note(self, digest: bytes, now: float) -> None:
        seen = self._seen
        seen.pop(digest, None)
        seen[digest] = now
        while next(iter(seen.values())) <= now - SKEW:
            del seen[next(iter(seen))]
        if len(seen) > CAPACITY:
            del seen[next(iter(seen))]
            self._overflown_at = now
