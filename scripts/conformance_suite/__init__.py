"""Conversations of STOMP applications, each held with RabbitMQ itself and through the gateway."""
