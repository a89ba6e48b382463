"""RabbitMQ through its management API, for operators' commands: policies and versions."""
