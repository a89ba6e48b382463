"""The gateway: one process between browsers and a RabbitMQ cluster."""
