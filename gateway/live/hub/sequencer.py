"""The order of one stream: ``seq`` strictly +1, in whatever order the feeds bring it. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Early items held per stream; further ones are read from the history when their turn comes.
HOLD: Final = 256


class Sequencer(Generic[T]):
    """A buffer that takes numbered items in any order, repeated or missing, and gives each once, in
    order.

    ``last`` is the seq of the last item given; at first it is the one to start after.
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
        # This seq is not held: a held item is given together with the one before it.
        given = [item]
        self.last = seq
        while self.last + 1 in self._held:
            self.last += 1
            given.append(self._held.pop(self.last))
        return given

    def expect(self, head: int) -> None:
        """Note that the stream exists up to ``head``: items that do not arrive are missing."""
        self._head = max(self._head, head)
        self._claimed = max(self._claimed, head)

    def question(self) -> AbstractSet[int]:
        """The early items held so far. Call this before reading the history: the answer can judge
        these, and none that arrives while the answer is on its way."""
        self._claimed = 0
        return frozenset(self._held)

    def distrust(self, head: int, questioned: AbstractSet[int]) -> int:
        """Drop the items of ``questioned`` beyond ``head``, where the stream ended when the history
        was read; returns how many there were."""
        beyond = [seq for seq in questioned if seq > head and seq in self._held]
        for seq in beyond:
            del self._held[seq]
        self._head = max(self.last, self._claimed, min(self._head, head), *self._held)
        return len(beyond)

    @property
    def missing(self) -> range | None:
        """The next hole, to be read from the history; None: there is none."""
        if self._head <= self.last:
            return None
        return range(self.last + 1, min(self._held, default=self._head + 1))

    def _keep(self, seq: int, item: T) -> None:
        self._held.setdefault(seq, item)
        if len(self._held) > self._hold:
            del self._held[max(self._held)]
