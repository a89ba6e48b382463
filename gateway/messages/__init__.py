"""The way of a message: intake, pipeline, history, outbox."""
