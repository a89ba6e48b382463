"""The kept state of streams for subscribers that begin with it: one read serves all who come at the
same moment."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from broker.timing.readings import Monotonic
from broker.topology import Stream
from gateway.budget.budgets import RateBudget
from gateway.expiring import Expiring
from gateway.live.hub.delivery import Delivery, from_state
from gateway.live.hub.shared_reads import SharedReads
from gateway.store.records import StatePage

#: Entries of one read at most, and bytes. A subscriber gets a page at a time, so that a slow reader
#: holds little.
ENTRIES: Final = 250
READ: Final = 64 * 1024
#: Seconds for which a page serves those who come next. A class comes in within seconds; all that
#: is newer follows the state anyway.
LIFETIME: Final = 1.0
#: Pages that are remembered: with the largest messages, some 16 megabytes.
_REMEMBERED: Final = 200


class StateReader(Protocol):
    """The kept state, as pages are made of it."""

    async def read_state(
        self, stream: Stream, *, after: int, limit: int, until: int | None, size: int
    ) -> StatePage:
        """Up to ``limit`` entries, and about ``size`` bytes. Raises
        :class:`gateway.errors.StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class StatePart:
    """Some of a stream's state as it stood at the seq ``at``: entries up to the seq ``end``, but
    for those that have changed since. ``is_last``: the others have, too."""

    deliveries: list[Delivery]
    at: int
    end: int
    is_last: bool


class StatePages:
    """The kept state of all streams, as deliveries.

    A subscriber gets the state of one moment, ``at`` a seq, and then everything after that seq. An
    entry that changes while the pages are read is left out, because it is among what follows. So
    each entry comes once, however many pages there are, and a page that was read a moment later, or
    earlier, by somebody else is as good.
    """

    def __init__(
        self, state: StateReader, *, clock: Monotonic, budget: RateBudget | None = None
    ) -> None:
        self._state = state
        self._reads: SharedReads[tuple[Stream, int, int | None], StatePart] = SharedReads(
            budget, cost=READ
        )
        self._kept: Expiring[tuple[Stream, int, int | None], StatePart] = Expiring(
            _REMEMBERED, LIFETIME, clock=clock
        )

    async def part(
        self, stream: Stream, before: StatePart | None, *, destination: str, owner: Hashable
    ) -> StatePart:
        """The part that comes after another one; None: the beginning of the state as it stands now,
        or stood within the last second.

        Raises the errors of the budget when it takes too long to wait for that, and those of the
        database.
        """
        key = (stream, 0, None) if before is None else (stream, before.end, before.at)
        if (kept := self._kept.get(key)) is not None:
            return kept
        return await self._reads.result(key, owner, partial(self._read, key, destination, owner))

    def close(self) -> None:
        self._reads.close()

    async def _read(
        self, key: tuple[Stream, int, int | None], destination: str, owner: Hashable
    ) -> StatePart:
        stream, after, at = key
        page = await self._state.read_state(stream, after=after, limit=ENTRIES, until=at, size=READ)
        deliveries = [
            from_state(each, destination) for each in page.messages if each.body is not None
        ]
        self._reads.spend(owner, sum(len(each.tail) for each in deliveries))
        part = StatePart(deliveries, page.head if at is None else at, page.seq, page.complete)
        self._kept.put(key, part)
        return part
