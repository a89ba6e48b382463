"""A delivered message as the MESSAGE frame that RabbitMQ's STOMP plugin makes of it. Pure.

It follows ``rabbit_stomp_processor.erl`` and ``rabbit_stomp_frame.erl`` (3.10 to 4.3): which
headers, in which order, and what is escaped in them.
"""

from __future__ import annotations

import re
from typing import Final

from broker.protocol.amqp_deliveries import Delivery, origin
from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import escape

_TOPIC_EXCHANGE: Final = b"amq.topic"
#: What stands for itself in a destination's name; the rest is written as ``%`` and two digits.
_ESCAPED: Final = re.compile(rb"[^\x20-\x7e]|[/%]")


def message(delivery: Delivery, *, id: str) -> bytes:
    """The frame behind the line of its command and of the header ``subscription``.

    ``id`` becomes the header ``message-id``. Raises :class:`MalformedFrame` for what no frame can
    hold.
    """
    headers = list(stomp_headers(delivery.properties, any_bytes=True))
    # That of the SEND, which RabbitMQ keeps as a header like any other; it writes its own instead
    # of the first one that there is.
    for at, (name, _) in enumerate(headers):
        if name == "content-length":
            del headers[at]
            break
    _, exchange, key = origin(delivery.envelope)
    lines = [
        f"destination:{escape(destination(exchange, key))}",
        f"message-id:{escape(id)}",
        # The queue is one consumer's alone, who never gives anything back.
        "redelivered:false",
        *(f"{escape(name)}:{escape(value)}" for name, value in headers),
    ]
    body = delivery.body
    if body:
        lines.append(f"content-length:{len(body)}")
    return "\n".join(lines).encode(errors="surrogateescape") + b"\n\n" + body + b"\0"


def destination(exchange: bytes, routing_key: bytes) -> str:
    """The destination that a message was published to."""
    name = _name(routing_key)
    if not exchange:
        return f"/queue/{name}"
    if exchange == _TOPIC_EXCHANGE:
        return f"/topic/{name}"
    return f"/exchange/{_name(exchange)}" + (f"/{name}" if name else "")


def _name(name: bytes) -> str:
    return _ESCAPED.sub(lambda found: b"%%%02X" % found[0][0], name).decode()
