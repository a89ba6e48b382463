"""The patterns of one feed: a queue for each, made and consumed on the connection of the feed.

A pattern is what a client of RabbitMQ subscribes to: a binding key of an exchange. Each has a queue
of its own, so that RabbitMQ alone decides what matches, by whatever way a message comes to it. They
have two channels of their own: RabbitMQ ends a channel for a refused request, and a client's
mistake must cost no other topic anything.

Messages are acknowledged, so that RabbitMQ keeps what comes faster than it can be passed on.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from broker.feeds.connection import Connection, raise_if_closed
from broker.feeds.listener import Pattern
from broker.protocol import amqp_methods as amqp
from broker.protocol.amqp_deliveries import Delivery, Received, TooLarge, origin
from broker.protocol.amqp_methods import AmqpError, Method, encode

#: The channel that messages come on, and the one for declaring and binding.
MESSAGES: Final = 3
METADATA: Final = 4
#: The types of exchanges from which every queue gets a copy of what matches its key.
SHARED_TYPES: Final = frozenset({"topic", "direct", "fanout"})
#: Messages of a pattern that RabbitMQ gives before one is acknowledged.
_PREFETCH: Final = 256
#: Messages after which they are acknowledged; fewer wait for the next :meth:`acknowledge`.
_TOGETHER: Final = 64
#: Exchanges that every virtual host has. https://www.rabbitmq.com/docs/exchanges
_STANDARD: Final = {
    "amq.topic": "topic",
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.headers": "headers",
    "amq.match": "headers",
    "amq.rabbitmq.trace": "topic",
}
_QUEUE_ARGUMENTS: Final = {"x-queue-type": "classic"}
#: What tells the type of an exchange: see :meth:`PatternSession._asked`.
_CURRENT: Final = re.compile(r"inequivalent arg 'type' .* but current is '([^']*)'")
_NEVER: Final = "headers"

Steps = Generator[tuple[bytes, Sequence[Method]], None, None]


class Refusal(Exception):
    """RabbitMQ has refused a request for a pattern, or it cannot be shared; the text says why."""


@dataclass(slots=True, eq=False)
class _Queue:
    """A pattern's queue. ``wanted``: not given up yet; ``confirming``: its binding is to be asked
    for once more."""

    name: str
    pattern: Pattern
    wanted: bool = True
    stands: bool = False
    confirming: bool = False


class Events(Protocol):
    """The receiver of what happens to a session's patterns."""

    def pattern_stands(self, pattern: Pattern) -> None: ...

    def pattern_refused(self, pattern: Pattern, why: str) -> None: ...

    def pattern_lost(self, pattern: Pattern) -> None: ...


class PatternSession:
    """The queues of all patterns on one connection. RabbitMQ deletes them with it.

    ``name`` is the beginning of their names, and of the exchanges in front of them, by which a lost
    queue can be taken out of the way (:mod:`broker.feeds.leftovers`). Requests are made one after
    the other. All methods may raise StreamClosedError.
    """

    def __init__(self, connection: Connection, name: str, events: Events) -> None:
        self._connection = connection
        self._name = name
        self._events = events
        self._count = 0
        self._queues: dict[Pattern, _Queue] = {}
        self._consumers: dict[str, _Queue] = {}
        self._types: dict[str, str] = dict(_STANDARD)
        self._opened = False
        self._waiting: deque[Callable[[], Steps]] = deque()
        self._current: Steps | None = None
        self._expected: deque[Method] = deque()
        #: Why the channel was closed under the current request.
        self._refused: Refusal | None = None
        self._last_tag = self._acknowledged = 0

    @property
    def unanswered(self) -> int:
        """The number of requests that wait for the node's answer."""
        return len(self._waiting) + (self._current is not None)

    @property
    def missing(self) -> int:
        """The number of wanted queues that do not stand yet."""
        return sum(not queue.stands for queue in self._queues.values())

    @property
    def entrances(self) -> list[str]:
        """The exchanges in front of the queues."""
        return list(self._consumers)

    def want(self, pattern: Pattern) -> None:
        """Have this pattern's queue made."""
        self._count += 1
        queue = self._queues[pattern] = _Queue(f"{self._name}.{self._count}", pattern)
        self._consumers[queue.name] = queue
        self._ask(partial(self._make, queue))

    def confirm(self, pattern: Pattern) -> None:
        """Have the binding confirmed by a request that is made after this call."""
        queue = self._queues.get(pattern)
        if queue is None:
            # It was refused.
            self.want(pattern)
        elif not queue.confirming:
            queue.confirming = True
            self._ask(partial(self._confirm, queue))

    def give_up(self, pattern: Pattern) -> None:
        queue = self._queues.pop(pattern, None)
        if queue is not None:
            queue.wanted = False
            self._ask(partial(self._delete, queue))

    def pattern_of(self, message: Delivery | TooLarge) -> Pattern | None:
        """The pattern that a message has come for; None: nobody wants it any more."""
        self._last_tag = message.tag
        queue = self._consumers.get(origin(message.envelope).consumer)
        return queue.pattern if queue is not None and queue.wanted else None

    def acknowledge(self, *, all: bool) -> bool:
        """Acknowledge what has come, if there is enough of it, or ``all``; whether it was done."""
        count = self._last_tag - self._acknowledged
        if count < (1 if all else _TOGETHER):
            return False
        self._acknowledged = self._last_tag
        self._connection.request(
            MESSAGES, amqp.BASIC_ACK, delivery_tag=self._last_tag, multiple=True
        )
        return True

    def take(self, received: Received) -> None:
        """Take the node's answer on one of the two channels.

        Raises :class:`broker.feeds.connection.NodeClosed` if the messages' channel has ended, and
        :class:`AmqpError` for what was not asked.
        """
        method = received.method
        if method is amqp.CHANNEL_CLOSE and received.channel == METADATA:
            self._reopen(received)
        elif method is amqp.BASIC_CANCEL:
            self._cancelled(str(received.values["consumer_tag"]))
        elif self._expected and method is self._expected[0]:
            self._expected.popleft()
            if not self._expected:
                self._go_on()
                self._next()
        else:
            raise_if_closed(received)
            raise AmqpError(f"unexpected {method.name}")

    def _reopen(self, closed: Received) -> None:
        if self._current is None:
            raise_if_closed(closed)
        self._refused = Refusal(f"{closed.values['reply_text']!s}")
        self._expected = deque([amqp.CHANNEL_OPEN_OK])
        self._connection.send(
            encode(METADATA, amqp.CHANNEL_CLOSE_OK) + encode(METADATA, amqp.CHANNEL_OPEN)
        )

    def _cancelled(self, consumer: str) -> None:
        """RabbitMQ has deleted a queue: somebody has asked for it."""
        queue = self._consumers.pop(consumer, None)
        if queue is not None and queue.wanted:
            del self._queues[queue.pattern]
            queue.wanted = False
            self._events.pattern_lost(queue.pattern)
            self.want(queue.pattern)

    def _ask(self, request: Callable[[], Steps]) -> None:
        if not self._opened:
            self._opened = True
            self._waiting.append(self._open)
        self._waiting.append(request)
        if self._current is None:
            self._next()

    def _next(self) -> None:
        while self._current is None and self._waiting:
            self._current = self._waiting.popleft()()
            self._go_on()

    def _go_on(self) -> None:
        """Let the current request make its next step."""
        steps, refused = self._current, self._refused
        if steps is None:
            return
        self._refused = None
        try:
            data, answers = next(steps) if refused is None else steps.throw(refused)
        except StopIteration:
            self._current = None
            return
        self._expected = deque(answers)
        self._connection.send(data)

    # The requests, step by step: what is sent, and which answers come to it.

    def _open(self) -> Steps:
        yield (
            encode(MESSAGES, amqp.CHANNEL_OPEN) + encode(METADATA, amqp.CHANNEL_OPEN),
            [amqp.CHANNEL_OPEN_OK, amqp.CHANNEL_OPEN_OK],
        )
        yield (
            encode(MESSAGES, amqp.BASIC_QOS, prefetch_count=_PREFETCH),
            [amqp.BASIC_QOS_OK],
        )

    def _make(self, queue: _Queue) -> Steps:
        name, pattern = queue.name, queue.pattern
        if not queue.wanted:
            return
        try:
            yield from self._check_type(pattern.exchange)
            declare = {"queue": name, "exclusive": True, "arguments": _QUEUE_ARGUMENTS}
            yield (
                encode(
                    METADATA, amqp.EXCHANGE_DECLARE, exchange=name, type="fanout", auto_delete=True
                )
                + encode(METADATA, amqp.QUEUE_DECLARE, **declare)  # type: ignore[arg-type]
                + encode(METADATA, amqp.QUEUE_BIND, queue=name, exchange=name)
                + self._bind(queue),
                [
                    amqp.EXCHANGE_DECLARE_OK,
                    amqp.QUEUE_DECLARE_OK,
                    amqp.QUEUE_BIND_OK,
                    amqp.EXCHANGE_BIND_OK,
                ],
            )
        except Refusal as error:
            yield from self._delete(queue)
            if queue.wanted:
                queue.wanted = False
                del self._queues[pattern]
                self._events.pattern_refused(pattern, str(error))
            return
        consume = encode(MESSAGES, amqp.BASIC_CONSUME, queue=name, consumer_tag=name)
        yield consume, [amqp.BASIC_CONSUME_OK]
        queue.stands = True
        if queue.wanted:
            self._events.pattern_stands(pattern)

    def _confirm(self, queue: _Queue) -> Steps:
        queue.confirming = False
        if not queue.wanted:
            return
        try:
            yield from self._check_type(queue.pattern.exchange)
            yield self._bind(queue), [amqp.EXCHANGE_BIND_OK]
        except Refusal as error:
            if (exchange := queue.pattern.exchange) not in _STANDARD:
                # It has gone, perhaps; one that is made in its place may be of another type.
                self._types.pop(exchange, None)
            if queue.wanted:
                self._events.pattern_refused(queue.pattern, str(error))
        else:
            if queue.wanted:
                self._events.pattern_stands(queue.pattern)

    def _delete(self, queue: _Queue) -> Steps:
        # The exchange goes with its only binding, if there was one.
        yield (
            encode(METADATA, amqp.QUEUE_DELETE, queue=queue.name)
            + encode(METADATA, amqp.EXCHANGE_DELETE, exchange=queue.name),
            [amqp.QUEUE_DELETE_OK, amqp.EXCHANGE_DELETE_OK],
        )
        self._consumers.pop(queue.name, None)

    def _check_type(self, exchange: str) -> Steps:
        """Raises :class:`Refusal` unless every queue gets a copy from such an exchange."""
        if exchange not in self._types:
            yield from self._asked(exchange)
        if (type_ := self._types[exchange]) not in SHARED_TYPES:
            raise Refusal(f"an exchange of the type {type_}")

    def _asked(self, exchange: str) -> Steps:
        """Ask for the type of an exchange.

        No method of AMQP tells it. A declaration with another type is refused with a text that
        does; with an alternate exchange that is no name, it is refused too if there is no such
        exchange, so that none is ever made. It needs the permission to configure the exchange.
        """
        question = encode(
            METADATA,
            amqp.EXCHANGE_DECLARE,
            exchange=exchange,
            type=_NEVER,
            durable=True,
            arguments={"alternate-exchange": 1},
        )
        try:
            yield question, [amqp.EXCHANGE_DECLARE_OK]
        except Refusal as error:
            if found := _CURRENT.search(str(error)):
                self._types[exchange] = found[1]
                return
            if "inequivalent arg" in str(error):
                raise Refusal(f"an exchange of the type {_NEVER}") from error
            raise
        raise Refusal("an exchange whose type is not known")

    def _bind(self, queue: _Queue) -> bytes:
        exchange, key = queue.pattern
        return encode(
            METADATA,
            amqp.EXCHANGE_BIND,
            destination=queue.name,
            source=exchange,
            routing_key=key,
        )
