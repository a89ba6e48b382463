"""A frame that is larger than may be held is read past, however it is cut."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.protocol.websocket import Opcode, build
from gateway.live.relay.oversized import HEAD_BYTES, Oversized, frame_bytes, needed, replacement

_HEADERS = [("subscription", "s"), ("message-id", "T_s@@x@@1"), ("x", "ü")]
_FRAME = build(Opcode.TEXT, serialise("MESSAGE", _HEADERS, b"b" * 200_000) + b"\n")


@given(st.lists(st.integers(min_value=10, max_value=len(_FRAME) + 5), max_size=5).map(sorted))
def test_however_it_is_cut_the_rest_is_what_is_behind(cuts: list[int]) -> None:
    data = _FRAME + b"REST!"
    bounds = [0, *cuts, len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds) if a < b]
    oversized = Oversized(pieces[0])
    rest = oversized.rest
    for piece in pieces[1:]:
        rest += piece if oversized.over else oversized.take(piece)
    assert oversized.over
    assert rest == b"REST!"
    assert len(oversized.head) == HEAD_BYTES
    found = oversized.frame()
    assert found is not None
    assert (found.command, list(found.headers), found.body) == ("MESSAGE", _HEADERS, b"")


def test_bytes_that_are_no_stomp_frame_give_none() -> None:
    for payload in (
        b"x" * 70_000,
        b"NONSENSE\n\n" + b"x" * 70_000,
        b"MESSAGE\na:" + b"x" * 70_000,
    ):
        assert Oversized(build(Opcode.BINARY, payload)).frame() is None


def test_a_header_says_how_many_bytes_follow() -> None:
    for size in (0, 125, 126, 65_535, 65_536):
        frame = build(Opcode.TEXT, b"x" * size)
        start, found = frame_bytes(frame)
        assert (start + found, found) == (len(frame), size)
        assert needed(frame[:start]) == len(frame)
        assert needed(frame[: start - 1]) == 0
        assert needed(frame[:1]) == 0
    assert frame_bytes(b"\x82\x7f" + (2**60).to_bytes(8)) == (10, 2**60)


def test_the_message_in_its_place_can_be_acknowledged_and_says_why() -> None:
    original = Frame("MESSAGE", (*_HEADERS, ("content-type", "text/plain"), ("ack", "7")))
    sent = replacement(original, 200_000, limit=131_072, detail="too large to be delivered")
    (frame,) = FrameParser(Limits(), SERVER_COMMANDS).feed(sent)
    assert isinstance(frame, Frame)
    assert frame.command == "MESSAGE"
    kept = tuple(header for header in frame.headers if header[0] != "content-length")
    assert kept == (
        *_HEADERS,
        ("ack", "7"),
        ("content-type", "application/json"),
        ("too-large", "200000"),
    )
    assert json.loads(frame.body) == {
        "type": "too_large",
        "bytes": 200_000,
        "limit": 131_072,
        "detail": "too large to be delivered",
    }
