"""Measures the gateway side by side with the proxies that are used in front of RabbitMQ today."""
