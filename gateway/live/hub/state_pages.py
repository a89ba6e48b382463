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
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        until: int | None,
        veiled: bool,
        size: int,
    ) -> StatePage:
        """Up to ``limit`` entries, and about ``size`` bytes; ``veiled``: without hidden ones.
        Raises :class:`gateway.errors.StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class _Page:
    """The name of a page: the entries of a stream after a seq, as they stood ``at`` another one
    (None: as they stand), as others than hosts see them or not."""

    stream: Stream
    after: int
    at: int | None
    veiled: bool


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
        self._reads: SharedReads[_Page, StatePart] = SharedReads(budget, cost=READ)
        self._kept: Expiring[_Page, StatePart] = Expiring(_REMEMBERED, LIFETIME, clock=clock)
        #: How often everything was forgotten.
        self._forgotten = 0

    async def part(
        self,
        stream: Stream,
        before: StatePart | None,
        *,
        destination: str,
        owner: Hashable,
        veiled: bool,
    ) -> StatePart:
        """The part that comes after another one; None: the beginning of the state as it stands now,
        or stood within the last second. ``veiled``: without what hosts have hidden.

        Raises the errors of the budget when it takes too long to wait for that, and those of the
        database.
        """
        after, at = (0, None) if before is None else (before.end, before.at)
        page = _Page(stream, after, at, veiled)
        if (kept := self._kept.get(page)) is not None:
            return kept
        return await self._reads.result(page, owner, partial(self._read, page, destination, owner))

    def forget(self) -> None:
        """Forget everything: messages were hidden or deleted. A read under way begins anew."""
        self._forgotten += 1
        self._kept.clear()

    def close(self) -> None:
        self._reads.close()

    async def _read(self, wanted: _Page, destination: str, owner: Hashable) -> StatePart:
        at, forgotten = wanted.at, -1
        while forgotten != self._forgotten:
            forgotten = self._forgotten
            page = await self._state.read_state(
                wanted.stream,
                after=wanted.after,
                limit=ENTRIES,
                until=at,
                veiled=wanted.veiled,
                size=READ,
            )
        deliveries = [
            from_state(each, destination) for each in page.messages if each.body is not None
        ]
        self._reads.spend(owner, sum(len(each.tail) for each in deliveries))
        part = StatePart(deliveries, page.head if at is None else at, page.seq, page.complete)
        self._kept.put(wanted, part)
        return part
