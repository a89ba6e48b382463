"""The same bytes whichever way a message took, and foreign ones as their producer made them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.stomp import Frame, unescape
from broker.wsframes import Opcode
from gateway.live.delivery import Delivery, from_broker, from_history, head, sent_at
from tests.unit.live.twins import DESTINATION, foreign, frames_in, message, published

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
    live, kept = from_broker(published(each), 7, DESTINATION), from_history(each, DESTINATION)
    assert live == kept
    assert live.frame(head(id)) == kept.frame(head(id))
    frame = read(live, id)
    assert frame.get("subscription") == id
    assert frame.body == each.encode()


def test_a_room_s_message_has_the_headers_of_the_contract_and_none_of_the_feed_s() -> None:
    frame = read(from_broker(published(message(7)), 7, DESTINATION))
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
    delivery = from_broker(foreign(b"x", ("evil\n", evil)), None, DESTINATION)
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


def test_what_has_an_id_is_known_by_it() -> None:
    instant = foreign(b"{}", ("amqp-message-id", "the id"))
    assert read(from_broker(instant, None, DESTINATION)).get("message-id") == "the id"


@pytest.mark.parametrize(
    ("body", "opcode"),
    [(b"plain", Opcode.TEXT), ("한글".encode(), Opcode.TEXT), (b"\xff\xfe\0", Opcode.BINARY)],
)
def test_what_is_no_text_goes_as_binary_and_arrives_byte_for_byte(
    body: bytes, opcode: Opcode
) -> None:
    delivery = from_broker(foreign(body), None, DESTINATION)
    assert delivery.frame(head("s"))[0] & 0x0F == opcode
    assert read(delivery).body == body


@pytest.mark.parametrize(("headers", "instant"), [((), True), ((("persistent", "true"),), False)])
def test_only_what_was_published_persistent_is_kept_for_slow_readers(
    headers: tuple[tuple[str, str], ...], instant: bool
) -> None:
    assert from_broker(foreign(b"x", *headers), None, DESTINATION).instant is instant
    assert not from_broker(published(message(1)), 1, DESTINATION).instant


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


def test_what_has_no_number_is_not_ours_to_time() -> None:
    assert sent_at(replace(from_history(message(1), DESTINATION), seq=None)) is None
