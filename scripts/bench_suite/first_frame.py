"""A client whose first frame needs the broker: for how long it waits for the answer."""

import secrets
import socket
import time
from dataclasses import dataclass, field

from bench_suite.frames import FrameReader
from bench_suite.subscriber import MASK
from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build, check_server_handshake, client_handshake

_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Visit:
    """One client: it connects, waits ``away`` seconds after CONNECTED, as long as its first frame
    takes to arrive from afar, and subscribes to a queue of its own."""

    address: tuple[str, int]
    login: str
    passcode: str = field(repr=False)
    away: float = 0.0

    def waited(self) -> tuple[float, float]:
        """Seconds from CONNECT and from the SUBSCRIBE to its RECEIPT. Raises ``RuntimeError``."""
        with socket.create_connection(self.address, timeout=_TIMEOUT) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host = f"{self.address[0]}:{self.address[1]}"
            peer.sendall(client_handshake(host, "/ws", _KEY, ["v12.stomp"]))
            frames = _Frames(peer)
            began = time.perf_counter()
            connect = [("accept-version", "1.2"), ("host", "/"), ("heart-beat", "0,0")]
            _say(peer, "CONNECT", [*connect, ("login", self.login), ("passcode", self.passcode)])
            frames.expect(b"CONNECTED")
            time.sleep(self.away)
            subscribing = time.perf_counter()
            subscribe = [("destination", f"/queue/bench.first.{secrets.token_hex(4)}")]
            subscribe += [("auto-delete", "true"), ("durable", "false"), ("exclusive", "true")]
            _say(peer, "SUBSCRIBE", [("id", "s"), ("receipt", "r"), *subscribe])
            frames.expect(b"RECEIPT")
            now = time.perf_counter()
            return now - began, now - subscribing


class _Frames:
    """What comes from one socket, once its handshake is answered."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._found: list[bytes] = []
        self._reader = FrameReader(
            message=self._found.append, other=lambda opcode, payload: self._found.append(payload)
        )
        head, rest = b"", b""
        while not rest:
            head += self._read()
            head, rest, more = head.partition(b"\r\n\r\n")
        check_server_handshake(head + rest, _KEY, ["v12.stomp"])
        self._reader.feed(more)

    def expect(self, command: bytes) -> None:
        while not self._found:
            self._reader.feed(self._read())
        found = self._found.pop(0)
        if not found.startswith(command):
            raise RuntimeError(f"{command.decode()} was awaited: {found[:300]!r}")

    def _read(self) -> bytes:
        data = self._peer.recv(65_536)
        if not data:
            raise RuntimeError("the connection was closed")
        return data


def _say(peer: socket.socket, command: str, headers: list[tuple[str, str]]) -> None:
    peer.sendall(build(Opcode.TEXT, serialise(command, headers), mask=MASK))
