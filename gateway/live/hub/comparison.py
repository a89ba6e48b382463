"""A comparison of what two feeds have brought of the same messages, which have no numbers. Pure.

RabbitMQ puts each message of a pattern into the queues of both feeds. The messages of one producer
have the same order in both; those of several may be interleaved differently, and nothing in a
message says who sent it. Messages with the same content (routing key, properties, body) can
therefore be counted, but not told apart.

All this rests on one assumption about RabbitMQ: the two copies of a message arrive within
:data:`SKEW` seconds of each other, or something is wrong with a node; then a queue misses at most
the end of what a producer's channel has published.

When the leader is gone, what was delivered so far and what the follower brings must be one sequence
that a queue could have given. As long as both had the same order, that is simply the follower's
sequence, whatever the contents are. If their orders differ, it is right if every message is known
by its content; so it takes until all copies of what was delivered have come, and no content may
have come twice meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Seconds between the two copies of a message, at most, while both nodes are well.
SKEW: Final = 0.5
#: Messages that are remembered of one pattern, and bytes of those that wait for the leading feed.
CAPACITY: Final = 20_000
CAPACITY_BYTES: Final = 16 * 1024 * 1024


class Unsure(Exception):
    """The follower cannot go on where the leader has stopped without the possibility of a hole, a
    repetition or a wrong order; the text says why."""


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    """A message that one feed has brought, ``at`` a time; ``open`` until the other brings it."""

    digest: bytes
    message: T
    size: int
    at: float
    open: bool = True


class _Surplus(Generic[T]):
    """The messages that one of the two feeds has brought and the other has not, in their order."""

    def __init__(self) -> None:
        self._entries: deque[_Entry[T]] = deque()
        self._by_digest: dict[bytes, deque[_Entry[T]]] = {}
        self.count = 0
        self.bytes = 0

    @property
    def oldest(self) -> _Entry[T] | None:
        return self._entries[0] if self._entries else None

    def __iter__(self) -> Iterator[_Entry[T]]:
        return (entry for entry in self._entries if entry.open)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._by_digest

    def add(self, entry: _Entry[T]) -> None:
        self._entries.append(entry)
        self._by_digest.setdefault(entry.digest, deque()).append(entry)
        self.count += 1
        self.bytes += entry.size

    def take(self, digest: bytes) -> bool | None:
        """Take the first message of this content out; whether it was the first of all. None: there
        is none."""
        same = self._by_digest.get(digest)
        if same is None:
            return None
        entry = same.popleft()
        if not same:
            del self._by_digest[digest]
        first = entry is self._entries[0]
        entry.open = False
        self.count -= 1
        self.bytes -= entry.size
        while self._entries and not self._entries[0].open:
            self._entries.popleft()
        return first


class Comparison(Generic[T]):
    """The comparison of what a follower has brought with what the leader has brought.

    ``doubtful``: the contents that either of them has brought in the last :data:`SKEW` seconds, and
    when; the other copies of these may have come before the comparison began. They are not counted
    until nothing of the same content has come for so long. All times are in seconds on one clock.
    """

    def __init__(self, doubtful: Iterable[tuple[bytes, float]]) -> None:
        self._doubtful = dict(doubtful)
        #: Brought by the leader alone, and by the follower alone.
        self._owed: _Surplus[None] = _Surplus()
        self._ahead: _Surplus[T] = _Surplus()
        #: When both had last brought a content.
        self._matched: dict[bytes, float] = {}
        #: When the two were last seen to have different orders, and when a content was last seen
        #: again of which it may not be known which copy belongs to which.
        self._crossed_at = self._repeated_at = float("-inf")

    @property
    def full(self) -> bool:
        """Whether there is more to remember than may be."""
        remembered = self._owed.count + self._ahead.count + len(self._matched)
        return remembered > CAPACITY or self._ahead.bytes > CAPACITY_BYTES

    @property
    def held(self) -> int:
        """The bytes of the messages that wait for the leading feed."""
        return self._ahead.bytes

    @property
    def behind_since(self) -> float | None:
        """The time of the oldest message that the leader has brought and the follower has not."""
        return None if self._owed.oldest is None else self._owed.oldest.at

    @property
    def ahead_since(self) -> float | None:
        """The time of the oldest message that the follower has brought and the leader has not."""
        return None if self._ahead.oldest is None else self._ahead.oldest.at

    def is_sure(self, now: float) -> bool:
        """Whether nothing that came before the comparison began can be under way."""
        return not self._doubtful or next(reversed(self._doubtful.values())) <= now - SKEW

    def led(self, digest: bytes, now: float) -> None:
        """The leader has brought a message of this content."""
        if self._counts(digest, now):
            if digest in self._owed:
                self._repeated_at = now
            if not self._match(self._ahead, self._owed, digest, now):
                self._owed.add(_Entry(digest, None, 0, now))

    def followed(self, digest: bytes, message: T, size: int, now: float) -> None:
        """The follower has brought this message, of ``size`` bytes."""
        if self._counts(digest, now) and not self._match(self._owed, self._ahead, digest, now):
            self._ahead.add(_Entry(digest, message, size, now))

    def rest(self, now: float, *, lost_at: float) -> list[T] | None:
        """The messages to be delivered when the follower takes over from the leader, which brings
        nothing more since ``lost_at``. None: they are not known yet; ask again.

        Raises :class:`Unsure`.
        """
        if not self.is_sure(now):
            raise Unsure("the feeds have not been compared for long enough")
        if self._owed.count:
            return None
        first = self._ahead.oldest
        since = (lost_at if first is None else min(lost_at, first.at)) - 2 * SKEW
        if self._crossed_at > since:
            if now < lost_at + SKEW:
                return None
            if self._repeated_at > since:
                raise Unsure("several messages of the same content, in different orders")
        return [entry.message for entry in self._ahead]

    def _counts(self, digest: bytes, now: float) -> bool:
        """Whether this content is compared."""
        last = self._doubtful.pop(digest, None)
        if last is not None and last > now - SKEW:
            self._doubtful[digest] = now
            return False
        return True

    def _match(
        self,
        theirs: _Surplus[T] | _Surplus[None],
        mine: _Surplus[T] | _Surplus[None],
        digest: bytes,
        now: float,
    ) -> bool:
        """Whether the other feed had brought this message, which is then done."""
        if self._matched.get(digest, float("-inf")) > now - 2 * SKEW:
            self._repeated_at = now
        first = theirs.take(digest)
        if first is None:
            if theirs.count:
                self._crossed_at = now
            return False
        if not first or mine.count:
            self._crossed_at = now
        if digest in theirs:
            self._repeated_at = now
        self._matched.pop(digest, None)
        self._matched[digest] = now
        while next(iter(self._matched.values())) <= now - 2 * SKEW:
            del self._matched[next(iter(self._matched))]
        return True
