"""A look at everything that the gateway depends on, and what follows where a part fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from broker.nodes.balancer import Balancer
from broker.publishing.links import LinkReport
from broker.timing.tasks import Failures
from gateway.descriptors import Descriptors
from gateway.drain import Drain
from gateway.health.states import Found

#: Seconds without a confirm after which a stream's publications are reported.
_UNCONFIRMED: Final = 10.0
#: Bytes that are free on the database's disk, below which it is reported.
_SCARCE: Final = 64 * 1024 * 1024


class WatchedStore(Protocol):
    """The store, as far as it tells how it is."""

    @property
    def reading(self) -> str | None: ...

    @property
    def writing(self) -> str | None: ...

    @property
    def free_bytes(self) -> int | None: ...


class PublisherState(Protocol):
    """The AMQP links to the broker."""

    @property
    def has_been_connected(self) -> bool: ...

    @property
    def links(self) -> Sequence[LinkReport]: ...

    @property
    def problem(self) -> str | None: ...


class Parked(Protocol):
    """Messages that are kept apart because they are too large."""

    @property
    def problem(self) -> str | None: ...


class OutboxState(Protocol):
    """The outbox, as far as it tells what is not confirmed."""

    def unconfirmed(self, seconds: float) -> str | None: ...


class BusState(Protocol):
    """The messages among the gateways."""

    @property
    def silent(self) -> bool: ...

    @property
    def silent_for(self) -> float: ...


class ClockState(Protocol):
    """The clocks of the gateways and the database."""

    @property
    def problem(self) -> str | None: ...


class NeighbourState(Protocol):
    """The other gateways, as the database knows them."""

    @property
    def deaf(self) -> bool: ...

    @property
    def clocks(self) -> ClockState: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The parts, each of which is asked how it is. ``feeds`` names by part what is wrong with the
    feeds.

    A broker that goes away makes no gateway unready once it was reached: messages are still
    accepted (202) and sockets stay up, and taking all gateways out at once would end both.
    """

    store: WatchedStore
    balancer: Balancer
    publisher: PublisherState
    outbox: OutboxState
    feeds: Callable[[], Mapping[str, str]]
    bus: BusState
    neighbours: NeighbourState
    parked: Mapping[str, Parked]
    descriptors: Descriptors
    drain: Drain
    failures: Failures

    def look(self, unanswered: str | None = None) -> Iterator[Found]:
        """The parts as they are now. ``unanswered``: why the database gave no answer at all."""
        yield from self._database(unanswered)
        yield from self._broker()
        yield from self._messages()
        yield from self._process()

    def _database(self, unanswered: str | None) -> Iterator[Found]:
        yield Found(
            "store: reading",
            self.store.reading,
            "what needs rooms, history or logins is answered 503",
            needed=True,
            logged=True,
        )
        yield Found(
            "store: writing",
            self.store.writing or unanswered,
            "nothing is stored: posts and logins are answered 503",
            needed=True,
            logged=True,
        )
        free = self.store.free_bytes
        if free is not None:
            yield Found(
                "disk of the database",
                f"{free / 1_048_576:.0f} MB are free" if free < _SCARCE else None,
                "when it is full, posts are answered 503",
            )

    def _broker(self) -> Iterator[Found]:
        for state in self.balancer.states():
            yield Found(
                f"broker node {state.node.name}",
                state.unavailable_because,
                "relays and feeds use other nodes",
                logged=True,
            )
        publisher = self.publisher
        yield Found(
            "publisher",
            publisher.problem,
            "posts are stored and answered 202, and published when a node takes them",
            needed=not publisher.has_been_connected,
            logged=True,
        )
        for link in publisher.links:
            yield Found(
                f"publisher on {link.node}",
                link.problem,
                "its streams are published through other nodes",
                logged=True,
            )
        for feed, problem in self.feeds().items():
            yield Found(
                feed,
                problem,
                "topics come by the other feed; without any, from the history, a second late",
                logged=True,
            )

    def _messages(self) -> Iterator[Found]:
        yield Found(
            "confirms",
            self.outbox.unconfirmed(_UNCONFIRMED),
            "these posts are stored and answered 202; hosts get them late in their private queues",
        )
        for part, parked in self.parked.items():
            yield Found(
                part, parked.problem, "the history has these messages; see the log", logged=True
            )
        silent = f"the gateway has not heard itself over RabbitMQ for {self.bus.silent_for:.0f} s"
        if deaf := self.neighbours.deaf:
            silent += ", while others hear themselves"
        yield Found(
            "bus",
            silent if self.bus.silent else None,
            "topics come from the history, a second late, and other gateways publish what is "
            "posted here"
            if deaf
            else "other gateways learn of orders and members from the database, within a second; "
            "who comes and goes is shown as it was",
            needed=deaf,
        )
        yield Found(
            "clock",
            self.neighbours.clocks.problem,
            "tokens and passcodes end early or late, and messages have wrong times; set the clocks "
            "by NTP",
        )

    def _process(self) -> Iterator[Found]:
        has_room = self.descriptors.has_room
        yield Found(
            "file descriptors",
            None if has_room else f"all {self.descriptors.for_clients} for clients are in use",
            "new clients are refused; raise the limit of open files",
        )
        for failing in self.failures.now:
            yield Found(f"task {failing.name}", str(failing), "see the log", logged=True)
        for what in self.failures.broken:
            yield Found(
                what,
                "fails again and again by a fault of the gateway, which goes on restarting it; "
                "see the log",
                "load balancers are told to choose other gateways",
                needed=True,
            )
        if self.drain.announced:
            yield Found(
                "gateway",
                "draining" if self.drain.begun else "leaving",
                "load balancers are told to choose other gateways",
                needed=True,
                logged=True,
            )
