"""Order out of disorder: ``seq`` strictly +1, whatever the feeds bring. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Early items kept per stream; what is beyond is read from the history when its turn comes.
HOLD: Final = 256


class Sequencer(Generic[T]):
    """Takes numbered items in any order, twice or not at all; gives each once, in order.

    ``last`` is the seq of the last item given, at first the one to start after.
    """

    def __init__(self, last: int, *, hold: int = HOLD) -> None:
        self.last = last
        self._head = last
        self._hold = hold
        self._held: dict[int, T] = {}
        self._claimed = 0

    def offer(self, seq: int, item: T) -> list[T]:
        """The items whose turn has come with this one."""
        if seq <= self.last:
            return []
        if seq != self.last + 1:
            self.expect(seq)
            self._keep(seq, item)
            return []
        # It is not held: what is comes with the one before it.
        given = [item]
        self.last = seq
        while self.last + 1 in self._held:
            self.last += 1
            given.append(self._held.pop(self.last))
        return given

    def expect(self, head: int) -> None:
        """There is a stream up to ``head``: what of it does not come is missing."""
        self._head = max(self._head, head)
        self._claimed = max(self._claimed, head)

    def question(self) -> AbstractSet[int]:
        """What came early so far. To be called before the history is read: the answer can judge
        this, and nothing that comes while it is on its way."""
        self._claimed = 0
        return frozenset(self._held)

    def distrust(self, head: int, questioned: AbstractSet[int]) -> int:
        """The stream ended at ``head`` when it was questioned: drop what claimed by then to be
        beyond, and say how much it was."""
        beyond = [seq for seq in questioned if seq > head and seq in self._held]
        for seq in beyond:
            del self._held[seq]
        self._head = max(self.last, self._claimed, min(self._head, head), *self._held)
        return len(beyond)

    @property
    def missing(self) -> range | None:
        """The next hole: what is to be read from the history; None: there is none."""
        if self._head <= self.last:
            return None
        return range(self.last + 1, min(self._held, default=self._head + 1))

    def _keep(self, seq: int, item: T) -> None:
        self._held.setdefault(seq, item)
        if len(self._held) > self._hold:
            del self._held[max(self._held)]
