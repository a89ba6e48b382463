"""A node that speaks AMQP 0-9-1 on a loopback port, and does what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pamqp import commands as spec
from pamqp import frame as frames
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from broker.nodes.node import Node

_PROTOCOL: Final = b"AMQP\x00\x00\x09\x01"
_CAPABILITIES: Final[Any] = {"publisher_confirms": True, "basic.nack": True}


_REPLIES: Final[dict[Any, Callable[[], Any]]] = {
    spec.Channel.Open: spec.Channel.OpenOk,
    spec.Channel.Close: spec.Channel.CloseOk,
    spec.Confirm.Select: spec.Confirm.SelectOk,
    spec.Queue.Bind: spec.Queue.BindOk,
    spec.Queue.Unbind: spec.Queue.UnbindOk,
    spec.Exchange.Declare: spec.Exchange.DeclareOk,
    spec.Exchange.Bind: spec.Exchange.BindOk,
    spec.Queue.Delete: lambda: spec.Queue.DeleteOk(0),
    spec.Basic.Get: spec.Basic.GetEmpty,
}


@dataclass
class Published:
    """A message that came on a channel; ``tag`` counts them there."""

    channel: int
    tag: int
    message_id: str
    routing_key: str
    body: bytes
    exchange: str = ""
    mandatory: bool = True
    headers: dict[str, Any] = field(default_factory=dict)


class Session:
    """One connection of a client."""

    def __init__(self, node: AmqpNode, writer: asyncio.StreamWriter) -> None:
        self.node = node
        self.writer = writer
        self._tags: dict[int, int] = {}
        self._publishing: dict[int, list[Any]] = {}
        #: Channels that this end has closed: until the client has said so too, and from then on.
        self._closing: set[int] = set()
        self._closed: set[int] = set()

    def send(self, frame: Any, channel: int = 0) -> None:
        self.writer.write(frames.marshal(frame, channel))

    def cut(self) -> None:
        self.writer.transport.abort()

    def close(self, code: int = 320, text: str = "CONNECTION_FORCED - broker forced") -> None:
        self.send(spec.Connection.Close(code, text, 0, 0))

    def close_channel(self, channel: int, code: int, text: str) -> None:
        self.send(spec.Channel.Close(code, text, 60, 40), channel)
        self._closing.add(channel)

    def take(self, channel: int, frame: Any) -> None:
        """One frame of the client."""
        self.node.heard.append(type(frame).__name__ if channel == 0 else frame.name)
        if channel in self._closing | self._closed:
            self._take_closed(channel, frame)
            return
        match frame:
            case spec.Connection.StartOk():
                self.send(spec.Connection.Tune(2047, self.node.frame_max, 60))
            case spec.Connection.Open():
                self.send(spec.Connection.OpenOk())
            case spec.Connection.Close():
                self.send(spec.Connection.CloseOk())
            case spec.Connection.CloseOk():
                self.writer.close()
            case spec.Basic.Publish():
                self._publishing[channel] = [frame]
            case ContentHeader():
                self._publishing[channel].append(frame)
                self._publishing[channel].append(b"")
                self._published(channel)
            case ContentBody():
                self._publishing[channel][2] += frame.value
                self._published(channel)
            case _:
                for reply in self.node.replies(self, channel, frame):
                    self.send(reply, channel)

    def _take_closed(self, channel: int, frame: Any) -> None:
        """A frame on a channel that this end has closed, as RabbitMQ takes it."""
        match frame:
            case spec.Channel.CloseOk():
                self._closing.discard(channel)
                self._closed.add(channel)
            case _ if channel in self._closing:
                return
            case spec.Channel.Open():
                self._closed.discard(channel)
                self._tags.pop(channel, None)
                self.send(spec.Channel.OpenOk(), channel)
            case _:
                self.close(504, "CHANNEL_ERROR - expected 'channel.open'")

    def _published(self, channel: int) -> None:
        publish, header, body = self._publishing[channel]
        if len(body) < header.body_size:
            return
        tag = self._tags[channel] = self._tags.get(channel, 0) + 1
        id = header.properties.message_id or ""
        published = Published(
            channel,
            tag,
            id,
            publish.routing_key,
            body,
            publish.exchange,
            publish.mandatory,
            header.properties.headers or {},
        )
        self.node.published.append(published)
        self.node.on_publish(self, published)


@dataclass
class AmqpNode:
    """A scripted AMQP server.

    ``hangs`` names the methods that get no answer. ``on_publish`` answers publications.
    """

    name: str = "r1"
    frame_max: int = 131_072
    heard: list[str] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    hangs: set[str] = field(default_factory=set)
    port: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    on_publish: Callable[[Session, Published], None] = lambda session, published: session.send(
        spec.Basic.Ack(published.tag), published.channel
    )

    def session(self, writer: asyncio.StreamWriter) -> Session:
        return Session(self, writer)

    @property
    def node(self) -> Node:
        return Node(self.name, "ws://127.0.0.1/ws", f"amqp://127.0.0.1:{self.port}")

    def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        if frame.name in self.hangs:
            return
        if isinstance(frame, spec.Queue.Declare):
            yield spec.Queue.DeclareOk(frame.queue, 0, 0)
        elif (reply := _REPLIES.get(type(frame))) is not None:
            yield reply()

    @contextmanager
    def hanging(self, *methods: str) -> Iterator[None]:
        self.hangs.update(methods)
        yield
        self.hangs.difference_update(methods)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = self.session(writer)
        try:
            assert await reader.readexactly(8) == _PROTOCOL
            self.sessions.append(session)
            self.came.set()
            session.send(
                spec.Connection.Start(0, 9, {"capabilities": _CAPABILITIES}, "PLAIN", "en_US")
            )
            data = b""
            while chunk := await reader.read(65_536):
                data += chunk
                while len(data) >= 7 and len(data) >= 8 + int.from_bytes(data[3:7], "big"):
                    consumed, channel, frame = frames.unmarshal(data)
                    data = data[consumed:]
                    session.take(channel, frame)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            if session in self.sessions:
                self.sessions.remove(session)
            writer.transport.abort()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once it is so; the caller bounds the time."""
    while not condition():  # noqa: ASYNC110 - of many things, some in other people's code
        await asyncio.sleep(0.005)


@asynccontextmanager
async def amqp_node(name: str = "r1", *, kind: type[AmqpNode] = AmqpNode) -> AsyncIterator[Any]:
    node = kind(name)
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    node.port = server.sockets[0].getsockname()[1]
    try:
        yield node
    finally:
        server.close()
        for session in tuple(node.sessions):
            session.cut()
        await server.wait_closed()
