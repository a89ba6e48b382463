"""Declare and verify the topology from the command line, by pika; blocks.

The gateway declares a room's queue itself when it is missing. This is for operators: before the
first start, after a restore, and to see what is wrong.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.topology import EXCHANGE, Queue, Topology

#: https://www.rabbitmq.com/amqp-0-9-1-reference#constants
NOT_FOUND: Final = 404
#: The problem of a :class:`Check` whose object does not exist.
MISSING: Final = "missing"
PORTS: Final = {"amqp": 5672, "amqps": 5671}


class NodeUnreachable(Exception):
    """No AMQP session with a node; the text says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what is wrong with it; None: nothing."""

    what: str
    problem: str | None = None


def apply(
    node: Node,
    credentials: Credentials,
    topology: Topology,
    *,
    rooms: Iterable[int],
    timeout: float,
    ssl_context: ssl.SSLContext | None = None,
) -> list[Check]:
    """Declare and bind the private queues of these rooms; what exists as it should stays.

    ``timeout`` (seconds) bounds the connecting. Raises :class:`NodeUnreachable`.
    """
    with _session(node, credentials, timeout=timeout, ssl_context=ssl_context) as session:
        return [
            _check(session, f"queue {q.name}", partial(_declare, q))
            for q in _queues(topology, rooms)
        ]


def verify(
    node: Node,
    credentials: Credentials,
    topology: Topology,
    *,
    rooms: Iterable[int],
    timeout: float,
    ssl_context: ssl.SSLContext | None = None,
) -> list[Check]:
    """Look whether the user may publish and the rooms' queues are as they should; change nothing.

    ``timeout`` (seconds) bounds the connecting. Raises :class:`NodeUnreachable`.
    """
    with _session(node, credentials, timeout=timeout, ssl_context=ssl_context) as session:
        return [
            _check(session, f"exchange {EXCHANGE}", _exchange_exists),
            _check(session, f"publishing to {EXCHANGE}", partial(_may_publish, topology)),
            *(
                _check(session, f"queue {q.name}", partial(_is_as_declared, q))
                for q in _queues(topology, rooms)
            ),
        ]


def _queues(topology: Topology, rooms: Iterable[int]) -> Iterator[Queue]:
    return map(topology.private_queue, rooms)


@contextmanager
def _session(
    node: Node, credentials: Credentials, *, timeout: float, ssl_context: ssl.SSLContext | None
) -> Iterator[pika.BlockingConnection]:
    url = urlsplit(node.amqp)
    host = url.hostname or ""
    parameters = pika.ConnectionParameters(
        host,
        url.port or PORTS[url.scheme],
        credentials.vhost,
        pika.PlainCredentials(credentials.login, credentials.passcode),
        ssl_options=None if ssl_context is None else pika.SSLOptions(ssl_context, host),
        socket_timeout=timeout,
        stack_timeout=timeout,
        client_properties={"connection_name": "interact-gateway topology"},
    )
    try:
        connection = pika.BlockingConnection(parameters)
    except ProbableAuthenticationError as error:
        raise NodeUnreachable(
            f"{node.name}: user {credentials.login!r} is unknown, or the password is wrong"
        ) from error
    except ProbableAccessDeniedError as error:
        raise NodeUnreachable(
            f"{node.name}: user {credentials.login!r} may not enter vhost {credentials.vhost!r}"
        ) from error
    except (AMQPConnectionError, OSError) as error:
        raise NodeUnreachable(f"{node.name}: {_cause(error)}") from error
    try:
        yield connection
    except AMQPConnectionError as error:
        raise NodeUnreachable(f"{node.name}: {_cause(error)}") from error
    finally:
        if connection.is_open:
            connection.close()


def _check(
    session: pika.BlockingConnection, what: str, look: Callable[[BlockingChannel], None]
) -> Check:
    """On a channel of its own: a refusal ends the channel it comes on."""
    channel = session.channel()
    try:
        look(channel)
    except ChannelClosedByBroker as error:
        return Check(what, MISSING if error.reply_code == NOT_FOUND else error.reply_text)
    channel.close()
    return Check(what)


def _exchange_exists(channel: BlockingChannel) -> None:
    channel.exchange_declare(EXCHANGE, passive=True)


def _may_publish(topology: Topology, channel: BlockingChannel) -> None:
    """Publish to a key that names no stream: nobody gets it, but RabbitMQ judges it."""
    channel.confirm_delivery()
    channel.basic_publish(EXCHANGE, f"{topology.prefix}.check", b"")


def _declare(queue: Queue, channel: BlockingChannel) -> None:
    channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
    channel.queue_bind(queue.name, EXCHANGE, queue.binding_key)


def _is_as_declared(queue: Queue, channel: BlockingChannel) -> None:
    """Declaring what exists changes nothing, but compares the arguments."""
    channel.queue_declare(queue.name, passive=True)
    channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)


def _cause(error: BaseException) -> str:
    """pika wraps the reason into exceptions without a text, in two ways."""
    inner = getattr(error, "exception", None) or next(iter(error.args), None)
    if isinstance(inner, BaseException):
        return _cause(inner)
    return str(error) or type(error).__name__
