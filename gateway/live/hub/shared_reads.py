"""Reads of the database of which one serves all who need the same at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from broker.timing.tasks import shared
from gateway.budget.budgets import RateBudget

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Seconds that a subscriber waits for its budget of reads before it is sent away.
_PATIENCE: Final = 15.0


class SharedReads(Generic[K, V]):
    """The reads that are going on, by what they read. ``cost``: bytes that one read may take;
    ``budget`` bounds the bytes that each client makes us read, and a client beyond it waits."""

    def __init__(self, budget: RateBudget | None, *, cost: int) -> None:
        self._budget = budget
        self._cost = cost
        self._going_on: dict[K, asyncio.Task[V]] = {}

    async def result(self, key: K, owner: Hashable, read: Callable[[], Awaitable[V]]) -> V:
        """The result of the read of ``key`` that is going on, or else of ``read``, for which
        ``owner`` waits; what it costs is spent by :meth:`spend`.

        Raises the errors of the budget when it takes too long to wait for that, and those of the
        read.
        """
        if key not in self._going_on and self._budget is not None:
            seconds = self._budget.reserve(owner, within=_PATIENCE, cost=self._cost)
            try:
                await asyncio.sleep(seconds)
            finally:
                # What it does cost is known when it is read.
                self._budget.spend(owner, cost=-self._cost)
        task = self._going_on.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key, read))
            self._going_on[key] = task
            task.add_done_callback(_retrieve)
        # A caller that is cancelled must not cancel the read for the others.
        return await shared(task)

    def spend(self, owner: Hashable, size: int) -> None:
        """Count bytes that were read."""
        if self._budget is not None:
            self._budget.spend(owner, cost=size)

    def close(self) -> None:
        for task in self._going_on.values():
            task.cancel()

    async def _run(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        try:
            return await read()
        finally:
            del self._going_on[key]


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take the read's error: every caller may have left, and then nobody else retrieves it."""
    if not task.cancelled():
        task.exception()
