"""Reading a whole room for a report, a page after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from broker.topology import Audience, Stream
from gateway.auth.permissions import Action, Permissions
from gateway.budget.budgets import RateBudget
from gateway.budget.rank import Rank, rank_of
from gateway.domain.identity import Identity
from gateway.domain.message import Message
from gateway.domain.room import MemberRole, Room
from gateway.domain.stay import Stay
from gateway.errors import ReadsBusy, TooManyReads
from gateway.messages.turns import Turns
from gateway.store.records import Page

T = TypeVar("T")

#: Messages or stays of one page, and bytes of its bodies.
PAGE: Final = 250
BYTES: Final = 256 * 1024
#: Seconds that a report waits for a turn, and for its rate, before each page; then it breaks off.
PATIENCE: Final = 60.0
#: Seconds between two tries while too many others read.
_AGAIN: Final = 0.25


class ReportStore(Protocol):
    """The store, as far as reports read it. All methods raise :class:`StoreUnavailable`."""

    async def room(self, room: int) -> Room | None: ...

    async def stays(
        self, room: int, *, after: tuple[str, datetime] | None, limit: int
    ) -> list[Stay]: ...

    async def read_into(
        self,
        stream: Stream,
        make: Callable[[Page], T],
        *,
        after: int,
        limit: int,
        types: Collection[str] | None,
        size: int,
    ) -> T: ...


@dataclass(frozen=True, slots=True)
class _Part(Generic[T]):
    """A page in the form that was made of it. ``last``: its last seq, None if nothing follows;
    ``size``: in bytes."""

    made: T
    last: int | None
    head: int
    size: int


class Reading:
    """The reading of one room by one user.

    Every page takes a turn among all who read the history, and its bytes come out of ``rate``;
    before each it is looked whether the user may still have it.
    """

    def __init__(
        self,
        who: Identity,
        room: int,
        *,
        store: ReportStore,
        permissions: Permissions,
        turns: Turns,
        rate: RateBudget,
    ) -> None:
        self.room = room
        self._who = who
        self._rank: Rank = rank_of(who, MemberRole.HOST)
        self._store = store
        self._permissions = permissions
        self._turns = turns
        self._rate = rate

    async def check(self) -> None:
        """Raises :class:`Refused`, :class:`UnknownRoom`, :class:`StoreUnavailable`."""
        await self._permissions.require(self._who, Action.EXPORT_ROOM, self.room)

    async def messages(
        self,
        audience: Audience,
        make: Callable[[Sequence[Message]], T],
        *,
        types: Collection[str] | None = None,
    ) -> AsyncGenerator[T, None]:
        """The pages of the messages that there are now, each as ``make`` makes it in a thread of
        the database.

        Raises :class:`ReadsBusy`, and the errors of :meth:`check`.
        """
        read = partial(
            self._store.read_into,
            Stream(audience, self.room),
            partial(_part, make),
            limit=PAGE,
            types=types,
            size=BYTES,
        )
        after, end = 0, None
        while True:
            part: _Part[T] = await self._in_turn(partial(read, after=after))
            self._rate.spend(self._who.user, cost=part.size)
            # What is said meanwhile is not waited for: that may never end.
            end = part.head if end is None else end
            yield part.made
            if part.last is None or part.last >= end:
                return
            after = part.last

    async def stays(self) -> AsyncGenerator[list[Stay], None]:
        """The pages of the stays. Raises the errors of :meth:`messages`."""
        after = None
        while True:
            read = partial(self._store.stays, self.room, after=after, limit=PAGE)
            page = await self._in_turn(read)
            yield page
            if len(page) < PAGE:
                return
            after = page[-1].user, page[-1].since

    async def _in_turn(self, read: Callable[[], Any]) -> Any:
        seconds = self._rate.reserve(self._who.user, within=PATIENCE, cost=1, rank=self._rank)
        await asyncio.sleep(seconds)
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while True:
            try:
                async with self._turns.turn(self._who.user, self._rank):
                    # Only now: waiting may have taken minutes.
                    await self.check()
                    return await read()
            except (ReadsBusy, TooManyReads):
                if clock() > until:
                    raise
            await asyncio.sleep(_AGAIN)


def _part(make: Callable[[Sequence[Message]], T], page: Page) -> _Part[T]:
    messages = page.messages
    is_end = not page.cut and len(messages) < PAGE
    return _Part(
        make(messages),
        None if is_end or not messages else messages[-1].seq,
        page.head,
        page.size,
    )
