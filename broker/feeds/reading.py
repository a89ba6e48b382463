"""A question to RabbitMQ in a user's own name: may this user read? It is asked by doing what
SUBSCRIBE does.

RabbitMQ's STOMP plugin declares a queue for a subscription to an exchange, consumes it and binds
it, and RabbitMQ checks each of these steps (configure, read and write of the queue, read of the
exchange, and read of the routing key where the exchange is a topic exchange). The same is done here
over AMQP, where a refusal names its reason in every version and ends a channel only: over
Web-STOMP, RabbitMQ 3.10 ends the session without a word.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Final

from tornado.iostream import StreamClosedError

from broker.dialling import ConnectionLost, cause, deadline
from broker.feeds.connection import MESSAGES, METADATA, Connection, NodeClosed, open_connection
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol import amqp_methods as amqp
from broker.protocol.amqp_methods import AmqpError, Method, Value

#: An exchange and a routing key, which may hold wildcards.
Source = tuple[str, str]

#: The prefix of the names that RabbitMQ gives to subscriptions' queues, and which permissions name.
QUEUE_PREFIX: Final = "stomp-subscription-"
#: What is bound is never read: the queue drops it.
_ARGUMENTS: Final[dict[str, amqp.TableValue]] = {"x-max-length": 0}
_MESSAGE_BYTES: Final = 65_536
#: AMQP's "access refused" and "not found": what RabbitMQ says of the request. Other codes are
#: about its own state.
_REFUSALS: Final = ("403 ", "404 ")


async def may_read(
    node: Node,
    credentials: Credentials,
    sources: Sequence[Source],
    *,
    queue: str,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    tls: ssl.SSLContext | None,
) -> Mapping[Source, str | None]:
    """Ask for each source; the answer is None, or RabbitMQ's reason why not.

    ``queue``: a name that nobody else has, which begins with :data:`QUEUE_PREFIX`. RabbitMQ deletes
    the queue with the connection. Raises :class:`broker.dialling.DialError`
    (:class:`broker.dialling.LoginRefused` if the user may not even log in), after twice
    ``timeout`` seconds at the latest.
    """
    connection = await open_connection(
        node,
        credentials,
        timeout=timeout,
        tls=tls,
        name="interact-gateway, a user's permissions",
        message_bytes=_MESSAGE_BYTES,
    )
    try:
        async with deadline(node, timeout, "no answer about permissions"):
            return await _ask(connection, queue, sources)
    except StreamClosedError as error:
        raise ConnectionLost(node.name, cause(error)) from error
    except (AmqpError, NodeClosed) as error:
        raise ConnectionLost(node.name, str(error)) from error
    finally:
        connection.close()


async def _ask(
    connection: Connection, queue: str, sources: Sequence[Source]
) -> Mapping[Source, str | None]:
    if not sources:
        return {}
    refusal = await _do(
        connection,
        amqp.QUEUE_DECLARE,
        amqp.QUEUE_DECLARE_OK,
        queue=queue,
        exclusive=True,
        arguments=_ARGUMENTS,
    ) or await _consume(connection, queue)
    if refusal is not None:
        return dict.fromkeys(sources, refusal)
    return {
        (exchange, key): await _do(
            connection,
            amqp.QUEUE_BIND,
            amqp.QUEUE_BIND_OK,
            queue=queue,
            exchange=exchange,
            routing_key=key,
        )
        for exchange, key in sources
    }


async def _consume(connection: Connection, queue: str) -> str | None:
    refusal = await _do(
        connection,
        amqp.BASIC_CONSUME,
        amqp.BASIC_CONSUME_OK,
        channel=MESSAGES,
        queue=queue,
        consumer_tag="c",
        no_ack=True,
    )
    if refusal is None:
        # Before anything is bound: no message comes.
        connection.request(MESSAGES, amqp.BASIC_CANCEL, consumer_tag="c", no_wait=True)
    return refusal


async def _do(
    connection: Connection,
    method: Method,
    done: Method,
    *,
    channel: int = METADATA,
    **values: Value,
) -> str | None:
    """Do one step; RabbitMQ's reason if it refuses. The channel is open afterwards."""
    connection.request(channel, method, **values)
    try:
        await connection.answer(done)
    except NodeClosed as error:
        reason = str(error)
        if not reason.startswith(_REFUSALS):
            raise
        connection.request(channel, amqp.CHANNEL_CLOSE_OK)
        connection.request(channel, amqp.CHANNEL_OPEN)
        await connection.answer(amqp.CHANNEL_OPEN_OK)
        return reason.partition(" ")[2]
    return None
