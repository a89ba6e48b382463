"""WebSocket frames of clients: the same in any pieces, and the same as wsproto reads them."""

from typing import Any

from wsproto.frame_protocol import FrameProtocol, ParseFailed
from wsproto.frame_protocol import Opcode as TheirOpcode

from broker.protocol.websocket import (
    Close,
    CloseCode,
    Data,
    MessageReader,
    Ping,
    Pong,
    WebSocketProtocolError,
)
from fuzz_suite.cuts import outcome, pieces, same

_FRAME_BYTES = 300
_LONGEST_HEAD = bytes(14)

SEEDS = (
    b"\x02\x03\x04\x81\x85abcd\x09\x07\x0f\x08\x0e\x89\x80abcd",
    b"\0\x01\x81abcd\0\x80\x81abcd\0\x88\x82abcd\x62\x8a",
    b"\x01\x02\x82\xfe\x00\x7eabcd" + bytes(126),
)


def check(data: bytes) -> None:
    """No error but a `WebSocketProtocolError`; pieces change nothing; wsproto agrees."""
    whole, cut = pieces(data)
    reader = _reader()
    events, error = outcome(reader.feed, [whole], WebSocketProtocolError)
    in_pieces, error_in_pieces = outcome(_reader().feed, cut, WebSocketProtocolError)
    assert events == in_pieces
    assert same(error, error_in_pieces)
    if error is not None and error.close_code == CloseCode.TOO_LARGE:
        # wsproto has no limit.
        return
    theirs, they_failed = _read_by_wsproto(whole)
    assert _messages(events) == theirs
    if any(isinstance(event, Close) for event in events):
        # What follows is ignored by us.
        return
    if error is None:
        # It refuses a fragment out of order by its head, we when it has come as a whole.
        assert not they_failed or not reader.idle
    else:
        # We refuse a wrong byte at once, it when the head has come as a whole.
        assert they_failed or _read_by_wsproto(whole + _LONGEST_HEAD)[1]


def _reader() -> MessageReader:
    return MessageReader(_FRAME_BYTES, masked=True)


def _messages(events: list[Data | Ping | Pong | Close]) -> list[tuple[str, bytes]]:
    """Whole messages and control frames, up to a Close."""
    found: list[tuple[str, bytes]] = []
    part = b""
    for event in events:
        match event:
            case Data(payload, _, fin):
                part += payload
                if fin:
                    found.append(("message", part))
                    part = b""
            case Ping(payload):
                found.append(("ping", payload))
            case Pong(payload):
                found.append(("pong", payload))
    return found


def _read_by_wsproto(data: bytes) -> tuple[list[tuple[str, bytes]], bool]:
    """Whole messages and control frames, up to a Close; and whether it refuses what follows."""
    protocol = FrameProtocol(client=False, extensions=[])
    found: list[tuple[str, bytes]] = []
    part = b""
    try:
        protocol.receive_bytes(data)
        for frame in protocol.received_frames():
            match frame.opcode:
                case TheirOpcode.CLOSE:
                    return found, False
                case TheirOpcode.PING | TheirOpcode.PONG:
                    found.append((frame.opcode.name.lower(), _bytes(frame.payload)))
                case _:
                    # Of a frame it gives out what has come.
                    part += _bytes(frame.payload)
                    if frame.message_finished:
                        found.append(("message", part))
                        part = b""
    except ParseFailed:
        return found, True
    return found, False


def _bytes(payload: Any) -> bytes:
    return payload.encode() if isinstance(payload, str) else bytes(payload)
