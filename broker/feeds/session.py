"""A feed's queue on one node: declared, consumed and bound by the requests on one connection.

Topics are bound to the feed's entrance, an exchange of the queue's name that hands everything on to
the queue: see :mod:`broker.feeds.leftovers`. What the queue drops goes by a second exchange to a
second queue, which only shows that something was dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from broker.feeds import overflow
from broker.feeds.bindings import Bindings, Request, UnexpectedAnswer
from broker.feeds.connection import (
    MESSAGES,
    METADATA,
    Connection,
    NodeClosed,
    raise_if_closed,
)
from broker.feeds.overflow import Overflow
from broker.protocol import amqp_methods as amqp
from broker.protocol.amqp_deliveries import Received
from broker.protocol.amqp_methods import AmqpError, Method, Value, encode
from broker.topology import (
    EXCHANGE,
    FEED_QUEUE_ARGUMENTS,
    OVERFLOW_QUEUE_ARGUMENTS,
)

_METHODS: Final = {Request.BIND: amqp.EXCHANGE_BIND, Request.UNBIND: amqp.EXCHANGE_UNBIND}
_ANSWERS: Final = {amqp.EXCHANGE_BIND_OK: Request.BIND, amqp.EXCHANGE_UNBIND_OK: Request.UNBIND}
_QUESTION: Final = encode(MESSAGES, amqp.CHANNEL_FLOW, active=True)

#: AMQP's "not found".
_NOT_FOUND: Final = 404


class EntranceGone(NodeClosed):
    """Somebody has deleted the exchange in front of the queue: another gateway, which takes this
    one for dead, and so deletes those of all its feeds."""


class QueueSession:
    """One exclusive queue, which RabbitMQ deletes with the connection.

    ``keys`` are to be bound at first. All declarations and bindings leave in one write; the
    consumer follows when the queue is there. ``deleted`` is called with each entrance that was
    deleted by :meth:`delete`. All methods may raise StreamClosedError.
    """

    def __init__(
        self,
        connection: Connection,
        queue: str,
        keys: Iterable[str],
        *,
        deleted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.connection = connection
        self._queue = queue
        self._deleted = deleted
        self.bindings = Bindings()
        #: Whether messages come. Before that, no binding counts as standing.
        self.consuming = False
        #: The answers that are to come to all requests but those for bindings, in their order.
        self._expected: deque[Method] = deque()
        self._deleting: deque[str] = deque()
        self._looking = False
        dropped = f"{queue}.overflow"
        self._overflow = Overflow(connection, dropped)
        # https://www.rabbitmq.com/docs/dlx
        arguments = {**FEED_QUEUE_ARGUMENTS, "x-dead-letter-exchange": dropped}
        made = [
            self._request(method, answer, **values)
            for name, wanted in ((queue, arguments), (dropped, OVERFLOW_QUEUE_ARGUMENTS))
            for method, answer, values in overflow.declared(name, wanted)
        ]
        binds = [self._encoded(key, self.bindings.want(key)) for key in keys]
        connection.send(b"".join((*made, *binds)))

    @property
    def unanswered(self) -> int:
        """The number of requests that wait for the node's answer."""
        return self.bindings.unanswered + len(self._expected) + (not self.consuming)

    @property
    def overflows(self) -> int:
        """The number of times that the queue has dropped messages, or may have done so unseen."""
        return self._overflow.count

    @property
    def stands(self) -> bool:
        """Whether everything that is wanted is brought."""
        return self.consuming and not self.bindings.missing

    def want(self, key: str) -> None:
        self._ask(key, self.bindings.want(key))

    def give_up(self, key: str) -> None:
        self._ask(key, self.bindings.give_up(key))

    def ask(self) -> None:
        """Ask the node for a sign of life.

        The answer comes from the channel of the messages, whatever the other one waits for.
        RabbitMQ takes ``channel.flow`` and changes nothing for it.
        """
        self.connection.send(_QUESTION)

    def look(self) -> None:
        """Ask whether the entrance is still there; :meth:`take` raises if it is not.

        Other gateways delete it if they take this one for dead.
        """
        if not self._looking:
            self._looking = True
            self.connection.send(
                self._request(
                    amqp.EXCHANGE_DECLARE,
                    amqp.EXCHANGE_DECLARE_OK,
                    exchange=self._queue,
                    passive=True,
                )
            )

    def look_for_overflow(self) -> None:
        """Ask whether the queue has dropped messages since this was asked last."""
        self._overflow.look()

    def delete(self, entrance: str) -> None:
        """Delete the entrance of another session, which is lost."""
        self._deleting.append(entrance)
        self.connection.send(
            self._request(amqp.EXCHANGE_DELETE, amqp.EXCHANGE_DELETE_OK, exchange=entrance)
        )

    def take(self, received: Received) -> list[str]:
        """Take the node's answer to a request; returns the keys that come to stand with it.

        Raises :class:`broker.feeds.connection.NodeClosed` for a refusal, which ends a channel and
        so the session, :class:`EntranceGone`, and :class:`AmqpError` for what was not asked.
        """
        if received.channel == overflow.CHANNEL:
            self._overflow.take(received)
            return []
        method = received.method
        if method is amqp.CHANNEL_CLOSE and received.values["reply_code"] == _NOT_FOUND:
            raise EntranceGone(f"{received.values['reply_text']!s}")
        raise_if_closed(received)
        if request := _ANSWERS.get(method):
            return self._take_answer(request)
        if self._expected and method is self._expected[0]:
            self._expected.popleft()
            self._take_expected(received)
        elif method is amqp.BASIC_CONSUME_OK:
            self.consuming = True
            return [key for key in self.bindings if self.bindings.stands(key)]
        elif method is amqp.BASIC_CANCEL:
            raise AmqpError("RabbitMQ has deleted the queue")
        elif method is not amqp.CHANNEL_FLOW_OK:
            raise AmqpError(f"unexpected {method.name}")
        return []

    def close(self) -> None:
        self.connection.close()

    def _take_expected(self, received: Received) -> None:
        answer = received.method
        if answer is amqp.QUEUE_DECLARE_OK and received.values["queue"] == self._queue:
            consume = encode(MESSAGES, amqp.BASIC_CONSUME, queue=self._queue, no_ack=True)
            self.connection.send(consume)
        elif answer is amqp.EXCHANGE_DECLARE_OK:
            self._looking = False
        elif answer is amqp.EXCHANGE_DELETE_OK:
            self._deleted(self._deleting.popleft())

    def _take_answer(self, request: Request) -> list[str]:
        try:
            key, following = self.bindings.answered(request)
        except UnexpectedAnswer as error:
            raise AmqpError(str(error)) from error
        self._ask(key, following)
        return [key] if self.consuming and self.bindings.stands(key) else []

    def _ask(self, key: str, request: Request | None) -> None:
        if request is not None:
            self.connection.send(self._encoded(key, request))

    def _encoded(self, key: str, request: Request | None) -> bytes:
        if request is None:
            return b""
        method: Method = _METHODS[request]
        return encode(METADATA, method, destination=self._queue, source=EXCHANGE, routing_key=key)

    def _request(self, method: Method, answer: Method, **values: Value) -> bytes:
        self._expected.append(answer)
        return encode(METADATA, method, **values)
