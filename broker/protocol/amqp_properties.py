"""A message's AMQP properties as the STOMP headers that RabbitMQ makes of them. Pure.

Subscribers get the same headers whether their topic comes by AMQP or by Web-STOMP, so this follows
``rabbit_stomp_util.erl`` (3.10 to 4.3), its order included: first the entries of the header table
that are long strings, 32-bit or 64-bit signed integers, all others left out; then the properties,
the last one first.

Section numbers are those of the AMQP 0-9-1 specification.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from struct import Struct
from typing import Final

from broker.protocol.stomp import Headers, MalformedFrame

_FLAGS: Final = Struct("!H")
_LENGTH: Final = Struct("!I")
_INT: Final = Struct("!i")
_LONG: Final = Struct("!q")
_TIMESTAMP: Final = Struct("!Q")

#: The properties in the order in which they follow the flags (section 4.2.6.1): flag, type, and the
#: STOMP header that RabbitMQ makes of it. The last one has none.
_PROPERTIES: Final = (
    (1 << 15, "shortstr", "content-type"),
    (1 << 14, "shortstr", "content-encoding"),
    (1 << 13, "table", ""),
    (1 << 12, "delivery mode", "persistent"),
    (1 << 11, "octet", "priority"),
    (1 << 10, "shortstr", "correlation-id"),
    (1 << 9, "shortstr", "reply-to"),
    (1 << 8, "shortstr", "expiration"),
    (1 << 7, "shortstr", "amqp-message-id"),
    (1 << 6, "timestamp", "timestamp"),
    (1 << 5, "shortstr", "type"),
    (1 << 4, "shortstr", "user-id"),
    (1 << 3, "shortstr", "app-id"),
    (1 << 2, "shortstr", ""),
)
_MORE_FLAGS: Final = 1
_PERSISTENT: Final = 2

#: The bytes of a value in a field table, by the letter of its type (section 4.2.5.5, in RabbitMQ's
#: dialect), for the types of a fixed size that are passed over.
_SIZES: Final = {
    letter: size
    for size, letters in ((0, b"V"), (1, b"tbB"), (2, b"su"), (4, b"if"), (5, b"D"), (8, b"dT"))
    for letter in letters
}
#: Those that begin with the number of their bytes.
_SIZED: Final = frozenset(b"SxFA")
_STRING, _SIGNED_INT, _SIGNED_LONG = b"SIl"

#: RabbitMQ shows a ``reply-to`` that is no destination of STOMP as a queue for replies.
_DESTINATIONS: Final = (
    "/exchange",
    "/topic",
    "/queue",
    "/amq/queue",
    "/reply-queue",
)
_REPLY_QUEUE: Final = "/reply-queue/"


def stomp_headers(properties: bytes, *, any_bytes: bool = False) -> Headers:
    """The headers of the MESSAGE; ``properties`` are the flags and properties of a content header.

    ``any_bytes``: what is not UTF-8 becomes surrogates (PEP 383), as the STOMP plugin passes it on.
    Raises :class:`MalformedFrame` for a message that no STOMP frame can hold: a header without a
    name, with a NUL, or otherwise that is not UTF-8.
    """
    try:
        return _headers(properties, "surrogateescape" if any_bytes else "strict")
    except (struct.error, IndexError) as error:
        raise MalformedFrame("properties that end too early") from error
    except UnicodeDecodeError as error:
        raise MalformedFrame("a header that is not UTF-8") from error


def _headers(properties: bytes, errors: str) -> Headers:
    (flags,) = _FLAGS.unpack_from(properties)
    at = _FLAGS.size
    headers: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []
    for type_, name in _present(flags):
        if type_ == "shortstr":
            start = at + 1
            at = start + properties[at]
            value = _text(properties[start:at], errors)
        elif type_ == "table":
            at = _read_table(properties, at, headers, errors)
            continue
        elif type_ == "timestamp":
            (seconds,) = _TIMESTAMP.unpack_from(properties, at)
            value = str(seconds)
            at += _TIMESTAMP.size
        else:
            number = properties[at]
            at += 1
            persistent = type_ == "delivery mode" and number == _PERSISTENT
            value = "true" if persistent else str(number)
        if name:
            found.append((name, _shown(name, value)))
    if at != len(properties):
        raise MalformedFrame("properties of the wrong length")
    found.reverse()
    headers += found
    return tuple(headers)


@lru_cache(maxsize=256)
def _present(flags: int) -> tuple[tuple[str, str], ...]:
    """Type and header of each property that a message has."""
    if flags & _MORE_FLAGS:
        raise MalformedFrame("unknown properties")
    return tuple((type_, name) for flag, type_, name in _PROPERTIES if flags & flag)


def _read_table(data: bytes, at: int, headers: list[tuple[str, str]], errors: str) -> int:
    """Read a header table that begins at ``at``; returns where it ends."""
    (size,) = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    end: int = at + size
    while at < end:
        start = at + 1
        at = start + data[at]
        name, kind = data[start:at], data[at]
        at += 1
        if kind == _STRING:
            (length,) = _LENGTH.unpack_from(data, at)
            start = at + _LENGTH.size
            at = start + length
            value = _text(data[start:at], errors)
        elif kind == _SIGNED_INT:
            (signed,) = _INT.unpack_from(data, at)
            value = str(signed)
            at += _INT.size
        elif kind == _SIGNED_LONG:
            (signed,) = _LONG.unpack_from(data, at)
            value = str(signed)
            at += _LONG.size
        else:
            at = _after(kind, data, at)
            continue
        if not name:
            raise MalformedFrame("a header without a name")
        header = _text(name, errors)
        headers.append((header, _shown(header, value)))
    if at != end:
        raise MalformedFrame("a header table of the wrong length")
    return end


def _text(data: bytes, errors: str) -> str:
    text = data.decode(errors=errors)
    if "\0" in text:
        raise MalformedFrame("NUL in a header")
    return text


def _after(kind: int, data: bytes, at: int) -> int:
    """The end of a value that begins at ``at``."""
    if kind in _SIZED:
        (length,) = _LENGTH.unpack_from(data, at)
        return at + _LENGTH.size + int(length)
    size = _SIZES.get(kind)
    if size is None:
        raise MalformedFrame(f"a header of the unknown type {chr(kind)!r}")
    return at + size


def _shown(name: str, value: str) -> str:
    if name == "reply-to" and not value.startswith(_DESTINATIONS):
        return _REPLY_QUEUE + value
    return value
