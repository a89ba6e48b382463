"""Approval before showing: what waits, and what hosts decide about it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import uuid4

from broker.timing.readings import UtcTime
from broker.topology import Audience, Stream
from gateway.auth.permissions import Action, Permissions
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank, rank_of
from gateway.budget.table import POSTS, READ_BYTES, ROOM_POSTS
from gateway.domain.approval import REFUSED, Fate
from gateway.domain.identity import ADMIN, Identity
from gateway.domain.message import Draft, Message
from gateway.domain.room import MemberRole
from gateway.errors import NotWaiting
from gateway.messages.pipeline import Pipeline, Receipt
from gateway.messages.turns import Turns
from gateway.store.approvals import Waited

#: Messages of a page, and of one call that decides.
PAGE: Final = 50


class WaitingStore(Protocol):
    """The store of what waits. All methods raise :class:`StoreUnavailable`."""

    async def read_waiting(
        self, room: int, *, after: int, limit: int, sender: str | None
    ) -> list[Message]: ...

    async def waited_at(self, room: int, seqs: Collection[int]) -> dict[int, Waited]: ...


@dataclass(frozen=True, slots=True)
class Decided:
    """The fate of the message that waited at ``place``. ``seq``: under which the decision,
    or what was approved, is in the stream now; None: it was decided before, or is not yet."""

    place: int
    fate: Fate
    seq: int | None = None


class Approvals:
    """The service for what waits. It checks the permissions, so that no handler can forget it."""

    def __init__(
        self,
        store: WaitingStore,
        pipeline: Pipeline,
        permissions: Permissions,
        turns: Turns,
        *,
        budgets: Budgets,
        clock: UtcTime,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._permissions = permissions
        self._turns = turns
        self._posts = budgets.rate(POSTS)
        self._room_posts = budgets.rate(ROOM_POSTS)
        self._bytes = budgets.rate(READ_BYTES)
        self._clock = clock

    async def waiting(
        self, who: Identity, room: int, *, after: int
    ) -> tuple[Sequence[Message], int | None]:
        """The messages that wait after the seq ``after``, of which participants see their own; and
        the ``after`` to go on with, if there may be more.

        Raises :class:`Refused`, :class:`UnknownRoom`, :class:`TooManyReads`, :class:`TooMuchRead`,
        :class:`ReadsBusy`, :class:`StoreUnavailable`.
        """
        role = await self._permissions.require(who, Action.SEE_ROOM, room)
        sender = who.user if role is MemberRole.PARTICIPANT and not who.has(ADMIN) else None
        rank = rank_of(who, role)
        self._bytes.check(who.user, rank=rank)
        async with self._turns.turn(who.user, rank):
            found = await self._store.read_waiting(room, after=after, limit=PAGE, sender=sender)
            self._bytes.spend(who.user, cost=sum(len(each.encode()) for each in found))
        return found, found[-1].seq if len(found) == PAGE else None

    async def decide(self, who: Identity, room: int, fates: dict[int, Fate]) -> Sequence[Decided]:
        """Approve or refuse what waits at these places, at most :data:`PAGE` of them, in the order
        of their numbers. What was decided before stays as it is, and is told; a place where nothing
        has waited is left out. So doing it again is harmless.

        Raises :class:`Refused`, :class:`UnknownRoom`, :class:`RoomClosed`, and the errors of
        :meth:`Pipeline.post`: some may have been decided then.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        found = await self._store.waited_at(room, fates)
        due = [place for place in sorted(found) if found[place].fate is Fate.WAITING]
        if due:
            self._room_posts.take(room, cost=len(due), rank=Rank.HOST)
            self._posts.take(who.user, cost=len(due))
        posts = (
            self._pipeline.post(self._decision(who, found[place], fates[place]), payer=who.user)
            for place in due
        )
        answers = await asyncio.gather(*posts, return_exceptions=True)
        decided = {
            place: Decided(place, fates[place], answer.message.seq)
            for place, answer in zip(due, answers, strict=True)
            if isinstance(answer, Receipt)
        }
        for answer in answers:
            # Somebody else was faster.
            if isinstance(answer, BaseException) and not isinstance(answer, NotWaiting):
                raise answer
        if len(decided) < len(due):
            found = await self._store.waited_at(room, fates)
        return [decided.get(at) or Decided(at, found[at].fate) for at in sorted(found)]

    def _decision(self, who: Identity, waited: Waited, fate: Fate) -> Draft:
        """The message that decides: what waited, as its author said it, or the word that it was
        refused."""
        said = waited.message
        draft = Draft(
            # Nobody can know it before: whoever did could post under it, and nothing be decided.
            uuid4(),
            Stream(Audience.PUBLIC, said.stream.room),
            said.sender,
            self._clock(),
            said.type,
            said.body,
            said.role,
            said.sender_name,
            place=said.seq,
        )
        if fate is Fate.APPROVED:
            return draft
        return replace(
            draft,
            sender=who.user,
            sender_name=who.display_name,
            role=MemberRole.HOST,
            type=REFUSED,
            body=None,
        )
