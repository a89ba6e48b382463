"""A writer of publications as AMQP 0-9-1 frames, ready for the socket. Pure.

pamqp, which we read with, takes four times as long for the same: it decides anew for each value how
to write its type. Section numbers are those of the AMQP 0-9-1 specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import Final

#: Section 4.2.3: type, channel, size. The end octet follows the payload.
_FRAME: Final = Struct("!BHI")
_METHOD, _HEADER, _BODY = 1, 2, 3
_END: Final = b"\xce"
#: Bytes of a frame in addition to its payload.
OVERHEAD: Final = _FRAME.size + len(_END)

#: Class and method of basic.publish, and a reserved number.
_PUBLISH: Final = Struct("!HHH")
#: Bits: mandatory, immediate.
_MANDATORY: Final = b"\x01"
#: Section 4.2.6.1: class, weight, size of the body, flags of the properties that follow.
_CONTENT: Final = Struct("!HHQH")
_BASIC, _BASIC_PUBLISH = 60, 40
#: Flags of the properties, in the order in which the properties follow.
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE = 1 << 15, 1 << 13, 1 << 12
_EXPIRATION, _MESSAGE_ID = 1 << 8, 1 << 7
_LENGTH: Final = Struct("!I")
#: Section 4.2.5.5: the type of a long string in a table.
_LONG_STRING: Final = b"S"


def publish(  # noqa: PLR0913 - a message's properties, each by its name
    channel: int,
    exchange: str,
    routing_key: str,
    body: bytes,
    *,
    message_id: str,
    content_type: str,
    headers: Mapping[str, str],
    persistent: bool,
    expiration_ms: int | None,
    frame_max: int,
    mandatory: bool,
) -> bytes:
    """The frames of basic.publish and its content; ``frame_max`` is the most bytes of a frame.

    Raises ValueError for a name or property that has more than 255 bytes, and for headers that do
    not fit into a frame.
    """
    flags = _CONTENT_TYPE | _HEADERS | _DELIVERY_MODE | _MESSAGE_ID
    expiration = b""
    if expiration_ms is not None:
        flags |= _EXPIRATION
        expiration = _short(str(expiration_ms))
    table = b"".join([_short(name) + _long(value) for name, value in headers.items()])
    content = b"".join(
        (
            _CONTENT.pack(_BASIC, 0, len(body), flags),
            _short(content_type),
            _LENGTH.pack(len(table)),
            table,
            b"\x02" if persistent else b"\x01",
            expiration,
            _short(message_id),
        )
    )
    most = frame_max - OVERHEAD
    if len(content) > most:
        raise ValueError(f"the headers have {len(content)} bytes; a frame has {most} at most")
    parts = [
        _method(channel, exchange, routing_key, mandatory=mandatory),
        *_frame(_HEADER, channel, content),
    ]
    for start in range(0, len(body), most):
        parts += _frame(_BODY, channel, body[start : start + most])
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _method(channel: int, exchange: str, routing_key: str, *, mandatory: bool) -> bytes:
    payload = b"".join(
        (
            _PUBLISH.pack(_BASIC, _BASIC_PUBLISH, 0),
            _short(exchange),
            _short(routing_key),
            _MANDATORY if mandatory else b"\0",
        )
    )
    return b"".join(_frame(_METHOD, channel, payload))


def _frame(kind: int, channel: int, payload: bytes) -> tuple[bytes, bytes, bytes]:
    return _FRAME.pack(kind, channel, len(payload)), payload, _END


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"{text[:50]!r}… has {len(data)} bytes; a short string has 255 at most")
    return bytes((len(data),)) + data


def _long(text: str) -> bytes:
    data = text.encode()
    return _LONG_STRING + _LENGTH.pack(len(data)) + data
