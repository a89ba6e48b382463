"""Nodes of one cluster that break once, at any step of what they and a client say to each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pamqp import commands as spec
from pamqp import frame as frames
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from tests.unit.broker.amqp_node import AmqpNode, Published, Session
from tests.unit.broker.memory_network import MemoryNetwork

#: Seconds for which an answer is late, an alarm lasts.
LATE: Final = 20.0
#: Seconds between two heart-beats of a node.
_HEARTBEAT: Final = 2.5


class Kind(StrEnum):
    """The ways to break."""

    FIN = "the connection is closed"
    RST = "the connection is reset"
    CLOSE = "connection.close 320"
    CLOSE_541 = "connection.close 541"
    CLOSE_CHANNEL = "channel.close 404"
    CLOSE_CHANNEL_406 = "channel.close 406"
    SILENCE = "nothing more comes"
    HALF = "half a frame, then silence"
    HALF_FIN = "half a frame, then the end"
    GARBAGE = "what is no AMQP"
    FOREIGN = "a frame that does not belong there"
    LATE = "an answer that is late"
    ALARM = "connection.blocked, later unblocked"
    ALARM_LOST = "connection.blocked, later the end"


class Step(NamedTuple):
    """A frame of the dialogue: the how manieth of its name on the how manieth connection."""

    node: str
    connection: int
    sender: str
    frame: str
    time: int

    def __str__(self) -> str:
        return f"{self.node}#{self.connection} {self.sender} {self.frame} {self.time}"


@dataclass
class Cluster:
    """What the nodes have in common, and the dialogue with all of them."""

    at: Step | None = None
    kind: Kind | None = None
    #: The queues that stand, and everything that came into one, in order.
    queues: set[str] = field(default_factory=set)
    delivered: list[Published] = field(default_factory=list)
    dialogue: list[Step] = field(default_factory=list)
    #: When it broke and was mended, on the loop's clock.
    broken_at: float | None = None
    mended_at: float | None = None
    broken: BreakingSession | None = None
    #: Publications that are nacked, by their number.
    nacks: frozenset[int] = frozenset()
    _times: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    _published: int = 0

    def reached(self, node: str, connection: int, sender: str, frame: str) -> bool:
        """Note a step; whether to break there."""
        self._times[node, connection, sender, frame] += 1
        step = Step(node, connection, sender, frame, self._times[node, connection, sender, frame])
        self.dialogue.append(step)
        if step != self.at:
            return False
        self.broken_at = asyncio.get_running_loop().time()
        return True

    def publish(self, session: Session, published: Published) -> None:
        """Take a message as RabbitMQ does: into the room's queue, or back if there is none."""
        channel, tag, key = published.channel, published.tag, published.routing_key
        if not published.mandatory:
            # Sent without a confirm, on a channel that gives none.
            return
        self._published += 1
        room = key.rpartition(".")[2]
        if not any(queue.endswith(f".{room}") for queue in self.queues):
            session.send(spec.Basic.Return(312, "NO_ROUTE", "amq.topic", key), channel)
            properties = spec.Basic.Properties(message_id=published.message_id)
            session.send(ContentHeader(0, len(published.body), properties), channel)
            if published.body:
                session.send(ContentBody(published.body), channel)
            session.send(spec.Basic.Ack(tag), channel)
        else:
            # A nack means that one queue has not taken it; the others have.
            self.delivered.append(published)
            answer = spec.Basic.Nack if self._published in self.nacks else spec.Basic.Ack
            session.send(answer(tag), channel)


class BreakingSession(Session):
    """One connection, which breaks if it is its turn."""

    def __init__(self, node: Breakable, writer: asyncio.StreamWriter, number: int) -> None:
        super().__init__(node, writer)
        self.number = number
        self._cluster = node.cluster
        #: The client may publish.
        self._open = False
        #: Says nothing any more.
        self.mute = False
        #: What came while an answer was late or an alarm lasted, by channel; None: all channels.
        self._waiting: dict[int | None, list[tuple[int, Any]]] = {}
        #: What is to be sent when an answer is late, by channel.
        self._late: dict[int, list[Any]] = {}

    @property
    def usable(self) -> bool:
        """Whether it could take publications."""
        return self._open and not self.mute and not self._waiting and not self.writer.is_closing()

    def take(self, channel: int, frame: Any) -> None:
        if self.mute:
            return
        for late in (None, channel):
            if late in self._waiting and not isinstance(frame, Heartbeat):
                self._waiting[late].append((channel, frame))
                return
        if self._reached("client", frame):
            self._break(channel, frame, from_client=True)
        else:
            super().take(channel, frame)
            if isinstance(frame, spec.Connection.Open):
                self._beat()

    def _beat(self) -> None:
        if not self.mute and not self.writer.is_closing():
            self.send(Heartbeat())
            asyncio.get_running_loop().call_later(_HEARTBEAT, self._beat)

    def send(self, frame: Any, channel: int = 0) -> None:
        if self.mute:
            return
        if channel in self._late:
            self._late[channel].append(frame)
            return
        if self._reached("node", frame):
            self._break(channel, frame, from_client=False)
        else:
            super().send(frame, channel)
            self._open = self._open or isinstance(frame, spec.Confirm.SelectOk)

    def _reached(self, sender: str, frame: Any) -> bool:
        name = frame.name
        return self._cluster.reached(self.node.name, self.number, sender, name)

    def _break(self, channel: int, frame: Any, *, from_client: bool) -> None:  # noqa: C901, PLR0912
        self._cluster.broken = self
        loop = asyncio.get_running_loop()
        data = frames.marshal(Heartbeat() if from_client else frame, 0 if from_client else channel)
        match self._cluster.kind:
            case Kind.FIN:
                self.writer.close()
            case Kind.RST:
                self.cut()
            case Kind.CLOSE:
                super().send(spec.Connection.Close(320, "CONNECTION_FORCED", 0, 0))
            case Kind.CLOSE_541:
                super().send(spec.Connection.Close(541, "INTERNAL_ERROR", 0, 0))
            case Kind.CLOSE_CHANNEL:
                self._close_channel(channel, 404, "NOT_FOUND - no exchange")
                return
            case Kind.CLOSE_CHANNEL_406:
                self._close_channel(channel, 406, "PRECONDITION_FAILED - whatever")
                return
            case Kind.SILENCE:
                pass
            case Kind.HALF:
                self.writer.write(data[: len(data) // 2])
            case Kind.HALF_FIN:
                self.writer.write(data[: len(data) // 2])
                self.writer.close()
            case Kind.GARBAGE:
                self.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            case Kind.FOREIGN:
                alien = spec.Queue.PurgeOk(0) if channel else spec.Connection.UpdateSecretOk()
                super().send(alien, channel)
                # And then what was to come.
                if from_client:
                    super().take(channel, frame)
                else:
                    super().send(frame, channel)
                return
            case Kind.LATE:
                self._waiting[channel or None] = [(channel, frame)] if from_client else []
                if not from_client:
                    self._late[channel] = [frame]
                loop.call_later(LATE, self._go_on, channel or None)
                return
            case Kind.ALARM | Kind.ALARM_LOST as kind:
                if not from_client:
                    super().send(frame, channel)
                super().send(spec.Connection.Blocked("low on memory"))
                self._waiting[None] = [(channel, frame)] if from_client else []
                loop.call_later(LATE, self._end_alarm, kind)
                return
        self.mute = True

    def _close_channel(self, channel: int, code: int, text: str) -> None:
        super().send(spec.Channel.Close(code, text, 60, 40), channel)
        self._closing.add(channel)

    def _go_on(self, late: int | None) -> None:
        self._cluster.mended_at = asyncio.get_running_loop().time()
        held_back, waiting = self._late.pop(late or 0, []), self._waiting.pop(late)
        if self.writer.is_closing():
            return
        for frame in held_back:
            super().send(frame, late or 0)
        for channel, frame in waiting:
            self.take(channel, frame)

    def _end_alarm(self, kind: Kind) -> None:
        if kind is Kind.ALARM and not self.writer.is_closing():
            super().send(spec.Connection.Unblocked())
            self._go_on(None)
        else:
            self._cluster.mended_at = asyncio.get_running_loop().time()
            self.mute = True
            self.writer.close()


@dataclass(kw_only=True)
class Breakable(AmqpNode):
    """A node whose connections break as its cluster says."""

    cluster: Cluster
    connections: int = 0

    def listen(self, network: MemoryNetwork, port: int) -> None:
        self.port = port
        network.listen(port, self.serve)

    def session(self, writer: asyncio.StreamWriter) -> Session:
        self.connections += 1
        return BreakingSession(self, writer, self.connections)


@dataclass(kw_only=True)
class BreakingNode(Breakable):
    """A node of the cluster, which takes messages for all queues there are."""

    def __post_init__(self) -> None:
        self.on_publish = self.cluster.publish

    def replies(self, session: Session, channel: int, frame: Any) -> Any:
        match frame:
            case spec.Queue.Bind():
                self.cluster.queues.add(frame.queue)
            case spec.Queue.Delete():
                self.cluster.queues.discard(frame.queue)
        return super().replies(session, channel, frame)
