"""A RabbitMQ that keeps queues, exchanges and bindings in memory, over the scripted AMQP node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pamqp import commands as spec
from pamqp.header import ContentHeader

from broker.topology import EXCHANGE, Topology
from tests.unit.broker.amqp_node import AmqpNode, Published, Session

SORTING = Topology().sorting
#: The exchanges that outlive their bindings.
LASTING = {EXCHANGE, SORTING.kept, SORTING.sorter, SORTING.instant}


@dataclass
class Held:
    """A message in a queue."""

    id: str
    redelivered: bool = False


@dataclass
class HeldQueue:
    """A queue with its messages. ``dead``: it answers nothing; ``refuses``: it nacks everything."""

    arguments: dict[str, Any]
    messages: list[Held] = field(default_factory=list)
    dead: bool = False
    refuses: bool = False


@dataclass
class Rabbit(AmqpNode):
    """The node. ``exchanges``: by name, the queues bound to it, each with its key."""

    queues: dict[str, HeldQueue] = field(default_factory=dict)
    exchanges: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: {EXCHANGE: set()})
    #: By exchange: the alternate exchange, and exchanges bound to it, each with its key or headers.
    alternates: dict[str, str] = field(default_factory=dict)
    between: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    #: The methods that changed something, and whatever was bound then.
    done: list[str] = field(default_factory=list)
    #: Exclusive queues, which serve as locks.
    locks: dict[str, Session] = field(default_factory=dict)
    taken: dict[tuple[Session, int], tuple[str, list[Held]]] = field(default_factory=dict)
    #: A method at which the connection breaks, once.
    breaks_at: str = ""

    def __post_init__(self) -> None:
        self.on_publish = self.route

    def ids(self, queue: str) -> list[str]:
        return [each.id for each in self.queues[queue].messages]

    def route(self, session: Session, published: Published) -> None:
        if published.exchange not in self.exchanges:
            session.close_channel(published.channel, 404, "NOT_FOUND - no exchange")
            return
        takers = [self.queues[queue] for queue in self.takers(published.exchange, published)]
        for queue in takers:
            if not (queue.dead or queue.refuses):
                queue.messages.append(Held(published.message_id))
        if any(queue.dead for queue in takers):
            return
        if any(queue.refuses for queue in takers):
            session.send(spec.Basic.Nack(published.tag), published.channel)
            return
        if not takers:
            self.give_back(session, published)
        session.send(spec.Basic.Ack(published.tag), published.channel)

    def takers(self, exchange: str, published: Published) -> set[str]:
        """The queues that RabbitMQ routes the message to."""
        fanout = exchange not in (EXCHANGE, SORTING.kept)
        queues = {
            queue
            for queue, key in self.exchanges[exchange]
            if fanout or _matches(key, published.routing_key)
        }
        further = {
            other
            for other, key in self.between.get(exchange, ())
            if _matches(key, published.routing_key) or published.headers.get("importance") == key
        }
        if not (queues or further) and exchange in self.alternates:
            further = {self.alternates[exchange]}
        return queues.union(*(self.takers(other, published) for other in further))

    def give_back(self, session: Session, published: Published) -> None:
        session.send(
            spec.Basic.Return(312, "NO_ROUTE", published.exchange, published.routing_key),
            published.channel,
        )
        properties = spec.Basic.Properties(message_id=published.message_id)
        session.send(ContentHeader(0, 0, properties), published.channel)

    def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        if frame.name == self.breaks_at:
            self.breaks_at = ""
            session.cut()
            return
        if frame.name in self.hangs:
            return
        missing = self.missing(session, frame)
        if missing is not None:
            session.close_channel(channel, *missing)
            return
        handlers = {
            spec.Exchange.Declare: self.declare_exchange,
            spec.Queue.Declare: self.declare_queue,
            spec.Exchange.Bind: self.bind_exchange,
            spec.Queue.Bind: self.bind,
            spec.Queue.Unbind: self.unbind_one,
            spec.Queue.Delete: self.delete_one,
            spec.Basic.Consume: self.consume,
            spec.Channel.Close: self.close,
        }
        handler = handlers.get(type(frame))
        if handler is not None:
            yield from handler(session, channel, frame)
        else:
            yield from super().replies(session, channel, frame)

    def declare_exchange(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        self.exchanges.setdefault(frame.exchange, set())
        if frame.arguments:
            self.alternates[frame.exchange] = frame.arguments["alternate-exchange"]
        yield spec.Exchange.DeclareOk()

    def bind_exchange(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        key = frame.routing_key or frame.arguments["importance"]
        self.between.setdefault(frame.source, set()).add((frame.destination, key))
        yield spec.Exchange.BindOk()

    def declare_queue(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        if frame.exclusive:
            self.locks[frame.queue] = session
        elif not frame.passive:
            if frame.queue not in self.queues:
                self.note("declare", frame.queue)
            self.queues.setdefault(frame.queue, HeldQueue(frame.arguments))
        held = self.queues.get(frame.queue)
        yield spec.Queue.DeclareOk(frame.queue, 0 if held is None else len(held.messages), 0)

    def bind(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        self.note("bind", frame.exchange)
        self.exchanges[frame.exchange].add((frame.queue, frame.routing_key))
        yield spec.Queue.BindOk()

    def unbind_one(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        if any(queue == frame.queue for queue, _ in self.exchanges[frame.exchange]):
            self.note("unbind", frame.exchange)
        self.unbind(frame.exchange, frame.queue)
        yield spec.Queue.UnbindOk()

    def delete_one(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        self.delete(frame.queue)
        yield spec.Queue.DeleteOk(0)

    def close(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        """What was taken and not acknowledged goes back to its place."""
        if (session, channel) in self.taken:
            name, messages = self.taken.pop((session, channel))
            self.queues[name].messages[:0] = messages
        yield spec.Channel.CloseOk()

    def missing(self, session: Session, frame: Any) -> tuple[int, str] | None:
        """The error for a frame that names what is not there, is locked, or differs."""
        match frame:
            case spec.Exchange.Declare() if frame.passive and frame.exchange not in self.exchanges:
                return 404, f"NOT_FOUND - no exchange '{frame.exchange}'"
            case spec.Queue.Declare() if frame.passive and frame.queue not in self.queues:
                return 404, f"NOT_FOUND - no queue '{frame.queue}'"
            case spec.Queue.Bind() if frame.queue not in self.queues:
                return 404, f"NOT_FOUND - no queue '{frame.queue}'"
            case spec.Queue.Bind() if frame.exchange not in self.exchanges:
                return 404, f"NOT_FOUND - no exchange '{frame.exchange}'"
            case spec.Queue.Declare() if frame.exclusive:
                holder = self.locks.get(frame.queue)
                if holder in self.sessions and holder is not session:
                    return 405, "RESOURCE_LOCKED - cannot obtain access"
            case spec.Queue.Declare() if not frame.passive:
                stands = self.queues.get(frame.queue)
                if stands is not None and stands.arguments != frame.arguments:
                    return 406, "PRECONDITION_FAILED - inequivalent arg"
        return None

    def delete(self, queue: str) -> None:
        if self.queues.pop(queue, None) is not None:
            self.note("delete", queue)
        for exchange in list(self.exchanges):
            self.unbind(exchange, queue)

    def unbind(self, exchange: str, queue: str) -> None:
        """RabbitMQ deletes an auto-delete exchange with its last binding."""
        bound = self.exchanges[exchange]
        left = {each for each in bound if each[0] != queue}
        self.exchanges[exchange] = left
        if bound and not left and exchange not in LASTING:
            del self.exchanges[exchange]

    def consume(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        tag, queue = frame.consumer_tag, self.queues[frame.queue]
        yield spec.Basic.ConsumeOk(tag)
        self.taken[session, channel] = frame.queue, queue.messages
        for number, held in enumerate(queue.messages, 1):
            held.redelivered = True
            yield spec.Basic.Deliver(tag, number, False, "", frame.queue)
            yield ContentHeader(0, 0, spec.Basic.Properties(message_id=held.id))
        queue.messages = []

    def note(self, what: str, name: str) -> None:
        if not name.endswith(".control"):
            self.done.append(f"{what} {name.rpartition('interact.')[2]}")


def _matches(pattern: str, key: str) -> bool:
    words = zip(pattern.split("."), key.split("."), strict=False)
    return all(word in ("*", other) for word, other in words)
