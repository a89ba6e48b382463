"""WebSocket frames of RabbitMQ: two readers, which must find the same frames."""

from broker.protocol.websocket import Data, MessageReader, WebSocketProtocolError, build, walk
from fuzz_suite.cuts import outcome, pieces, same

_FRAME_BYTES = 300

SEEDS = (
    b"\x01\x03" + build(1, b"MESSAGE\n\n\0") + build(9, b"p") + build(2, bytes(200)),
    b"\0" + build(1, b"a", fin=False) + build(0, b"b"),
)


def check(data: bytes) -> None:
    """Pieces change nothing, and what is walked over can be passed on as it is."""
    whole, cut = pieces(data)
    events, error = outcome(_reader().feed, [whole], WebSocketProtocolError)
    in_pieces, error_in_pieces = outcome(_reader().feed, cut, WebSocketProtocolError)
    assert events == in_pieces
    assert same(error, error_in_pieces)
    end, frames = 0, []
    try:
        for opcode, fin, begin, end in walk(whole, frame_bytes=_FRAME_BYTES):
            frames.append((opcode, fin, whole[begin:end]))
    except WebSocketProtocolError:
        assert error is not None or any(opcode == 8 for opcode, _, _ in frames)
    assert 0 <= end <= len(whole)
    assert b"".join(build(opcode, text, fin=fin) for opcode, fin, text in frames) == whole[:end]
    read = [event.payload for event in events if isinstance(event, Data)]
    walked = [text for opcode, _, text in frames if opcode < 8]  # control frames
    assert read == walked[: len(read)]


def _reader() -> MessageReader:
    return MessageReader(_FRAME_BYTES, masked=False)
