"""STOMP frames: what is accepted, what is refused, and that the broker would read the same."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
import stomp.utils
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.protocol.stomp import (
    CLIENT_COMMANDS,
    HEART_BEAT,
    SERVER_COMMANDS,
    Frame,
    FrameParser,
    FrameTooLarge,
    HeartBeat,
    Limits,
    MalformedFrame,
    StompError,
    Unrepresentable,
    escape,
    negotiate_version,
    parse_heart_beat,
    serialise,
    unescape,
)

ALL_COMMANDS = CLIENT_COMMANDS | SERVER_COMMANDS
SMALL = Limits(frame_bytes=100, header_bytes=60, header_count=3)

Events = list[Frame | HeartBeat]


def take(parser: FrameParser, *chunks: bytes) -> tuple[Events, StompError | None]:
    """All events, and the error that ended them."""
    events: Events = []
    try:
        for chunk in chunks:
            for event in parser.feed(chunk):
                events.append(event)
    except StompError as error:
        return events, error
    return events, None


def read(
    *chunks: bytes, commands: frozenset[str] = CLIENT_COMMANDS, limits: Limits | None = None
) -> tuple[Events, StompError | None]:
    return take(FrameParser(limits or Limits(), commands), *chunks)


def frames(events: Iterable[Frame | HeartBeat]) -> list[Frame]:
    return [event for event in events if isinstance(event, Frame)]


def one_frame(data: bytes, commands: frozenset[str] = ALL_COMMANDS) -> Frame:
    events, error = read(data, commands=commands)
    assert error is None
    (frame,) = frames(events)
    return frame


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


# Reading


def test_a_frame_has_a_command_headers_in_order_a_body_and_its_raw_bytes() -> None:
    data = b"SEND\ndestination:/topic/a\nfoo:b:a r \n\nhello\0"
    frame = one_frame(b"\n" + data + b"\n")
    assert frame == Frame("SEND", (("destination", "/topic/a"), ("foo", "b:a r ")), b"hello")
    assert frame.raw == data


def test_lines_may_end_with_crlf() -> None:
    frame = one_frame(b"\r\nSEND\r\nfoo:bar\r\n\r\n\r\nhello\0\r\n")
    assert frame == Frame("SEND", (("foo", "bar"),), b"\r\nhello")


@pytest.mark.parametrize(
    "data",
    [b"SEND\nfoo:bar\r\n\nbody\0", b"SEND\r\nfoo:bar\n\r\nbody\0", b"SEND\nfoo:bar\n\r\nbody\0"],
)
def test_lf_and_crlf_may_be_mixed(data: bytes) -> None:
    assert one_frame(data) == Frame("SEND", (("foo", "bar"),), b"body")


def test_the_blank_line_that_comes_first_ends_the_headers_whatever_the_body_holds() -> None:
    assert one_frame(b"SEND\r\na:b\r\n\r\nx\n\ny\0").body == b"x\n\ny"
    assert one_frame(b"SEND\na:b\n\nx\n\r\ny\0").body == b"x\n\r\ny"
    assert one_frame(b"SEND\na:b\n\r\n\nx\0").body == b"\nx"


def test_of_a_repeated_header_the_first_counts_and_all_are_kept() -> None:
    frame = one_frame(b"SEND\nfoo:1\nfoo:2\n\n\0")
    assert frame.get("foo") == "1"
    assert frame.headers == (("foo", "1"), ("foo", "2"))
    assert frame.get("bar") is None
    assert frame.get("bar", "none") == "none"


@pytest.mark.parametrize("command", ["CONNECT", "STOMP", "SEND", "CONNECTED", "MESSAGE"])
def test_escapes_are_decoded_in_names_and_values_of_every_command(command: str) -> None:
    frame = one_frame(
        command.encode()
        + rb"""
a\cb:x\ny\rz\\n\c

"""
        + b"\0"
    )
    assert frame.headers == (("a:b", "x\ny\rz\\n:"),)


def test_a_counted_body_may_hold_nul() -> None:
    assert one_frame(b"SEND\ncontent-length:3\n\n\0a\0\0").body == b"\0a\0"
    assert one_frame(b"MESSAGE\ncontent-length:1\n\n\0\0").body == b"\0"


def test_content_length_is_a_header_not_a_word() -> None:
    frame = one_frame(b"SEND\nx-content-length:9\nContent-Length:9\na:content-length\n\nab\0")
    assert frame.body == b"ab"


def test_headers_may_be_any_utf8() -> None:
    assert one_frame("SEND\n방:서울\n\n\0".encode()).get("방") == "서울"


def test_line_ends_between_frames_are_heart_beats_one_a_run() -> None:
    events, error = read(b"\n", b"\r\n\n\nACK\nid:1\n\n\0\n", b"\r", b"\n")
    assert error is None
    assert events == [
        HEART_BEAT,
        HEART_BEAT,
        Frame("ACK", (("id", "1"),)),
        HEART_BEAT,
        HEART_BEAT,
    ]


def test_only_the_given_commands_are_accepted() -> None:
    assert read(b"MESSAGE\n\n\0", commands=SERVER_COMMANDS)[1] is None
    _, error = read(b"MESSAGE\n\n\0", commands=CLIENT_COMMANDS)
    assert "unknown command 'MESSAGE', expected ABORT, ACK" in str(error)


# Refusing


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"send\na:b\n\n\0", "unknown command 'send'"),
        (b"SEND \na:b\n\n\0", "unknown command, expected"),
        (b"SEND\na:b\\t\n\n\0", "unknown escape '\\\\t'"),
        (b"SEND\na\\:b\n\n\0", "unknown escape '\\\\'"),
        (b"SEND\na:b\\\n\n\0", "unknown escape '\\\\'"),
        (b"SEND\na:b\\\r\n\n\0", "unknown escape '\\\\'"),
        (b"SEND\na:b\nab\n\n\0", "header 2 has no name or no colon"),
        (b"SEND\n:b\n\n\0", "header 1 has no name or no colon"),
        (b"SEND\na:b\rc:d\n\n\0", "lone CR in the headers"),
        (b"SEND\na:b\r\r\n\n\0", "lone CR in the headers"),
        (b"\rSEND\n\n\0", "lone CR between frames"),
        (b"SEND\na:\xff\n\n\0", "headers are not UTF-8 (byte 7 of the frame)"),
        (b"SEND\na:\xed\xa0\x80\n\n\0", "not UTF-8"),
        (b"SEND\na:b\0c\n\n\0", "NUL before the end of the headers"),
        (b"\0", "NUL before the end of the headers"),
        (b"\0\n\n", "NUL before the end of the headers"),
        (b"S" * 16 + b"\n\n\0", f"unknown command '{'S' * 16}'"),
        (b"S" * 17 + b"\n\n\0", "unknown command, expected"),
        (b"SEND\ncontent-length:\n\n\0", "in plain digits"),
        (b"SEND\ncontent-length:-1\n\n\0", "in plain digits"),
        (b"SEND\ncontent-length:+1\n\na\0", "in plain digits"),
        (b"SEND\ncontent-length: 1\n\na\0", "in plain digits"),
        (b"SEND\ncontent-length:1x\n\na\0", "in plain digits"),
        ("SEND\ncontent-length:١\n\na\0".encode(), "in plain digits"),
        (b"SEND\ncontent-length:" + b"0" * 5000 + b"1\n\na\0", "in plain digits"),
        (b"SEND\ncontent-length:1\n\nab\0", "content-length 1 is wrong: no NUL after"),
        (b"ACK\ncontent-length:1\n\n\0\0", "the body of ACK has 0 bytes"),
    ],
)
def test_a_malformed_frame_is_refused_with_a_text_that_names_the_fault(
    data: bytes, text: str
) -> None:
    events, error = read(data)
    assert events == []
    assert isinstance(error, MalformedFrame)
    assert text in str(error)


def test_no_error_shows_a_header_value_or_a_line_that_is_no_command() -> None:
    for data in (
        b"CONNECT\npasscode:s3cret\xff\n\n\0",
        b"CONNECT\npasscode:s3cret\\x\n\n\0",
        b"CONNECT\npasscode=s3cret\n\n\0",
        b"passcode:s3cret\n\n\0",
    ):
        _, error = read(data)
        assert error is not None
        assert "s3cret" not in f"{error} {error!r}"
        assert error.__context__ is None or error.__suppress_context__


def test_a_frame_hidden_behind_the_first_nul_of_a_body_that_the_broker_does_not_count() -> None:
    hidden = b"\0SUBSCRIBE\nid:0\ndestination:/queue/secret\n\n"
    data = b"ACK\nid:1\ncontent-length:%d\n\n%b\0" % (len(hidden), hidden)
    assert len(broker_reads(data)) == 2
    events, error = read(data)
    assert events == []
    assert isinstance(error, MalformedFrame)


def test_the_good_frames_before_an_error_are_delivered_and_the_error_is_final() -> None:
    parser = FrameParser(Limits(), CLIENT_COMMANDS)
    events, error = take(parser, b"ACK\nid:1\n\n\0BEGIN\n\n\0nonsense\n\n\0ABORT\n\n\0")
    assert [frame.command for frame in frames(events)] == ["ACK", "BEGIN"]
    assert isinstance(error, MalformedFrame)
    assert take(parser, b"ABORT\n\n\0") == ([], error)


def test_a_lone_cr_between_frames_is_refused_with_the_byte_after_it() -> None:
    assert read(b"\r", b"S")[1] is not None


def test_frames_that_were_not_iterated_come_with_the_next_feed() -> None:
    parser = FrameParser(Limits(), CLIENT_COMMANDS)
    parser.feed(b"BEGIN\n\n\0")
    assert next(parser.feed(b"ABORT\n\n\0")) == Frame("BEGIN")
    assert frames(parser.feed(b"")) == [Frame("ABORT")]


def test_a_parser_is_idle_between_frames_and_never_after_an_error() -> None:
    parser = FrameParser(Limits(), CLIENT_COMMANDS)
    assert parser.idle
    take(parser, b"ACK\nid:1\n")
    assert not parser.idle
    take(parser, b"\n\0")
    assert parser.idle
    _, error = take(parser, b"nonsense\n\n\0" + b"x" * 1000)
    assert error is not None
    assert not parser.idle
    assert not parser._buffer, "nothing is held that nobody will read"


def test_a_nul_behind_a_frame_begins_no_other_one() -> None:
    events, error = read(b"ACK\nid:1\n\n\0\0")
    assert len(events) == 1
    assert "NUL before the end of the headers" in str(error)


def test_a_frame_may_come_in_its_first_byte_and_the_rest() -> None:
    assert read(b"S", b"END\na:b\n\nx\0") == ([Frame("SEND", (("a", "b"),), b"x")], None)


def test_a_value_of_80_characters_is_shown_whole_and_a_longer_one_cut() -> None:
    assert f"='{'v' * 80}'," in repr(Frame("SEND", (("a", "v" * 80),)))
    assert f"='{'v' * 79}…'," in repr(Frame("SEND", (("a", "v" * 81),)))


# Limits


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SEND\na:" + b"x" * 54 + b"\n\n\0", "command and headers exceed 60 bytes"),
        (b"SEND\na:" + b"x" * 54 + b"\r\n\r\n\0", "command and headers exceed 60 bytes"),
        (b"S" * 1000, "command and headers exceed 60 bytes"),
        (b"SEND\na:1\nb:2\na:3\nb:4\n\n\0", "more than 3 headers"),
        (b"SEND\n\n" + b"x" * 94 + b"\0", "the frame exceeds 100 bytes"),
        (b"SEND\n\n" + b"x" * 1000, "the frame exceeds 100 bytes"),
        (b"SEND\ncontent-length:76\n\n", "content-length 76 takes the frame over 100 bytes"),
        (b"ACK\ncontent-length:999999999\n\n", "content-length 999999999 takes the frame over"),
    ],
)
def test_a_frame_above_a_limit_is_refused_however_it_arrives(data: bytes, text: str) -> None:
    for chunks in ([data], cut(data, range(len(data)))):
        events, error = read(*chunks, limits=SMALL)
        assert events == []
        assert isinstance(error, FrameTooLarge)
        assert text in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"SEND\na:" + b"x" * 53 + b"\n\n\0",
        b"SEND\r\na:" + b"x" * 51 + b"\r\n\r\n\0",
        b"SEND\na:1\nb:2\na:3\n\n\0",
        b"SEND\n\n" + b"x" * 93 + b"\0",
        b"SEND\ncontent-length:75\n\n" + b"x" * 75 + b"\0",
    ],
)
def test_a_frame_at_its_limit_is_taken_however_it_arrives(data: bytes) -> None:
    for chunks in ([data], cut(data, range(len(data)))):
        events, error = read(*chunks, limits=SMALL)
        assert error is None
        assert len(events) == 1


@pytest.mark.parametrize("place", range(6, 61))
def test_a_nul_at_any_place_of_a_head_within_the_limit_is_refused(place: int) -> None:
    data = bytearray(b"SEND\na:" + b"x" * 53 + b"\n\n\0")
    data[place] = 0
    events, error = read(bytes(data), limits=SMALL)
    assert events == []
    assert isinstance(error, MalformedFrame)
    assert "NUL before the end of the headers" in str(error)


def test_a_frame_that_never_ends_is_refused_at_the_limit() -> None:
    for endless, limit in ((b"S", 60 + 3), (b"SEND\n\n" + b"x" * 94, 100)):
        parser = FrameParser(SMALL, CLIENT_COMMANDS)
        fed = len(endless)
        _, error = take(parser, endless)
        while error is None:
            fed += 1
            _, error = take(parser, b"x")
        assert isinstance(error, FrameTooLarge)
        assert fed <= limit


def test_the_frame_limit_bounds_the_headers_where_it_is_the_smaller_one() -> None:
    _, error = read(b"S" * 50, limits=Limits(frame_bytes=40))
    assert isinstance(error, FrameTooLarge)


# Properties

header_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
header_lists = st.lists(
    st.tuples(header_text.filter(lambda name: name not in {"", "content-length"}), header_text),
    max_size=5,
)


@st.composite
def written_frames(draw: st.DrawFn) -> tuple[Frame, bytes]:
    command = draw(st.sampled_from(sorted(ALL_COMMANDS - {"CONNECTED"})))
    headers = draw(header_lists)
    body = draw(st.binary(max_size=40))
    if command not in {"SEND", "MESSAGE", "ERROR"}:
        body = body.replace(b"\0", b"")
    data = serialise(command, headers, body)
    if body:
        headers = [*headers, ("content-length", str(len(body)))]
    return Frame(command, tuple(headers), body), data


@settings(deadline=None)
@given(
    st.lists(st.tuples(written_frames(), st.sampled_from([b"", b"\n", b"\r\n\n"])), max_size=4),
    st.lists(st.integers(min_value=0), max_size=12),
)
def test_frames_written_come_back_equal_however_the_bytes_are_cut(
    written: list[tuple[tuple[Frame, bytes], bytes]], positions: list[int]
) -> None:
    data = b"".join(frame_bytes + eols for (_, frame_bytes), eols in written)
    events, error = read(*cut(data, positions), commands=ALL_COMMANDS)
    assert error is None
    assert frames(events) == [frame for (frame, _), _ in written]
    assert [frame.raw for frame in frames(events)] == [data for (_, data), _ in written]


tokens = [
    *(b"SEND", b"ACK", b"SUBSCRIBE", b"SEND\n\n", b"ACK\nid:1\n", b"a:b\n", b"a:c\n", b"\n:", b":"),
    *(b"\n", b"\n", b"\n\n", b"\n\n\0", b"\r\n", b"\r", b"\0", b"\\", b"\\n", b"\\c", b"\\\\"),
    *(
        b"content-length:",
        b"content-length:3\n",
        b"content-length:0\r\n",
        b"3",
        b" 3",
        b"+3",
        b"-1",
    ),
    *(b"abc", b"ab\0", b"\xff", b"SEND\na:b\ncontent-length:3\n\nabc\0"),
]
soup = st.lists(st.sampled_from(tokens), max_size=25).map(b"".join)


@settings(max_examples=10 * settings().max_examples)
@given(soup, st.lists(st.integers(min_value=0), max_size=5))
@example(b"ACK\ncontent-length:3\n\n\0\n\0\0", [])
def test_accepted_frames_mean_the_same_to_the_broker(data: bytes, positions: list[int]) -> None:
    events, error = read(*cut(data, positions))
    ours = [(f.command, dict(reversed(f.headers)), f.body) for f in frames(events)]
    theirs = broker_reads(data)
    assert theirs[: len(ours)] == ours
    if error is None:
        assert len(theirs) == len(ours)


@settings(deadline=None)
@given(soup | st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=9))
def test_any_bytes_give_the_same_frames_and_error_however_they_are_cut(
    data: bytes, positions: list[int]
) -> None:
    whole, whole_error = read(data, limits=SMALL)
    pieces, error = read(*cut(data, positions), limits=SMALL)
    assert frames(pieces) == frames(whole)
    assert repr(error) == repr(whole_error)


class Waiting(Exception):
    """The broker needs more bytes."""


class Refused(Exception):
    """The broker ends the connection."""


def broker_reads(data: bytes) -> list[tuple[str, dict[str, str], bytes]]:
    """RabbitMQ's reading of ``data``: a slow, plain model of its parser.

    It agreed with ``rabbit_stomp_frame:parse/2`` of 3.10.8 on 200,000 inputs like those below.
    """
    found = []
    position = 0
    try:
        while True:
            frame, position = broker_frame(data, position)
            found.append(frame)
    except (Waiting, Refused):
        return found


def broker_frame(data: bytes, at: int) -> tuple[tuple[str, dict[str, str], bytes], int]:
    while data[at : at + 1] in {b"\0", b"\n"} or data[at : at + 2] == b"\r\n":
        at += 1 if data[at] != 13 else 2
    command, at = broker_line(data, at)
    headers: dict[bytes, bytes] = {}
    while True:
        line, at = broker_line(data, at)
        if not line:
            break
        name, colon, value = line.partition(b":")
        if not colon:
            raise Refused
        headers.setdefault(broker_unescape(name), broker_unescape(value))
    end = data.find(0, at)
    if command == b"SEND" and b"content-length" in headers:
        length = headers[b"content-length"].strip(b" ")
        if not re.fullmatch(rb"\+?[0-9]+", length):
            raise Refused
        end = at + int(length)
    if end < 0 or end >= len(data):
        raise Waiting
    if data[end]:
        raise Refused
    decoded = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    return (command.decode("latin-1"), decoded, data[at:end]), end + 1


def broker_line(data: bytes, at: int) -> tuple[bytes, int]:
    line = bytearray()
    while data[at : at + 1] != b"\n":
        if data[at : at + 2] == b"\r\n":
            at += 1
            break
        if at == len(data) or data[at:] == b"\r":
            raise Waiting
        if data[at] == 13:
            raise Refused
        line.append(data[at])
        at += 1
    return bytes(line), at + 1


def broker_unescape(text: bytes) -> bytes:
    out = bytearray()
    letters = iter(text)
    for letter in letters:
        if letter != 92:
            out.append(letter)
            continue
        try:
            out.append({110: 10, 114: 13, 99: 58, 92: 92}[next(letters, 0)])
        except KeyError:
            raise Refused from None
    return bytes(out)


# A foreign client: stomp.py


def test_frames_of_stomp_py_are_read_as_meant() -> None:
    theirs = stomp.utils.Frame("SEND", {"destination": "/topic/a", "receipt": "r1"}, "안녕")
    data = b"".join(stomp.utils.convert_frame(theirs))
    assert one_frame(data) == Frame(
        "SEND", (("destination", "/topic/a"), ("receipt", "r1")), "안녕".encode()
    )


def test_stomp_py_reads_what_we_write() -> None:
    data = serialise("MESSAGE", [("destination", "/topic/a"), ("note", "a:b\\c\nd")], b"hello")
    theirs = stomp.utils.parse_frame(data.removesuffix(b"\0"))
    assert theirs.cmd == "MESSAGE"
    assert theirs.headers == {
        "destination": "/topic/a",
        "note": "a:b\\c\nd",
        "content-length": "5",
    }
    assert theirs.body == b"hello"


# Writing


def test_content_length_is_set_for_a_body_and_never_taken_from_the_headers() -> None:
    assert serialise("SEND", [("content-length", "99")], b"abc") == (
        b"SEND\ncontent-length:3\n\nabc\0"
    )
    assert serialise("SEND", [("content-length", "99"), ("a", "b")]) == b"SEND\na:b\n\n\0"


def test_connect_is_escaped_for_the_broker_and_connected_left_plain_for_clients() -> None:
    assert serialise("CONNECT", [("passcode", "a:b\\")]) == b"CONNECT\npasscode:a\\cb\\\\\n\n\0"
    assert serialise("CONNECTED", [("server", "a:b")]) == b"CONNECTED\nserver:a:b\n\n\0"


@pytest.mark.parametrize(
    ("command", "headers", "body", "text"),
    [
        ("HELLO", [], b"", "not a STOMP command: 'HELLO'"),
        ("SEND\nx:y", [], b"", "not a STOMP command"),
        ("ACK", [], b"a\0", "NUL in the body of ACK"),
        ("SEND", [("a", "b\0")], b"", "NUL in a header of SEND"),
        ("SEND", [("a\0", "b")], b"", "NUL in a header of SEND"),
        ("SEND", [("", "b")], b"", "without a name"),
        ("SEND", [("a", "\ud800")], b"", "lone surrogate in a header of SEND"),
        ("CONNECTED", [("a", "b\nc")], b"", "the CONNECTED header 'a' is empty or needs an escape"),
        ("CONNECTED", [("a", "b\\c")], b"", "needs an escape"),
        ("CONNECTED", [("a:b", "c")], b"", "needs an escape"),
        ("CONNECTED", [("", "c")], b"", "is empty"),
    ],
)
def test_frames_that_the_peer_would_read_differently_are_not_written(
    command: str, headers: list[tuple[str, str]], body: bytes, text: str
) -> None:
    with pytest.raises(Unrepresentable, match=text):
        serialise(command, headers, body)


@given(st.text())
def test_escaping_is_undone_by_unescaping(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set("\r\n:") & set(escape(text))


# For logs


def test_a_frame_shows_no_credentials_no_body_and_no_line_end_of_its_own() -> None:
    frame = Frame(
        "CONNECT",
        (("login", "kim\n"), ("Passcode", "s3cret"), ("authorization ", "s3cret"), ("a\nb", "c")),
        b"s3cret",
        b"s3cret",
    )
    assert str(frame) == (
        "<CONNECT login='kim\\n' Passcode=*** authorization =*** a\\nb='c', body of 6 bytes>"
    )
    assert repr(frame) == str(frame)


def test_long_values_are_cut_in_logs() -> None:
    assert repr(Frame("ACK", (("id", "x" * 81),))) == f"<ACK id='{'x' * 79}…', body of 0 bytes>"


# Around frames


@pytest.mark.parametrize(
    ("offer", "version"),
    [
        (None, "1.0"),
        ("1.0,1.1,1.2", "1.2"),
        ("1.2,1.0", "1.2"),
        ("1.1", "1.1"),
        ("1.1, 1.2", "1.1"),
        ("1.3,2.0", None),
        ("", None),
    ],
)
def test_the_highest_common_version_is_chosen(offer: str | None, version: str | None) -> None:
    assert negotiate_version(offer) == version


def test_heart_beats_are_two_numbers_of_milliseconds() -> None:
    assert parse_heart_beat(None) == (0, 0)
    assert parse_heart_beat("0,10000") == (0, 10_000)


@pytest.mark.parametrize("value", ["", "1", "1,", "1,2,3", "-1,0", "1, 2", "a,b", "1,1e9", "١,1"])
def test_any_other_heart_beat_is_malformed(value: str) -> None:
    with pytest.raises(MalformedFrame, match="heart-beat must be two numbers"):
        parse_heart_beat(value)


def test_a_heart_beat_above_nine_digits_is_malformed() -> None:
    with pytest.raises(MalformedFrame):
        parse_heart_beat("1000000000,0")
