"""Turns for reading the history: few reads at a time, and one user after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.budget.budgets import CapBudget
from gateway.budget.rank import Rank
from gateway.budget.table import Scope
from gateway.errors import ReadsBusy
from gateway.fair_turns import FairTurns

#: Seconds that a read waits for a turn before it is refused.
PATIENCE: Final = 5.0
#: The ``retry_after`` of a refused read, in seconds.
RETRY_AFTER: Final = 1.0


class Turns:
    """The queue of reads. ``at_once``: the number of reads at the same time; ``places``: how many
    may be carried out or wait.

    Users are served one after the other, so a user with many requests delays only their own.
    """

    def __init__(self, at_once: int, places: CapBudget) -> None:
        self._places = places
        self._turns = FairTurns(at_once, of_user=at_once)

    @property
    def in_hand(self) -> int:
        """Reads that are being carried out or wait for their turn."""
        return self._places.taken(Scope.ALL)

    @asynccontextmanager
    async def turn(self, user: str, rank: Rank = Rank.PARTICIPANT) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises :class:`TooManyReads` beyond what one user may have in hand, and :class:`ReadsBusy`
        beyond what all may have together, or after :data:`PATIENCE`.
        """
        with self._places.take(user, rank=rank):
            try:
                await self._turns.begin(user, within=PATIENCE)
            except TimeoutError:
                raise ReadsBusy(
                    "too many clients are reading the history", retry_after=RETRY_AFTER
                ) from None
            try:
                yield
            finally:
                self._turns.end(user)
