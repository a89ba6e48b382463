"""One frame out of each message; a message that holds none is drained and reported."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.stomp import Frame, serialise
from broker.protocol.unframing import MALFORMED, TOO_LARGE, LeftOut, Unframing
from broker.protocol.websocket import Data, Opcode

LIMIT = 1000


def message(body: bytes, *headers: tuple[str, str], id: str = "7") -> bytes:
    """As RabbitMQ writes it."""
    return serialise("MESSAGE", [("subscription", id), *headers], body) + b"\n"


def pieces(data: bytes, size: int = 100) -> list[Data]:
    starts = range(0, len(data), size)
    return [Data(data[n : n + size], Opcode.BINARY, last=n + size >= len(data)) for n in starts]


def read(unframing: Unframing, data: bytes, size: int = 100) -> Frame | LeftOut | None:
    *before, last = pieces(data, size)
    for piece in before:
        assert unframing.feed(piece) is None
    return unframing.feed(last)


@given(st.binary(max_size=300), st.integers(1, 400))
def test_a_frame_comes_whole_however_its_message_is_cut(body: bytes, size: int) -> None:
    unframing = Unframing(LIMIT)
    for _ in range(2):
        found = read(unframing, message(body), size)
        assert isinstance(found, Frame)
        assert (found.body, found.get("subscription")) == (body, "7")


def test_a_heart_beat_is_nothing() -> None:
    unframing = Unframing(LIMIT)
    assert read(unframing, b"\n") is None
    assert isinstance(read(unframing, message(b"x")), Frame)


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (message(b"x" * LIMIT), TOO_LARGE),
        (message(b"", *[(f"h{n}", "x") for n in range(200)]), TOO_LARGE),
        (message(b"", ("evil", "x" * 2 * LIMIT)), TOO_LARGE),
        (b"MESSAGE\nsubscription:7\nevil:\xff\n\nx\0\n", MALFORMED),
        (b"MESSAGE\nsubscription:7\nevil:\0\n\nx\0\n", MALFORMED),
        (b"MESSAGE\nsubscription:7\nno colon\n\nx\0\n", MALFORMED),
        (b"MESSAGE\nsubscription:7\ncontent-length:9\n\nx", MALFORMED),
    ],
)
def test_bytes_that_are_no_frame_are_reported_once_and_the_next_frame_is_read(
    data: bytes, why: str, size: int
) -> None:
    unframing = Unframing(LIMIT)
    found = read(unframing, data, size)
    assert isinstance(found, LeftOut)
    assert (found.subscription, found.why) == ("7", why)
    after = read(unframing, message(b"good"), size)
    assert isinstance(after, Frame)
    assert after.body == b"good"


def test_each_message_that_is_left_out_is_reported_for_its_own_subscription() -> None:
    unframing = Unframing(LIMIT)
    for id in ("7", "8"):
        found = read(unframing, message(b"x" * LIMIT, id=id))
        assert isinstance(found, LeftOut)
        assert found.subscription == id


def test_a_producer_cannot_end_its_message_early_and_go_on_in_another_s_name() -> None:
    other = message(b"forged", id="8")
    smuggled = b"MESSAGE\nsubscription:7\ncontent-length:1\ncontent-length:99\n\nx\0" + other
    found = read(Unframing(LIMIT), smuggled)
    assert isinstance(found, LeftOut)
    assert (found.subscription, found.why) == ("7", MALFORMED)


def test_a_message_that_names_no_subscription_is_none() -> None:
    for data in (b"nonsense\n\n\0", b"\xff\xff\xff", b"ERROR\nmessage:x\ncontent-length:9\n\nx\0"):
        found = read(Unframing(LIMIT), data)
        assert isinstance(found, LeftOut)
        assert found.subscription is None


def test_a_huge_message_is_never_held() -> None:
    unframing = Unframing(64 * 1024)
    chunk = b"x" * 65_536
    head = message(b"y" * 20_000_000)[:200]
    tracemalloc.start()
    try:
        assert unframing.feed(Data(head, Opcode.BINARY, last=False)) is None
        for _ in range(20_000_000 // len(chunk)):
            assert unframing.feed(Data(chunk, Opcode.BINARY, last=False)) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found = unframing.feed(Data(b"\0", Opcode.BINARY))
    assert isinstance(found, LeftOut)
    assert found.why == TOO_LARGE
    assert peak < 1_000_000
