"""AMQP deliveries from a node: the same in any pieces."""

from broker.protocol.amqp_deliveries import DeliveryReader
from broker.protocol.amqp_methods import AmqpError
from fuzz_suite.cuts import outcome, pieces, same

_FRAME_MAX, _MESSAGE_BYTES = 256, 1000
#: basic.deliver of "c", 1, not redelivered, "amq.topic", "a.b" on channel 1; section 1.8.3.13.
_DELIVER = b"\0\x3c\0\x3c\x01c" + (1).to_bytes(8) + b"\0\x09amq.topic\x03a.b"
_CONTENT = b"\0\x3c\0\0" + (2).to_bytes(8) + b"\0\0"


def _frame(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + (1).to_bytes(2) + len(payload).to_bytes(4) + payload + b"\xce"


SEEDS = (
    b"\x03\x05\x20\x30" + _frame(1, _DELIVER) + _frame(2, _CONTENT) + _frame(3, b"hi"),
    b"\0" + _frame(8, b"") + _frame(1, _DELIVER) + _frame(2, _CONTENT),
)


def check(data: bytes) -> None:
    """No error but an `AmqpError`; pieces change nothing."""
    whole, cut = pieces(data)
    events, error = outcome(_reader().feed, [whole], AmqpError)
    in_pieces, error_in_pieces = outcome(_reader().feed, cut, AmqpError)
    assert events == in_pieces
    assert same(error, error_in_pieces)


def _reader() -> DeliveryReader:
    return DeliveryReader(frame_max=_FRAME_MAX, message_bytes=_MESSAGE_BYTES)
