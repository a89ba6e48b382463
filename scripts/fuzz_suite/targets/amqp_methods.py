"""AMQP methods of a node: decoded, or an error."""

from broker.protocol.amqp_methods import RECEIVED, AmqpError, decode

SEEDS = tuple(
    group.to_bytes(2) + number.to_bytes(2) + bytes(24) for group, number in sorted(RECEIVED)
)


def check(data: bytes) -> None:
    """No error but an `AmqpError`; every field of the method is there."""
    try:
        method, values = decode(data)
    except AmqpError as error:
        assert len(str(error)) < 1000  # bounded, whatever came
        return
    assert values.keys() == dict(method.fields).keys()
