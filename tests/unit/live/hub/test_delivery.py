"""The same bytes whichever way a message took, and foreign ones as their producer made them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol import amqp_deliveries
from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import Frame, unescape
from broker.protocol.websocket import Opcode
from broker.topology import Audience, Stream
from gateway.live.hub.delivery import (
    Claim,
    Delivery,
    from_broker,
    from_history,
    head,
    number_of,
    sent_at,
)
from tests.unit.live.fakes import (
    DESTINATION,
    STREAM,
    brought,
    foreign,
    frames_in,
    message,
    published,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def read(delivery: Delivery, id: str = "s") -> Frame:
    (frame,) = frames_in(delivery.frame(head(id)))
    return frame


@given(json_values, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_feed_and_history_give_the_same_bytes(body: Any, id: str) -> None:
    each = message(7, body)
    live, kept = (
        from_broker(published(each), STREAM, 7, DESTINATION),
        from_history(each, DESTINATION),
    )
    assert live == kept
    assert live.frame(head(id)) == kept.frame(head(id))
    frame = read(live, id)
    assert frame.get("subscription") == id
    assert frame.body == each.encode()


@given(st.integers(1, 10**18 - 1), json_values)
def test_a_message_of_the_pipeline_claims_the_number_that_it_has(seq: int, body: Any) -> None:
    copy = brought(replace(message(7, body), seq=seq))
    assert Claim(STREAM).seq(copy) == seq
    frame = Frame("MESSAGE", stomp_headers(copy.properties), copy.body)
    assert number_of(frame, STREAM) == seq


@pytest.mark.parametrize(
    "change",
    [
        lambda copy: copy._replace(body=copy.body.replace(b'"seq":7', b'"seq":8')),
        lambda copy: copy._replace(body=copy.body.replace(b'"seq":7', b'"seq":07')),
        lambda copy: copy._replace(body=copy.body.replace(b'"seq":7', b'"seq":' + b"7" * 300)),
        lambda copy: copy._replace(body=copy.body.replace(b'"room":42', b'"room":43')),
        lambda copy: copy._replace(body=copy.body.replace(b'{"id"', b'{"ID"')),
        lambda copy: copy._replace(body=b"7"),
        lambda copy: copy._replace(properties=copy.properties.replace(b"\x03seqS", b"\x03seQS")),
        lambda copy: copy._replace(properties=brought(replace(message(7), seq=77)).properties),
        lambda copy: copy._replace(properties=b""),
    ],
)
def test_what_does_not_say_twice_which_message_it_is_claims_nothing(
    change: Callable[[amqp_deliveries.Delivery], amqp_deliveries.Delivery],
) -> None:
    copy = brought(message(7))
    assert Claim(STREAM).seq(copy) == 7
    assert Claim(STREAM).seq(change(copy)) is None
    assert Claim(Stream(Audience.PRIVATE, 42)).seq(copy) is None


def test_a_room_s_message_has_the_headers_of_the_contract_and_none_of_the_feed_s() -> None:
    frame = read(from_broker(published(message(7)), STREAM, 7, DESTINATION))
    assert frame.headers == (
        ("subscription", "s"),
        ("destination", DESTINATION),
        ("message-id", str(message(7).id)),
        ("content-type", "application/json"),
        ("seq", "7"),
        ("room", "42"),
        ("audience", "public"),
        ("sender", "kim"),
        ("content-length", str(len(frame.body))),
    )


def test_headers_are_escaped_so_that_none_can_be_smuggled_in() -> None:
    evil = "a:b\\c\nseq:9\r"
    delivery = from_broker(foreign(b"x", ("evil\n", evil)), STREAM, None, DESTINATION)
    assert b"\nseq:9" not in delivery.tail
    frame = read(delivery, evil)
    assert frame.get("subscription") == evil
    assert frame.get("evil\n") == evil
    assert unescape(head(evil).decode().split(":", 1)[1].rstrip("\n")) == evil


def test_a_foreign_message_keeps_its_headers_but_not_what_is_said_of_the_feed_s_subscription() -> (
    None
):
    frame = read(
        from_broker(
            Frame(
                "MESSAGE",
                (
                    ("subscription", "17"),
                    ("destination", "/exchange/amq.topic/t.public.42"),
                    ("message-id", "T_17@@session@@1"),
                    ("redelivered", "false"),
                    ("ack", "T_17"),
                    ("content-type", "text/csv"),
                    ("correlation-id", "c"),
                    ("subscription", "forged"),
                    ("content-length", "3"),
                ),
                b"a,b",
            ),
            STREAM,
            None,
            DESTINATION,
        )
    )
    assert frame.headers == (
        ("subscription", "s"),
        ("destination", DESTINATION),
        ("message-id", "T_17@@session@@1"),
        ("content-type", "text/csv"),
        ("correlation-id", "c"),
        ("content-length", "3"),
    )
    assert frame.body == b"a,b"


def test_messages_with_an_id_are_known_by_it() -> None:
    instant = foreign(b"{}", ("amqp-message-id", "the id"))
    assert read(from_broker(instant, STREAM, None, DESTINATION)).get("message-id") == "the id"


@pytest.mark.parametrize(
    ("body", "opcode"),
    [(b"plain", Opcode.TEXT), ("한글".encode(), Opcode.TEXT), (b"\xff\xfe\0", Opcode.BINARY)],
)
def test_bytes_that_are_no_text_go_as_binary_and_arrive_byte_for_byte(
    body: bytes, opcode: Opcode
) -> None:
    delivery = from_broker(foreign(body), STREAM, None, DESTINATION)
    assert delivery.frame(head("s"))[0] & 0x0F == opcode
    assert read(delivery).body == body


@pytest.mark.parametrize(("headers", "instant"), [((), True), ((("persistent", "true"),), False)])
def test_only_what_was_published_persistent_is_kept_for_slow_readers(
    headers: tuple[tuple[str, str], ...], instant: bool
) -> None:
    assert from_broker(foreign(b"x", *headers), STREAM, None, DESTINATION).instant is instant
    assert not from_broker(published(message(1)), STREAM, 1, DESTINATION).instant


@given(json_values, st.text(min_size=1))
def test_the_time_of_acceptance_is_read_whatever_sender_and_body_look_like(
    body: Any, sender: str
) -> None:
    looks = '","sent_at":"1999-01-01T00:00:00Z'
    each = replace(message(7, {"sent_at": looks, "body": body}), sender=sender + looks)
    assert sent_at(from_history(each, DESTINATION)) == each.sent_at.timestamp()


@pytest.mark.parametrize("body", [b'{"sent_at":"soon"}', b'{"sent_at":"', b"{}", b""])
def test_a_body_that_does_not_say_when_it_was_accepted_has_no_time(body: bytes) -> None:
    assert sent_at(Delivery(1, False, Opcode.TEXT, body)) is None


def test_messages_without_a_number_are_not_timed() -> None:
    assert sent_at(replace(from_history(message(1), DESTINATION), seq=None)) is None


FORGED = (
    ("seq", "9" * 60),
    ("room", "42"),
    ("audience", "public"),
    ("sender", "the teacher"),
    ("amqp-message-id", str(message(2).id)),
    ("persistent", "true"),
    ("importance", "guaranteed"),
)


@pytest.mark.parametrize("seq", ["9" * 60, "9" * 5000, "2", "x"])
@pytest.mark.parametrize("body", [b"", b"hello", message(2).encode(), message(2**62).encode()])
def test_another_producer_s_headers_never_look_like_the_gateway_s(seq: str, body: bytes) -> None:
    said = foreign(body, ("seq", seq), *FORGED[1:], ("x", "stays"))
    assert number_of(said, STREAM) is None
    frame = read(from_broker(said, STREAM, None, DESTINATION))
    names = [name for name, _ in frame.headers]
    assert not {"seq", "room", "audience", "sender"} & set(names)
    assert (frame.get("x"), frame.get("importance"), frame.body) == ("stays", "guaranteed", body)


@pytest.mark.parametrize(
    "name", ["seq", "Seq", "SEQ", " seq", "seq\t", "\ufeffseq", "s eq", "ROOM"]
)
def test_nor_do_they_by_another_spelling_that_a_lax_client_could_read(name: str) -> None:
    frame = read(from_broker(foreign(b"x", (name, "7")), STREAM, None, DESTINATION))
    assert frame.get(name) is None


def test_an_instant_message_of_a_member_says_whose_it_is() -> None:
    said = replace(message(7), seq=None)
    came = published(said, instant=True)
    assert number_of(came, STREAM) is None
    frame = read(from_broker(came, STREAM, None, DESTINATION))
    assert (frame.get("room"), frame.get("audience"), frame.get("sender")) == (
        "42",
        "public",
        "kim",
    )
    assert frame.get("seq") is None
    # Not so where the body does not say the same.
    for lie in (("sender", "lee"), ("room", "43"), ("audience", "private")):
        headers = tuple(lie if name == lie[0] else (name, value) for name, value in came.headers)
        frame = read(from_broker(replace(came, headers=headers), STREAM, None, DESTINATION))
        assert not {"room", "audience", "sender"} & {name for name, _ in frame.headers}


@pytest.mark.parametrize(
    "seq",
    ["", "0", "007", "+7", "-7", "7.0", " 7", "７", "٧", "1_0", "9" * 19, "9" * 5000],
)
def test_a_text_that_spells_no_number_of_a_stream_gives_none(seq: str) -> None:
    headers = tuple(
        (name, seq if name == "seq" else value) for name, value in published(message(7)).headers
    )
    assert number_of(replace(published(message(7)), headers=headers), STREAM) is None


@given(json_values, st.text(min_size=1))
def test_every_message_of_ours_is_known_by_how_it_begins(body: Any, sender: str) -> None:
    each = replace(message(7, body), sender=sender)
    assert number_of(published(each), STREAM) == 7
    # Of a header that stands twice the first counts.
    twice = replace(published(each), headers=(*published(each).headers, ("seq", "8")))
    assert number_of(twice, STREAM) == 7
