"""Reading the history on request: the part of it that a user may see, and the turns of the
reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from broker.topology import Stream
from gateway.auth.permissions import READ, Action, Permissions, sees_hidden
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank, rank_of
from gateway.budget.table import READ_BYTES, READS
from gateway.domain.identity import Identity
from gateway.errors import Refused
from gateway.limits import LiveLimits
from gateway.messages.turns import Turns
from gateway.store.records import JsonPage

#: Pages that are read at once for requests. More would not be faster, and subscribers that resume
#: by STOMP read as well.
_AT_ONCE: Final = 2


class ReadableHistory(Protocol):
    """The history, as its readers use it."""

    async def read_json(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        sender: str | None,
        types: Collection[str] | None,
        veiled: bool,
    ) -> JsonPage: ...


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A page of the history. ``next``: there may be more, to be asked for with this as ``after``;
    ``complete``: nothing between ``after`` and the page is lost."""

    page: JsonPage
    next: int | None
    complete: bool


class HistoryReads:
    """The service for reading messages. It checks the permissions, so that no handler can forget
    it."""

    def __init__(
        self,
        history: ReadableHistory,
        permissions: Permissions,
        *,
        budgets: Budgets,
        limits: LiveLimits,
    ) -> None:
        self._history = history
        self._permissions = permissions
        self._limits = limits
        self._turns = Turns(_AT_ONCE, budgets.cap(READS))
        self._bytes = budgets.rate(READ_BYTES)

    @property
    def turns(self) -> Turns:
        """The turns of all who read the history by requests."""
        return self._turns

    @property
    def in_hand(self) -> int:
        """The number of reads that go on or wait for their turn."""
        return self._turns.in_hand

    async def page(
        self,
        who: Identity,
        stream: Stream,
        *,
        after: int,
        limit: int | None,
        types: Collection[str] | None,
    ) -> Excerpt:
        """Messages beyond the seq ``after``: ``limit`` of them, or as many as a page may have.

        Raises :class:`Refused`, :class:`UnknownRoom`, :class:`TooManyReads`, :class:`TooMuchRead`,
        :class:`ReadsBusy`, :class:`StoreUnavailable`.
        """
        limits = self._limits.now
        limit = min(limit or limits.page_size, limits.page_size)
        sender, rank, veiled = await self._only_from(who, stream)
        self._bytes.check(who.user, rank=rank)
        async with self._turns.turn(who.user, rank):
            page = await self._history.read_json(
                stream,
                after=after,
                limit=limit,
                sender=sender,
                types=types,
                veiled=veiled,
            )
            # Only now it is known.
            self._bytes.spend(who.user, cost=sum(map(len, page.messages)))
        full = len(page.messages) == limit or page.cut
        more = page.last is not None and page.last < page.head and full
        return Excerpt(page, page.last if more else None, complete=after + 1 >= page.first)

    async def _only_from(self, who: Identity, stream: Stream) -> tuple[str | None, Rank, bool]:
        """The sender whose messages ``who`` may read (None: everybody's), the reader's rank, and
        whether they see only the places of hidden messages.

        Participants see the private messages that they have sent. Raises :class:`Refused`.
        """
        try:
            role = await self._permissions.require(who, READ[stream.audience], stream.room)
        except Refused:
            role = await self._permissions.require(who, Action.SEE_ROOM, stream.room)
            return who.user, rank_of(who, role), True
        return None, rank_of(who, role), not sees_hidden(who, role)
