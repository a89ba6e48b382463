"""A Web-STOMP node that does as it is told, on a real socket."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from broker.nodes.node import Node
from broker.protocol.stomp import CLIENT_COMMANDS, Frame, FrameParser, HeartBeat, Limits, serialise
from broker.protocol.websocket import (
    Close,
    CloseCode,
    Data,
    MessageReader,
    Opcode,
    build,
    close_payload,
)
from tests.integration.tcp_server import listening

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class FakeNode:
    """A Web-STOMP server that does as the test wants.

    `beats`: milliseconds between its heart-beats; `answers`: whether SUBSCRIBE gets a RECEIPT.

    `deaf`: it accepts connections and that is all; `mute`: it beats no heart. `received` are all
    frames of all sessions; `refuses`: the ERROR to CONNECT; `cruel`: for which frames it ends the
    session without a word.
    """

    name: str
    beats: int = 100
    answers: bool = True
    refuses: str | None = None
    deaf: bool = False
    cruel: Callable[[Frame], bool] = field(default=lambda frame: False)
    mute: bool = False
    received: list[Frame] = field(default_factory=list)
    connections: int = 0
    heart_beats: int = 0
    #: Who has connected and has no answer to CONNECT yet, and how many that were at most.
    opening: int = 0
    most_opening: int = 0
    logins: int = 0
    #: Sessions whose connections stand.
    open: int = 0
    sessions: list["Session"] = field(default_factory=list)
    port: int = 0

    @property
    def node(self) -> Node:
        return Node(self.name, f"ws://127.0.0.1:{self.port}/ws", "amqp://127.0.0.1")

    @property
    def session(self) -> "Session":
        """The last one that was opened."""
        return self.sessions[-1]

    def subscribed(self) -> dict[str, str]:
        """The open sessions' subscriptions: key by id."""
        return {id: key for each in self.sessions for id, key in each.keys.items()}


class Session:
    """A STOMP session on the fake node."""

    def __init__(self, node: FakeNode, writer: asyncio.StreamWriter) -> None:
        self.keys: dict[str, str] = {}
        self.name = ""
        self._hangs = False
        self._unanswered: list[str] = []
        self._node = node
        self._writer = writer
        self._parser = FrameParser(Limits(), CLIENT_COMMANDS)
        self._messages = MessageReader(65_536, masked=True)
        self._beating: asyncio.Task[None] | None = None
        #: Cleared while it reads nothing.
        self.reads = asyncio.Event()
        self.reads.set()

    def send(self, command: str, *headers: tuple[str, str], body: bytes = b"") -> None:
        self.write(build(Opcode.TEXT, serialise(command, headers, body)))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def publish(self, key: str, body: bytes) -> None:
        for id, subscribed in self.keys.items():
            if subscribed == key:
                self.send("MESSAGE", ("subscription", id), ("message-id", "1"), body=body)

    def deliver(
        self, id: str, tag: int, body: bytes = b"", more: Sequence[tuple[str, str]] = ()
    ) -> str:
        """A message of that subscription, with ``more`` headers; its id."""
        name = f"T_{id}@@{self.name}@@{tag}"
        self.send(
            "MESSAGE",
            ("subscription", id),
            ("destination", "/queue/x"),
            ("message-id", name),
            ("ack", name),
            *more,
            body=body,
        )
        return name

    def end(self) -> None:
        """As RabbitMQ ends a session for a frame that it refuses."""
        self.write(build(Opcode.CLOSE, close_payload(CloseCode.NORMAL, "STOMP died")))

    def hang(self) -> None:
        """Keep the socket, say nothing more."""
        self._node.answers = False
        self._hangs = True
        if self._beating is not None:
            self._beating.cancel()

    def beat(self) -> None:
        """Beat again after :meth:`hang`."""
        if self._beating is None or self._beating.cancelled() or self._beating.cancelling():
            self._beating = asyncio.create_task(self._beat())

    def answer(self, count: int) -> None:
        """Send the RECEIPTs of so many of the requests that wait for one, the oldest first."""
        for receipt in self._unanswered[:count]:
            self.send("RECEIPT", ("receipt-id", receipt))
        del self._unanswered[:count]

    def drop(self) -> None:
        self._writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(65_536):
                await self.reads.wait()
                for event in self._messages.feed(data):
                    if isinstance(event, Close) and not self._hangs:
                        return
                    if isinstance(event, Data):
                        for frame in self._parser.feed(event.payload):
                            self._take(frame)
        finally:
            self.keys.clear()
            if self._beating is not None:
                self._beating.cancel()
                await asyncio.wait([self._beating])

    def _take(self, frame: Frame | HeartBeat) -> None:
        if isinstance(frame, HeartBeat):
            self._node.heart_beats += 1
            return
        self._node.received.append(frame)
        if self._node.cruel(frame):
            self.end()
            return
        match frame.command:
            case "CONNECT":
                self._log_in()
            case "SUBSCRIBE":
                id = frame.get("id") or ""
                assert id not in self.keys, "RabbitMQ would close the connection"
                self.keys[id] = (frame.get("destination") or "").rpartition("/")[2]
                self._answer(frame)
            case "BEGIN" | "COMMIT" | "ABORT" if not self._hangs:
                if receipt := frame.get("receipt"):
                    self.send("RECEIPT", ("receipt-id", receipt))
            case "DISCONNECT" if self._node.answers:
                self.keys.clear()
                self.write(build(Opcode.CLOSE, close_payload(CloseCode.NORMAL)))
            case "UNSUBSCRIBE":
                del self.keys[frame.get("id") or ""]
                self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        if receipt := frame.get("receipt"):
            self._unanswered.append(receipt)
            if self._node.answers:
                self.answer(1)

    def _log_in(self) -> None:
        self._node.logins += 1
        self._node.opening -= 1
        if self._node.refuses is not None:
            self.send("ERROR", ("message", self._node.refuses))
            return
        beats = self._node.beats
        self.name = f"session-{self._node.name}-{self._node.logins}"
        self.send(
            "CONNECTED",
            ("version", "1.2"),
            ("heart-beat", f"{beats},{beats}"),
            ("session", self.name),
        )
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._node.beats / 2000)
            if not self._node.mute:
                self._writer.write(build(Opcode.TEXT, b"\n"))


@asynccontextmanager
async def serving(fake: FakeNode) -> AsyncIterator[FakeNode]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fake.connections += 1
        if fake.deaf:
            await reader.read()
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(_upgrade(head))
        session = Session(fake, writer)
        fake.sessions.append(session)
        fake.opening += 1
        fake.most_opening = max(fake.most_opening, fake.opening)
        fake.open += 1
        try:
            await session.run(reader)
        finally:
            fake.open -= 1

    async with listening(serve, fake.port) as fake.port:
        yield fake


def _upgrade(head: bytes) -> bytes:
    (key,) = (
        line.split(b":", 1)[1].strip()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n"
    )
