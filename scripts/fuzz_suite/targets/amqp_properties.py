"""AMQP properties as STOMP headers: what comes out can be written."""

from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import MalformedFrame, serialise

SEEDS = (
    b"\x80\0\x0aapplication",
    b"\x20\0\0\0\0\x09\x03seqI\0\0\0\x07",
    b"\x10\x80\x02\x03abc",
)


def check(data: bytes) -> None:
    """No error but a `MalformedFrame`."""
    try:
        headers = stomp_headers(data)
    except MalformedFrame:
        return
    serialise("MESSAGE", headers, b"x")
