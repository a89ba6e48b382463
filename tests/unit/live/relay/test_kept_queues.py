"""The subscriptions that another node can be asked for again."""

import pytest

from broker.protocol.stomp import Frame
from gateway.live.relay.kept_queues import Streams, is_kept


def subscribe(**headers: str) -> Frame:
    named = {"destination": "/queue/q", "id": "s", "ack": "client"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Frame("SUBSCRIBE", tuple(named.items()))


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({}, True),
        ({"destination": "/amq/queue/q"}, True),
        ({"ack": "client-individual"}, True),
        ({"durable": "true", "auto_delete": "false", "exclusive": "false"}, True),
        ({"x_queue_type": "quorum", "x_max_length": "10"}, True),
        ({"ack": "auto"}, False),
        ({"ack": "Client"}, False),
        ({"destination": "/topic/q"}, False),
        ({"destination": "q"}, False),
        ({"durable": "false"}, False),
        ({"persistent": "false"}, False),
        ({"auto_delete": "True"}, False),
        ({"exclusive": "true"}, False),
        ({"x_queue_type": "stream"}, False),
        ({"x_stream_offset": "first"}, False),
    ],
)
def test_a_subscription_is_kept_or_not(headers: dict[str, str], *, kept: bool) -> None:
    assert is_kept(subscribe(**headers)) is kept


def test_without_an_acknowledgement_nothing_goes_back() -> None:
    assert not is_kept(Frame("SUBSCRIBE", (("destination", "/queue/q"), ("id", "s"))))
    assert not is_kept(Frame("SUBSCRIBE", (("ack", "client"), ("id", "s"))))


def test_only_consumers_with_a_prefetch_count_can_read_streams_which_one_message_tells() -> None:
    streams = Streams()
    streams.subscribed(b"T_s", subscribe())
    streams.subscribed(b"T_s", subscribe(ack="auto", prefetch_count="1"))
    assert not streams
    streams.subscribed(b"T_s", subscribe(prefetch_count="1"))
    assert streams
    assert not streams.came(b"T_other", b"MESSAGE\nx-stream-offset:1\n\n")
    assert streams
    assert not streams.came(b"T_s", b"MESSAGE\nmessage-id:1\n\n")
    assert not streams
    assert not streams.came(b"T_s", b"MESSAGE\nx-stream-offset:1\n\n")
    assert not streams.found


def test_a_stream_is_found_and_forgotten_with_its_subscription() -> None:
    streams = Streams()
    streams.subscribed(b"T_s", subscribe(prefetch_count="1"))
    assert not streams.came(b"T_s", b"MESSAGE\nx-stream-offset:1\n\n")
    assert streams.found
    streams.unsubscribed(b"T_s")
    assert not streams.found


def test_before_the_first_message_of_a_stream_that_was_asked_for_again_others_may_be_missing() -> (
    None
):
    streams = Streams()
    for name in (b"T_s", b"T_t", b"T_u"):
        streams.subscribed(name, subscribe(prefetch_count="1"))
    streams.unsubscribed(b"T_u")
    streams.moved()
    assert streams.came(b"T_s", b"MESSAGE\nx-stream-offset:1\n\n")
    assert not streams.came(b"T_t", b"MESSAGE\n\n")
    streams.subscribed(b"T_u", subscribe(prefetch_count="1"))
    assert not streams.came(b"T_u", b"MESSAGE\nx-stream-offset:1\n\n")
