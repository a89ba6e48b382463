"""Reading a room's kept state on request: the part of it that a user may see, and the turns of the
reads, which no reader of the history can take."""

from __future__ import annotations

from typing import Final, Protocol

from broker.topology import Audience, Stream
from gateway.auth.permissions import READ, Action, Permissions, sees_hidden
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank, rank_of
from gateway.budget.table import STATE_BYTES, STATE_READS
from gateway.domain.identity import Identity
from gateway.errors import Refused
from gateway.limits import LiveLimits
from gateway.messages.turns import Turns
from gateway.store.records import StatePage

#: Pages that are read at once for requests.
_AT_ONCE: Final = 2


class ReadableState(Protocol):
    """The kept state, as its readers use it."""

    async def read_state(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        author: str | None,
        goes_on: bool,
        veiled: bool,
    ) -> StatePage: ...


class StateReads:
    """The service for reading the kept state. It checks the permissions, so that no handler can
    forget it."""

    def __init__(
        self,
        state: ReadableState,
        permissions: Permissions,
        *,
        budgets: Budgets,
        limits: LiveLimits,
    ) -> None:
        self._state = state
        self._permissions = permissions
        self._limits = limits
        self._turns = Turns(_AT_ONCE, budgets.cap(STATE_READS))
        self._bytes = budgets.rate(STATE_BYTES)

    async def page(
        self, who: Identity, stream: Stream, *, after: int, limit: int | None, goes_on: bool = False
    ) -> StatePage:
        """Entries written after the seq ``after``: ``limit`` of them, or as many as a page may
        have. ``goes_on``: see :meth:`gateway.store.store.Store.read_state`. Of the private stream
        participants get their own entries.

        Raises :class:`Refused`, :class:`UnknownRoom`, :class:`TooManyReads`, :class:`TooMuchRead`,
        :class:`ReadsBusy`, :class:`StoreUnavailable`.
        """
        most = self._limits.now.page_size
        author, rank, veiled = await self._only_of(who, stream)
        self._bytes.check(who.user, rank=rank)
        async with self._turns.turn(who.user, rank):
            page = await self._state.read_state(
                stream,
                after=after,
                limit=min(limit or most, most),
                author=author,
                goes_on=goes_on,
                veiled=veiled,
            )
            # Only now it is known.
            self._bytes.spend(who.user, cost=sum(len(each.encode()) for each in page.messages))
        return page

    async def _only_of(self, who: Identity, stream: Stream) -> tuple[str | None, Rank, bool]:
        """The author whose entries ``who`` may read (None: everybody's), the reader's rank, and
        whether they get no hidden ones. Raises :class:`Refused`."""
        try:
            role = await self._permissions.require(who, READ[stream.audience], stream.room)
        except Refused:
            if stream.audience is not Audience.PRIVATE:
                raise
            role = await self._permissions.require(who, Action.SEE_ROOM, stream.room)
            return who.user, rank_of(who, role), True
        return None, rank_of(who, role), not sees_hidden(who, role)
