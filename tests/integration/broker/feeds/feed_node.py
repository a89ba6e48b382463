"""A node that speaks AMQP 0-9-1 to feeds and does as it is told, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from broker.nodes.node import Node
from tests.integration.tcp_server import listening

_FRAME_MAX = 131_072
#: The answers before those to bindings: the feed's exchange, its queue, the binding between them,
#: and the same for what the queue drops.
DECLARATIONS = 6


@dataclass
class FeedNode:
    """An AMQP server with one exchange and the queues of feeds.

    `answers`: whether declarations, bindings and their ends are answered; `refuses`: the text
    with which it refuses a login; `deaf`: it accepts connections and that is all; `secret`: the
    password that it wants. `received` are the names of all methods of all sessions.
    """

    name: str
    answers: bool = True
    refuses: str | None = None
    deaf: bool = False
    frame_max: int = _FRAME_MAX
    received: list[str] = field(default_factory=list)
    #: All sessions so far, and those that are open.
    logins: int = 0
    sessions: list[FeedSession] = field(default_factory=list)
    port: int = 0
    #: The exchanges that were deleted.
    deleted: list[str] = field(default_factory=list)

    @property
    def node(self) -> Node:
        return Node(self.name, "ws://127.0.0.1/ws", f"amqp://127.0.0.1:{self.port}")

    @property
    def session(self) -> FeedSession:
        """The last one that was opened."""
        return self.sessions[-1]

    def bound(self) -> list[str]:
        """The keys that are bound to the queues of the open sessions."""
        return sorted(key for each in self.sessions for key in each.keys)


class FeedSession:
    """One connection of a feed on the fake node."""

    def __init__(self, node: FeedNode, writer: asyncio.StreamWriter) -> None:
        self.keys: set[str] = set()
        #: How often each key was asked to be bound.
        self.asked: list[str] = []
        self.queue = self.entrance = self.overflow = ""
        #: The number of messages that the feed's queue has dropped lately.
        self.dropped = 0
        #: Whether the queue of those is gone, and whether it may not be declared anew.
        self.overflow_is_gone = self.overflow_is_refused = False
        self.arguments: dict[str, Any] = {}
        self.client: dict[str, Any] = {}
        self.questions = 0
        self._hangs = False
        self._consumer: str | None = None
        self._tag = 0
        self._unanswered: list[tuple[Any, int]] = []
        #: The channels that were closed from here and not yet from there.
        self._closing: set[int] = set()
        self._node = node
        self._writer = writer

    def send(self, value: Any, channel: int = 0) -> None:
        self.write(frame.marshal(value, channel))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def publish(self, key: str, body: bytes, **properties: Any) -> None:
        """Deliver to the feed what RabbitMQ would deliver: once, if any binding matches."""
        if key in self.keys and self._consumer is not None:
            self.deliver(key, body, **properties)

    def deliver(self, key: str, body: bytes, **properties: Any) -> None:
        """Deliver, bound or not."""
        content = ContentHeader(0, len(body), commands.Basic.Properties(**properties))
        self.deliver_content(key, content.marshal(), body)

    def deliver_content(self, key: str, header: bytes, body: bytes) -> None:
        """Deliver with a content header that need not be a right one."""
        self._tag += 1
        tag = self._consumer or ""
        self.send(commands.Basic.Deliver(tag, self._tag, False, "amq.topic", key), 1)
        self.write(b"\x02\0\1" + len(header).to_bytes(4, "big") + header + b"\xce")
        most = self._node.frame_max - 8
        for start in range(0, len(body), most):
            self.send(ContentBody(body[start : start + most]), 1)

    def hang(self) -> None:
        """Keep the socket, say nothing more."""
        self._hangs = True

    def wake(self) -> None:
        self._hangs = False

    def answer(self, count: int) -> None:
        """Answer so many of the requests that wait, the oldest first."""
        for each, channel in self._unanswered[:count]:
            self.send(each, channel)
        del self._unanswered[:count]

    def drop(self) -> None:
        self._writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader) -> None:
        assert await reader.readexactly(8) == b"AMQP\x00\x00\x09\x01"
        self.send(commands.Connection.Start(0, 9, {"product": "fake"}, "PLAIN", "en_US"))
        data = b""
        while chunk := await reader.read(65_536):
            data += chunk
            while len(data) >= 7 and len(data) >= 8 + int.from_bytes(data[3:7], "big"):
                consumed, channel, value = frame.unmarshal(data)
                data = data[consumed:]
                if not isinstance(value, Heartbeat):
                    self._node.received.append(value.name)
                    if isinstance(value, commands.Channel.CloseOk):
                        self._closing.discard(channel)
                    elif channel not in self._closing:
                        self._take(channel, value)

    def _take(self, channel: int, method: Any) -> None:  # noqa: C901, PLR0912 - a case for each method
        match method:
            case commands.Connection.StartOk():
                self._log_in(method)
            case commands.Connection.Open():
                self.send(commands.Connection.OpenOk())
            case commands.Channel.Open():
                self.send(commands.Channel.OpenOk(), channel)
            case commands.Channel.Flow():
                self.questions += 1
                if not self._hangs:
                    self.send(commands.Channel.FlowOk(method.active), channel)
            case commands.Queue.Declare():
                assert (method.exclusive, method.durable) == (True, False)
                if self.overflow_is_refused:
                    self._close(channel, 403, "ACCESS_REFUSED")
                    return
                if method.queue == self.overflow:
                    self.overflow_is_gone = False
                else:
                    self.queue = method.queue
                    self.arguments = dict(method.arguments or {})
                    self.overflow = str(self.arguments["x-dead-letter-exchange"])
                self._answer(commands.Queue.DeclareOk(method.queue, 0, 0), channel)
            case commands.Queue.Bind():
                # The queue gets whatever comes through the feed's own exchange, as does the other.
                assert method.queue == method.exchange
                self._answer(commands.Queue.BindOk(), channel)
            case commands.Queue.Purge():
                assert method.queue == self.overflow
                self._purge(channel)
            case commands.Exchange.Declare():
                self._take_exchange(channel, method)
            case commands.Exchange.Delete():
                self._node.deleted.append(method.exchange)
                self._answer(commands.Exchange.DeleteOk(), channel)
            case commands.Exchange.Bind():
                assert (method.destination, method.source) == (self.entrance, "amq.topic")
                self.asked.append(method.routing_key)
                self.keys.add(method.routing_key)
                self._answer(commands.Exchange.BindOk(), channel)
            case commands.Exchange.Unbind():
                assert (method.destination, method.source) == (self.entrance, "amq.topic")
                self.keys.discard(method.routing_key)
                self._answer(commands.Exchange.UnbindOk(), channel)
            case commands.Basic.Consume():
                assert (method.queue, method.no_ack) == (self.queue, True)
                self._consumer = f"consumer-{self.queue}"
                if not self._hangs:
                    self.send(commands.Basic.ConsumeOk(self._consumer), channel)

    def _purge(self, channel: int) -> None:
        if self.overflow_is_gone:
            self._close(channel, 404, "NOT_FOUND")
        else:
            count, self.dropped = self.dropped, 0
            self.send(commands.Queue.PurgeOk(count), channel)

    def _close(self, channel: int, code: int, text: str) -> None:
        """Close a channel: what comes on it before its CloseOk is ignored."""
        self._closing.add(channel)
        self.send(commands.Channel.Close(code, text, 0, 0), channel)

    def _take_exchange(self, channel: int, method: Any) -> None:
        if not method.passive:
            assert (method.exchange_type, method.auto_delete) == ("fanout", True)
            if method.exchange != self.overflow:
                self.entrance = method.exchange
        elif method.exchange in self._node.deleted:
            self.send(commands.Channel.Close(404, "NOT_FOUND", 40, 10), 2)
            return
        self._answer(commands.Exchange.DeclareOk(), channel)

    def _answer(self, value: Any, channel: int) -> None:
        self._unanswered.append((value, channel))
        if self._node.answers and not self._hangs:
            self.answer(1)

    def _log_in(self, method: Any) -> None:
        self._node.logins += 1
        self.client = dict(method.client_properties)
        if self._node.refuses is not None or str(method.response) != "\0gateway\0secret":
            self.send(commands.Connection.Close(403, self._node.refuses or "ACCESS_REFUSED", 0, 0))
        else:
            self.send(commands.Connection.Tune(2047, self._node.frame_max, 60))


@asynccontextmanager
async def serving(fake: FeedNode) -> AsyncIterator[FeedNode]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = FeedSession(fake, writer)
        if fake.deaf:
            await reader.read()
        fake.sessions.append(session)
        try:
            await session.run(reader)
        finally:
            if session in fake.sessions:
                fake.sessions.remove(session)

    async with listening(serve, fake.port) as fake.port:
        yield fake
