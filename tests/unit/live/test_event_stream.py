"""Server-sent events as bytes: any parser of the standard's reads what was said."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.event_stream import COMMENT, Framing, event
from tests.event_stream_parser import Event, parse


def test_an_event_has_its_name_id_and_time_to_come_back() -> None:
    said = event(b'{"seq":7}', name="joined", id=7, retry=2000)
    assert said == b'retry: 2000\nid: 7\nevent: joined\ndata: {"seq":7}\n\n'
    assert list(parse(said)) == [Event("joined", '{"seq":7}', id="7", retry=2000)]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")))
def test_whatever_is_said_in_lines_is_read_in_the_same_lines(text: str) -> None:
    (read,) = parse(event(text.encode()))
    assert read.data == text


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_no_line_end_in_the_data_begins_a_field(end: str) -> None:
    (read,) = parse(event(f"a{end}id: 9{end}{end}b".encode()))
    assert (read.data, read.id) == ("a\nid: 9\n\nb", None)


def test_a_comment_says_nothing() -> None:
    assert list(parse(COMMENT + event(b"x") + COMMENT)) == [Event("message", "x")]


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from([event(b"x"), event(b"a\nb", id=1), COMMENT, event(b"y" * 300)])),
)
def test_frames_end_where_another_may_follow(
    chunked: bool, has_head: bool, events: list[bytes]
) -> None:
    framing = Framing(chunked)
    parts = ([_HEAD] if has_head else []) + [framing.frame(each) for each in events]
    ends = list(framing.ends(b"".join(parts)))
    expected = [0]
    for part in parts:
        expected.append(expected[-1] + len(part))
    assert ends == expected[1:]
    # What is cut in the middle has only the ends that have come.
    whole = b"".join(parts)
    for before, after in pairwise(expected):
        if before or not has_head:
            assert list(framing.ends(whole[: after - 1])) == [e for e in ends if e < after]


def test_chunks_are_those_of_http() -> None:
    assert Framing(chunked=True).frame(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert Framing(chunked=True).end == b"0\r\n\r\n"
    assert Framing(chunked=False).frame(b"x") == b"x"
    assert Framing(chunked=False).end == b""
