"""WebSocket frames (RFC 6455) for the hot path: building, walking, reading; and the handshake.

Bytes in, bytes and events out, no I/O. It is stricter than Tornado's own reader, which accepts
unmasked client frames and reserved close codes. No extension is ever negotiated, so all reserved
bits must be 0.
"""

import base64
import codecs
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from tornado.util import _websocket_mask


class WebSocketError(Exception):
    """Root of a peer's violations of the WebSocket protocol."""


class WebSocketProtocolError(WebSocketError):
    """The peer broke the framing rules; ``close_code`` is the one to close with."""

    def __init__(self, close_code: "CloseCode", reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code


class HandshakeError(WebSocketError):
    """The server did not accept the upgrade, or not as RFC 6455 §4.1 requires."""


class Opcode(IntEnum):
    """The opcodes of RFC 6455 §5.2; all others are reserved."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """The close codes of RFC 6455 §7.4.1 and the IANA registry; our own begin at 4000."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005  # never sent: "the Close frame named no code"
    ABNORMAL = 1006  # never sent: "no Close frame came"
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_LARGE = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012  # draining, or the broker path is lost: reconnect, spread
    TRY_AGAIN_LATER = 1013  # no capacity: reconnect, spread
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015  # never sent
    NOT_AUTHENTICATED = 4001  # or the token ended: get a new token first
    REFUSED = 4003  # also: removed from the room, kicked
    TOO_SLOW = 4008  # a reader that cannot keep up, or is silent: reconnect and resume


@dataclass(frozen=True, slots=True)
class Data:
    """The payload of one data frame, or a piece of it.

    ``opcode`` is that of its message, TEXT or BINARY; ``last`` tells whether it ends the message.
    """

    payload: bytes
    opcode: int
    last: bool = True


@dataclass(frozen=True, slots=True)
class Ping:
    """A Ping, which requires a Pong with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping, or an unsolicited sign of life."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's Close, after which nothing follows; ``code`` is NO_STATUS if it named none."""

    code: int
    reason: str


Event: TypeAlias = Data | Ping | Pong | Close

_FIN_BIT = 0x80  # of the first byte; below it come the three reserved bits
_CONTROL_BIT = 0x08  # of the first byte: the highest bit of the opcode
#: Plain numbers: looking a member of an enumeration up costs as much as decoding a message.
_TEXT = int(Opcode.TEXT)
_BINARY = int(Opcode.BINARY)
_MASK_BIT = 0x80  # of the second byte
_LENGTHS = 2**63  # every length is below it (RFC 6455 §5.2)
_FIRST_BYTES = frozenset(
    [opcode | _FIN_BIT for opcode in Opcode]
    + [opcode for opcode in Opcode if not opcode & _CONTROL_BIT]
)
_SENDABLE_CODES = frozenset([*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)])
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_SWITCHING = re.compile(r"HTTP/1\.1 101( .*)?")
_SHOWN = 200  # characters of a refusal's status line
_REQUEST_PART = re.compile(r"[!-~]+")


def mask(key: bytes, data: bytes) -> bytes:
    """Mask or unmask with the 4 bytes of ``key`` (RFC 6455 §5.3), in C."""
    return _websocket_mask(key, data)


def build(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes | None = None) -> bytes:
    """The bytes of one frame; ``mask`` is the client's 4-byte key, None on the server's side."""
    length = len(payload)
    first = opcode | _FIN_BIT if fin else opcode
    bit = 0
    if mask is not None:
        bit = _MASK_BIT
        payload = mask + _websocket_mask(mask, payload)
    if length < 126:
        return bytes((first, bit | length)) + payload
    if length < 0x10000:
        return bytes((first, bit | 126)) + length.to_bytes(2) + payload
    return bytes((first, bit | 127)) + length.to_bytes(8) + payload


def data_opcode(payload: bytes) -> int:
    """TEXT for valid UTF-8, which browsers' tools show and every client can read, else BINARY."""
    if payload.isascii():
        # Most are, and to see it takes a third of the time.
        return _TEXT
    try:
        payload.decode()
    except UnicodeDecodeError:
        return _BINARY
    return _TEXT


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a Close frame; the reason is cut to 123 bytes between two characters."""
    if code not in _SENDABLE_CODES:
        raise ValueError(f"close code {code} may not be sent (RFC 6455 §7.4)")
    cut = reason.encode(errors="replace")[:123].decode(errors="ignore")
    return code.to_bytes(2) + cut.encode()


def _frame_at(
    buffer: bytes | bytearray | memoryview, start: int, masked: bool, frame_bytes: int
) -> tuple[int, int, int] | None:
    """First byte, payload start and payload end of the frame at ``start``, whose payload may not
    be there yet; None while its header is incomplete.

    An invalid header is refused before its payload arrives.
    """
    available = len(buffer) - start
    if available < 2:
        return None
    first = buffer[start]
    length = buffer[start + 1]
    if first not in _FIRST_BYTES:
        raise _protocol_error(_first_byte_fault(first))
    payload = start + 2
    if masked:
        if not length & _MASK_BIT:
            raise _protocol_error("a client's frame must be masked")
        length &= 0x7F
        payload = start + 6
    elif length & _MASK_BIT:
        raise _protocol_error("a server's frame must not be masked")
    if length > 125:
        if first & _CONTROL_BIT:
            raise _protocol_error("a control frame has at most 125 bytes")
        size = 2 if length == 126 else 8
        if available < 2 + size:
            return None
        length = _extended_length(buffer[start + 2 : start + 2 + size])
        payload += size
    if length > frame_bytes:
        raise WebSocketProtocolError(
            CloseCode.TOO_LARGE, f"a frame of {length} bytes, at most {frame_bytes} are taken"
        )
    return first, payload, payload + length


def _extended_length(field: bytes | bytearray | memoryview) -> int:
    length = int.from_bytes(field)
    if length < (126 if len(field) == 2 else 0x10000) or length >= _LENGTHS:
        raise _protocol_error("a length must take its shortest form, and stay below 2**63")
    return length


def _first_byte_fault(first: int) -> str:
    if first & 0x70:
        return "a reserved bit is set, and no extension was agreed"
    opcode = first & 0x0F
    if opcode & 0x07 > 2:
        return f"opcode {opcode:#x} is reserved"
    return "a control frame must not be fragmented"


def _protocol_error(reason: str) -> WebSocketProtocolError:
    return WebSocketProtocolError(CloseCode.PROTOCOL_ERROR, reason)


def walk(
    buffer: bytes | bytearray | memoryview, *, frame_bytes: int
) -> Iterator[tuple[int, bool, int, int]]:
    """The complete frames of a server in ``buffer``, without copying.

    Yields ``(opcode, fin, payload_start, payload_end)``. The last ``payload_end`` (0 if nothing
    came) is where the incomplete rest begins: ``buffer[:payload_end]`` can be forwarded as it is.
    A WebSocketProtocolError is raised after the good frames before it. The order of fragments is
    not checked.
    """
    available = len(buffer)
    start = 0
    while (frame := _frame_at(buffer, start, False, frame_bytes)) is not None:
        first, payload, end = frame
        if end > available:
            return
        start = end
        yield first & 0x0F, first >= _FIN_BIT, payload, start


class MessageReader:
    """A reader of the frames of one peer, whose bytes may be cut anywhere.

    ``frame_bytes`` bounds a frame's payload and so the memory (one frame and a chunk). ``masked``
    is True when reading a client. Fragments are checked, not joined: each data frame is delivered
    as it comes.
    """

    def __init__(self, frame_bytes: int, *, masked: bool) -> None:
        #: May be raised at any time.
        self.frame_bytes = frame_bytes
        self._masked = masked
        self._buffer = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._message: int | None = None
        self._closed = False
        self._failure: WebSocketProtocolError | None = None
        #: Bytes of a payload that are still to be skipped.
        self._to_skip = 0

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a message."""
        busy = self._buffer or self._closed or self._failure is not None
        return not busy and self._message is None

    @property
    def held(self) -> int:
        """The bytes of frames that are not complete, or were not taken yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that ``data`` completes, read while the caller iterates.

        A WebSocketProtocolError is therefore raised after the good events before it have been
        yielded (do not collect them with ``list``: the error would discard them). The error is
        final: every later feed raises it again. Everything after a Close is ignored (RFC 6455
        §1.4).
        """
        if self._failure is not None:
            raise self._failure
        if not self._closed:
            self._buffer += data
        return self._events()

    def skip(self, data: bytes, *, most: int) -> bool:
        """Drop what comes, unread and unkept, up to the peer's Close. Whether that has come.

        For an endpoint that has sent its own Close (RFC 6455 §1.4, §7.1.7); from then on
        :meth:`feed` must not be called. Raises WebSocketProtocolError where no frame can begin, or
        if ``most`` frames do not reach the end of what has come.
        """
        buffer, at = self._buffer, self._to_skip
        buffer += data
        left = most
        while (frame := _frame_at(buffer, at, self._masked, self.frame_bytes)) is not None:
            first, _, end = frame
            if first & 0x0F == Opcode.CLOSE:
                self._closed = end <= len(buffer)
                break
            if not left:
                buffer.clear()
                raise _protocol_error("too many frames after Close")
            left -= 1
            at = end
        self._to_skip = max(0, at - len(buffer))
        del buffer[:at]
        return self._closed

    def _events(self) -> Iterator[Event]:
        try:
            while (event := self._next()) is not None:
                yield event
        except WebSocketProtocolError as error:
            self._failure = error
            self._buffer.clear()
            raise

    def _next(self) -> Event | None:
        buffer = self._buffer
        frame = _frame_at(buffer, 0, self._masked, self.frame_bytes)
        if frame is None:
            return None
        first, start, end = frame
        if end > len(buffer):
            return None
        payload = bytes(buffer[start:end])
        if self._masked:
            payload = _websocket_mask(bytes(buffer[start - 4 : start]), payload)
        del buffer[:end]
        opcode = first & 0x0F
        if opcode <= Opcode.BINARY:
            return self._data(opcode, first >= _FIN_BIT, payload)
        if opcode == Opcode.CLOSE:
            self._closed = True
            buffer.clear()
            return _close(payload)
        return Ping(payload) if opcode == Opcode.PING else Pong(payload)

    def _data(self, opcode: int, fin: bool, payload: bytes) -> Data:
        if opcode == Opcode.CONTINUATION:
            if self._message is None:
                raise _protocol_error("a continuation frame without a message to continue")
            opcode = self._message
        elif self._message is not None:
            raise _protocol_error("a new message inside a fragmented one")
        if opcode == Opcode.TEXT:
            try:
                self._utf8.decode(payload, fin)
            except UnicodeDecodeError:
                raise WebSocketProtocolError(
                    CloseCode.INVALID_DATA, "a text message is not UTF-8"
                ) from None
        self._message = None if fin else opcode
        return Data(payload, opcode, fin)


def _close(payload: bytes) -> Close:
    if not payload:
        return Close(CloseCode.NO_STATUS, "")
    code = int.from_bytes(payload[:2])
    if code not in _SENDABLE_CODES:  # as is every number of a single byte
        raise _protocol_error("a Close frame without a valid code (RFC 6455 §7.4)")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise WebSocketProtocolError(
            CloseCode.INVALID_DATA, "the reason of a Close frame is not UTF-8"
        ) from None


def ends_with_close(data: bytes) -> bool:
    """Whether the last bytes of a client look like a whole Close frame.

    For a client whose frames cannot be told apart any more, because one was broken: what it sends
    last, if it answers our Close, is its own (RFC 6455 §5.5.1).
    """
    for size in (0, *range(2, 126)):
        start = len(data) - 6 - size
        if start < 0:
            return False
        if data[start] == _FIN_BIT | Opcode.CLOSE and data[start + 1] == _MASK_BIT | size:
            code = _websocket_mask(data[start + 2 : start + 6], data[start + 6 : start + 8])
            if not size or int.from_bytes(code) in _SENDABLE_CODES:
                return True
    return False


def accept_key(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` for a client's ``Sec-WebSocket-Key`` (RFC 6455 §4.2.2)."""
    digest = hashlib.sha1(key.encode() + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def client_handshake(host: str, path: str, key: str, subprotocols: Sequence[str]) -> bytes:
    """The upgrade request; ``key`` is the base64 of 16 random bytes, ``host`` includes the port."""
    for part in (host, path, key, *subprotocols):
        if not _REQUEST_PART.fullmatch(part):
            raise ValueError(f"not fit for a request head: {part!r}")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    if subprotocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}")
    return "\r\n".join([*lines, "", ""]).encode()


def check_server_handshake(response: bytes, key: str, subprotocols: Sequence[str]) -> str | None:
    """The subprotocol that the server chose from those offered, None if it named none.

    ``response`` is the response head up to and including its blank line. Raises HandshakeError.
    """
    status, *lines = response.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if not _SWITCHING.fullmatch(status):
        raise HandshakeError(f"expected HTTP/1.1 101 Switching Protocols, got {status[:_SHOWN]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise HandshakeError(f"{status!r}, but a header has no colon")
        name = name.lower()
        value = value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("upgrade", "").lower() != "websocket":
        raise HandshakeError(f"{status!r}, but Upgrade is not websocket")
    if "upgrade" not in re.split(r"[ \t]*,[ \t]*", headers.get("connection", "").lower()):
        raise HandshakeError(f"{status!r}, but Connection does not say Upgrade")
    if headers.get("sec-websocket-accept") != accept_key(key):
        raise HandshakeError(f"{status!r}, but Sec-WebSocket-Accept does not answer our key")
    if "sec-websocket-extensions" in headers:
        raise HandshakeError(f"{status!r}, but with extensions that were not offered")
    chosen = headers.get("sec-websocket-protocol")
    if chosen is not None and chosen not in subprotocols:
        raise HandshakeError(f"{status!r}, but with subprotocol {chosen!r}, which was not offered")
    return chosen
