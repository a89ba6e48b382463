"""Fakes in memory for the parts of the hub: a history, clients, messages of feeds."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from struct import Struct
from typing import Any, cast
from uuid import UUID

from broker.protocol.amqp_deliveries import Delivery
from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits
from broker.protocol.websocket import Data, MessageReader
from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Message
from gateway.domain.room import MemberRole
from gateway.errors import GatewayError, StoreUnavailable
from gateway.live.hub.fanout import Subscriber
from gateway.live.transport import Transport
from gateway.messages import publication as outgoing
from gateway.store.portions import READ_BYTES
from gateway.store.records import Page, StatePage
from tests.kept_fold import seq_of, standing

#: AMQP: type, channel, size of a frame; class, weight, size of the body in a content header.
_FRAME, _CONTENT = Struct("!BHI"), Struct("!HHQ")
_HEADER = 2

STREAM = Stream(Audience.PUBLIC, 42)
DESTINATION = "/topic/t.public.42"


def message(seq: int, body: Any = None, stream: Stream = STREAM) -> Message:
    sent_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Message(UUID(int=seq), stream, seq, "kim", sent_at, "chat", body or f"number {seq}")


def published(message: Message, *, instant: bool = False) -> Frame:
    """As a feed brings what the pipeline published."""
    numbered = (("seq", str(message.seq)),)
    return Frame(
        "MESSAGE",
        (
            ("subscription", "1"),
            ("destination", f"/exchange/amq.topic/t.{message.stream}"),
            ("message-id", f"T_1@@session-x@@{message.seq}"),
            ("redelivered", "false"),
            *(() if instant else (("persistent", "true"),)),
            ("content-type", "application/json"),
            ("amqp-message-id", str(message.id)),
            ("room", str(message.stream.room)),
            ("audience", str(message.stream.audience)),
            ("sender", message.sender),
            *(() if instant else numbered),
        ),
        message.encode(),
    )


def brought(message: Message) -> Delivery:
    """As RabbitMQ delivers what the pipeline published."""
    publication = outgoing.publication(message, Topology())
    frames = publication.frames(1, frame_max=131_072)
    properties = b""
    while frames:
        kind, _, size = _FRAME.unpack_from(frames)
        if kind == _HEADER:
            properties = frames[_FRAME.size + _CONTENT.size : _FRAME.size + size]
        frames = frames[_FRAME.size + size + 1 :]
    return Delivery(publication.routing_key, 1, properties, publication.body, 2, b"")


def foreign(body: bytes, *headers: tuple[str, str]) -> Frame:
    """A message of another producer, as a feed brings it."""
    return Frame("MESSAGE", (("subscription", "1"), ("message-id", "T_1@@s@@1"), *headers), body)


@dataclass
class FakeHistory:
    """A history in memory.

    ``latency``: seconds of each read, whose answer is what was there at its beginning.

    ``portion``: how many it gives at a time, as the store does with large messages.
    """

    latency: float = 0.01
    portion: int = 1_000_000
    away: bool = False
    first: int = 1
    stored: list[Message] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    state_reads: list[int] = field(default_factory=list)
    bytes_read: int = 0
    looks: list[list[Stream]] = field(default_factory=list)

    @property
    def head(self) -> int:
        return len(self.stored)

    def store(self, count: int = 1, body: Any = None) -> list[Message]:
        new = [message(self.head + 1 + n, body) for n in range(count)]
        self.stored += new
        return new

    async def read(self, stream: Stream, *, after: int, limit: int, size: int = READ_BYTES) -> Page:
        self.reads.append(after)
        away = self.away
        start = max(after, self.first - 1)
        found = self.stored[start : start + limit]
        taken: list[Message] = []
        for each in found:
            if size <= 0 or len(taken) == self.portion:
                break
            taken.append(each)
            size -= len(each.encode())
        self.bytes_read += sum(len(each.encode()) for each in taken)
        page = Page(taken, head=self.head, first=self.first, cut=len(taken) < len(found))
        await asyncio.sleep(self.latency)
        if away:
            raise StoreUnavailable("the database is away")
        return page

    def keep(self, key: str, body: Any, *, author: str = "kim", host: bool = True) -> Message:
        """Store a message with a key."""
        role = MemberRole.HOST if host else MemberRole.PARTICIPANT
        new = replace(message(self.head + 1), body=body, keep=key, sender=author, role=role)
        self.stored.append(new)
        return new

    async def read_state(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        until: int | None = None,
        veiled: bool = False,
        size: int = READ_BYTES,
    ) -> StatePage:
        self.state_reads.append(after)
        away = self.away
        most = self.head if until is None else until
        found = [
            each
            for each in standing(self.stored)
            if after < seq_of(each) <= most and not (veiled and each.hidden)
        ]
        taken: list[Message] = []
        for each in found[:limit]:
            if size <= 0 or len(taken) == self.portion:
                break
            taken.append(each)
            size -= len(each.encode())
        page = StatePage(taken, self.head, whole=True, complete=len(taken) == len(found))
        await asyncio.sleep(self.latency)
        if away:
            raise StoreUnavailable("the database is away")
        return page

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        self.looks.append(list(streams))
        away, head = self.away, self.head
        await asyncio.sleep(self.latency)
        if away:
            raise StoreUnavailable("the database is away")
        return dict.fromkeys(streams, head)


class FakeWriter:
    """Keeps what is written; ``backlog`` is what the test says, and grows if it is ``stuck``;
    ``pace`` are the seconds to drain."""

    def __init__(self) -> None:
        self.backlog = self.largest = 0
        self.stuck = False
        self.pace = 0.0
        self.chunks: list[bytes] = []
        self.drains = 0

    def write(self, data: bytes, *, frames: int) -> None:
        assert len(list(frames_in(data))) == frames > 0
        self.chunks.append(data)
        if self.stuck:
            self.backlog += len(data)

    async def drained(self) -> None:
        self.drains += 1
        await asyncio.sleep(self.pace)


class FakeClient:
    """A client that reads the frames it is sent."""

    def __init__(self) -> None:
        self.sink = FakeWriter()
        self.ended: GatewayError | None = None
        self.user = "mina"

    @property
    def writer(self) -> Transport:
        return cast("Transport", self.sink)

    def end(self, error: GatewayError | None) -> None:
        assert self.ended is None, "ended twice"
        self.ended = error

    @property
    def frames(self) -> list[Frame]:
        return list(frames_in(b"".join(self.sink.chunks)))

    @property
    def seqs(self) -> list[int]:
        return [int(seq) for frame in self.frames if (seq := frame.get("seq")) is not None]

    @property
    def bodies(self) -> list[bytes]:
        return [frame.body for frame in self.frames]


def subscriber(id: str = "s") -> tuple[FakeClient, Subscriber]:
    client = FakeClient()
    return client, Subscriber(client, id)


def frames_in(data: bytes) -> Iterator[Frame]:
    messages = MessageReader(2**24, masked=False)
    for event in messages.feed(data):
        assert isinstance(event, Data)
        parser = FrameParser(Limits(frame_bytes=2**24), SERVER_COMMANDS)
        for frame in parser.feed(event.payload):
            assert isinstance(frame, Frame)
            yield frame
