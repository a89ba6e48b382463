"""Publishing by aiormq alone, as an application does: persistent, confirmed before it returns."""

from aiormq import spec
from aiormq.abc import AbstractChannel

from broker.publishing.publication import Publication


async def publish(channel: AbstractChannel, made: Publication) -> None:
    """Publish a message as the gateway makes it, and wait for RabbitMQ's confirm."""
    await channel.basic_publish(
        made.body,
        exchange=made.exchange,
        routing_key=made.routing_key,
        properties=spec.Basic.Properties(
            content_type=made.content_type,
            headers=dict(made.headers),
            delivery_mode=2,
            message_id=made.message_id,
        ),
    )
