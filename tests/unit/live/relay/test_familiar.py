"""The kinds of SENDs that RabbitMQ has taken."""

import pytest

from broker.protocol.stomp import Frame
from gateway.live.relay.familiar import MOST, Familiar, kind


def send(*headers: tuple[str, str], body: bytes = b"") -> Frame:
    return Frame("SEND", (("destination", "/queue/a"), *headers), body)


def test_what_no_value_of_decides_is_of_one_kind() -> None:
    first = kind(send(("receipt", "1"), ("order", "7"), body=b"x"))
    assert first is not None
    assert kind(send(("order", "8"), ("receipt", "2"), body=b"longer")) == first


@pytest.mark.parametrize(
    "name", ["expiration", "user-id", "priority", "persistent", "timestamp", "reply-to"]
)
def test_what_rabbitmq_reads_the_value_of_makes_another_kind(name: str) -> None:
    assert kind(send((name, "1"))) != kind(send((name, "2")))
    assert kind(send((name, "1"))) != kind(send())


def test_another_destination_or_header_makes_another_kind() -> None:
    assert kind(Frame("SEND", (("destination", "/queue/b"),))) != kind(send())
    assert kind(send(("x", ""))) != kind(send())


def test_some_are_like_no_other() -> None:
    assert kind(send(("transaction", "t"))) is None
    assert kind(send(("x", "a" * 255))) is not None
    assert kind(send(("x", "a" * 256))) is None
    assert kind(send(("x", "\uac00" * 86))) is None
    assert kind(send(body=bytes(1_048_576))) is not None
    assert kind(send(body=bytes(1_048_577))) is None


def test_the_oldest_kinds_are_forgotten() -> None:
    familiar = Familiar()
    kinds = [frozenset({("destination", str(number))}) for number in range(MOST + 1)]
    for each in kinds:
        familiar.learn(each)
    assert kinds[0] not in familiar
    assert all(each in familiar for each in kinds[1:])
    assert None not in familiar
