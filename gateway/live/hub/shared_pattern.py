"""One pattern that clients follow together: what the leading feed brings goes to all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from broker.feeds.listener import Pattern
from broker.protocol import amqp_deliveries
from broker.protocol.amqp_deliveries import origin
from broker.protocol.stomp import MalformedFrame
from broker.protocol.stomp_message import message as rendered
from broker.timing.readings import Monotonic
from gateway.errors import BrokerUnavailable, GatewayError, TooLarge
from gateway.live.hub.delivery import unnumbered
from gateway.live.hub.fanout import Broadcaster, FanOut, Subscriber
from gateway.live.hub.succession import Broken, Succession

logger = logging.getLogger(__name__)

#: Seconds within which RabbitMQ must have confirmed a binding. Relays take another way to the nodes
#: than feeds, so a client gets one if it does not.
_CONFIRMED_WITHIN: Final = 3.0
#: Seconds after which RabbitMQ is asked again for what it has refused: an exchange may have come.
REFUSED_FOR: Final = 30.0


class NotShared(Exception):
    """The hub cannot serve this pattern; the text says why. The client's own relay can, or gets
    RabbitMQ's reason."""


class _Joining:
    """A subscriber that waits for the binding. ``feeds``: those whose binding is confirmed."""

    __slots__ = ("done", "feeds", "subscriber")

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.feeds: set[int] = set()


class SharedPattern:
    """The listener of one pattern, and its subscribers.

    ``token`` makes the ids of its messages unique among all of the gateway's patterns. ``settling``
    gives the seconds from RabbitMQ's confirm of a new binding until all its nodes route by it.
    ``took`` is called with the bytes of each message that has come, ``broke`` when RabbitMQ has
    broken off a feed, perhaps because of it.
    """

    def __init__(
        self,
        pattern: Pattern,
        *,
        token: str,
        fan_out: FanOut,
        clock: Monotonic,
        settling: Callable[[], float],
        took: Callable[[int], None],
        broke: Callable[[], None],
    ) -> None:
        self.pattern = pattern
        self.broadcaster = Broadcaster(fan_out)
        #: How many subscribers it has, including those that are about to join.
        self.users = 0
        #: Why RabbitMQ refuses it, and when it has last done so.
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._token = token
        self._count = 0
        self._clock = clock
        self._settling = settling
        self._took = took
        self._broke = broke
        #: Feeds by whose bindings all nodes route, and those whose bindings they learn of now.
        self._settled: set[int] = set()
        self._settles: dict[int, asyncio.TimerHandle] = {}
        self._succession: Succession[amqp_deliveries.Delivery] = Succession()
        self._joining: set[_Joining] = set()

    async def join(self, subscriber: Subscriber) -> None:
        """Add a subscriber once RabbitMQ has confirmed the binding, for which the caller has asked.

        Raises :class:`NotShared`, and :class:`BrokerUnavailable` if it has ended meanwhile.
        """
        joining = _Joining(subscriber)
        self._joining.add(joining)
        try:
            async with asyncio.timeout(_CONFIRMED_WITHIN):
                await joining.done
        except TimeoutError as error:
            raise NotShared("no feed has confirmed the binding in time") from error
        finally:
            self._joining.discard(joining)

    @property
    def has_successor(self) -> bool:
        """Whether the leading feed can be lost without any subscriber noticing."""
        return self._succession.has_successor(self._clock())

    @property
    def refusal(self) -> str | None:
        """Why RabbitMQ refuses it; None also when it is to be asked again."""
        is_old = self._clock() - self._refused_at >= REFUSED_FOR
        return None if is_old else self._refusal

    @property
    def held(self) -> int:
        """The bytes of the messages that it holds."""
        return self.broadcaster.held + self._succession.held

    def relieve(self) -> None:
        """Hold fewer bytes: there is more than may be."""
        if self._succession.held >= self.broadcaster.held:
            self._succession.forget(self._clock())
            return
        logger.warning(
            "%s: its %d subscribers must come again, because its messages come faster than they "
            "can be passed on",
            self.pattern,
            len(self.broadcaster),
        )
        self.end(BrokerUnavailable("messages come faster than this gateway can pass them on"))

    def check(self) -> None:
        """Look at what is late; to be called several times a second."""
        self._do(self._succession.check)

    def end(self, error: GatewayError) -> None:
        """End all subscriptions."""
        self.broadcaster.end(error)

    def keep_off(self, why: str) -> None:
        """End, because the feeds are not to bring it: clients get relays."""
        self._keep_out(why)
        self.end(BrokerUnavailable(f"messages may be missing: {why}"))

    # The listener of the pattern

    @property
    def flowing(self) -> bool:
        return self.broadcaster.flowing.is_set()

    def subscribed(self, feed: int) -> None:
        self._refusal = None
        self._succession.subscribed(feed, self._clock())
        seconds = 0.0 if feed in self._settled else self._settling()
        if not seconds:
            self._confirmed(feed)
        elif feed not in self._settles:
            loop = asyncio.get_running_loop()
            self._settles[feed] = loop.call_later(seconds, self._confirmed, feed)

    def _confirmed(self, feed: int) -> None:
        self._settles.pop(feed, None)
        self._settled.add(feed)
        for each in self._joining:
            each.feeds.add(feed)
        self._let_in()

    def message(self, feed: int, message: amqp_deliveries.Delivery) -> None:
        digest = _digest(message)
        size = len(message.body) + len(message.properties)
        self._do(lambda now: self._succession.message(feed, digest, message, size, now))
        self._took(size)

    def left_out(self, feed: int, why: str) -> None:
        error = TooLarge(f"a message of this destination cannot be delivered: {why}")
        self._do(lambda now: self._succession.skipped(feed, now), error)

    def swept(self, feed: int) -> None:
        del feed
        self._do(self._succession.swept)

    def refused(self, feed: int, why: str) -> None:
        if not self._succession.led or feed == self._succession.leader:
            self._refusal, self._refused_at = why, self._clock()
            self._keep_out(why)

    def broke(self, feed: int) -> None:
        del feed
        self._broke()

    def lost(self, feed: int) -> None:
        self._settled.discard(feed)
        if settles := self._settles.pop(feed, None):
            settles.cancel()
        self._do(lambda now: self._succession.lost(feed, now))

    def _keep_out(self, why: str) -> None:
        for each in self._joining:
            if not each.done.done():
                each.done.set_exception(NotShared(why))

    def _let_in(self) -> None:
        """Add the subscribers whose binding RabbitMQ has confirmed to the leading feed, perhaps
        before it led. They are added here, and not where they wait: if the subscriptions end in
        this turn of the loop, theirs must, too."""
        leader = self._succession.leader
        for each in self._joining:
            if leader in each.feeds and not each.done.done():
                each.done.set_result(None)
                # A subscriber that has left meanwhile must not come back.
                if each.subscriber.active:
                    self.broadcaster.add(each.subscriber)

    def _do(
        self,
        step: Callable[[float], list[amqp_deliveries.Delivery]],
        error: GatewayError | None = None,
    ) -> None:
        try:
            for each in step(self._clock()):
                self._deliver(each)
        except Broken as broken:
            if self.users:
                logger.warning(
                    "%s: its %d subscribers must come again, because messages may be missing: %s",
                    self.pattern,
                    len(self.broadcaster),
                    broken,
                )
            self.end(error or BrokerUnavailable(f"messages may be missing: {broken}"))
        if self._joining:
            self._let_in()

    def _deliver(self, message: amqp_deliveries.Delivery) -> None:
        self._count += 1
        if not len(self.broadcaster):
            return
        try:
            tail = rendered(message, id=f"T_shared@@session-{self._token}@@{self._count}")
        except MalformedFrame as error:
            logger.warning(
                "%s: ending its subscriptions, no frame holds this: %s", self.pattern, error
            )
            self.end(TooLarge(f"a message of this destination is no STOMP frame: {error}"))
            return
        self.broadcaster.deliver(unnumbered(tail))


def _digest(message: amqp_deliveries.Delivery) -> bytes:
    """The digest that tells a message from others, whichever feed has brought it."""
    _, exchange, key = origin(message.envelope)
    found = blake2b(digest_size=16)
    for part in (exchange, key, message.properties):
        found.update(len(part).to_bytes(4, "big") + part)
    found.update(message.body)
    return found.digest()
