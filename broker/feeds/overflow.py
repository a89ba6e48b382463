"""The queue that shows whether a feed's queue has dropped messages.

It gets what the feed's queue drops, by an exchange of its own name, and keeps the last one. It is
looked at on a channel of its own: RabbitMQ ends a channel for a question about a queue that is gone
(a policy may let queues without consumers expire), and the feed must not end with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from broker.feeds.connection import Connection
from broker.protocol import amqp_methods as amqp
from broker.protocol.amqp_deliveries import Received
from broker.protocol.amqp_methods import AmqpError, Method, Value, encode
from broker.topology import OVERFLOW_QUEUE_ARGUMENTS, Arguments

logger = logging.getLogger(__name__)

#: The channel on which the queue is looked at.
CHANNEL: Final = 5
_MADE: Final = frozenset(
    {
        amqp.CHANNEL_OPEN_OK,
        amqp.EXCHANGE_DECLARE_OK,
        amqp.QUEUE_DECLARE_OK,
        amqp.QUEUE_BIND_OK,
    }
)


def declared(name: str, arguments: Arguments) -> Iterator[tuple[Method, Method, dict[str, Value]]]:
    """The requests for an exclusive queue and an exchange in front of it, both of this name: each
    with its answer and its values."""
    exchange: dict[str, Value] = {
        "exchange": name,
        "type": "fanout",
        # Deleted with its only binding, and so with the queue.
        "auto_delete": True,
    }
    yield amqp.EXCHANGE_DECLARE, amqp.EXCHANGE_DECLARE_OK, exchange
    queue: dict[str, Value] = {"queue": name, "exclusive": True, "arguments": {**arguments}}
    yield amqp.QUEUE_DECLARE, amqp.QUEUE_DECLARE_OK, queue
    yield amqp.QUEUE_BIND, amqp.QUEUE_BIND_OK, {"queue": name, "exchange": name}


class Overflow:
    """The queue of this name, which the caller has declared at first. Later it is declared anew
    when it was lost. :meth:`look` and :meth:`take` may raise StreamClosedError."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        #: The number of looks that found dropped messages, or came after a time unseen.
        self.count = 0
        self._stands = True
        self._is_open = False
        self._is_asked = False

    def look(self) -> None:
        """Empty the queue, which tells what was in it."""
        if self._is_asked:
            return
        self._is_asked = True
        requests = []
        if not self._is_open:
            self._is_open = True
            requests.append(encode(CHANNEL, amqp.CHANNEL_OPEN))
        if not self._stands:
            made = declared(self._name, OVERFLOW_QUEUE_ARGUMENTS)
            requests += [encode(CHANNEL, method, **values) for method, _, values in made]
        requests.append(encode(CHANNEL, amqp.QUEUE_PURGE, queue=self._name))
        self._connection.send(b"".join(requests))

    def take(self, received: Received) -> None:
        """Take the node's answer on this channel. Raises :class:`AmqpError` for what was not
        asked."""
        method, values = received.method, received.values
        if method is amqp.QUEUE_PURGE_OK:
            # Of what was dropped while it did not stand, nothing is known.
            self.count += values["message_count"] != 0 or not self._stands
            self._stands, self._is_asked = True, False
        elif method is amqp.CHANNEL_CLOSE:
            self._connection.request(CHANNEL, amqp.CHANNEL_CLOSE_OK)
            if self._stands:
                logger.warning(
                    "%s, which shows what a feed's queue drops, is declared anew, because RabbitMQ "
                    "does not know it (%s %s): a policy that lets queues expire must not match it",
                    self._name,
                    values["reply_code"],
                    values["reply_text"],
                )
            self._stands = self._is_open = self._is_asked = False
        elif method not in _MADE:
            raise AmqpError(f"unexpected {method.name}")
