"""A trial whether a node lets a feed stand: its queue is declared, consumed and bound, then given
up."""

from __future__ import annotations

import ssl

from tornado.iostream import StreamClosedError

from broker.dialling import ConnectionLost, SetUpRefused, cause, deadline
from broker.feeds.connection import NodeClosed, open_connection
from broker.feeds.session import QueueSession
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol.amqp_deliveries import Received
from broker.protocol.amqp_methods import AmqpError

#: Bytes of a message: whatever is larger is drained, and nothing is looked at.
_MESSAGE_BYTES = 65_536


async def try_feed(
    node: Node,
    credentials: Credentials,
    *,
    queue: str,
    key: str,
    timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    tls: ssl.SSLContext | None,
) -> None:
    """Try it with a queue of this name and a binding by this key.

    Raises :class:`broker.dialling.DialError`, after twice ``timeout`` seconds at the latest.
    """
    connection = await open_connection(
        node, credentials, timeout=timeout, tls=tls, name="trial", message_bytes=_MESSAGE_BYTES
    )
    try:
        async with deadline(node, timeout, "no queue with a binding"):
            session = QueueSession(connection, queue, [key])
            while not session.stands:
                for event in await connection.read():
                    if isinstance(event, Received):
                        session.take(event)
    except NodeClosed as error:
        raise SetUpRefused(node.name, str(error)) from error
    except StreamClosedError as error:
        raise ConnectionLost(node.name, cause(error)) from error
    except AmqpError as error:
        raise ConnectionLost(node.name, f"not AMQP: {error}") from error
    finally:
        connection.close()
