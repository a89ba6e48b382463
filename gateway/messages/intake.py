"""The intake of messages, common to HTTP and STOMP: it decides who may post what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from broker.timing.readings import UtcTime
from broker.topology import Audience, Stream
from gateway.auth.permissions import POST, Permissions
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank
from gateway.budget.table import KEPT, POSTS, ROOM_POSTS
from gateway.domain.identity import ADMIN, Identity
from gateway.domain.kept import KeyPatterns
from gateway.domain.message import Draft, Importance
from gateway.domain.own_types import OWN_TYPES
from gateway.domain.room import MemberRole
from gateway.errors import (
    ApprovalNeeded,
    Invalid,
    KeyRefused,
    NotOpen,
    PublishingBehind,
    RateLimited,
    Refused,
    RoomClosed,
    StateFull,
    TooLarge,
    TooManyKeys,
    UnknownRoom,
    outcome,
)
from gateway.messages import keeping, orders
from gateway.messages.keeping import NOT_KEPT, Keeping
from gateway.messages.pipeline import Pipeline, Receipt

MAX_TYPE_LENGTH = 100


class Intake:
    """The way from a POST or SEND into the pipeline: permissions, rates and types are checked here.

    ``budgets`` limit each user's and each room's posts; ``clock`` gives the time of sending.
    ``host_types`` are the message types that only a room's hosts may send, because readers take
    such messages for the room's state; ``participant_keys`` are the keys that others than hosts may
    write. Both may be replaced at any time.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        permissions: Permissions,
        *,
        budgets: Budgets,
        host_types: Collection[str],
        participant_keys: Collection[str],
        clock: UtcTime,
    ) -> None:
        self.host_types = frozenset(host_types)
        self.participant_keys = KeyPatterns(participant_keys)
        #: Accepted posts since the start, by whether the broker had confirmed before the answer.
        self.posted = {True: 0, False: 0}
        #: Refusals of messages because of the room's state, by their code.
        codes = ("key_refused", "not_open", "too_many_keys", "state_full")
        self.keys_refused = Counter(dict.fromkeys(codes, 0))
        self._pipeline = pipeline
        self._permissions = permissions
        self._posts = budgets.rate(POSTS)
        self._room_posts = budgets.rate(ROOM_POSTS)
        self._kept = budgets.cap(KEPT)
        self._clock = clock

    async def post(  # noqa: PLR0913 - what a message has, each by its name
        self,
        who: Identity,
        stream: Stream,
        *,
        id: UUID | None,
        type: str,
        importance: Importance,
        body: Any,
        kept: Keeping = NOT_KEPT,
        elsewhere: Callable[[], bool] = lambda: False,
    ) -> Receipt:
        """Accept a message, or repeat the first answer for a repeated id, whatever its sender may
        do by now: a sender that has not heard of the first answer has no other way to ask.

        Raises the errors of :meth:`Permissions.require` and :meth:`Pipeline.post`, RateLimited,
        Refused for a type reserved to hosts, KeyRefused for a key of theirs, and Invalid for a type
        that is empty, too long or the gateway's own, or a wrong key; nothing is stored then.
        ``elsewhere`` is called when the room is not open to the sender. If it returns true, the
        sender has another way to send this, and no first answer is searched for.
        """
        draft = Draft(
            id or uuid4(),
            stream,
            who.user,
            self._clock(),
            type,
            body,
            sender_name=who.display_name,
            keep=kept.keep,
            of=kept.of,
            only_while=kept.only_while,
        )
        try:
            receipt = await self._accepted(
                who, draft, importance, may_be_repeated=id is not None, elsewhere=elsewhere
            )
        except (KeyRefused, NotOpen, TooManyKeys, StateFull) as refusal:
            self.keys_refused[outcome(refusal).code] += 1
            self._kept.count(refusal)
            raise
        self.posted[receipt.published] += 1
        return receipt

    async def _accepted(
        self,
        who: Identity,
        draft: Draft,
        importance: Importance,
        *,
        may_be_repeated: bool,
        elsewhere: Callable[[], bool],
    ) -> Receipt:
        try:
            return await self._first(who, draft, importance)
        except (
            Refused,
            UnknownRoom,
            RoomClosed,
            TooLarge,
            RateLimited,
            PublishingBehind,
        ) as refusal:
            if not may_be_repeated or importance is Importance.INSTANT:
                raise
            if isinstance(refusal, Refused | UnknownRoom) and elsewhere():
                raise
            found = await self._repeated(draft)
            if found is None:
                raise
            return found

    async def _first(self, who: Identity, draft: Draft, importance: Importance) -> Receipt:
        stream, type = draft.stream, draft.type
        member = await self._permissions.require(who, POST[stream.audience], stream.room)
        # An admin may do in any room what its hosts may do.
        role = MemberRole.HOST if who.has(ADMIN) else member
        if not 0 < len(type) <= MAX_TYPE_LENGTH:
            raise Invalid(f"type: must have 1 to {MAX_TYPE_LENGTH} characters")
        if type in OWN_TYPES:
            raise Invalid(f"type: {type!r} is reserved for the gateway; choose another")
        if type in self.host_types and role is not MemberRole.HOST:
            raise Refused(f"only hosts of room {stream.room} may send messages of type {type!r}")
        if draft.keep is not None or draft.of is not None or draft.only_while is not None:
            condition = keeping.check(draft, importance, role, self.participant_keys)
            draft = replace(draft, only_while=condition)
            if role is MemberRole.HOST:
                orders.check(draft)
        if role is MemberRole.PARTICIPANT and stream.audience is Audience.PUBLIC:
            # An entry of the kept state takes the place of the one before: nobody reads more of it.
            if draft.keep is None and (slow := await self._permissions.pace(who, stream.room)):
                draft = replace(draft, apart=slow)
            if importance is Importance.INSTANT and await self._permissions.approves(
                who, stream.room
            ):
                raise ApprovalNeeded(
                    f"the hosts of room {stream.room} approve what is said to everyone, and an"
                    " instant message cannot wait"
                )
        rank = Rank.HOST if role is MemberRole.HOST else Rank.PARTICIPANT
        self._room_posts.take(stream.room, rank=rank)
        self._posts.take(who.user)
        return await self._pipeline.post(replace(draft, role=role), importance)

    async def _repeated(self, draft: Draft) -> Receipt | None:
        """The first answer, if this sender had one. Each question costs a database query, so they
        are limited as posts are, with a limiter of their own: RateLimited is no final answer,
        unlike the refusal of the post.
        """
        self._posts.take(("repeated", draft.sender))
        return await self._pipeline.repeated(draft)
