"""A STOMP client with a codec of its own, over websocket-client: it sees exactly what was sent."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import websocket

_TIMEOUT = 15.0
#: Bytes.
_READ = 65_536
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


@dataclass(frozen=True)
class Received:
    """A frame that has come; the first of repeated headers counts."""

    command: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Closed(Exception):
    """The gateway has closed; `code` is None when no Close frame came."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class _Buffered(websocket.WebSocket):
    """A WebSocket that takes from the system what has come, not each part of a frame by itself.

    Each call to the system gives the interpreter away. Two hundred threads that make six for a
    frame did not read the gateway's pings in time.
    """

    _ahead = b""
    _used = 0

    def _recv(self, bufsize: int) -> bytes:
        if self._used == len(self._ahead):
            self._ahead, self._used = super()._recv(_READ), 0  # type: ignore[no-untyped-call]
        start, self._used = self._used, min(self._used + bufsize, len(self._ahead))
        return self._ahead[start : self._used]


class StompClient:
    """A STOMP client over a WebSocket, for tests.

    `headers` go with the handshake; `authority`: the one to trust on `wss://`. Receiving waits for
    a bounded time.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        subprotocols: Sequence[str] = ("v12.stomp",),
        origin: str | None = None,
        authority: Path | None = None,
    ) -> None:
        self.socket = _Buffered(sslopt={"ca_certs": str(authority)} if authority else {})
        self.socket.settimeout(_TIMEOUT)
        self.socket.connect(  # type: ignore[no-untyped-call]
            url,
            header=headers or {},
            subprotocols=list(subprotocols),
            origin=origin,
            suppress_origin=origin is None,
        )
        self._receipts = 0
        self._unread: list[Received] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close(timeout=1)
        # Once a Close frame has come, close() leaves the TCP socket open.
        self.socket.shutdown()  # type: ignore[no-untyped-call]
        # After the peer's Close, close() thinks that there is nothing left to do.
        self.socket.shutdown()  # type: ignore[no-untyped-call]

    def connect(self, token: str | None = None, **headers: str) -> Received:
        """CONNECT in STOMP 1.2; returns the answer, whatever it is."""
        sent = {"accept-version": "1.2", "host": "/", **_dashed(headers)}
        if token is not None:
            sent["passcode"] = token
        self.send("CONNECT", sent)
        return self.receive()

    def subscribe(self, destination: str, id: str = "s", **headers: str) -> None:
        """Returns when it stands."""
        self.request("SUBSCRIBE", {"destination": destination, "id": id, **_dashed(headers)})

    def request(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send with a receipt and wait for it; frames that come before it are kept for later."""
        self._receipts += 1
        receipt = f"r{self._receipts}"
        self.send(command, {**headers, "receipt": receipt}, body)
        kept = []
        while (frame := self.receive()).command != "RECEIPT":
            if frame.command == "ERROR":
                raise AssertionError(f"refused: {frame}")
            kept.append(frame)
        self._unread = kept + self._unread
        assert frame.headers["receipt-id"] == receipt

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        plain = command in ("CONNECT", "STOMP")
        lines = [command]
        lines += [f"{name}:{value if plain else _escape(value)}" for name, value in headers.items()]
        if body:
            lines.append(f"content-length:{len(body)}")
        self.socket.send_binary("\n".join(lines).encode() + b"\n\n" + body + b"\0")

    def raw(self, data: bytes) -> None:
        """Send bytes that are no WebSocket frame, or one of the test's own making."""
        assert self.socket.sock is not None
        self.socket.sock.sendall(data)

    def message(self) -> Received:
        """The next frame, which must be a MESSAGE."""
        frame = self.receive()
        assert frame.command == "MESSAGE", frame
        return frame

    def receive(self) -> Received:
        """The next frame that is no heart-beat. Raises :class:`Closed`, or times out."""
        if self._unread:
            return self._unread.pop(0)
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            data = self.payload()
            if data.strip(b"\r\n"):
                return _parse(data)
        raise TimeoutError("nothing but heart-beats came")

    def error(self) -> tuple[Received, int | None]:
        """The ERROR frame, which must be what comes next, and the close code behind it."""
        frame = self.receive()
        assert frame.command == "ERROR", frame
        return frame, self.closed()

    def heart_beat(self) -> None:
        """Wait for a heart-beat, which must be what comes next."""
        assert self.payload() == b"\n"

    def closed(self) -> int | None:
        """Read to the end and return the close code."""
        deadline = time.monotonic() + _TIMEOUT
        try:
            while time.monotonic() < deadline:
                self.payload()
        except Closed as error:
            return error.code
        raise TimeoutError("the gateway does not close")

    def payload(self) -> bytes:
        """The payload of the next data frame, a heart-beat too. Raises :class:`Closed`."""
        while True:
            opcode, data = self.socket.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Closed(int.from_bytes(data[:2]) if data else None)
            if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                return bytes(data)


def _parse(data: bytes) -> Received:
    head, _, rest = data.lstrip(b"\r\n").partition(b"\n\n")
    command, *lines = head.decode().split("\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(_unescape(name), _unescape(value))
    body, nul, after = rest.rpartition(b"\0")
    assert nul, f"no NUL ends {data!r}"
    assert not after.strip(b"\r\n"), f"something behind {data!r}"
    return Received(command, headers, body)


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


def _unescape(text: str) -> str:
    for escaped, plain in _UNESCAPES.items():
        text = text.replace(escaped, plain)
    return text


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
