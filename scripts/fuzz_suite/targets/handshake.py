"""RabbitMQ's answer to a WebSocket handshake."""

from broker.protocol.websocket import HandshakeError, accept_key, check_server_handshake

_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_OFFERED = ("v12.stomp", "v11.stomp")

SEEDS = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Accept: " + accept_key(_KEY).encode() + b"\r\n"
    b"Sec-WebSocket-Protocol: v12.stomp\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
)


def check(data: bytes) -> None:
    """A subprotocol that was offered, none, or a `HandshakeError`."""
    try:
        chosen = check_server_handshake(data, _KEY, _OFFERED)
    except HandshakeError as error:
        assert len(str(error)) < 1000 + len(data)  # bounded
        return
    assert chosen is None or chosen in _OFFERED
    assert accept_key(_KEY).encode() in data
