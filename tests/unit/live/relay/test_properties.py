"""Which headers of a frame must have a form."""

import pytest

from broker.protocol.stomp import Frame
from gateway.errors import BadFrame
from gateway.live.relay.properties import check_send, check_subscribe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expiration", "0"),
        ("expiration", "4294967295"),
        ("priority", "high"),
        ("x-own", "abc"),
    ],
)
def test_frames_that_rabbitmq_accepts_pass(name: str, value: str) -> None:
    check_send(Frame("SEND", (("destination", "/queue/x"), (name, value))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expiration", "abc"),
        ("expiration", ""),
        ("expiration", "1.5"),
        ("expiration", "-1"),
        ("expiration", "4294967296"),
    ],
)
def test_frames_for_which_rabbitmq_would_end_the_session_are_named(name: str, value: str) -> None:
    with pytest.raises(BadFrame, match=name):
        check_send(Frame("SEND", (("destination", "/queue/x"), (name, value))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n" * 255, "v"),
        ("안" * 85, "v"),
        ("correlation-id", "c" * 255),
        ("correlation-id", "안" * 85),
        ("x-own", "c" * 10_000),
        ("destination", "/topic/" + "k" * 255),
        ("destination", "/topic/" + "안" * 85),
        ("destination", "/topic/" + "%2F" * 255),
        ("destination", "/exchange/" + "x" * 255 + "/" + "k" * 255),
        ("destination", "/exchange/" + "x" * 255),
        ("destination", "/queue/" + "q" * 255),
        ("destination", "/queue/" + "%2F" * 255),
        ("destination", "/amq/queue/" + "q" * 255),
        ("destination", "/reply-queue/" + "q" * 255),
        ("destination", "q" * 255),
        ("x-queue-name", "q" * 255),
    ],
)
def test_what_amqp_can_write_passes(name: str, value: str) -> None:
    check_send(Frame("SEND", ((name, value),)))
    check_subscribe(Frame("SUBSCRIBE", ((name, value),)))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("n" * 256, "v", "nnn"),
        ("안" * 86, "v", "안안"),
        ("content-type", "c" * 256, "content-type"),
        ("content-encoding", "c" * 256, "content-encoding"),
        ("correlation-id", "안" * 86, "correlation-id"),
        ("reply-to", "/queue/" + "c" * 256, "reply-to"),
        ("amqp-message-id", "c" * 256, "amqp-message-id"),
        ("type", "c" * 256, "type"),
        ("user-id", "c" * 256, "user-id"),
        ("app-id", "c" * 256, "app-id"),
        ("cluster-id", "c" * 256, "cluster-id"),
        ("x-dead-letter-routing-key", "c" * 256, "x-dead-letter-routing-key"),
        ("destination", "/topic/" + "k" * 256, "destination"),
        ("destination", "/topic/" + "안" * 86, "destination"),
        ("destination", "/topic/" + "%2F" * 256, "destination"),
        # RabbitMQ takes these as they are.
        ("destination", "/topic/" + "%41" * 86, "destination"),
        ("destination", "/topic/" + "%2f" * 86, "destination"),
        ("destination", "/exchange/x/" + "k" * 256, "destination: a routing key"),
        ("destination", "/exchange/" + "x" * 256 + "/k", "destination: an exchange's name"),
        ("destination", "/exchange/" + "x" * 256, "destination: an exchange's name"),
    ],
)
def test_what_would_break_off_every_feed_is_named(name: str, value: str, named: str) -> None:
    with pytest.raises(BadFrame, match=named) as caught:
        check_send(Frame("SEND", ((name, value),)))
    assert "255 bytes" in str(caught.value)
    assert len(str(caught.value)) < 150


def test_a_long_value_is_shown_by_its_beginning_only() -> None:
    with pytest.raises(BadFrame) as caught:
        check_send(Frame("SEND", (("expiration", "9" * 1000),)))
    assert len(str(caught.value)) < 150


def test_the_first_of_a_repeated_header_counts() -> None:
    check_send(Frame("SEND", (("expiration", "1"), ("expiration", "abc"))))


@pytest.mark.parametrize("value", ["0", "10", "-1", "+5", " 7 ", "70000"])
def test_a_prefetch_that_rabbitmq_reads_passes(value: str) -> None:
    check_subscribe(Frame("SUBSCRIBE", (("destination", "/queue/x"), ("prefetch-count", value))))


def test_without_a_prefetch_there_is_nothing_to_check() -> None:
    check_subscribe(Frame("SUBSCRIBE", (("destination", "/queue/x"),)))


@pytest.mark.parametrize(
    "name", ["x-dead-letter-exchange", "x-dead-letter-routing-key", "x-queue-name"]
)
def test_a_queue_gives_no_message_what_amqp_cannot_write(name: str) -> None:
    for check in (check_send, check_subscribe):
        check(Frame("SUBSCRIBE", ((name, "c" * 255),)))
        with pytest.raises(BadFrame, match=f"{name}: has at most 255 bytes"):
            check(Frame("SUBSCRIBE", ((name, "c" * 256),)))


@pytest.mark.parametrize(
    "destination",
    [
        "/queue/" + "q" * 256,
        "/queue/" + "안" * 86,
        "/queue/" + "%2F" * 256,
        # RabbitMQ refuses the second slash, or takes it as it is: in either case the name is long.
        "/queue/" + "q" * 200 + "/" + "q" * 55,
        "/amq/queue/" + "q" * 256,
        "/reply-queue/" + "q" * 256,
        "q" * 256,
        "/exchange/" + "x" * 256,
        "/exchange/x/" + "k" * 256,
        "/topic/" + "k" * 256,
    ],
)
def test_a_name_that_is_too_long_for_amqp_is_refused_in_every_destination(
    destination: str,
) -> None:
    for check in (check_send, check_subscribe):
        with pytest.raises(BadFrame, match=r"^destination: .* has at most 255 bytes$") as caught:
            check(Frame("SEND", (("destination", destination),)))
        assert len(str(caught.value)) < 150


@pytest.mark.parametrize("value", ["abc", "", "1.5", "1 0", "--1", "9" * 40, "٣"])
def test_a_prefetch_for_which_rabbitmq_would_end_the_session_is_named(value: str) -> None:
    with pytest.raises(BadFrame, match="prefetch-count") as caught:
        check_subscribe(Frame("SUBSCRIBE", (("prefetch-count", value),)))
    assert len(str(caught.value)) < 150
