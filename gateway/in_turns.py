"""Little work for each of many items, so that nobody else waits for all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class InTurns(Protocol):
    """The way to do a little work for each of many items, in turns of a moment each."""

    async def __call__(self, items: Iterable[T], make: Callable[[T], R]) -> list[R]:
        """The results of ``make`` for each item."""
