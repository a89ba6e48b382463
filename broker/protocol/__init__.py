"""The frames of STOMP, WebSocket and AMQP, and heart-beats. Pure."""
