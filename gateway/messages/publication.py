"""A message as it is published: the same JSON, persistent or short-lived."""

from __future__ import annotations

from typing import Final

from broker.publishing.publication import Publication
from broker.topology import INSTANT_HEADER, Topology
from gateway.domain.message import Message

#: An old instant message is worth nothing to a consumer that was away for a moment.
#: https://www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers
INSTANT_EXPIRES_MS: Final = 10_000


def publication(message: Message, topology: Topology) -> Publication:
    """The AMQP publication of a message: persistent if it has a number, expiring if not (instant).

    Header values are strings, because RabbitMQ's STOMP adapter drops small integers. One of them
    keeps an instant message out of the private queues. What no private queue gets need not be taken
    by anybody: the history has it.
    """
    guaranteed = message.seq is not None
    headers = {
        "room": str(message.stream.room),
        "audience": str(message.stream.audience),
        "sender": message.sender,
    }
    if guaranteed:
        headers["seq"] = str(message.seq)
    else:
        headers |= [INSTANT_HEADER]
    return Publication(
        routing_key=topology.routing_key(message.stream),
        body=message.encode(),
        message_id=str(message.id),
        headers=headers,
        persistent=guaranteed,
        expiration_ms=None if guaranteed else INSTANT_EXPIRES_MS,
        mandatory=topology.is_queued(message.stream) or not guaranteed,
    )
