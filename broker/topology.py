"""Names and arguments of what the gateway uses in RabbitMQ, as data.

The names are a contract with systems that publish or consume without the gateway:

* routing key and topic: ``<prefix>.<audience>.<room>`` on the exchange ``amq.topic``
* a room's private queue: ``<prefix>.private.<room>``, bound with ``<prefix>.*.<room>`` to the
  exchange ``<prefix>.kept``, which gets everything but instant messages, see :class:`Sorting`;
  with :attr:`Queued.QUESTIONS` bound with ``<prefix>.private.<room>``
* the proof that a private queue is the right one: the exchange
  ``<prefix>.private.<room>.<identity>.<number>``, see :meth:`Topology.queue_mark`
* messages that are too large for a gateway: the queue ``<prefix>.parked`` behind the exchange
  ``<prefix>.parking``, see :class:`Parking`
* what gateways say to each other: ``<prefix>.gateways``, a word shorter than any room's key, so
  that no room's queue is bound to it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from broker.protocol.numerals import natural

EXCHANGE: Final = "amq.topic"
DEFAULT_PREFIX: Final = "acdm.mo.interact"

#: A private queue that nobody consumed for a day expires (milliseconds, an AMQP argument).
#: https://www.rabbitmq.com/docs/ttl#queue-ttl
PRIVATE_QUEUE_EXPIRES_MS: Final = 86_400_000

#: Deliveries without an acknowledgement after which RabbitMQ drops a message of a private queue: a
#: number that is never reached. Since 4.0 the default is 20, and each lost connection of the host
#: counts. Every version understands this number; "no limit", -1, is refused by 3.x, and with it 4.0
#: writes the queue's configuration to its log every five seconds.
#: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling,
#: https://github.com/rabbitmq/rabbitmq-server/issues/14202
PRIVATE_QUEUE_DELIVERY_LIMIT: Final = 1_000_000

#: The most that a private queue holds: messages, and bytes of them. Beyond that RabbitMQ drops the
#: oldest ones, which hosts get from the history. This is an argument rather than a policy, because
#: it needs no administrator and cannot be forgotten; a policy can lower it.
#: https://www.rabbitmq.com/docs/maxlength
PRIVATE_QUEUE_MESSAGES: Final = 10_000
PRIVATE_QUEUE_BYTES: Final = 64 * 1024 * 1024

#: The most that is parked: messages, and bytes of them. Beyond that the oldest ones go. Only
#: producers that publish past the gateway can send anything that large.
PARKED_MESSAGES: Final = 1_000
PARKED_BYTES: Final = 256 * 1024 * 1024

#: The queue of a feed. Only a gateway that is late for long reaches its limits; then RabbitMQ drops
#: the oldest messages, and topics read them from the history.
#: https://www.rabbitmq.com/docs/maxlength
FEED_QUEUE_ARGUMENTS: Final[dict[str, str | int | bool]] = {
    "x-queue-type": "classic",
    "x-max-length": 50_000,
    "x-max-length-bytes": 64 * 1024 * 1024,
}
#: The queue that gets what a feed's queue drops, and keeps the last one: it only shows that there
#: was something.
OVERFLOW_QUEUE_ARGUMENTS: Final[dict[str, str | int | bool]] = {
    "x-queue-type": "classic",
    "x-max-length": 1,
}

#: The header that tells an instant message from one that is kept, and its value.
INSTANT_HEADER: Final = ("importance", "instant")

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


Arguments = dict[str, str | int | bool]


class Audience(StrEnum):
    """The receivers of a message: everyone in the room, or its hosts only."""

    PUBLIC = "public"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Stream:
    """One room and one audience; its guaranteed messages are numbered without a hole."""

    audience: Audience
    room: int

    def __str__(self) -> str:
        return f"{self.audience}.{self.room}"


class Queued(StrEnum):
    """The messages that a room's private queue gets: all that are kept, or only what is said to the
    hosts alone, because hosts follow the public topic anyway. A quorum queue is what a message
    costs RabbitMQ most."""

    EVERYTHING = "everything"
    QUESTIONS = "questions"


@dataclass(frozen=True, slots=True)
class Sorting:
    """The exchanges through which the private queues get what is published, without what is
    instant.

    ``pattern`` binds ``sorter``, a headers exchange, to :data:`EXCHANGE`. It routes messages with
    :data:`INSTANT_HEADER` to ``instant``, where they end, and all others to its alternate exchange
    ``kept``, a topic exchange. No binding can say "all but", an alternate exchange does.
    https://www.rabbitmq.com/docs/ae
    """

    pattern: str
    sorter: str
    instant: str
    kept: str


@dataclass(frozen=True, slots=True)
class Parking:
    """The way of a private queue's message that is too large for the gateway, and where it stays.

    The relay rejects it, so RabbitMQ itself moves it through ``exchange``, a headers exchange, into
    ``queue``, with all its properties; its header ``x-death`` says from where, when and why. A
    private queue that is full gives its oldest messages to the exchange, too: ``binding`` lets
    through only what was rejected (``all-with-x``: headers that begin with ``x-`` count as well).
    https://www.rabbitmq.com/docs/dlx
    """

    exchange: str
    queue: str
    arguments: Arguments
    binding: Arguments


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to declare and the binding key that feeds it: from ``sorting.kept``, or without
    sorting from :data:`EXCHANGE`.

    A queue's arguments cannot change. ``earlier``: the arguments with which former versions of the
    gateway declared such a queue, the newest first; a queue that has them is used as it is.
    ``unwanted``: exchanges and binding keys that fed it by a former version or another
    configuration, and must not any more.
    """

    name: str
    binding_key: str
    arguments: Arguments
    earlier: tuple[Arguments, ...] = ()
    sorting: Sorting | None = None
    unwanted: tuple[tuple[str, str], ...] = ()

    @property
    def variants(self) -> Iterator[Queue]:
        """The queue as it is declared now, then as former versions declared it."""
        yield self
        for arguments in self.earlier:
            yield replace(self, arguments=arguments, earlier=())


@dataclass(frozen=True, slots=True)
class Topology:
    """The names under one prefix, and what the private queues get."""

    prefix: str = DEFAULT_PREFIX
    queued: Queued = Queued.EVERYTHING

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"prefix {self.prefix!r}: words of letters, digits, '_' and '-', joined by dots"
            )

    def routing_key(self, stream: Stream) -> str:
        return f"{self.prefix}.{stream.audience}.{stream.room}"

    def stream(self, routing_key: str) -> Stream | None:
        """The stream that a routing key names, or None: a wildcard or a foreign key."""
        head, _, room = routing_key.rpartition(".")
        prefix, _, audience = head.rpartition(".")
        number = natural(room)
        if prefix != self.prefix or audience not in tuple(Audience) or not number:
            return None
        return Stream(Audience(audience), number)

    @property
    def gateways_key(self) -> str:
        """The routing key of the messages among the gateways."""
        return f"{self.prefix}.gateways"

    def echo_key(self, token: str) -> str:
        """The routing key of one gateway's echoes. Its last word is no room's number, so no private
        queue gets them."""
        return f"{self.gateways_key}.echo-{token}"

    def is_gateways(self, key: str) -> bool:
        """Whether a routing key, or a pattern of them, is the gateways' own."""
        return key == self.gateways_key or key.startswith(f"{self.gateways_key}.")

    def feed_queue(self, gateway: str, feed: int, token: str) -> str:
        """The name of a feed's queue; ``token`` makes it a new one in each session of the feed."""
        return f"{self.prefix}.feed.{gateway}.{feed}.{token}"

    def private_queue(self, room: int) -> Queue:
        """A room's private queue: replicated, one consumer at a time in order of arrival.

        https://www.rabbitmq.com/docs/quorum-queues, https://www.rabbitmq.com/docs/consumers
        """
        first: Arguments = {
            "x-queue-type": "quorum",
            "x-single-active-consumer": True,
            "x-expires": PRIVATE_QUEUE_EXPIRES_MS,
        }
        second: Arguments = {**first, "x-delivery-limit": PRIVATE_QUEUE_DELIVERY_LIMIT}
        third: Arguments = {
            **second,
            "x-max-length": PRIVATE_QUEUE_MESSAGES,
            "x-max-length-bytes": PRIVATE_QUEUE_BYTES,
        }
        name, both = self.routing_key(Stream(Audience.PRIVATE, room)), f"{self.prefix}.*.{room}"
        # Before there was the sorting, a queue was bound past it.
        unwanted = [(EXCHANGE, both)]
        if self.queued is Queued.QUESTIONS:
            unwanted.append((self.sorting.kept, both))
        return Queue(
            name=name,
            # The narrow key's binding may stay beside the wide one: a queue gets a message once.
            binding_key=both if self.queued is Queued.EVERYTHING else name,
            arguments={**third, "x-dead-letter-exchange": self.parking.exchange},
            earlier=(third, second, first),
            sorting=self.sorting,
            unwanted=tuple(unwanted),
        )

    def queued_streams(self, room: int) -> list[Stream]:
        """The streams of a room that its private queue gets."""
        return [stream for audience in Audience if self.is_queued(stream := Stream(audience, room))]

    def is_queued(self, stream: Stream) -> bool:
        """Whether the private queue of the stream's room gets its messages."""
        return self.queued is Queued.EVERYTHING or stream.audience is Audience.PRIVATE

    @property
    def parking(self) -> Parking:
        """The queue for messages that are too large for the gateway."""
        return Parking(
            exchange=f"{self.prefix}.parking",
            queue=f"{self.prefix}.parked",
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": PRIVATE_QUEUE_DELIVERY_LIMIT,
                "x-max-length": PARKED_MESSAGES,
                "x-max-length-bytes": PARKED_BYTES,
            },
            binding={"x-match": "all-with-x", "x-first-death-reason": "rejected"},
        )

    @property
    def sorting(self) -> Sorting:
        """The exchanges between :data:`EXCHANGE` and the private queues."""
        return Sorting(
            pattern=f"{self.prefix}.*.*",
            sorter=f"{self.prefix}.sorter",
            instant=f"{self.prefix}.instant",
            kept=f"{self.prefix}.kept",
        )

    def queue_mark(self, room: int, identity: str, number: int) -> str:
        """The exchange that proves which queue a room's private queue is.

        It exists as long as the queue that was made for the room of this identity, with this
        number: it is bound to the queue alone, and RabbitMQ deletes it with its last binding.
        https://www.rabbitmq.com/docs/exchanges#auto-delete
        """
        return f"{self.private_queue(room).name}.{identity}.{number}"

    def private_queue_room(self, queue: str) -> int | None:
        """The room whose private queue has this name, or None."""
        stream = self.stream(queue)
        return stream.room if stream and stream.audience is Audience.PRIVATE else None
