"""Subscriptions to queues that RabbitMQ keeps, which can be asked for again at another node. Pure.

A durable queue outlives its consumer's session. What the session had delivered and the client has
not acknowledged goes back into the queue, and comes again as ``redelivered:true``. With
``ack:auto`` nothing goes back, and a queue that is deleted with its consumer or its node has
nothing to give.
"""

from __future__ import annotations

from typing import Final

from broker.protocol.stomp import Frame

#: https://www.rabbitmq.com/docs/stomp#d: RabbitMQ declares the first kind, durable unless a header
#: says otherwise, and finds the second.
_QUEUES: Final = ("/queue/", "/amq/queue/")
#: Acknowledged by the client, and so given back when its session ends.
_ACKNOWLEDGED: Final = frozenset({"client", "client-individual"})
#: Headers by which the queue goes with its consumer or its node, or would be read from another
#: place than where it was left (https://www.rabbitmq.com/docs/stomp#queue-parameters).
_TRANSIENT: Final = (
    ("durable", "false"),
    ("persistent", "false"),
    ("auto-delete", "true"),
    ("exclusive", "true"),
    ("x-queue-type", "stream"),
)
_OFFSET: Final = "x-stream-offset"
#: RabbitMQ demands it of the consumers of streams, and gives their messages the header above.
_PREFETCH: Final = "prefetch-count"
_OFFSET_OF_MESSAGE: Final = f"\n{_OFFSET}:".encode()


def is_kept(subscribe: Frame) -> bool:
    """Whether a SUBSCRIBE can be asked for again without a loss, by what it says itself."""
    return (
        (subscribe.get("destination") or "").startswith(_QUEUES)
        and subscribe.get("ack") in _ACKNOWLEDGED
        and subscribe.get(_OFFSET) is None
        and not any((subscribe.get(name) or "").lower() == value for name, value in _TRANSIENT)
    )


class Streams:
    """The subscriptions that turn out to read streams.

    A stream keeps what it has delivered, so nothing goes back when a session ends: asked for again,
    it is read from its end, or from the offset of the SUBSCRIBE. That a queue is a stream only its
    messages tell, the first of each subscription as well as any other.

    Subscriptions are named as RabbitMQ names them.
    """

    __slots__ = ("_again", "_found", "_unknown")

    def __init__(self) -> None:
        #: No message has come yet.
        self._unknown: set[bytes] = set()
        #: Of them, those that were asked for again.
        self._again: set[bytes] = set()
        self._found: set[bytes] = set()

    def __bool__(self) -> bool:
        """Whether messages are to be shown to :meth:`came`."""
        return bool(self._unknown)

    @property
    def found(self) -> bool:
        """Whether any subscription reads a stream."""
        return bool(self._found)

    def subscribed(self, consumer: bytes, subscribe: Frame) -> None:
        if subscribe.get(_PREFETCH) is not None and is_kept(subscribe):
            self._unknown.add(consumer)

    def unsubscribed(self, consumer: bytes) -> None:
        for each in (self._unknown, self._again, self._found):
            each.discard(consumer)

    def moved(self) -> None:
        """All subscriptions have been asked for again."""
        self._again |= self._unknown

    def came(self, consumer: bytes, head: bytes) -> bool:
        """Note a message, whose headers are in ``head``. Returns whether messages may be missing
        before it."""
        if consumer not in self._unknown:
            return False
        self._unknown.discard(consumer)
        if _OFFSET_OF_MESSAGE in head:
            self._found.add(consumer)
            return consumer in self._again
        return False
