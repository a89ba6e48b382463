"""Messages out of a byte stream that is cut anywhere; one that is too large is drained."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header
from pamqp.heartbeat import Heartbeat

from broker.protocol import amqp_methods as methods
from broker.protocol.amqp_deliveries import Delivery, DeliveryReader, Event, Received, TooLarge
from broker.protocol.amqp_methods import AmqpError
from broker.protocol.amqp_properties import stomp_headers

FRAME_MAX = 4096
LIMIT = 10_000


def reader() -> DeliveryReader:
    return DeliveryReader(frame_max=FRAME_MAX, message_bytes=LIMIT)


def frames(*values: Any, channel: int = 1) -> bytes:
    return b"".join(frame.marshal(value, channel) for value in values)


def deliver(tag: int = 1, key: str = "a.b") -> commands.Basic.Deliver:
    return commands.Basic.Deliver("consumer", tag, False, "amq.topic", key)


def content(size: int, **properties: Any) -> header.ContentHeader:
    return header.ContentHeader(0, size, commands.Basic.Properties(**properties))


def message(data: bytes, tag: int = 1, key: str = "a.b", **properties: Any) -> bytes:
    """As RabbitMQ writes it."""
    most = FRAME_MAX - methods.OVERHEAD
    pieces = [data[start : start + most] for start in range(0, len(data), most)]
    return frames(
        deliver(tag, key), content(len(data), **properties), *map(body.ContentBody, pieces)
    )


def read(data: bytes, size: int = 1000, by: DeliveryReader | None = None) -> list[Event]:
    by = by or reader()
    found: list[Event] = []
    for start in range(0, len(data), size):
        found += by.feed(data[start : start + size])
    return found


@given(
    st.lists(st.binary(max_size=LIMIT - 100), max_size=4),
    st.integers(1, 9000),
)
def test_messages_come_whole_however_the_stream_is_cut(bodies: list[bytes], size: int) -> None:
    stream = b"".join(
        message(each, tag, "학교.1", message_id=f"id {tag}") + frame.marshal(Heartbeat(), 0)
        for tag, each in enumerate(bodies, 1)
    )
    found = read(stream, size)
    assert [(each.tag, each.routing_key, each.body) for each in found] == [  # type: ignore[union-attr]
        (tag, "학교.1", each) for tag, each in enumerate(bodies, 1)
    ]
    for tag, each in enumerate(found, 1):
        assert isinstance(each, Delivery)
        assert stomp_headers(each.properties) == (("amqp-message-id", f"id {tag}"),)


def test_a_body_of_several_frames_is_joined() -> None:
    body = bytes(range(256)) * 39
    (found,) = read(message(body))
    assert isinstance(found, Delivery)
    assert found.body == body


def test_methods_of_another_channel_may_come_between() -> None:
    first, *rest = (
        frames(deliver(7)),
        frames(commands.Queue.BindOk(), channel=2),
        frames(content(2)),
        frames(commands.Connection.Close(320, "bye", 0, 0), channel=0),
        frames(body.ContentBody(b"hi")),
    )
    found = read(b"".join((first, *rest)))
    assert [each.channel for each in found if isinstance(each, Received)] == [2, 0]
    assert [each.method.name for each in found if isinstance(each, Received)] == [
        "queue.bind-ok",
        "connection.close",
    ]
    (only,) = (each for each in found if isinstance(each, Delivery))
    assert (only.tag, only.body) == (7, b"hi")


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_a_message_that_is_too_large_is_reported_and_costs_no_other(size: int) -> None:
    by = reader()
    found = read(
        message(b"x" * (LIMIT + 1), 1, "large")
        + message(b"", 2, "dressed", headers={f"h{n}": "x" * 1000 for n in range(3)})
        + message(b"x" * (LIMIT - 1000), 3, "both", headers={f"h{n}": "x" * 400 for n in range(3)})
        + message(b"good", 4),
        size,
        by,
    )
    assert [type(each) for each in found] == [TooLarge, Delivery, TooLarge, Delivery]
    assert isinstance(found[0], TooLarge)
    assert (found[0].routing_key, found[0].size) == ("large", LIMIT + 1)
    assert isinstance(found[-1], Delivery)
    assert found[-1].body == b"good"


def test_the_largest_frame_and_the_largest_message_are_taken() -> None:
    most = FRAME_MAX - methods.OVERHEAD
    (found,) = read(frames(deliver(), content(most), body.ContentBody(b"x" * most)))
    assert isinstance(found, Delivery)
    with pytest.raises(AmqpError, match=f"a frame of {FRAME_MAX + 1} bytes, over {FRAME_MAX}"):
        read(frames(deliver(), content(most + 1), body.ContentBody(b"x" * (most + 1))))


def test_headers_may_be_longer_than_a_frame_as_rabbitmq_does_not_cut_them() -> None:
    dressed = message(b"good", headers={"h": "x" * (FRAME_MAX + 1)})
    found = read(dressed + message(b"next", 2), 1000)
    assert [each.body for each in found if isinstance(each, Delivery)] == [b"good", b"next"]
    with pytest.raises(AmqpError, match=f"bytes, over {LIMIT}"):
        read(message(b"bad", headers={"h": "x" * LIMIT}))
    # A content header without properties has 14 bytes.
    assert [type(each) for each in read(message(b"x" * (LIMIT - 14)))] == [Delivery]
    assert [type(each) for each in read(message(b"x" * (LIMIT - 13)))] == [TooLarge]


def test_a_large_message_is_never_held() -> None:
    by = DeliveryReader(frame_max=131_072, message_bytes=LIMIT)
    piece = frames(body.ContentBody(b"x" * 100_000))
    assert list(by.feed(frames(deliver(), content(20_000_000)))) == []
    tracemalloc.start()
    try:
        for _ in range(199):
            assert list(by.feed(piece)) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    (found,) = by.feed(piece)
    assert isinstance(found, TooLarge)
    assert (found.routing_key, found.size) == ("a.b", 20_000_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "over 4096"),
        (b"\x01\0\1\0\0\0\2\0\0X", "does not end with 206"),
        (frames(body.ContentBody(b"x")), "type 3 outside of a message"),
        (frames(content(1)), "type 2 outside of a message"),
        (frames(deliver(), deliver()), "a message in the middle of another"),
        (frames(deliver()) + frames(content(1), channel=2), "type 2 outside of a message"),
        (frames(deliver(), commands.Queue.BindOk()), "a method in the middle of a message"),
        (frames(deliver(), content(1), content(1)), "a second header"),
        (frames(deliver(), body.ContentBody(b"x")), "more body than"),
        (frames(deliver(), content(1), body.ContentBody(b"xx")), "more body than"),
        (
            frames(deliver(), content(1)).replace(b"\0\x3c\0\0\0\0", b"\0\x3d\0\0\0\0"),
            "of class 61",
        ),
        (frames(deliver(key="a")).replace(b"\1a\xce", b"\0a\xce"), "of the wrong length"),
        (b"\x04\0\1\0\0\0\0\xce", "outside of a message"),
        (frames(deliver()) + b"\x04\0\1\0\0\0\0\xce", "unknown type 4"),
        (b"\x01\0\1\0\0\0\4\0\x3c\0\x3c\xce", "ends too early"),
        (b"\x01\0\1\0\0\0\1\0\xce", "ends too early"),
    ],
)
def test_what_is_no_message_ends_the_connection(data: bytes, why: str) -> None:
    with pytest.raises(AmqpError, match=why):
        read(data)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_read_or_an_error(data: bytes, size: int) -> None:
    try:
        read(frames(deliver(), content(3)) + data, size)
    except AmqpError:
        return


@given(st.data())
def test_a_message_with_a_byte_changed_is_read_or_an_error(data: st.DataObject) -> None:
    stream = bytearray(message(b"body", headers={"a": "b", "n": 7}, message_id="m"))
    stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(stream))
    except AmqpError:
        return
