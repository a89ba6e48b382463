"""WebSocket frames against RFC 6455's examples, Tornado's own writer, and hypothesis."""

import asyncio
import struct
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from broker.protocol.websocket import (
    Close,
    CloseCode,
    Data,
    Event,
    HandshakeError,
    MessageReader,
    Opcode,
    Ping,
    Pong,
    WebSocketProtocolError,
    accept_key,
    build,
    check_server_handshake,
    client_handshake,
    close_payload,
    ends_with_close,
    mask,
    walk,
)

KEY = b"\x37\xfa\x21\x3d"  # RFC 6455 §5.7
LIMIT = 70_000

Frames = list[tuple[int, bool, int, int]]


def take(
    reader: MessageReader, *chunks: bytes
) -> tuple[list[Event], WebSocketProtocolError | None]:
    """All events, and the error that ended them."""
    events: list[Event] = []
    try:
        for chunk in chunks:
            for event in reader.feed(chunk):
                events.append(event)
    except WebSocketProtocolError as error:
        return events, error
    return events, None


def read(
    *chunks: bytes, masked: bool = False, limit: int = LIMIT
) -> tuple[list[Event], WebSocketProtocolError | None]:
    return take(MessageReader(limit, masked=masked), *chunks)


def walked(data: bytes) -> tuple[Frames, WebSocketProtocolError | None]:
    found: Frames = []
    try:
        for frame in walk(data, frame_bytes=LIMIT):
            found.append(frame)
    except WebSocketProtocolError as error:
        return found, error
    return found, None


def cut(data: bytes, positions: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


# Building


def test_the_examples_of_rfc_6455_are_built_byte_for_byte() -> None:
    assert build(Opcode.TEXT, b"Hello") == b"\x81\x05Hello"
    assert build(Opcode.TEXT, b"Hello", mask=KEY) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert build(Opcode.TEXT, b"Hel", fin=False) == b"\x01\x03Hel"
    assert build(Opcode.CONTINUATION, b"lo") == b"\x80\x02lo"
    assert build(Opcode.PING, b"Hello") == b"\x89\x05Hello"
    assert build(Opcode.PONG, b"Hello", mask=KEY) == (
        b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    )
    assert build(Opcode.BINARY, b"x" * 256) == b"\x82\x7e\x01\x00" + b"x" * 256
    assert build(Opcode.BINARY, b"x" * 65_536) == (
        b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65_536
    )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536])
@pytest.mark.parametrize("key", [None, KEY])
def test_a_frame_of_any_length_is_read_as_built(size: int, key: bytes | None) -> None:
    payload = b"x" * size
    data = build(Opcode.BINARY, payload, mask=key)
    assert read(data, masked=key is not None) == ([Data(payload, Opcode.BINARY)], None)


def test_masking_twice_gives_the_data_back() -> None:
    assert mask(KEY, b"Hello") == b"\x7f\x9f\x4d\x51\x58"
    assert mask(KEY, mask(KEY, b"Hello")) == b"Hello"


def test_a_close_reason_is_cut_at_a_character() -> None:
    assert close_payload(CloseCode.TOO_SLOW, "slow") == b"\x0f\xa8slow"
    assert close_payload(1000) == b"\x03\xe8"
    payload = close_payload(1000, "가" * 100)
    assert payload[2:].decode() == "가" * 41
    assert len(close_payload(1000, "x" * 200)) == 125
    assert close_payload(1000, "a\ud800") == b"\x03\xe8a?"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_close_code_that_may_not_be_sent_is_a_mistake_of_ours(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        close_payload(code)


# Refusing

BAD_FRAMES = [
    (b"\xc1\x00", "a reserved bit is set"),
    (b"\xa1\x00", "a reserved bit is set"),
    (b"\x91\x00", "a reserved bit is set"),
    (b"\x83\x00", "opcode 0x3 is reserved"),
    (b"\x07\x00", "opcode 0x7 is reserved"),
    (b"\x8b\x00", "opcode 0xb is reserved"),
    (b"\x0f\x00", "opcode 0xf is reserved"),
    (b"\x09\x00", "a control frame must not be fragmented"),
    (b"\x08\x00", "a control frame must not be fragmented"),
    (b"\x0a\x00", "a control frame must not be fragmented"),
    (b"\x89\x7e", "a control frame has at most 125 bytes"),
    (b"\x88\x7f", "a control frame has at most 125 bytes"),
    (b"\x82\x7e\x00\x7d", "shortest form"),
    (b"\x82\x7f" + struct.pack("!Q", 65_535), "shortest form"),
    (b"\x82\x7f" + struct.pack("!Q", 1 << 63), "below 2**63"),
    (b"\x82\x85", "a server's frame must not be masked"),
]


@pytest.mark.parametrize(("data", "text"), BAD_FRAMES)
def test_a_broken_server_frame_is_refused_from_its_header(data: bytes, text: str) -> None:
    for error in (walked(data)[1], read(data)[1], read(*cut(data, range(len(data))))[1]):
        assert error is not None
        assert error.close_code == CloseCode.PROTOCOL_ERROR
        assert text in str(error)


@pytest.mark.parametrize(("data", "text"), BAD_FRAMES[:-1])
def test_a_broken_client_frame_is_refused_from_its_header(data: bytes, text: str) -> None:
    masked = bytes((data[0], data[1] | 0x80)) + data[2:]
    _, error = read(masked, masked=True)
    assert error is not None
    assert error.close_code == CloseCode.PROTOCOL_ERROR
    assert text in str(error)


def test_an_unmasked_client_frame_is_refused() -> None:
    _, error = read(build(Opcode.TEXT, b"hi"), masked=True)
    assert error is not None
    assert error.close_code == CloseCode.PROTOCOL_ERROR
    assert "must be masked" in str(error)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_frame_above_the_limit_is_refused_from_its_header(key: bytes | None) -> None:
    for size in (101, 127, 70_000):
        header = build(Opcode.BINARY, b"x" * size, mask=key)[:10]
        _, error = read(header, masked=key is not None, limit=100)
        assert error is not None
        assert error.close_code == CloseCode.TOO_LARGE
        assert str(error) == f"a frame of {size} bytes, at most 100 are taken"
    at_limit = build(Opcode.BINARY, b"x" * 100, mask=key)
    assert read(at_limit, masked=key is not None, limit=100)[1] is None


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([build(Opcode.CONTINUATION, b"a")], "a continuation frame without a message"),
        (
            [build(Opcode.TEXT, b"a", fin=False), build(Opcode.TEXT, b"b")],
            "a new message inside a fragmented one",
        ),
        (
            [
                build(Opcode.BINARY, b"a", fin=False),
                build(Opcode.CONTINUATION, b"b"),
                build(Opcode.CONTINUATION, b"c"),
            ],
            "a continuation frame without a message",
        ),
    ],
)
def test_fragments_out_of_order_are_refused(frames: list[bytes], text: str) -> None:
    events, error = read(*frames)
    assert len(events) == len(frames) - 1
    assert error is not None
    assert error.close_code == CloseCode.PROTOCOL_ERROR
    assert text in str(error)


@pytest.mark.parametrize(
    "frames",
    [
        [build(Opcode.TEXT, b"\xff")],
        [build(Opcode.TEXT, b"\xec\x84")],
        [build(Opcode.TEXT, b"\xec", fin=False), build(Opcode.CONTINUATION, b"a")],
        [build(Opcode.TEXT, b"\xec", fin=False), build(Opcode.CONTINUATION, b"")],
        [build(Opcode.TEXT, b"\xed\xa0\x80")],
        [build(Opcode.CLOSE, b"\x03\xe8\xff")],
    ],
)
def test_text_that_is_not_utf8_is_refused_with_1007(frames: list[bytes]) -> None:
    _, error = read(*frames)
    assert error is not None
    assert error.close_code == CloseCode.INVALID_DATA


def test_a_character_may_be_split_over_fragments() -> None:
    events, error = read(
        build(Opcode.TEXT, b"\xec", fin=False),
        build(Opcode.PING, b"\xff"),
        build(Opcode.CONTINUATION, b"\x84", fin=False),
        build(Opcode.CONTINUATION, b"\x9c"),
        build(Opcode.TEXT, "울".encode()),
    )
    assert error is None
    assert events == [
        Data(b"\xec", Opcode.TEXT, last=False),
        Ping(b"\xff"),
        Data(b"\x84", Opcode.TEXT, last=False),
        Data(b"\x9c", Opcode.TEXT),
        Data("울".encode(), Opcode.TEXT),
    ]


def test_binary_need_not_be_utf8() -> None:
    assert read(build(Opcode.BINARY, b"\xff"))[1] is None


def test_good_events_before_an_error_are_delivered_and_the_error_is_final() -> None:
    reader = MessageReader(LIMIT, masked=False)
    events, error = take(reader, build(Opcode.TEXT, b"a") + build(Opcode.PONG, b"b") + b"\x83\x00")
    assert events == [Data(b"a", Opcode.TEXT), Pong(b"b")]
    assert error is not None
    assert take(reader, build(Opcode.TEXT, b"c")) == ([], error)


# Closing


@pytest.mark.parametrize(
    "code", [1000, 1003, 1007, 1008, 1009, 1012, 1013, 1014, 3000, 4001, 4003, 4008, 4999]
)
def test_a_close_gives_its_code_and_reason(code: int) -> None:
    frame = build(Opcode.CLOSE, close_payload(code, "안녕"))
    assert read(frame) == ([Close(code, "안녕")], None)


def test_a_close_without_a_code_is_no_status() -> None:
    assert read(build(Opcode.CLOSE, b"")) == ([Close(CloseCode.NO_STATUS, "")], None)


@pytest.mark.parametrize(
    "payload",
    [b"\x03", *(struct.pack("!H", c) for c in (0, 999, 1004, 1005, 1006, 1015, 2000, 5000))],
)
def test_a_close_with_an_illegal_code_is_refused_with_1002(payload: bytes) -> None:
    events, error = read(build(Opcode.CLOSE, payload))
    assert events == []
    assert error is not None
    assert error.close_code == CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("payload", [b"", b"\x03\xea", b"\x03\xe8" + b"x" * 123])
@pytest.mark.parametrize("before", [b"", b"\xff" * 7, b"\x82\xff\0\0"])
def test_a_close_is_known_by_its_end_where_frames_cannot_be_told_apart(
    payload: bytes, before: bytes
) -> None:
    whole = before + build(Opcode.CLOSE, payload, mask=KEY)
    assert ends_with_close(whole)
    assert not ends_with_close(whole[:-1])
    assert not ends_with_close(whole + b"x" * 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x88",
        build(Opcode.CLOSE, b"\x03\xea"),
        build(Opcode.CLOSE, b"\x03\xed", mask=KEY),
        build(Opcode.PING, b"\x03\xea", mask=KEY),
    ],
)
def test_what_is_no_close_of_a_client_is_none(data: bytes) -> None:
    assert not ends_with_close(data)


@given(
    st.lists(
        st.tuples(st.sampled_from([Opcode.BINARY, Opcode.PING, Opcode.PONG]), st.integers(0, 125)),
        max_size=8,
    ),
    st.data(),
)
def test_what_comes_before_a_close_is_skipped_and_not_kept(
    frames: list[tuple[Opcode, int]], data: st.DataObject
) -> None:
    before = b"".join(build(opcode, b"\x88" * size, mask=KEY) for opcode, size in frames)
    stream = before + build(Opcode.CLOSE, b"", mask=KEY) + b"late"
    begun = data.draw(st.integers(0, len(before)))
    reader = MessageReader(LIMIT, masked=True)
    # What has come before the end of the conversation was read, and may be the half of a frame.
    for _ in reader.feed(before[:begun]):
        pass
    closed, at = False, begun
    while at < len(stream):
        size = data.draw(st.integers(1, 50))
        closed = reader.skip(stream[at : at + size], most=100)
        at += size
        # A Close without a code has six bytes.
        assert closed == (at >= len(before) + 6)
        if closed:
            return
        assert reader.held < 14
    raise AssertionError


def test_a_frame_that_is_skipped_must_be_one() -> None:
    reader = MessageReader(LIMIT, masked=True)
    with pytest.raises(WebSocketProtocolError):
        reader.skip(build(Opcode.TEXT, b"without a mask"), most=1)


def test_more_frames_than_are_to_be_skipped_are_not_looked_at() -> None:
    reader = MessageReader(LIMIT, masked=True)
    ping = build(Opcode.PING, b"", mask=KEY)
    assert not reader.skip(ping * 3, most=3)
    with pytest.raises(WebSocketProtocolError):
        reader.skip(ping * 4 + build(Opcode.CLOSE, b"", mask=KEY), most=3)
    assert not reader.held


def test_nothing_is_read_after_a_close() -> None:
    reader = MessageReader(LIMIT, masked=False)
    close = build(Opcode.CLOSE, close_payload(1000))
    assert take(reader, close + build(Opcode.TEXT, b"late")) == ([Close(1000, "")], None)
    assert take(reader, b"\xff\xff") == ([], None)
    assert not reader._buffer


# Walking


def test_a_walk_finds_the_frames_and_where_the_incomplete_one_begins() -> None:
    first = build(Opcode.TEXT, b"a" * 200, fin=False)
    second = build(Opcode.PING, b"")
    third = build(Opcode.CONTINUATION, b"b")
    fourth = build(Opcode.BINARY, b"c" * 66_000)
    chunk = first + second + third + fourth
    begin = len(first) + len(second) + len(third)
    expected = [
        (Opcode.TEXT, False, 4, 204),
        (Opcode.PING, True, 206, 206),
        (Opcode.CONTINUATION, True, 208, 209),
    ]
    for end in range(begin, begin + 12):
        assert walked(chunk[:end]) == (expected, None)
    whole = [*expected, (Opcode.BINARY, True, begin + 10, len(chunk))]
    assert walked(chunk) == (whole, None)
    for view in (bytearray(chunk), memoryview(chunk)):
        assert list(walk(view, frame_bytes=LIMIT)) == whole


def test_a_walk_gives_the_good_frames_before_an_error() -> None:
    frames, error = walked(build(Opcode.TEXT, b"a") + b"\x82\x7f" + struct.pack("!Q", LIMIT + 1))
    assert frames == [(Opcode.TEXT, True, 2, 3)]
    assert error is not None
    assert error.close_code == CloseCode.TOO_LARGE


# Properties

texts = st.text(max_size=60).map(lambda text: (Opcode.TEXT, text.encode()))
binaries = st.binary(max_size=200).map(lambda payload: (Opcode.BINARY, payload))
fragmented = st.tuples(texts | binaries, st.lists(st.integers(min_value=0), max_size=3))
controls = st.none() | st.binary(max_size=125)


@settings(deadline=None)
@given(
    st.lists(st.tuples(fragmented, controls), max_size=5),
    st.lists(st.integers(min_value=0), max_size=12),
    st.none() | st.binary(min_size=4, max_size=4),
)
def test_messages_come_back_however_they_are_fragmented_and_cut(
    messages: list[tuple[tuple[tuple[Opcode, bytes], list[int]], bytes | None]],
    positions: list[int],
    key: bytes | None,
) -> None:
    data = b""
    expected: list[Event] = []
    for ((opcode, payload), borders), ping in messages:
        fragments = cut(payload, borders)
        for index, fragment in enumerate(fragments):
            last = index == len(fragments) - 1
            kind = Opcode.CONTINUATION if index else opcode
            data += build(kind, fragment, fin=last, mask=key)
            expected.append(Data(fragment, opcode, last))
            if ping is not None:
                data += build(Opcode.PING, ping, mask=key)
                expected.append(Ping(ping))
    assert read(*cut(data, positions), masked=key is not None) == (expected, None)
    if key is None:
        frames, error = walked(data)
        assert error is None
        assert [data[start:end] for _, _, start, end in frames] == [
            event.payload for event in expected if isinstance(event, Data | Ping)
        ]
        assert not frames or frames[-1][3] == len(data)


starts = st.sampled_from(
    [b"\x81\x02", b"\x01\x01", b"\x80\x01", b"\x88\x02", b"\x89\x00", b"\x82\x7e"]
)


@settings(deadline=None)
@given(
    st.lists(starts | st.binary(max_size=20), max_size=10).map(b"".join),
    st.lists(st.integers(min_value=0), max_size=9),
    st.booleans(),
)
def test_any_bytes_give_the_same_events_and_error_however_they_are_cut(
    data: bytes, positions: list[int], masked: bool
) -> None:
    whole, whole_error = read(data, masked=masked)
    pieces, error = read(*cut(data, positions), masked=masked)
    assert pieces == whole
    assert repr(error) == repr(whole_error)
    walked(data)


# The handshake

REQUEST_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def response(*lines: str, status: str = "HTTP/1.1 101 Switching Protocols") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode()


UPGRADE = "Upgrade: websocket"
CONNECTION = "Connection: keep-alive, Upgrade"
ACCEPTED = f"Sec-WebSocket-Accept: {ACCEPT}"


def test_the_accept_key_is_the_one_of_rfc_6455() -> None:
    assert accept_key(REQUEST_KEY) == ACCEPT


def test_the_request_offers_subprotocols_only_if_there_are_any() -> None:
    request = client_handshake("127.0.0.1:15674", "/ws", REQUEST_KEY, ["v12.stomp", "v11.stomp"])
    assert request == (
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:15674\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v12.stomp, v11.stomp\r\n\r\n"
    )
    assert b"Protocol" not in client_handshake("a", "/ws", REQUEST_KEY, [])


@pytest.mark.parametrize("path", ["/ws\r\nX: y", "/w s", "", "/방"])
def test_nothing_can_be_slipped_into_the_request_head(path: str) -> None:
    with pytest.raises(ValueError, match="not fit for a request head"):
        client_handshake("a", path, REQUEST_KEY, [])


def test_the_chosen_subprotocol_is_returned() -> None:
    chosen = "sec-websocket-protocol:v12.stomp"
    accepted = response("upgrade: WebSocket", "connection: upgrade", ACCEPTED, chosen)
    assert check_server_handshake(accepted, REQUEST_KEY, ["v11.stomp", "v12.stomp"]) == "v12.stomp"
    silent = response(UPGRADE, CONNECTION, ACCEPTED, status="HTTP/1.1 101")
    assert check_server_handshake(silent, REQUEST_KEY, ["v12.stomp"]) is None


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (response(status="HTTP/1.1 503 Service Unavailable"), "got 'HTTP/1.1 503 Service Unav"),
        (response(UPGRADE, status="HTTP/1.0 101 Switching Protocols"), "expected HTTP/1.1 101"),
        (response(UPGRADE, status="HTTP/1.1 1010"), "expected HTTP/1.1 101"),
        (b"\xff\x00garbage", "expected HTTP/1.1 101"),
        (b"", "expected HTTP/1.1 101"),
        (response(UPGRADE, CONNECTION, ACCEPTED, "garbage"), "a header has no colon"),
        (response(CONNECTION, ACCEPTED), "Upgrade is not websocket"),
        (response("Upgrade: h2c", CONNECTION, ACCEPTED), "Upgrade is not websocket"),
        (response(UPGRADE, ACCEPTED), "Connection does not say Upgrade"),
        (response(UPGRADE, "Connection: close", ACCEPTED), "Connection does not say Upgrade"),
        (response(UPGRADE, CONNECTION), "does not answer our key"),
        (response(UPGRADE, CONNECTION, ACCEPTED.lower()), "does not answer our key"),
        (response(UPGRADE, CONNECTION, ACCEPTED, ACCEPTED), "does not answer our key"),
        (
            response(UPGRADE, CONNECTION, ACCEPTED, "Sec-WebSocket-Extensions: x"),
            "extensions that were not offered",
        ),
        (
            response(UPGRADE, CONNECTION, ACCEPTED, "Sec-WebSocket-Protocol: mqtt"),
            "subprotocol 'mqtt', which was not offered",
        ),
    ],
)
def test_any_other_answer_is_refused_with_a_text_that_names_the_fault(
    answer: bytes, text: str
) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_server_handshake(answer, REQUEST_KEY, ["v12.stomp"])
    assert text in str(caught.value)


def test_a_long_status_line_is_shown_by_its_beginning_only() -> None:
    with pytest.raises(HandshakeError) as caught:
        check_server_handshake(b"x" * 10_000, REQUEST_KEY, [])
    assert len(str(caught.value)) < 300


# Tornado as the other side


class Echo(WebSocketHandler):
    """Sends back what it gets, with the type it had."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[-1]

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


async def talk_to_tornado(sent: bytes, expected: int) -> tuple[str | None, list[Event]]:
    server = Application([("/ws", Echo)]).listen(0, "127.0.0.1")
    (socket,) = server._sockets.values()
    port = socket.getsockname()[1]
    incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
    try:
        offered = ["v11.stomp", "v12.stomp"]
        outgoing.write(client_handshake(f"127.0.0.1:{port}", "/ws", REQUEST_KEY, offered))
        head = await incoming.readuntil(b"\r\n\r\n")
        chosen = check_server_handshake(head, REQUEST_KEY, offered)
        outgoing.write(sent)
        reader = MessageReader(LIMIT, masked=False)
        events: list[Event] = []
        while len(events) < expected and (data := await incoming.read(65_536)):
            events.extend(reader.feed(data))
        return chosen, events
    finally:
        outgoing.close()
        await outgoing.wait_closed()
        server.stop()
        await server.close_all_connections()


def test_tornado_understands_what_we_build_and_we_what_tornado_answers() -> None:
    sent = (
        build(Opcode.TEXT, "안녕".encode(), mask=KEY)
        + build(Opcode.BINARY, b"a" * 40_000, fin=False, mask=KEY)
        + build(Opcode.PING, b"there?", mask=KEY)
        + build(Opcode.CONTINUATION, b"b" * 26_000, mask=KEY)
        + build(Opcode.BINARY, b"c" * 300, mask=KEY)
        + build(Opcode.CLOSE, close_payload(CloseCode.REFUSED, "bye"), mask=KEY)
    )
    chosen, events = asyncio.run(asyncio.wait_for(talk_to_tornado(sent, 5), timeout=10))
    assert chosen == "v12.stomp"
    pongs = [event for event in events if isinstance(event, Pong)]
    assert pongs == [Pong(b"there?")]
    assert [event for event in events if event not in pongs] == [
        Data("안녕".encode(), Opcode.TEXT),
        Data(b"a" * 40_000 + b"b" * 26_000, Opcode.BINARY),
        Data(b"c" * 300, Opcode.BINARY),
        Close(CloseCode.REFUSED, ""),
    ]


def test_close_codes_are_those_of_the_registry_and_of_the_gateway_s_clients() -> None:
    """https://www.iana.org/assignments/websocket/; browsers go by the numbers."""
    assert {code.name: int(code) for code in CloseCode} == {
        "NORMAL": 1000,
        "GOING_AWAY": 1001,
        "PROTOCOL_ERROR": 1002,
        "UNSUPPORTED_DATA": 1003,
        "NO_STATUS": 1005,
        "ABNORMAL": 1006,
        "INVALID_DATA": 1007,
        "POLICY_VIOLATION": 1008,
        "TOO_LARGE": 1009,
        "MANDATORY_EXTENSION": 1010,
        "INTERNAL_ERROR": 1011,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_GATEWAY": 1014,
        "TLS_HANDSHAKE": 1015,
        "NOT_AUTHENTICATED": 4001,
        "REFUSED": 4003,
        "TOO_SLOW": 4008,
    }


def test_a_reader_is_idle_between_messages_and_never_after_a_close_or_an_error() -> None:
    def after(data: bytes) -> bool:
        reader = MessageReader(1000, masked=False)
        try:
            for _ in reader.feed(data):
                pass
        except WebSocketProtocolError:
            assert not reader._buffer
        return reader.idle

    assert after(b"")
    assert after(build(Opcode.TEXT, b"whole"))
    assert not after(build(Opcode.TEXT, b"half", fin=False))
    assert not after(build(Opcode.TEXT, b"whole")[:-1])
    assert not after(build(Opcode.CLOSE, b""))
    assert not after(b"\xff\xff" + b"x" * 100)
