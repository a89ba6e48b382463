"""Measures the gateway side by side with the proxies that people put in front of RabbitMQ today."""
