"""The publications of one routing key: on one channel at a time, so that none overtakes another."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from broker.publishing.channels import AMQP_ERRORS, ChannelEnded, ConfirmChannel, describe
from broker.publishing.link import Link, LinkFailed
from broker.publishing.links import Links
from broker.publishing.publication import NotConfirmed, Publication, Refused
from broker.publishing.suspects import Suspects


class Attempt:
    """A block that asks something of the broker, within ``seconds``.

    The end of its time, and whatever the broker does to it, is a ``failure`` that says why.
    """

    __slots__ = ("_failure", "_link", "_links", "_seconds", "deadline")

    def __init__(self, links: Links, seconds: float, *, failure: type[Exception]) -> None:
        self.deadline = asyncio.timeout(seconds)
        self._links = links
        self._seconds = seconds
        self._failure = failure
        self._link: Link | None = None

    async def __aenter__(self) -> Self:
        await self.deadline.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.deadline.__aexit__(kind, error, trace)
            if isinstance(error, TimeoutError):
                raise error
        except TimeoutError:
            raise self._failure(self._late()) from None
        if isinstance(error, (LinkFailed, *AMQP_ERRORS)):
            raise self._failure(describe(error)) from error

    async def find(self, key: str) -> tuple[Link, bool]:
        """The link for this routing key, and whether its node is the stream's home.

        Waits until there is one that can be published on; at once, without a turn of the event
        loop, if there is one now. Raises :data:`AMQP_ERRORS`.
        """
        while True:
            place = self._links.place(key)
            if place is None:
                await self._links.changed()
            elif place.blocked:
                self._link = place.link
                with place.link.ends(self.deadline):
                    await place.link.unblocked()
            else:
                self._link = place.link
                return place.link, place.home

    def _late(self) -> str:
        link = self._link
        if link is not None and link.lost is not None:
            return f"{link.node.name}: {link.lost}"
        return self._links.problem or f"no answer within {self._seconds:g} s"


class PublishStream:
    """One routing key's publications that are under way.

    RabbitMQ keeps the order of a channel, and of nothing more. So a stream changes its channel only
    when nothing of it is unanswered there; the outbox does the rest, by holding back what is new
    while it publishes again what has failed.
    """

    def __init__(self, key: str, links: Links, suspects: Suspects) -> None:
        #: Calls of :meth:`publish` that have not ended.
        self.users = 0
        self._key = key
        self._links = links
        self._suspects = suspects
        #: Calls are sent in their order.
        self._turn = asyncio.Lock()
        #: Calls that failed, but for messages that RabbitMQ never takes.
        self._failures = 0
        self._channel: ConfirmChannel | None = None
        self._unanswered = 0
        self._all_answered = asyncio.Event()

    async def publish(self, publication: Publication, seconds: float) -> None:
        """Send a message and wait for its confirm, for ``seconds`` at most.

        A call that fails, before it was sent or later, fails the calls that wait to be sent behind
        it: the outbox publishes them again in their order. A message that is suspected of ending
        its channel goes out alone. Raises :class:`NotConfirmed`.
        """
        failures = self._failures
        alone = publication in self._suspects
        async with Attempt(self._links, seconds, failure=NotConfirmed) as attempt:
            async with self._turn:
                self._check(failures)
                try:
                    channel = await (self._enter_alone() if alone else self._enter(attempt))
                except BaseException:
                    self._failures += 1
                    raise
                try:
                    # Once more: it may have waited for a link.
                    self._check(failures)
                except NotConfirmed:
                    self._leave()
                    raise
            try:
                if channel is None:
                    await self._suspects.publish(publication)
                else:
                    await channel.publish(publication)
            except Refused:
                raise
            except BaseException as error:
                if isinstance(error, ChannelEnded):
                    self._suspects.note(publication, error)
                self._failures += 1
                raise
            finally:
                self._leave()

    def _check(self, failures: int) -> None:
        if self._failures != failures:
            raise NotConfirmed("a message that was to go out before it has failed")

    async def _enter(self, attempt: Attempt) -> ConfirmChannel:
        """Take a place on the channel where the stream belongs now; :meth:`_leave` gives it back.

        Without a turn of the event loop if nothing of the stream is unanswered elsewhere. Raises
        :data:`AMQP_ERRORS`.
        """
        while True:
            link, home = await attempt.find(self._key)
            channel = link.channels.at_hand(self._key, home=home)
            if channel is None:
                with link.ends(attempt.deadline):
                    channel = await link.channels.take(self._key, home=home)
            if not self._unanswered or channel is self._channel:
                self._take_place(channel)
                return channel
            await self._all_answered.wait()

    async def _enter_alone(self) -> None:
        """Take a place when nothing of the stream is unanswered; nothing else of it goes out until
        :meth:`_leave`."""
        while self._unanswered:
            await self._all_answered.wait()
        self._take_place(None)

    def _take_place(self, channel: ConfirmChannel | None) -> None:
        self._channel = channel
        self._unanswered += 1
        self._all_answered.clear()

    def _leave(self) -> None:
        self._unanswered -= 1
        if not self._unanswered:
            self._all_answered.set()
