"""Publications as frames: pamqp reads what we write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from broker.protocol.amqp import OVERHEAD
from broker.publishing.publication import Publication

PUBLICATION = Publication("a.b.42", b"{}", "an id", {"seq": "1", "sender": "한나"})


def read(frames: bytes) -> list[tuple[int, Any]]:
    """Each frame with its channel."""
    found = []
    while frames:
        consumed, channel, value = frame.unmarshal(frames)
        found.append((channel, value))
        frames = frames[consumed:]
    return found


def test_a_publication_is_mandatory_and_has_the_properties_that_consumers_rely_on() -> None:
    (_, method), (_, head), (_, content) = read(PUBLICATION.frames(7, frame_max=4096))
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory, method.immediate) == (
        "amq.topic",
        "a.b.42",
        True,
        False,
    )
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == 2
    assert {name: value for name, value in head.properties if value} == {
        "content_type": "application/json",
        "headers": {"seq": "1", "sender": "한나"},
        "delivery_mode": 2,
        "message_id": "an id",
    }
    assert isinstance(content, body.ContentBody)
    assert content.value == b"{}"


def test_messages_that_are_not_persistent_may_expire() -> None:
    passing = Publication("k", b"", "m", persistent=False, expiration_ms=5000)
    (_, _), (_, head) = read(passing.frames(1, frame_max=4096))
    assert isinstance(head, header.ContentHeader)
    properties = head.properties
    assert (properties.delivery_mode, properties.expiration, properties.message_id) == (
        1,
        "5000",
        "m",
    )


@given(content=st.binary(max_size=600), most=st.integers(min_value=50, max_value=150))
def test_a_body_is_cut_into_frames_that_the_node_takes(content: bytes, most: int) -> None:
    made = Publication("k", content, "m").frames(3, frame_max=most)
    (_, _), (_, head), *parts = read(made)
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == len(content)
    assert b"".join(part.value for _, part in parts) == content
    assert all(len(part.value) <= most - 8 for _, part in parts)
    assert {channel for channel, _ in read(made)} == {3}


def test_headers_that_fit_into_no_frame_are_refused() -> None:
    """RabbitMQ would end the connection for them."""
    long = Publication("k", b"", "m", headers={"sender": "s" * 4096})
    with pytest.raises(ValueError, match=r"the headers have .* bytes; a frame has 4088 at most"):
        long.frames(1, frame_max=4096)
    assert long.frames(1, frame_max=8192)


def test_a_routing_key_longer_than_amqp_can_say_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        Publication("k" * 256, b"", "m").frames(1, frame_max=4096)


def payloads(frames: bytes) -> list[bytes]:
    """Those of the frames; each has 7 bytes before and one behind it."""
    found = []
    while frames:
        size = int.from_bytes(frames[3:7])
        found.append(frames[7 : 7 + size])
        frames = frames[7 + size + 1 :]
    return found


def test_bits_that_the_specification_reserves_are_zero() -> None:
    method, head, _ = payloads(PUBLICATION.frames(1, frame_max=4096))
    assert method[:6] == b"\x00\x3c\x00\x28\x00\x00", "class, method, ticket"
    assert head[:4] == b"\x00\x3c\x00\x00", "class, weight"


def test_headers_may_fill_a_frame_to_its_last_byte() -> None:
    _, head, _ = payloads(PUBLICATION.frames(1, frame_max=4096))
    whole = len(head) + OVERHEAD
    assert payloads(PUBLICATION.frames(1, frame_max=whole))[1] == head
    with pytest.raises(ValueError, match=f"the headers have {len(head)} bytes"):
        PUBLICATION.frames(1, frame_max=whole - 1)


def test_a_name_has_255_bytes_at_most_and_a_longer_one_is_told_by_its_beginning() -> None:
    (_, method), *_ = read(Publication("k" * 255, b"", "m").frames(1, frame_max=4096))
    assert method.routing_key == "k" * 255
    with pytest.raises(ValueError, match=f"^'{'k' * 50}'… has 256 bytes"):
        Publication("k" * 256, b"", "m").frames(1, frame_max=4096)
