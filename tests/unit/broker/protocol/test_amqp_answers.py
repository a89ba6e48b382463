"""Answers to publications are taken out of a byte stream that is cut anywhere; all else stays."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header
from pamqp.heartbeat import Heartbeat

from broker.protocol.amqp_answers import Answer, AnswerReader, Confirmed, Returned

FRAME_MAX = 4096
#: Channels whose answers are taken out.
OURS = frozenset({1, 3})


def frames(*values: Any, channel: int = 1) -> bytes:
    return b"".join(frame.marshal(value, channel) for value in values)


def returned(data: bytes = b"body", *, channel: int = 1, **properties: Any) -> bytes:
    """A message that no queue takes, as RabbitMQ gives it back; each byte in a frame of its own."""
    pieces = [body.ContentBody(data[at : at + 1]) for at in range(len(data))]
    content = header.ContentHeader(0, len(data), commands.Basic.Properties(**properties))
    back = commands.Basic.Return(312, "NO_ROUTE", "amq.topic", "a.b")
    return frames(back, content, *pieces, channel=channel)


def read(data: bytes, size: int = 1000) -> tuple[list[Answer], bytes]:
    reader = AnswerReader(OURS, frame_max=FRAME_MAX)
    answers: list[Answer] = []
    left = b""
    for start in range(0, len(data), size):
        more, rest = reader.feed(data[start : start + size])
        answers += more
        left += rest
    return answers, left + reader.rest()


def test_acks_and_nacks_are_told_with_their_channel() -> None:
    data = (
        frames(commands.Basic.Ack(7))
        + frames(commands.Basic.Ack(2**63 - 1, multiple=True), channel=3)
        + frames(commands.Basic.Nack(8, multiple=True, requeue=True))
        + frames(commands.Basic.Nack(9, multiple=False, requeue=True))
    )
    assert read(data) == (
        [
            Confirmed(1, 7, False, True),
            Confirmed(3, 2**63 - 1, True, True),
            Confirmed(1, 8, True, False),
            Confirmed(1, 9, False, False),
        ],
        b"",
    )


@pytest.mark.parametrize("data", [b"", b"x", b"several frames"])
def test_a_message_that_comes_back_is_told_by_its_id_before_its_ack(data: bytes) -> None:
    stream = returned(data, message_id="학교 1", headers={"seq": "1"}) + frames(
        commands.Basic.Ack(1)
    )
    assert read(stream) == ([Returned(1, "학교 1"), Confirmed(1, 1, False, True)], b"")


def test_one_without_an_id_is_nobody_s() -> None:
    assert read(returned()) == ([Returned(1, "")], b"")


def test_two_that_come_back_on_two_channels_may_be_mixed() -> None:
    one, other = returned(b"a", message_id="1"), returned(b"b", channel=3, message_id="2")
    ends = [at for at in range(1, len(one) + 1) if one[at - 1 : at] == b"\xce"]
    method = ends[0]
    stream = one[:method] + other[:method] + one[method:] + other[method:]
    assert read(stream) == ([Returned(1, "1"), Returned(3, "2")], b"")


def others() -> st.SearchStrategy[bytes]:
    """Frames for somebody else."""
    return st.one_of(
        st.just(frame.marshal(Heartbeat(), 0)),
        st.just(frames(commands.Basic.Ack(5), channel=2)),
        st.just(returned(channel=2, message_id="x")),
        st.just(frames(commands.Channel.CloseOk())),
        st.just(frames(commands.Connection.Blocked("memory"), channel=0)),
    )


def ours() -> st.SearchStrategy[tuple[bytes, Answer]]:
    confirms = st.builds(
        lambda tag, many, channel: (
            frames(commands.Basic.Ack(tag, many), channel=channel),
            Confirmed(channel, tag, many, True),
        ),
        st.integers(1, 2**40),
        st.booleans(),
        st.sampled_from(sorted(OURS)),
    )
    back = st.builds(
        lambda data, id: (returned(data, message_id=id), Returned(1, id)),
        st.binary(max_size=3),
        st.sampled_from(["a", "b"]),
    )
    return confirms | back


@given(st.lists(others() | ours(), max_size=12), st.integers(1, 200))
def test_the_rest_is_left_as_it_came_however_the_stream_is_cut(
    stream: list[bytes | tuple[bytes, Answer]], size: int
) -> None:
    data = b"".join(each if isinstance(each, bytes) else each[0] for each in stream)
    assert read(data, size) == (
        [each[1] for each in stream if not isinstance(each, bytes)],
        b"".join(each for each in stream if isinstance(each, bytes)),
    )


def test_the_beginning_of_a_frame_is_kept_until_it_is_whole_or_the_connection_ends() -> None:
    reader = AnswerReader(OURS, frame_max=FRAME_MAX)
    whole, ack = frame.marshal(Heartbeat(), 0), frames(commands.Basic.Ack(1))
    assert reader.feed(whole + ack[:9]) == ([], whole)
    assert reader.feed(ack[9:] + whole[:3]) == ([Confirmed(1, 1, False, True)], b"")
    assert (reader.rest(), reader.rest()) == (whole[:3], b"")


_ACK = frames(commands.Basic.Ack(1))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"AMQP\0\0\x09\x01",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x01\0\x01" + (FRAME_MAX + 1).to_bytes(4) + bytes(20),
        frame.marshal(Heartbeat(), 0)[:-1] + b"\xcd",
        # A method without a number.
        b"\x01\0\x01\0\0\0\x02\0\x3c\xce",
    ],
)
def test_behind_what_is_no_amqp_everything_is_left(nonsense: bytes) -> None:
    assert read(_ACK + nonsense + _ACK) == ([Confirmed(1, 1, False, True)], nonsense + _ACK)


def test_no_answer_counts_once_it_is_not_known_which_message_came_back() -> None:
    back = frames(commands.Basic.Return(312, "NO_ROUTE", "amq.topic", "a.b"))
    header_of_none = b"\x02\0\x01\0\0\0\x0e\0\x3c\0\0" + bytes(8) + b"\xff\xff\xce"
    assert read(back + header_of_none + _ACK) == ([], header_of_none + _ACK)


def test_behind_the_end_of_a_channel_nothing_is_an_answer_until_its_number_is_opened_again() -> (
    None
):
    end = frames(commands.Channel.Close(406, "no", 0, 0))
    back = frames(commands.Basic.Return(312, "NO_ROUTE", "amq.topic", "a.b"))
    opened, elsewhere = frames(commands.Channel.OpenOk()), frames(commands.Basic.Ack(2), channel=3)
    late = returned(message_id="late")[len(back) :] + _ACK + back
    assert read(back + end + late + elsewhere + opened + _ACK) == (
        [Confirmed(3, 2, False, True), Confirmed(1, 1, False, True)],
        end + late + opened,
    )


def test_a_channel_may_be_opened_again_while_nobody_waits_on_it() -> None:
    channels = {1}
    reader = AnswerReader(channels, frame_max=FRAME_MAX)
    end, opened = frames(commands.Channel.Close(406, "no", 0, 0)), frames(commands.Channel.OpenOk())
    assert reader.feed(end) == ([], end)
    channels.clear()
    assert reader.feed(opened) == ([], opened)
    channels.add(1)
    assert reader.feed(_ACK) == ([Confirmed(1, 1, False, True)], b"")


def test_a_frame_of_the_largest_size_passes() -> None:
    largest = b"\x03\0\x02" + FRAME_MAX.to_bytes(4) + bytes(FRAME_MAX) + b"\xce"
    assert read(largest + _ACK, size=5000) == ([Confirmed(1, 1, False, True)], largest)
