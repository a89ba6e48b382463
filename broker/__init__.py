"""RabbitMQ, as this project knows it. Nothing here knows the gateway."""
