"""Publishing over AMQP with confirms, each stream in order; declaring queues."""
