"""The receivers of what the feeds bring, for one key or one pattern."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import Frame

#: A message that is larger than the limit.
TOO_LARGE: Final = "too_large"
#: A message whose headers no STOMP frame can hold.
MALFORMED: Final = "malformed"
#: A message that its listener failed to handle.
FAILED: Final = "failed"
#: RabbitMQ dropped messages, because this process was so late in reading that the queue was full.
OVERFLOWED: Final = "overflowed"
#: The reasons for which messages are left out.
LEFT_OUT: Final = (TOO_LARGE, MALFORMED, FAILED, OVERFLOWED)


class Listener(Protocol):
    """The receiver of one key's messages, given to :meth:`broker.feeds.feeds.Feeds.subscribe`.

    ``feed`` is the number of the feed that calls. Several feeds bring the same key, each message
    once, so that one may fail unnoticed; the listener tells repetitions apart. For one feed the
    calls come in this order::

        ( subscribed  (message | left_out | dropped)*  lost )*

    with two exceptions: ``message`` may come before ``subscribed``, because RabbitMQ delivers
    before it answers; and ``lost`` is also called for a subscription that does not stand yet.

    All calls come from the event loop and must not block. None comes after ``unsubscribe``. An
    exception raised by ``message`` counts as a message left out; any other is noted as a failure of
    the gateway. Neither costs the feed its session nor another listener a call.
    """

    def subscribed(self, feed: int) -> None:
        """From now on this feed brings everything that is published with the key."""

    def knows(self, message: Delivery) -> bool:
        """Whether the message that has arrived was given already, so that nobody needs to read it.
        Every message comes by every feed. Raises nothing."""

    def message(self, feed: int, message: Frame) -> None:
        """A message has arrived, as the MESSAGE frame that RabbitMQ's STOMP plugin makes of it.
        Not called for one that the listener :meth:`knows`."""

    def left_out(self, feed: int) -> None:
        """A message is missing, which could not be delivered; see :data:`LEFT_OUT`."""

    def dropped(self, feed: int) -> None:
        """Messages may be missing, of this key or of others: this process stood still so long that
        the feed's queue may have been full, and RabbitMQ drops the oldest ones then."""

    def lost(self, feed: int) -> None:
        """The session has ended, and the subscription with it. The feed looks for another node and
        subscribes again there."""


class Pattern(NamedTuple):
    """A binding key of an exchange, as a client of RabbitMQ subscribes to it."""

    exchange: str
    key: str


class PatternListener(Protocol):
    """The receiver of one pattern's messages, given to
    :meth:`broker.feeds.feeds.Feeds.subscribe_pattern`. ``feed`` is the number of the feed that
    calls. The calls come as those of a :class:`Listener`."""

    @property
    def flowing(self) -> bool:
        """Whether messages may come; otherwise RabbitMQ keeps most of them."""

    def subscribed(self, feed: int) -> None:
        """The binding stands; again for each confirmation that was asked for."""

    def message(self, feed: int, message: Delivery) -> None:
        """A message has come. It may come before ``subscribed``."""

    def left_out(self, feed: int, why: str) -> None:
        """A message is missing, which could not be delivered."""

    def swept(self, feed: int) -> None:
        """Another gateway has taken this one for dead and its feeds out of the way: for some
        seconds no feed may have brought anything. ``lost`` follows."""

    def broke(self, feed: int) -> None:
        """RabbitMQ has broken off the feed with an internal error: perhaps at a message of this
        pattern, which AMQP cannot write. ``lost`` follows."""

    def refused(self, feed: int, why: str) -> None:
        """The binding does not stand, or could not be confirmed."""

    def lost(self, feed: int) -> None:
        """The subscription has ended, and begins anew later."""
