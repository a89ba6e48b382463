"""The AMQP 0-9-1 methods of a consumer's connection: a table of their fields, a writer, a reader.
Pure.

Only methods that a feed sends or gets are here; anything else that a node sends is an
:class:`AmqpError`. Section numbers are those of the AMQP 0-9-1 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, TypeAlias

#: The first bytes of a connection (section 4.2.2).
PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"

#: A value of a field table that we write.
TableValue: TypeAlias = "str | int | bool | Mapping[str, TableValue]"
Value: TypeAlias = "str | int | bool | bytes | Mapping[str, TableValue]"


class AmqpError(Exception):
    """The node's bytes are not AMQP, or not what a consumer may get; the text is for people."""


class Kind(IntEnum):
    """The types of frames (section 4.2.3)."""

    METHOD = 1
    HEADER = 2
    BODY = 3
    HEART_BEAT = 8


#: Type, channel, size of the payload; the end octet follows the payload (section 4.2.3).
FRAME: Final = Struct("!BHI")
END: Final = 0xCE
#: Bytes of a frame in addition to its payload.
OVERHEAD: Final = FRAME.size + 1

HEART_BEAT: Final = FRAME.pack(Kind.HEART_BEAT, 0, 0) + bytes((END,))

_NUMBERS: Final = Struct("!HH")
_FIXED: Final[Mapping[str, Struct]] = {
    "octet": Struct("!B"),
    "short": Struct("!H"),
    "long": Struct("!I"),
    "longlong": Struct("!Q"),
}
_LENGTH: Final = _FIXED["long"]


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its name, its class and number, and the names and types of its fields in order.

    Consecutive fields of the type ``bit`` share an octet (section 4.2.5.2). A field whose name
    begins with ``reserved`` means nothing.
    """

    name: str
    numbers: tuple[int, int]
    fields: tuple[tuple[str, str], ...]


def _method(group: int, number: int, name: str, **fields: str) -> Method:
    return Method(name, (group, number), tuple(fields.items()))


CONNECTION_START: Final = _method(
    10,
    10,
    "connection.start",
    version_major="octet",
    version_minor="octet",
    server_properties="table",
    mechanisms="longstr",
    locales="longstr",
)
CONNECTION_START_OK: Final = _method(
    10,
    11,
    "connection.start-ok",
    client_properties="table",
    mechanism="shortstr",
    response="longstr",
    locale="shortstr",
)
_TUNING: Final = {"channel_max": "short", "frame_max": "long", "heartbeat": "short"}
CONNECTION_TUNE: Final = _method(10, 30, "connection.tune", **_TUNING)
CONNECTION_TUNE_OK: Final = _method(10, 31, "connection.tune-ok", **_TUNING)
CONNECTION_OPEN: Final = _method(
    10, 40, "connection.open", virtual_host="shortstr", reserved_1="shortstr", reserved_2="bit"
)
CONNECTION_OPEN_OK: Final = _method(10, 41, "connection.open-ok", reserved_1="shortstr")
_REASON: Final = {
    "reply_code": "short",
    "reply_text": "shortstr",
    "class_id": "short",
    "method_id": "short",
}
CONNECTION_CLOSE: Final = _method(10, 50, "connection.close", **_REASON)
CONNECTION_CLOSE_OK: Final = _method(10, 51, "connection.close-ok")
CHANNEL_OPEN: Final = _method(20, 10, "channel.open", reserved_1="shortstr")
CHANNEL_OPEN_OK: Final = _method(20, 11, "channel.open-ok", reserved_1="longstr")
CHANNEL_FLOW: Final = _method(20, 20, "channel.flow", active="bit")
CHANNEL_FLOW_OK: Final = _method(20, 21, "channel.flow-ok", active="bit")
CHANNEL_CLOSE: Final = _method(20, 40, "channel.close", **_REASON)
CHANNEL_CLOSE_OK: Final = _method(20, 41, "channel.close-ok")
EXCHANGE_DECLARE: Final = _method(
    40,
    10,
    "exchange.declare",
    reserved_1="short",
    exchange="shortstr",
    type="shortstr",
    passive="bit",
    durable="bit",
    auto_delete="bit",
    internal="bit",
    no_wait="bit",
    arguments="table",
)
EXCHANGE_DECLARE_OK: Final = _method(40, 11, "exchange.declare-ok")
EXCHANGE_DELETE: Final = _method(
    40,
    20,
    "exchange.delete",
    reserved_1="short",
    exchange="shortstr",
    if_unused="bit",
    no_wait="bit",
)
EXCHANGE_DELETE_OK: Final = _method(40, 21, "exchange.delete-ok")
#: RabbitMQ's own: a binding between exchanges. https://www.rabbitmq.com/docs/e2e
_EXCHANGE_BINDING: Final = {
    "reserved_1": "short",
    "destination": "shortstr",
    "source": "shortstr",
    "routing_key": "shortstr",
    "no_wait": "bit",
    "arguments": "table",
}
EXCHANGE_BIND: Final = _method(40, 30, "exchange.bind", **_EXCHANGE_BINDING)
EXCHANGE_BIND_OK: Final = _method(40, 31, "exchange.bind-ok")
EXCHANGE_UNBIND: Final = _method(40, 40, "exchange.unbind", **_EXCHANGE_BINDING)
EXCHANGE_UNBIND_OK: Final = _method(40, 51, "exchange.unbind-ok")
QUEUE_DECLARE: Final = _method(
    50,
    10,
    "queue.declare",
    reserved_1="short",
    queue="shortstr",
    passive="bit",
    durable="bit",
    exclusive="bit",
    auto_delete="bit",
    no_wait="bit",
    arguments="table",
)
QUEUE_DECLARE_OK: Final = _method(
    50, 11, "queue.declare-ok", queue="shortstr", message_count="long", consumer_count="long"
)
QUEUE_BIND: Final = _method(
    50,
    20,
    "queue.bind",
    reserved_1="short",
    queue="shortstr",
    exchange="shortstr",
    routing_key="shortstr",
    no_wait="bit",
    arguments="table",
)
QUEUE_BIND_OK: Final = _method(50, 21, "queue.bind-ok")
QUEUE_PURGE: Final = _method(
    50, 30, "queue.purge", reserved_1="short", queue="shortstr", no_wait="bit"
)
QUEUE_PURGE_OK: Final = _method(50, 31, "queue.purge-ok", message_count="long")
QUEUE_DELETE: Final = _method(
    50,
    40,
    "queue.delete",
    reserved_1="short",
    queue="shortstr",
    if_unused="bit",
    if_empty="bit",
    no_wait="bit",
)
QUEUE_DELETE_OK: Final = _method(50, 41, "queue.delete-ok", message_count="long")
BASIC_QOS: Final = _method(
    60, 10, "basic.qos", prefetch_size="long", prefetch_count="short", global_="bit"
)
BASIC_QOS_OK: Final = _method(60, 11, "basic.qos-ok")
BASIC_CONSUME: Final = _method(
    60,
    20,
    "basic.consume",
    reserved_1="short",
    queue="shortstr",
    consumer_tag="shortstr",
    no_local="bit",
    no_ack="bit",
    exclusive="bit",
    no_wait="bit",
    arguments="table",
)
BASIC_CONSUME_OK: Final = _method(60, 21, "basic.consume-ok", consumer_tag="shortstr")
#: RabbitMQ sends it when the queue of a consumer is deleted.
#: https://www.rabbitmq.com/docs/consumer-cancel
BASIC_CANCEL: Final = _method(60, 30, "basic.cancel", consumer_tag="shortstr", no_wait="bit")
BASIC_ACK: Final = _method(60, 80, "basic.ack", delivery_tag="longlong", multiple="bit")

#: The methods that a node sends to a consumer, by class and number. (basic.deliver has a content,
#: and is read in :mod:`broker.protocol.amqp_deliveries`.)
RECEIVED: Final[Mapping[tuple[int, int], Method]] = {
    method.numbers: method
    for method in (
        CONNECTION_START,
        CONNECTION_TUNE,
        CONNECTION_OPEN_OK,
        CONNECTION_CLOSE,
        CONNECTION_CLOSE_OK,
        CHANNEL_OPEN_OK,
        CHANNEL_FLOW_OK,
        CHANNEL_CLOSE,
        EXCHANGE_DECLARE_OK,
        EXCHANGE_DELETE_OK,
        EXCHANGE_BIND_OK,
        EXCHANGE_UNBIND_OK,
        QUEUE_DECLARE_OK,
        QUEUE_BIND_OK,
        QUEUE_PURGE_OK,
        QUEUE_DELETE_OK,
        BASIC_QOS_OK,
        BASIC_CONSUME_OK,
        BASIC_CANCEL,
    )
}


def encode(channel: int, method: Method, **values: Value) -> bytes:
    """The frame of a method. Fields that are not named are zero, empty or false.

    Raises ValueError for a short string of more than 255 bytes, and for an unknown field.
    """
    if unknown := values.keys() - dict(method.fields).keys():
        raise ValueError(f"{method.name} has no field {', '.join(sorted(unknown))}")
    parts = [_NUMBERS.pack(*method.numbers)]
    bits, count = 0, 0
    for name, type_ in method.fields:
        value = values.get(name)
        if type_ == "bit":
            bits |= bool(value) << count
            count += 1
            continue
        if count:
            parts.append(bytes((bits,)))
            bits = count = 0
        parts.append(_field(type_, value))
    if count:
        parts.append(bytes((bits,)))
    payload = b"".join(parts)
    return FRAME.pack(Kind.METHOD, channel, len(payload)) + payload + bytes((END,))


def decode(payload: bytes) -> tuple[Method, dict[str, Value]]:
    """The method that a frame's payload holds, and its fields; tables are left undecoded.

    Raises :class:`AmqpError`.
    """
    try:
        numbers = _NUMBERS.unpack_from(payload)
        method = RECEIVED.get(numbers)
        if method is None:
            raise AmqpError(f"unexpected method {numbers[0]}.{numbers[1]}")
        values, end = _fields(payload, method)
    except (struct.error, IndexError) as error:
        raise AmqpError(f"a method that ends too early: {payload[:50]!r}") from error
    if end != len(payload):
        raise AmqpError(f"{method.name} of {len(payload)} bytes instead of {end}")
    return method, values


def _fields(payload: bytes, method: Method) -> tuple[dict[str, Value], int]:
    values: dict[str, Value] = {}
    at, bit = _NUMBERS.size, 0
    for name, type_ in method.fields:
        if type_ == "bit":
            values[name] = bool(payload[at] >> bit & 1)
            bit += 1
            continue
        # In what a node sends, bits come last.
        values[name], at = _read(type_, payload, at)
    return values, at + (1 if bit else 0)


def _read(type_: str, payload: bytes, at: int) -> tuple[Value, int]:
    if fixed := _FIXED.get(type_):
        return fixed.unpack_from(payload, at)[0], at + fixed.size
    if type_ == "shortstr":
        start, length = at + 1, payload[at]
    else:
        start, length = at + _LENGTH.size, _LENGTH.unpack_from(payload, at)[0]
    end = start + length
    if end > len(payload):
        raise IndexError
    value = payload[start:end]
    return (value if type_ == "table" else value.decode(errors="replace")), end


def _field(type_: str, value: Value | None) -> bytes:
    if fixed := _FIXED.get(type_):
        return fixed.pack(value or 0)
    match type_, value:
        case "shortstr", str() | None:
            return short_string(value or "")
        case "longstr", bytes() | None:
            return _long(value or b"")
        case "table", Mapping() | None:
            return _table(value or {})
    raise TypeError(f"a {type_} cannot be {value!r}")


def short_string(text: str) -> bytes:
    """A short string (section 4.2.5.3). Raises ValueError for one of more than 255 bytes."""
    data = text.encode()
    if len(data) > 255:
        raise ValueError(f"{text[:50]!r}… has {len(data)} bytes; a short string has 255 at most")
    return bytes((len(data),)) + data


def _long(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _table(table: Mapping[str, TableValue]) -> bytes:
    """Section 4.2.5.5, with the letters that RabbitMQ uses: https://www.rabbitmq.com/amqp-0-9-1-errata."""
    return _long(b"".join(short_string(name) + _typed(value) for name, value in table.items()))


def _typed(value: TableValue) -> bytes:
    match value:
        case bool():
            return b"t" + bytes((value,))
        case int():
            return b"l" + value.to_bytes(8, "big", signed=True)
        case str():
            return b"S" + _long(value.encode())
        case _:
            return b"F" + _table(value)
