"""STOMP frames of clients: the same in any pieces, and the same when they are written again."""

from broker.protocol.stomp import (
    CLIENT_COMMANDS,
    Frame,
    FrameParser,
    HeartBeat,
    Limits,
    StompError,
    Unrepresentable,
    serialise,
)
from fuzz_suite.cuts import outcome, pieces, same

_LIMITS = Limits(frame_bytes=512, header_bytes=256, header_count=8)

SEEDS = (
    b"\x02\x05\x03CONNECT\naccept-version:1.2\npasscode:a\\cb\n\n\0\n\nSEND\ncontent-length:2\n\n\0\0\0",
    b"\0SUBSCRIBE\r\nid:s\r\ndestination:/topic/a\r\n\r\n\0\r\n",
    b"\x01\x09ACK\nid:1\ncontent-length:0\n\n\0MESSAGE\n\n\0",
)


def check(data: bytes) -> None:
    """No error but a `StompError`; pieces change nothing; a frame is what its bytes say."""
    whole, cut = pieces(data)
    events, error = outcome(_parser().feed, [whole], StompError)
    in_pieces, error_in_pieces = outcome(_parser().feed, cut, StompError)
    assert _without_beats(events) == _without_beats(in_pieces)
    assert same(error, error_in_pieces)
    assert sum(len(frame.raw) for frame in _without_beats(events)) <= len(whole)
    for frame in _without_beats(events):
        repr(frame)
        (again,) = _parser().feed(frame.raw)
        assert again == frame
        _written_again(frame)


def _written_again(frame: Frame) -> None:
    headers = [header for header in frame.headers if header[0] != "content-length"]
    try:
        written = serialise(frame.command, headers, frame.body)
    except Unrepresentable:
        # NUL in the body of a frame whose length does not count cannot have been read either.
        raise AssertionError(f"{frame!r} was read and cannot be written") from None
    (again,) = FrameParser(Limits(), CLIENT_COMMANDS).feed(written)
    assert isinstance(again, Frame)
    kept = [header for header in again.headers if header[0] != "content-length"]
    assert (again.command, kept, again.body) == (frame.command, headers, frame.body)


def _parser() -> FrameParser:
    return FrameParser(_LIMITS, CLIENT_COMMANDS)


def _without_beats(events: list[Frame | HeartBeat]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]
