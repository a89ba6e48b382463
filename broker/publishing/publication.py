"""A message for RabbitMQ, and the ways in which publishing it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from broker.protocol import amqp
from broker.topology import EXCHANGE


class NotConfirmed(Exception):
    """The message may or may not have been delivered; publish it again with the same id."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Returned(NotConfirmed):
    """No queue is bound for this routing key: the room's private queue is missing."""


class AlreadyInFlight(NotConfirmed):
    """A publication with the same id has no answer yet; this one was not sent."""


class Refused(NotConfirmed):
    """RabbitMQ will never take this message as it is: it was sent alone, and ended its channel."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A message for an exchange, :data:`EXCHANGE` unless another one is named.

    ``headers`` are strings because RabbitMQ's STOMP adapter drops small integers.
    ``expiration_ms``: milliseconds after which a queue drops it; None: never. ``mandatory``:
    RabbitMQ returns the message if no queue takes it.
    """

    routing_key: str
    body: bytes
    message_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    persistent: bool = True
    expiration_ms: int | None = None
    content_type: str = "application/json"
    exchange: str = EXCHANGE
    mandatory: bool = True

    def frames(self, channel: int, *, frame_max: int) -> bytes:
        """The AMQP frames that publish it on the channel of this number.

        ``frame_max``: bytes of a frame at most. Raises ValueError for what AMQP cannot express.
        """
        return amqp.publish(
            channel,
            self.exchange,
            self.routing_key,
            self.body,
            message_id=self.message_id,
            content_type=self.content_type,
            headers=self.headers,
            persistent=self.persistent,
            expiration_ms=self.expiration_ms,
            frame_max=frame_max,
            mandatory=self.mandatory,
        )


class ConfirmedPublisher(Protocol):
    """A publisher that keeps the messages of one routing key in the order of the calls."""

    async def publish(
        self,
        publication: Publication,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> None:
        """Publish a message and wait for its confirm, ``timeout`` seconds at most.

        Raises :class:`NotConfirmed`; the message may be delivered all the same.
        """
        ...


class ScatteringPublisher(Protocol):
    """A publisher that sends through every node at once."""

    def scatter(self, through: Callable[[str], Publication]) -> list[str]:
        """Publish the message that ``through`` gives for the name of a node, through that node,
        without confirms; the names of the nodes."""
        ...
