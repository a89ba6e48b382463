"""Remedies that only certain versions of RabbitMQ need; each module names them."""
