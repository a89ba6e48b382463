"""Pages of connections, searched and sorted here, so that ten thousand of them stay usable.

A page is named by the key of the row before it, not by a number: the last page costs as little as
the first, and several gateways' pages merge into one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from heapq import nlargest, nsmallest
from itertools import islice
from typing import Any, Final, Protocol

from broker.protocol.numerals import natural
from broker.timing.readings import Monotonic
from gateway.live.client.registry import ConnectionState

#: Connections that are read in one turn of the loop: about a millisecond.
_SLICE: Final = 250
#: Seconds for which a list of connections is shown to everybody.
_FRESH: Final = 1.0
#: Sorts in the order of time, after every connection that has an end.
_NEVER: Final = 2.0**53


class Sort(StrEnum):
    """The columns to sort by: fields of :class:`ConnectionState`."""

    USER = "user"
    ADDRESS = "address"
    SINCE = "since"
    NODE = "node"
    FRAMES_IN = "frames_in"
    FRAMES_OUT = "frames_out"
    BYTES_IN = "bytes_in"
    BYTES_OUT = "bytes_out"
    BACKLOG = "backlog"
    HEARD_AT = "heard_at"
    EXPIRES_AT = "expires_at"


#: The sort value of None.
_ABSENT: Final[Mapping[Sort, str | float]] = {
    Sort.USER: "",
    Sort.NODE: "",
    Sort.EXPIRES_AT: _NEVER,
}

#: The column's value, then the values that make the row unique among all gateways.
Key = tuple[str | float, str, str]
#: A :class:`ConnectionState` as JSON, with its ``gateway``.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search in the connections.

    ``search``: a part of a user, address, id, node or gateway in any case, or a room's number; or
    exactly one thing: ``user:kim``, ``room:42``, ``address:192.0.2.7``, ``connection:<id>``.
    ``after``: the key of the row before the page, None for the first page.
    """

    search: str = ""
    sort: Sort = Sort.SINCE
    descending: bool = False
    after: Key | None = None
    size: int = 50

    def key(self, row: Row) -> Key:
        value = row[self.sort]
        return (_ABSENT[self.sort] if value is None else value, row["gateway"], row["id"])

    def matches(self, state: ConnectionState) -> bool:
        """Whether the connection fits. ``search`` must be in lower case."""
        search = self.search
        what, _, exactly = search.partition(":")
        match what:
            case "user" if exactly:
                return exactly == (state.user or "").lower()
            case "room" if exactly:
                return natural(exactly) in state.rooms
            case "address" if exactly:
                return exactly == state.address
            case "connection" if exactly:
                return exactly == state.id.lower()
        return (
            search in (state.user or "").lower()
            or search in state.address
            or search in state.id
            or search in (state.node or "").lower()
            or natural(search) in state.rooms
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of connections.

    ``rows`` are in order; ``matching`` of ``total`` connections fit the search, and ``more`` of
    them come after this page.
    """

    rows: Sequence[Row]
    total: int
    matching: int
    more: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def merge(pages: Iterable[Page], query: Query) -> Page:
    """The pages of several gateways for one query, merged into one."""
    pages = list(pages)
    rows = sorted(
        (row for page in pages for row in page.rows), key=query.key, reverse=query.descending
    )
    left = len(rows) + sum(page.more for page in pages)
    rows = rows[: query.size]
    return Page(
        rows,
        total=sum(page.total for page in pages),
        matching=sum(page.matching for page in pages),
        more=left - len(rows),
    )


class Observed(Protocol):
    """A client's connection, whose state is shown."""

    def snapshot(self) -> ConnectionState: ...


class Connections:
    """This gateway's connections."""

    def __init__(
        self,
        connections: Iterable[Observed],
        *,
        gateway: str,
        clock: Monotonic,
    ) -> None:
        self._connections = connections
        self._gateway = gateway
        self._clock = clock
        self._states: Sequence[ConnectionState] = ()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def page(self, query: Query) -> Page:
        """One page, read in many turns of the loop."""
        states = await self._fresh()
        all_match = not query.search or query.search in self._gateway.lower()
        key, after = self._key(query), query.after
        choose = nlargest if query.descending else nsmallest
        matching = following = 0
        best: list[ConnectionState] = []
        for part in _slices(states):
            found = part if all_match else [state for state in part if query.matches(state)]
            matching += len(found)
            if after is not None:
                if query.descending:
                    found = [state for state in found if key(state) < after]
                else:
                    found = [state for state in found if key(state) > after]
            following += len(found)
            best = choose(query.size, (*best, *found), key=key)
            await asyncio.sleep(0)
        rows = [{"gateway": self._gateway, **asdict(state)} for state in best]
        return Page(rows, total=len(states), matching=matching, more=following - len(rows))

    def _key(self, query: Query) -> Callable[[ConnectionState], Key]:
        name, gateway = query.sort.value, self._gateway
        absent = _ABSENT.get(query.sort, "")

        def key(state: ConnectionState) -> Key:
            value: str | float | None = getattr(state, name)
            return (absent if value is None else value, gateway, state.id)

        return key

    async def _fresh(self) -> Sequence[ConnectionState]:
        async with self._reading:
            if self._read_at is None or self._clock() - self._read_at >= _FRESH:
                states: list[ConnectionState] = []
                for part in _slices(tuple(self._connections)):
                    states += [connection.snapshot() for connection in part]
                    await asyncio.sleep(0)
                self._states, self._read_at = states, self._clock()
            return self._states


def _slices(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    rest = iter(items)
    while part := tuple(islice(rest, _SLICE)):
        yield part
