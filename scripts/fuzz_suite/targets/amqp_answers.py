"""Answers to publications: the same in any pieces, and no byte of anything else is lost."""

from broker.protocol.amqp_answers import Answer, AnswerReader
from fuzz_suite.cuts import pieces

_FRAME_MAX = 256
_ACK = b"\0\x3c\0\x50" + (1).to_bytes(8) + b"\1"
_RETURN = b"\0\x3c\0\x32\1\x38\x08NO_ROUTE\x09amq.topic\x03a.b"
_CONTENT = b"\0\x3c\0\0" + (2).to_bytes(8) + b"\0\x80\x02id"


def _frame(kind: int, payload: bytes, channel: int = 1) -> bytes:
    return bytes((kind,)) + channel.to_bytes(2) + len(payload).to_bytes(4) + payload + b"\xce"


SEEDS = (
    b"\x03\x05\x20\x30" + _frame(1, _ACK) + _frame(8, b"", 0) + _frame(1, _ACK),
    b"\x02\x09" + _frame(1, _RETURN) + _frame(2, _CONTENT) + _frame(3, b"hi") + _frame(1, _ACK),
)


def check(data: bytes) -> None:
    """No error; pieces change nothing; on other channels everything is left as it came."""
    whole, cut = pieces(data)
    assert _read([whole], {1}) == _read(cut, {1})
    assert _read(cut, ()) == ([], whole)


def _read(chunks: list[bytes], channels: set[int] | tuple[()]) -> tuple[list[Answer], bytes]:
    reader = AnswerReader(channels, frame_max=_FRAME_MAX)
    answers: list[Answer] = []
    left = b""
    for chunk in chunks:
        more, rest = reader.feed(chunk)
        answers += more
        left += rest
    return answers, left + reader.rest()
