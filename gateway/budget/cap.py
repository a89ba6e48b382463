"""Places: how many of a thing, or how much of it, each key may have at a time. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import Final, Self

#: The key of what is counted in all.
IN_ALL: Final = ""


class Places:
    """The places that are taken, by key. A key without one is not remembered."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """Keys that have a place."""
        return len(self._taken)

    def taken(self, key: Hashable) -> int:
        """The places of one key."""
        return self._taken.get(key, 0)

    def add(self, key: Hashable, amount: int) -> None:
        """Take places, or give them back (``amount`` below zero)."""
        left = self._taken.get(key, 0) + amount
        if left:
            self._taken[key] = left
        else:
            # It may have none: an amount can be 0.
            self._taken.pop(key, None)


class Lease:
    """A place that was taken in each of some scopes, until it is given back: by :meth:`give_back`,
    or at the end of a ``with`` block."""

    __slots__ = ("_amount", "_of")

    def __init__(self, of: Sequence[tuple[Places, Hashable]], amount: int) -> None:
        self._of = of
        self._amount = amount
        for places, key in of:
            places.add(key, amount)

    def give_back(self) -> None:
        """Give the place back. Only the first call counts."""
        of, self._of = self._of, ()
        for places, key in of:
            places.add(key, -self._amount)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()
