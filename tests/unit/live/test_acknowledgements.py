"""What passes as an acknowledgement unread, and all that must be read."""

import pytest

from broker.stomp import CLIENT_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.wsframes import Data, MessageReader, Opcode, build
from gateway.live.acknowledgements import count

MARK = b"@@session-1@@"
ID = "T_s@@session-1@@7"
KEY = b"\x01\x80\xfe\x00"


def client(payload: bytes, opcode: int = Opcode.TEXT) -> bytes:
    return build(opcode, payload, mask=KEY)


def ack(*headers: tuple[str, str], command: str = "ACK") -> bytes:
    return client(serialise(command, headers))


PASSING = [
    ack(("id", ID)),
    ack(("id", ID), command="NACK"),
    ack(("message-id", ID), ("subscription", "my one")),
    ack(("subscription", "s"), ("message-id", ID)),
    client(b"ACK\nid:" + ID.encode() + b"\n\n\0\n", Opcode.BINARY),
]


@pytest.mark.parametrize("data", PASSING)
def test_one_of_this_session_passes_and_is_what_the_parser_reads(data: bytes) -> None:
    assert count(data, MARK) == 1
    (event,) = MessageReader(1000, masked=True).feed(data)
    assert isinstance(event, Data)
    frame = next(FrameParser(Limits(), CLIENT_COMMANDS).feed(event.payload))
    assert isinstance(frame, Frame)
    assert (frame.get("id") or frame.get("message-id"), frame.body) == (ID, b"")


def test_several_pass_together_and_none_when_another_frame_is_among_them() -> None:
    assert count(b"".join(PASSING), MARK) == len(PASSING)
    other = client(serialise("SEND", [("destination", "/queue/x")]))
    assert count(PASSING[0] + other + PASSING[1], MARK) == 0
    assert count(PASSING[0] + b"\x81", MARK) == 0


@pytest.mark.parametrize("cut", range(len(PASSING[0])))
def test_half_of_one_does_not_pass(cut: int) -> None:
    assert count(PASSING[0][:cut], MARK) == 0


@pytest.mark.parametrize(
    "data",
    [
        ack(("id", ID.replace("session-1", "session-2"))),
        ack(("id", "7")),
        ack(("id", ID), ("transaction", "t")),
        ack(("id", ID), ("receipt", "r")),
        client(b"ACK\nid:" + ID.encode() + b"\ncontent-length:0\n\n\0"),
        ack(("id", ID), ("id", "T_s@@session-2@@1")),
        ack(("id", "T_s@@session-2@@1"), ("message-id", ID), ("subscription", ID)),
        ack(("subscription", ID)),
        ack(("message-id", ID)),
        ack(("id", "T_a:b@@session-1@@7")),
        ack(),
        ack(("id", ID), command="BEGIN"),
        client(b"ACK\r\nid:" + ID.encode() + b"\r\n\r\n\0"),
        client(b"ACK\nid:" + ID.encode() + b"\xff\n\n\0"),
        client(b"ACK\nid:" + ID.encode() + b"\n\nbody\0"),
        client(b"ACK\nid:" + ID.encode() + b"\n\n\0ACK\nid:x\n\n\0"),
        client(b"\nACK\nid:" + ID.encode() + b"\n\n\0"),
        client(serialise("ACK", [("id", ID)]), Opcode.PING),
        client(serialise("ACK", [("id", ID)]), Opcode.CONTINUATION),
        build(Opcode.TEXT, serialise("ACK", [("id", ID)]), fin=False, mask=KEY),
        build(Opcode.TEXT, serialise("ACK", [("id", ID)])),
        ack(("id", ID + "0" * 100)),
        b"",
    ],
)
def test_whatever_looks_different_is_to_be_read(data: bytes) -> None:
    assert count(data, MARK) == 0
