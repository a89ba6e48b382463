"""The message pipeline: store, number, publish, answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from broker.publishing.publication import ConfirmedPublisher, NotConfirmed, Returned
from broker.timing.tasks import Tasks
from broker.topology import Topology
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank
from gateway.budget.table import (
    OUTBOX,
    OUTBOX_BYTES,
    POST_BYTES,
    WAITING_BYTES,
    WAITING_POSTS,
    Scope,
)
from gateway.domain.message import Draft, Importance, Message
from gateway.domain.room import MemberRole
from gateway.errors import Draining, GatewayError, Invalid, TooLarge
from gateway.limits import LiveLimits
from gateway.messages import nesting
from gateway.messages.group_commit import GroupCommit
from gateway.messages.outbox import Outbox
from gateway.messages.ports import MessageStore
from gateway.messages.publication import publication
from gateway.observe.posts import Posts
from gateway.store.numbering import repeated
from gateway.store.records import Appended

_log = logging.getLogger(__name__)

#: The ``retry_after`` when the gateway is draining, in seconds.
RETRY_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a post. ``published``: the broker has confirmed the message.

    A guaranteed message that is not published yet will be; an instant one (``seq`` is None) was
    dropped. ``waits``: it has, or had, to wait for a host's approval, and ``message`` is its place.
    """

    message: Message
    published: bool
    waits: bool = False


class Pipeline:
    """The way of every member's message: into the history, the outbox and to the broker.

    Permissions are checked before. ``budgets`` say how many posts may be in hand at once, from
    arrival to answer (a part is kept for hosts); ``limits.body_bytes`` is for a message's JSON,
    envelope included. ``confirm_timeout``: how many seconds a post waits for the broker once its
    message is stored. ``stored`` is called with every message that is new in the history, in order
    per stream. ``posts`` remember for operators which request brought which message.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        history: MessageStore,
        outbox: Outbox,
        publisher: ConfirmedPublisher,
        topology: Topology,
        *,
        budgets: Budgets,
        limits: LiveLimits,
        confirm_timeout: float,
        stored: Callable[[Sequence[Message]], None],
        posts: Posts,
        tasks: Tasks,
    ) -> None:
        self._commits = GroupCommit(history, stored=self._new, in_doubt=outbox.read_on, tasks=tasks)
        self._tell = stored
        self._history = history
        self._posts = posts
        self._outbox = outbox
        self._publisher = publisher
        self._topology = topology
        self._limits = limits
        self._places = budgets.cap(WAITING_POSTS)
        self._bytes = budgets.cap(WAITING_BYTES)
        self._rate = budgets.rate(POST_BYTES)
        #: Messages that are about to be stored; the outbox knows of the others.
        self._outbox_messages = budgets.cap(OUTBOX)
        self._outbox_bytes = budgets.cap(OUTBOX_BYTES)
        self._confirm_timeout = confirm_timeout
        self._in_hand = 0
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._closing = False

    @property
    def in_hand(self) -> int:
        """The number of posts that have no answer yet."""
        return self._in_hand

    async def post(
        self,
        draft: Draft,
        importance: Importance = Importance.GUARANTEED,
        *,
        payer: str | None = None,
    ) -> Receipt:
        """Store and publish a message; a repeated id gets the first one's answer again. ``payer``:
        the host on whose account that is, of a message that comes into the stream by a host's word.

        When it raises, nothing was published: :class:`Draining`, :class:`TooManyPosts`,
        :class:`PostsBusy`, :class:`TooManyBytes`, :class:`RoomBusy`, :class:`PublishingBehind`,
        :class:`TooLarge`, :class:`Invalid`, :class:`IdReused`, :class:`RoomClosed`,
        :class:`UnknownRoom` — nor stored, except perhaps with :class:`StoreUnavailable`: then
        posting the same id again settles it. Once stored, a message is published even if the caller
        goes away.
        """
        is_host = payer is not None or draft.role is MemberRole.HOST
        rank = Rank.HOST if is_host else Rank.PARTICIPANT
        payer = payer or draft.sender
        with (
            self._admission(payer, rank),
            self._bytes.take(payer, amount=(size := self._check(draft)), rank=rank),
        ):
            self._rate.take(payer, draft.stream.room, cost=size, rank=rank)
            if importance is Importance.INSTANT:
                return await self._pass_on(draft.numbered(None))
            with self._place_in_outbox(size, rank):
                stored = await self._commits.append(draft)
            if _log.isEnabledFor(logging.DEBUG):
                # The line has the request's id; what follows is found by the message's.
                said = stored.message
                _log.debug("message %s/%s is stored; its id is %s", said.stream, said.seq, said.id)
            post = self._posts.stored(stored.message.id)
            receipt = await self._answered(stored)
            self._posts.answered(post, confirmed=receipt.published)
            return receipt

    async def repeated(self, draft: Draft) -> Receipt | None:
        """The first answer, for a message that its sender may not post again. None: this sender has
        sent no such message.

        Asks the history, which :meth:`post` does only to store. Raises :class:`Draining`,
        :class:`TooManyPosts`, :class:`PostsBusy`, :class:`IdReused`, :class:`StoreUnavailable`.
        """
        with self._admission(draft.sender, Rank.PARTICIPANT):
            # The first post, which was allowed, may still be on its way.
            await self._commits.passed(draft.id)
            before = await self._history.stored(draft.id)
            if before is None or before.said.sender != draft.sender:
                return None
            answer = repeated(before, draft)
            if isinstance(answer, GatewayError):
                raise answer
            return await self._answered(answer)

    async def close(self) -> None:
        """Refuse new posts and return when those in hand are answered; their limits bound the wait.

        The outbox is closed after this.
        """
        self._closing = True
        await self._all_answered.wait()

    async def _answered(self, stored: Appended) -> Receipt:
        published = stored.published or await self._outbox.confirmed(
            stored.message, within=self._confirm_timeout
        )
        return Receipt(stored.message, published, waits=stored.waits is not None)

    def _new(self, messages: Sequence[Message]) -> None:
        self._outbox.add(messages)
        self._tell(messages)

    @contextmanager
    def _place_in_outbox(self, size: int, rank: Rank) -> Iterator[None]:
        """A place for a message that is to be stored. Raises :class:`PublishingBehind`."""
        count, size_of = self._outbox_messages, self._outbox_bytes
        fill = self._outbox.fill
        count.check_counted(fill.messages + count.taken(Scope.ALL), rank=rank)
        # One byte less, because this one counts: the limit itself is still allowed.
        size_of.check_counted(fill.bytes + size_of.taken(Scope.ALL) + size - 1, rank=rank)
        with count.hold(), size_of.hold(amount=size):
            yield

    @contextmanager
    def _admission(self, sender: str, rank: Rank) -> Iterator[None]:
        if self._closing:
            raise Draining("this gateway is draining; try another one", retry_after=RETRY_AFTER)
        place = self._places.take(sender, rank=rank)
        self._in_hand += 1
        self._all_answered.clear()
        try:
            yield
        finally:
            place.give_back()
            self._in_hand -= 1
            if not self._in_hand:
                self._all_answered.set()

    def _check(self, draft: Draft) -> int:
        """The size of the message as JSON. Raises :class:`Invalid`, :class:`TooLarge`."""
        try:
            message = draft.numbered(None)
            if message.place is not None:
                # What waited was as large as it may be, without the number of its place.
                message = replace(message, place=None)
            encoded = message.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise Invalid("body must be JSON: no NaN, no infinity, no endless nesting") from error
        size = len(encoded)
        most = self._limits.now.body_bytes
        if size > most:
            raise TooLarge(f"the message has {size} bytes as JSON; the limit is {most}")
        if draft.keep is not None and size > self._limits.now.kept_bytes:
            most = self._limits.now.kept_bytes
            raise TooLarge(f"the message has {size} bytes as JSON; with a key it may have {most}")
        if nesting.is_too_deep(draft.body, encoded):
            raise Invalid(f"body: nested too deeply; at most {nesting.MOST} levels are allowed")
        return size

    async def _pass_on(self, message: Message) -> Receipt:
        try:
            await self._publisher.publish(
                publication(message, self._topology), self._confirm_timeout
            )
        except Returned:
            # RabbitMQ has taken it, and nobody listens: no private queue gets what is instant.
            return Receipt(message, published=True)
        except NotConfirmed:
            return Receipt(message, published=False)
        return Receipt(message, published=True)
