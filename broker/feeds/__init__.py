"""Feeds over AMQP: what every subscriber of a topic gets, read once from a node."""
