r"""STOMP 1.0, 1.1 and 1.2 frames as RabbitMQ reads and writes them; bytes in, frames out, no I/O.

What is judged here is parsed again by the broker, so nothing may mean one thing here and another
there. RabbitMQ's parser (``rabbit_stomp_frame.erl``, 3.10 to 4.3) decides, and where it is laxer
than STOMP 1.2 the frame is refused:

* ``\n \r \c \\`` are decoded in every version and command, CONNECT and CONNECTED too, although
  STOMP 1.0 has no escapes and 1.2 exempts those two: that is how the broker will understand them.
* ``content-length`` bounds the body of SEND (and of MESSAGE and ERROR, the other way). In any other
  frame RabbitMQ ignores it and stops at the first NUL, so there both must agree: the bytes behind
  that NUL would be a frame that nobody judged.
* Of a repeated header the first counts (STOMP 1.2, "Repeated Header Entries"); a raw colon in a
  value is part of it; CR LF ends a line like LF.
* RabbitMQ takes NUL and broken UTF-8 in headers, NUL between frames, an empty header name, and
  blanks or a sign around ``content-length``; all these are refused.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias


class StompError(Exception):
    """Root of the errors about frames; the text may be shown to the peer."""


class MalformedFrame(StompError):
    """The peer's bytes are not a STOMP frame, or one that RabbitMQ could read differently."""


class FrameTooLarge(StompError):
    """The peer's frame exceeds the limits, or announces that it will."""


class HeadTooLarge(FrameTooLarge):
    """The command line and the headers are too long, or the headers too many."""


class Unrepresentable(StompError):
    """A frame of ours cannot be written so that the peer would read the same content."""


CLIENT_COMMANDS: Final = frozenset(
    {"CONNECT", "STOMP", "DISCONNECT", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK"}
    | {"BEGIN", "COMMIT", "ABORT"}
)
SERVER_COMMANDS: Final = frozenset({"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"})
VERSIONS: Final = ("1.2", "1.1", "1.0")

_COMMANDS = CLIENT_COMMANDS | SERVER_COMMANDS
_LENGTH_COUNTS = frozenset({"SEND", "MESSAGE", "ERROR"})
_SECRET_HEADERS = frozenset({"passcode", "authorization"})

_LF, _CR = b"\n\r"
_EOLS = re.compile(rb"(?:\r?\n)*")
_DIGITS = re.compile(r"[0-9]{1,18}")
_HEART_BEAT = re.compile(r"([0-9]{1,9}),([0-9]{1,9})")
_ESCAPE_SEQUENCE = re.compile(r"\\(.?)", re.DOTALL)
_ALWAYS_ESCAPED = re.compile(r"[\\\r\n]")
_ESCAPED = re.compile(r"[\\\r\n:]")
_UNESCAPES = {"n": "\n", "r": "\r", "c": ":", "\\": "\\"}
_ESCAPES = str.maketrans({char: "\\" + letter for letter, char in _UNESCAPES.items()})

Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one frame.

    ``frame_bytes`` counts from command to NUL, ``header_bytes`` the command line and the headers,
    ``header_count`` the header lines, including repeated ones.
    """

    frame_bytes: int = 65_536
    header_bytes: int = 16_384
    header_count: int = 100


@dataclass(frozen=True, slots=True)
class HeartBeat:
    """One or more line ends between two frames."""


HEART_BEAT: Final = HeartBeat()


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One STOMP frame. Headers are decoded, in order, and repeated ones are kept.

    ``raw`` is the frame as it was received, from command to NUL, for passing on byte for byte; it
    is empty in a frame made here.
    """

    command: str
    headers: Headers = ()
    body: bytes = b""
    raw: bytes = field(default=b"", compare=False)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of the first header with that name, which is the one that RabbitMQ uses."""
        for key, value in self.headers:
            if key == name:
                return value
        return default

    def __repr__(self) -> str:
        """The frame for logs: no credentials, long values cut, only the size of the body.

        A body can be a token (SEND to ``/gateway/token``) and is always private.
        """
        shown = "".join(_shown(name, value) for name, value in self.headers)
        return f"<{self.command}{shown}, body of {len(self.body)} bytes>"


def _shown(name: str, value: str) -> str:
    secret = name.strip().lower() in _SECRET_HEADERS
    return f" {_cut(name)[1:-1]}={'***' if secret else _cut(value)}"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")


_Head: TypeAlias = tuple[str, Headers, int, int | None]


class FrameParser:
    """A parser of frames from a byte stream that may be cut anywhere.

    It never holds more than the limits and a chunk. ``commands`` are those accepted:
    ``CLIENT_COMMANDS`` or ``SERVER_COMMANDS``.
    """

    def __init__(self, limits: Limits, commands: frozenset[str]) -> None:
        self.allow(limits)
        self._commands = commands
        self._buffer = bytearray()
        self._scanned = 0
        self._head: _Head | None = None
        self._failure: StompError | None = None

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a frame."""
        return not self._buffer and self._failure is None

    @property
    def held(self) -> int:
        """The bytes of frames that are not complete, or were not taken yet."""
        return len(self._buffer)

    def allow(self, limits: Limits) -> None:
        """Take frames within these limits from now on."""
        self._limits = limits
        self._header_bytes = min(limits.header_bytes, limits.frame_bytes)

    def feed(self, data: bytes) -> Iterator[Frame | HeartBeat]:
        """The events that ``data`` completes, parsed while the caller iterates.

        A MalformedFrame or FrameTooLarge is therefore raised after the good frames before it have
        been yielded (do not collect them with ``list``: the error would discard them). The error is
        final: every later feed raises it again. Data that is not iterated stays for the next feed.
        """
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        return self._events()

    def _events(self) -> Iterator[Frame | HeartBeat]:
        try:
            while (event := self._next()) is not None:
                yield event
        except StompError as error:
            self._failure = error
            self._buffer.clear()
            raise

    def _next(self) -> Frame | HeartBeat | None:
        buffer = self._buffer
        if self._head is None:
            if not buffer:
                return None
            if buffer[0] in (_LF, _CR):
                return self._skip_eols()
            self._head = self._read_head()
            if self._head is None:
                return None
        return self._read_body(*self._head)

    def _skip_eols(self) -> HeartBeat | None:
        match = _EOLS.match(self._buffer)
        if match is not None and match.end():
            del self._buffer[: match.end()]
            return HEART_BEAT
        if len(self._buffer) > 1:
            raise MalformedFrame("lone CR between frames: a line ends with LF or CR LF")
        return None

    def _read_head(self) -> _Head | None:
        """Command and headers, once the blank line after them has arrived."""
        buffer, limit = self._buffer, self._header_bytes
        # Every search stops at the first NUL, so each frame of a chunk costs only its own bytes.
        bound = limit + 3  # The longest head, and LF CR LF behind it.
        nul = buffer.find(0, self._scanned, bound)
        stop = min(len(buffer), bound) if nul < 0 else nul
        end = buffer.find(b"\n\n", self._scanned, stop)
        crlf = buffer.find(b"\n\r\n", self._scanned, stop if end < 0 else end + 1)
        start = end + 2
        if crlf >= 0:
            end, start = crlf, crlf + 3
        if end > limit or (end < 0 and stop == bound):
            raise HeadTooLarge(f"command and headers exceed {limit} bytes")
        if end < 0:
            if nul >= 0:
                raise MalformedFrame(
                    "NUL before the end of the headers: a blank line ends them, "
                    "and one NUL each frame"
                )
            self._scanned = max(0, len(buffer) - 2)
            return None
        self._scanned = start
        return self._parse_head(start, self._text(end))

    def _text(self, end: int) -> str:
        try:
            text = self._buffer[:end].decode()
        except UnicodeDecodeError as error:
            # Without the cause, which contains the bytes and perhaps a passcode.
            raise MalformedFrame(
                f"headers are not UTF-8 (byte {error.start} of the frame)"
            ) from None
        if "\r" in text:
            text = (text + "\n").replace("\r\n", "\n")[:-1]
            if "\r" in text:
                raise MalformedFrame(r"lone CR in the headers: write CR as \r; a line ends with LF")
        return text

    def _parse_head(self, start: int, text: str) -> _Head:
        command, *lines = text.split("\n")
        if command not in self._commands:
            # Shown only if it looks like a command: it could be the tail of a body.
            what = f" {command!r}" if command.isalpha() and len(command) <= 16 else ""
            raise MalformedFrame(f"unknown command{what}, expected {_listed(self._commands)}")
        if len(lines) > self._limits.header_count:
            raise HeadTooLarge(f"more than {self._limits.header_count} headers")
        headers: list[tuple[str, str]] = []
        escaped = "\\" in text
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name:
                number = len(headers) + 1
                raise MalformedFrame(f"header {number} has no name or no colon: write name:value")
            headers.append((unescape(name), unescape(value)) if escaped else (name, value))
        length = _content_length(headers) if "content-length" in text else None
        if length is not None and start + length + 1 > self._limits.frame_bytes:
            raise FrameTooLarge(
                f"content-length {length} takes the frame over {self._limits.frame_bytes} bytes"
            )
        return command, tuple(headers), start, length

    def _read_body(
        self, command: str, headers: Headers, start: int, length: int | None
    ) -> Frame | None:
        buffer = self._buffer
        if length is not None and command in _LENGTH_COUNTS:
            end = start + length
            if len(buffer) <= end:
                return None
            if buffer[end]:
                raise MalformedFrame(f"content-length {length} is wrong: no NUL after that body")
        else:
            limit = self._limits.frame_bytes
            end = buffer.find(0, self._scanned, limit)
            if end < 0:
                if len(buffer) >= limit:
                    raise FrameTooLarge(f"the frame exceeds {limit} bytes")
                self._scanned = len(buffer)
                return None
            if length is not None and end - start != length:
                raise MalformedFrame(
                    f"content-length {length} is wrong: the body of {command} has {end - start} "
                    "bytes up to its first NUL, where it ends"
                )
        raw = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._scanned = 0
        self._head = None
        return Frame(command, headers, raw[start:-1], raw)


def _content_length(headers: Iterable[tuple[str, str]]) -> int | None:
    for name, value in headers:
        if name == "content-length":
            if not _DIGITS.fullmatch(value):
                raise MalformedFrame("content-length must be the body's bytes in plain digits")
            return int(value)
    return None


def _listed(commands: frozenset[str]) -> str:
    return ", ".join(sorted(commands))


def unescape(text: str) -> str:
    r"""Decode ``\n \r \c \\`` in a header name or value; any other escape is a MalformedFrame."""
    return _ESCAPE_SEQUENCE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(sequence: re.Match[str]) -> str:
    try:
        return _UNESCAPES[sequence[1]]
    except KeyError:
        raise MalformedFrame(rf"unknown escape {sequence[0]!a}: only \n \r \c \\ exist") from None


def escape(text: str) -> str:
    r"""Encode LF, CR, colon and backslash, as RabbitMQ does in every version."""
    return text.translate(_ESCAPES) if _ESCAPED.search(text) else text


def serialise(command: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """The bytes of one frame with its NUL; sets ``content-length`` if the body is not empty.

    Headers are escaped as RabbitMQ does it: in all versions, and in CONNECT, where it decodes them.
    CONNECTED goes to clients; some decode it and some, correctly, do not. It is therefore written
    plain and may contain nothing that would need an escape, except a colon in a value.

    Raises Unrepresentable: an unknown command; NUL, a lone surrogate or an empty name in a header;
    NUL in a body that ends at the first one.
    """
    if command not in _COMMANDS:
        raise Unrepresentable(f"not a STOMP command: {command!r}")
    if 0 in body and command not in _LENGTH_COUNTS:
        raise Unrepresentable(f"NUL in the body of {command}, which ends at the first one")
    line = _plain_line if command == "CONNECTED" else _escaped_line
    lines = [command]
    lines += [line(name, value) for name, value in headers if name != "content-length"]
    if body:
        lines.append(f"content-length:{len(body)}")
    head = "\n".join(lines)
    if "\0" in head:
        raise Unrepresentable(f"NUL in a header of {command}")
    try:
        return b"%b\n\n%b\0" % (head.encode(), body)
    except UnicodeEncodeError:
        # Without the cause, which contains the headers and perhaps a passcode.
        raise Unrepresentable(f"lone surrogate in a header of {command}") from None


def _escaped_line(name: str, value: str) -> str:
    if not name:
        raise Unrepresentable("a header without a name")
    return f"{escape(name)}:{escape(value)}"


def _plain_line(name: str, value: str) -> str:
    if not name or escape(name) != name or _ALWAYS_ESCAPED.search(value):
        raise Unrepresentable(f"the CONNECTED header {name!r} is empty or needs an escape")
    return f"{name}:{value}"


def negotiate_version(accept_version: str | None) -> str | None:
    """The highest offered version that we speak, None if there is none (STOMP 1.2, "Protocol
    Negotiation"). No ``accept-version`` means 1.0. Blanks are not trimmed; RabbitMQ does not trim
    them either."""
    offered = ["1.0"] if accept_version is None else accept_version.split(",")
    return next((version for version in VERSIONS if version in offered), None)


def parse_heart_beat(value: str | None) -> tuple[int, int]:
    """The two numbers of ``heart-beat:<x>,<y>``, in milliseconds: the interval that the sender
    guarantees and the one that it wants; 0 is none (STOMP 1.2, "Heart-beating"). No header means
    ``0,0``."""
    if value is None:
        return 0, 0
    match = _HEART_BEAT.fullmatch(value)
    if match is None:
        raise MalformedFrame("heart-beat must be two numbers of milliseconds: 10000,10000")
    return int(match[1]), int(match[2])
