"""A delivery as a MESSAGE frame, byte for byte as RabbitMQ's STOMP plugin writes it."""

from typing import Any

import pytest
from pamqp import commands
from pamqp.header import ContentHeader

from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import MalformedFrame
from broker.protocol.stomp_message import message


def delivery(
    body: bytes = b"", exchange: str = "amq.topic", key: str = "a.b", **properties: Any
) -> Delivery:
    envelope = commands.Basic.Deliver("consumer", 7, False, exchange, key).marshal()
    header = ContentHeader(0, len(body), commands.Basic.Properties(**properties)).marshal()
    return Delivery(key, 7, header[12:], body, 3, envelope)


def test_the_headers_stand_in_rabbitmqs_order() -> None:
    given = delivery(
        b"ab\0c",
        content_type="text/plain",
        headers={"x": "1", "y": "a:b\n"},
        delivery_mode=2,
        priority=4,
        correlation_id="c",
        reply_to="amq.gen-1",
        expiration="1000",
        message_id="m",
    )
    assert message(given, id="T_1@@s@@1") == (
        b"destination:/topic/a.b\n"
        b"message-id:T_1@@s@@1\n"
        b"redelivered:false\n"
        b"x:1\n"
        b"y:a\\cb\\n\n"
        b"amqp-message-id:m\n"
        b"expiration:1000\n"
        b"reply-to:/reply-queue/amq.gen-1\n"
        b"correlation-id:c\n"
        b"priority:4\n"
        b"persistent:true\n"
        b"content-type:text/plain\n"
        b"content-length:4\n"
        b"\n"
        b"ab\0c\0"
    )


def test_an_empty_body_has_no_length() -> None:
    assert message(delivery(), id="1").endswith(b"redelivered:false\n\n\0")


def test_the_length_that_a_sender_said_is_in_the_place_of_ours_no_more() -> None:
    """RabbitMQ passes on the content-length of a SEND as a header of the sender's own."""
    headers = {"content-length": "9", "x": "1"}
    assert message(delivery(b"ab", headers=headers), id="1").endswith(
        b"redelivered:false\nx:1\ncontent-length:2\n\nab\0"
    )
    assert message(delivery(headers=headers), id="1").endswith(b"redelivered:false\nx:1\n\n\0")


@pytest.mark.parametrize(
    ("exchange", "key", "destination"),
    [
        ("amq.topic", "a.b", b"/topic/a.b"),
        ("amq.topic", "a/b %학", b"/topic/a%2Fb %25%ED%95%99"),
        ("amq.topic", "a:b\n", b"/topic/a\\cb%0A"),
        ("", "q", b"/queue/q"),
        ("x/y", "", b"/exchange/x%2Fy"),
        ("amq.topic", "", b"/topic/"),
        ("amq.direct", "k", b"/exchange/amq.direct/k"),
    ],
)
def test_the_destination_is_the_one_that_it_was_published_to(
    exchange: str, key: str, destination: bytes
) -> None:
    frame = message(delivery(exchange=exchange, key=key), id="1")
    assert frame.startswith(b"destination:" + destination + b"\n")


def test_a_header_that_is_not_utf_8_is_passed_on() -> None:
    given = delivery(headers={"x": "?"})
    given = given._replace(properties=given.properties.replace(b"?", b"\xff"))
    assert b"\nx:\xff\n" in message(given, id="1")


def test_a_nul_in_a_header_fits_into_no_frame() -> None:
    with pytest.raises(MalformedFrame):
        message(delivery(headers={"x": "a\0b"}), id="1")
