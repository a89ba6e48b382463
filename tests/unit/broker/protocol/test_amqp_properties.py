"""AMQP properties as STOMP headers. ``tests/acceptance/broker/test_feed_headers.py`` compares them
with what RabbitMQ itself makes of them."""

from datetime import UTC, datetime
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, header

from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import Headers, MalformedFrame, serialise


def headers(**properties: Any) -> Headers:
    content = header.ContentHeader(0, 0, commands.Basic.Properties(**properties))
    return stomp_headers(content.marshal()[12:])


def table(entries: bytes) -> bytes:
    return pack("!HI", 1 << 13, len(entries)) + entries


def test_every_property_has_its_header_the_last_one_first() -> None:
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert headers(
        content_type="text/plain",
        content_encoding="gzip",
        headers={"seq": "7", "sender": "한나"},
        delivery_mode=2,
        priority=3,
        correlation_id="c",
        reply_to="/queue/r",
        expiration="1000",
        message_id="m",
        timestamp=at,
        message_type="t",
        user_id="u",
        app_id="a",
    ) == (
        ("sender", "한나"),
        ("seq", "7"),
        ("app-id", "a"),
        ("user-id", "u"),
        ("type", "t"),
        ("timestamp", "1700000000"),
        ("amqp-message-id", "m"),
        ("expiration", "1000"),
        ("reply-to", "/queue/r"),
        ("correlation-id", "c"),
        ("priority", "3"),
        ("persistent", "true"),
        ("content-encoding", "gzip"),
        ("content-type", "text/plain"),
    )


@pytest.mark.parametrize(
    ("properties", "header"),
    [
        ({"content_type": "a"}, ("content-type", "a")),
        ({"content_encoding": "a"}, ("content-encoding", "a")),
        ({"delivery_mode": 2}, ("persistent", "true")),
        ({"priority": 0}, ("priority", "0")),
        ({"correlation_id": "a"}, ("correlation-id", "a")),
        ({"reply_to": "/queue/a"}, ("reply-to", "/queue/a")),
        ({"expiration": "1"}, ("expiration", "1")),
        ({"message_id": "a"}, ("amqp-message-id", "a")),
        ({"timestamp": datetime.fromtimestamp(7, UTC)}, ("timestamp", "7")),
        ({"message_type": "a"}, ("type", "a")),
        ({"user_id": "a"}, ("user-id", "a")),
        ({"app_id": "a"}, ("app-id", "a")),
    ],
)
def test_each_property_has_its_own_header(
    properties: dict[str, Any], header: tuple[str, str]
) -> None:
    assert headers(**properties) == (header,)


def test_a_message_without_properties_has_no_headers() -> None:
    assert stomp_headers(b"\0\0") == ()
    assert stomp_headers(b"\0\4\7cluster") == ()


def test_only_one_delivery_mode_is_persistent() -> None:
    assert headers(delivery_mode=1) == (("persistent", "1"),)
    assert headers(headers={"persistent": "2"}) == (("persistent", "2"),)


@pytest.mark.parametrize("name", ["property", "header"])
@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("amq.gen-7", "/reply-queue/amq.gen-7"),
        ("/queue/q", "/queue/q"),
        ("/temp-queue/q", "/reply-queue//temp-queue/q"),
        ("", "/reply-queue/"),
    ],
)
def test_a_reply_to_that_is_no_destination_is_shown_as_one(name: str, to: str, shown: str) -> None:
    entry = pack("!HB", 1 << 9, len(to)) + to.encode()
    if name == "header":
        entry = table(b"\x08reply-toS" + pack("!I", len(to)) + to.encode())
    assert stomp_headers(entry) == (("reply-to", shown),)


def test_strings_and_signed_numbers_are_passed_on_and_nothing_else() -> None:
    nested = pack("!I", 3) + b"\1kt"
    entries = (
        b"\1SS" + pack("!I", 2) + b"ab",
        b"\1II" + pack("!i", -7),
        b"\1ll" + pack("!q", 1 << 40),
        b"\1tt\1",
        b"\1bb\xff",
        b"\1BB\1",
        b"\1ss\0\1",
        b"\1uu\0\1",
        b"\1ii\0\0\0\1",
        b"\1ff\0\0\0\0",
        b"\1dd" + bytes(8),
        b"\1TT" + bytes(8),
        b"\1DD\0" + bytes(4),
        b"\1VV",
        b"\1xx" + pack("!I", 2) + b"\xff\0",
        b"\1FF" + nested,
        b"\1AA" + nested,
        b"\1zS" + pack("!I", 0),
    )
    assert stomp_headers(table(b"".join(entries))) == (
        ("S", "ab"),
        ("I", "-7"),
        ("l", str(1 << 40)),
        ("z", ""),
    )


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        (b"", "too early"),
        (b"\0", "too early"),
        (b"\0\1", "unknown properties"),
        (b"\x80\0", "too early"),
        (b"\x80\0\5abc", "wrong length"),
        (b"\0\0x", "wrong length"),
        (b"\x80\0\1\xff", "not UTF-8"),
        (b"\x80\0\1\0", "NUL"),
        (table(b"\1aS" + pack("!I", 1) + b"\xff"), "not UTF-8"),
        (table(b"\1aS" + pack("!I", 1) + b"\0"), "NUL"),
        (table(b"\1\0S" + pack("!I", 1) + b"a"), "NUL"),
        (table(b"\1\xffS" + pack("!I", 1) + b"a"), "not UTF-8"),
        (table(b"\0S" + pack("!I", 1) + b"a"), "without a name"),
        (table(b"\1aS" + pack("!I", 9) + b"a"), "wrong length"),
        (table(b"\1a?"), r"unknown type '\?'"),
        (table(b"\1a"), "too early"),
        (b"\x20\0\0\0\0\x09", "too early"),
    ],
)
def test_what_no_stomp_frame_can_hold_is_malformed(properties: bytes, why: str) -> None:
    with pytest.raises(MalformedFrame, match=why):
        stomp_headers(properties)


@given(st.binary(max_size=100))
def test_whatever_a_producer_writes_can_be_said_in_stomp_or_is_malformed(entries: bytes) -> None:
    for properties in (entries, table(entries)):
        try:
            found = stomp_headers(properties)
        except MalformedFrame:
            continue
        serialise("MESSAGE", found)
