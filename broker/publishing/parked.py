"""The parked messages, for operators: each can be read, put back into its queue, or dropped.

See :class:`broker.topology.Parking`. What is taken and not settled returns to the queue when
the connection ends.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, Self

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.channels import AMQP_ERRORS, AiormqCalls, describe
from broker.publishing.link import Link, LinkFailed
from broker.timing.tasks import Tasks
from broker.topology import Parking, Topology

#: Headers that RabbitMQ adds to a message that it moves or delivers; it is put back without them.
_ADDED: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-")


class NotPutBack(Exception):
    """The message stays parked; the text says why."""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """One parked message.

    ``queue``: the one that it was in; ``exchange`` and ``routing_key``: as it was published;
    ``at``: when it was parked, and ``reason`` why, in RabbitMQ's words.
    """

    taken: DeliveredMessage
    queue: str
    exchange: str
    routing_key: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, taken: DeliveredMessage) -> ParkedMessage:
        """The message, by what RabbitMQ has noted in its header ``x-death``, the newest first."""
        death: dict[str, Any] = next(iter(_headers(taken).get("x-death", ())), {})
        keys = death.get("routing-keys") or [""]
        at = death.get("time", datetime.fromtimestamp(0, UTC))
        return cls(
            taken,
            queue=str(death.get("queue", "")),
            exchange=str(death.get("exchange", "")),
            routing_key=str(keys[0]),
            reason=str(death.get("reason", "unknown")),
            at=at if at.tzinfo else at.replace(tzinfo=UTC),
        )

    @property
    def id(self) -> str:
        """A name for this message that stays the same, however often it is read."""
        where = f"{self.queue} {self.routing_key} {self.at.isoformat()} ".encode()
        return sha256(where + self.taken.body).hexdigest()[:8]

    @property
    def properties(self) -> dict[str, object]:
        """Those of them that are set, by name."""
        given = {name: value for name, value in dict(self.as_published()).items() if value}
        return dict(sorted(given.items()))

    def as_published(self) -> Basic.Properties:
        """Its AMQP properties, without what RabbitMQ has added since."""
        properties = copy(self.taken.header.properties)
        headers = {n: v for n, v in _headers(self.taken).items() if not n.startswith(_ADDED)}
        properties.headers = headers or None
        return properties


class ParkedMessages:
    """The parked messages over a connection of their own. Beside what is named, every method raises
    :data:`AMQP_ERRORS`."""

    def __init__(self, link: Link, channel: AbstractChannel, parking: Parking) -> None:
        self._link = link
        self._channel = channel
        self._parking = parking

    @classmethod
    async def open(
        cls,
        node: Node,
        credentials: Credentials,
        topology: Topology,
        *,
        timeout: float,  # noqa: ASYNC109 - of the login
        ssl_context: ssl.SSLContext | None = None,
    ) -> Self:
        """Log in to this node within ``timeout`` seconds. Raises :class:`LinkFailed`."""
        link = await Link.open(
            node, credentials, ssl_context=ssl_context, timeout=timeout, tasks=Tasks()
        )
        try:
            return cls(link, await link.new_channel(), topology.parking)
        except AMQP_ERRORS as error:
            await link.close("it has no channel")
            raise LinkFailed(node.name, describe(error)) from error

    async def close(self) -> None:
        """Close the connection, when RabbitMQ has handled what was settled."""
        try:
            with AiormqCalls():
                await self._channel.close()
        finally:
            await self._link.close("everything was read")

    async def each(self) -> AsyncIterator[ParkedMessage]:
        """Each message once, the oldest first; fine if there is no such queue."""
        while True:
            with AiormqCalls():
                try:
                    taken = await self._channel.basic_get(self._parking.queue)
                except aiormq.ChannelNotFoundEntity:
                    return
            if taken.delivery_tag is None:
                return
            yield ParkedMessage.of(taken)

    async def oldest(self) -> tuple[ParkedMessage, int] | None:
        """The oldest message, and how many there are; None: there is none."""
        async for message in self.each():
            return message, 1 + (message.taken.message_count or 0)
        return None

    async def put_back(self, message: ParkedMessage) -> None:
        """Put it into the queue that it was in, at the end, with the properties that it had. Raises
        :class:`NotPutBack`."""
        # By an exchange of its own, because the account may not publish to the default one.
        exchange = f"{self._parking.exchange}.{token_hex(8)}"
        try:
            with AiormqCalls():
                channel = await self._link.new_channel(confirms=True)
                await channel.queue_declare(message.queue, passive=True)
                await channel.exchange_declare(exchange, exchange_type="fanout", auto_delete=True)
                await channel.queue_bind(message.queue, exchange)
                try:
                    await channel.basic_publish(
                        message.taken.body,
                        exchange=exchange,
                        routing_key=message.routing_key,
                        properties=message.as_published(),
                        mandatory=True,
                    )
                finally:
                    # RabbitMQ deletes the exchange with its only binding.
                    await channel.queue_unbind(message.queue, exchange)
                await channel.close()
        except aiormq.ChannelNotFoundEntity as error:
            raise NotPutBack(f"there is no queue {message.queue!r} any more") from error
        except aiormq.DeliveryError as error:
            raise NotPutBack(f"the queue {message.queue!r} does not take it") from error
        await self.drop(message)

    async def drop(self, message: ParkedMessage) -> None:
        """Delete it for good."""
        with AiormqCalls():
            await self._channel.basic_ack(message.taken.delivery_tag or 0)


def _headers(taken: DeliveredMessage) -> dict[str, Any]:
    return dict(taken.header.properties.headers or {})
