"""The fan-out to many subscribers: a frame is built once per form, in bounded turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final, Protocol

from broker.timing.clock import Clock
from broker.timing.readings import Monotonic
from gateway.errors import GatewayError, TooSlow
from gateway.live.hub.delivery import Delivery, Form, head, sent_at
from gateway.live.transport import Transport
from gateway.observe.histogram import Histogram

#: Seconds of work in one turn of the event loop; then all other work has its turn.
TURN: Final = 0.005
#: Seconds for one topic before the next topic has its turn.
SLICE: Final = 0.001
#: Bytes that may wait for a broadcaster's next round; clients that read never cause that many.
PENDING: Final = 4 * 1024 * 1024
#: Messages that may wait for a client, as many bytes as so many of the largest have: of some
#: megabytes a few wait for a client that reads as fast as it can, and small ones come behind them.
FEW: Final = 16
#: Forms in which a round's frames are kept: clients of one kind choose the same few subscription
#: ids, and clients that do not must not make us hold a copy for each. Bytes of these frames, if it
#: is more than one form.
_FORMS: Final = 32
_FORMS_BYTES: Final = 16 * 1024 * 1024


class Client(Protocol):
    """A client's connection, as far as the fan-out uses it."""

    @property
    def writer(self) -> Transport: ...

    @property
    def user(self) -> str | None: ...

    def end(self, error: GatewayError | None) -> None:
        """Send the client the error and close; called once, returns at once."""


class Subscriber:
    """One subscription of one client. ``form``: how it gets messages; a text is the id that a STOMP
    client chose."""

    __slots__ = ("active", "client", "form", "sees_hidden")

    def __init__(self, client: Client, form: str | Form) -> None:
        self.client = client
        self.form = head(form) if isinstance(form, str) else form
        self.active = True
        #: Whether it gets hidden messages of the past, as hosts do. Asked for each portion: a host
        #: may be one no longer before the last one.
        self.sees_hidden: Callable[[], bool] = _sees_none

    def send_past(self, deliveries: list[Delivery]) -> None:
        """Send what was said before, as the subscriber may see it."""
        if not self.sees_hidden():
            deliveries = [each.veiled or each for each in deliveries]
        self.send(Batch(deliveries))

    def send(self, batch: Batch) -> None:
        writer = self.client.writer
        before = writer.backlog
        writer.write(batch.whole(self.form), frames=len(batch))
        if writer.backlog:
            writer.largest = max(batch.largest, writer.largest if before else 0)


def _sees_none() -> bool:
    return False


class Batch:
    """A sequence of deliveries, joined into one chunk of bytes per form."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        self._deliveries = deliveries
        self._whole: dict[Form, bytes] = {}

    def whole(self, form: Form) -> bytes:
        chunk = self._whole.get(form)
        if chunk is None:
            chunk = _joined(self._deliveries, form)
            kept = len(self._whole)
            if not kept or (kept < _FORMS and (kept + 1) * len(chunk) <= _FORMS_BYTES):
                self._whole[form] = chunk
        return chunk

    def __len__(self) -> int:
        return len(self._deliveries)

    @cached_property
    def largest(self) -> int:
        """The bytes of its largest delivery."""
        return max(len(each.tail) for each in self._deliveries)

    def lasting(self) -> Batch:
        """The batch without instant deliveries; only slow readers need it, so it is not cached."""
        return Batch([d for d in self._deliveries if not d.instant])

    def after(self, count: int) -> Batch:
        """The batch without its first ``count`` deliveries."""
        return Batch(self._deliveries[count:])


def _joined(deliveries: list[Delivery], form: Form) -> bytes:
    if len(deliveries) == 1:
        return form.encode(deliveries[0])
    return b"".join([form.encode(delivery) for delivery in deliveries])


class Broadcaster:
    """One topic's subscribers, and the deliveries on their way to them.

    Deliveries go out in rounds, one round at a time: those that arrive during a round wait for the
    next one and go out joined. The further a broadcaster is behind, the cheaper a delivery becomes.
    """

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._subscribers: dict[Subscriber, None] = {}
        self._pending: list[Delivery] = []
        self._pending_bytes = 0
        #: Cleared while more comes in than goes out: deliveries that can wait, or be dropped,
        #: should not be given now.
        self.flowing = asyncio.Event()
        self.flowing.set()
        #: Subscribers that joined when so many deliveries were pending, which they do not get.
        self._late: dict[Subscriber, int] = {}
        self._round: Iterator[tuple[Subscriber, Batch]] | None = None
        self._round_bytes = 0
        #: The oldest delivery of the round.
        self._oldest: Delivery | None = None
        self._farewells: deque[tuple[Subscriber, GatewayError]] = deque()

    def __len__(self) -> int:
        return len(self._subscribers)

    @property
    def busy(self) -> bool:
        return bool(self._round or self._pending or self._farewells)

    @property
    def held(self) -> int:
        """The bytes of the deliveries on their way, each counted once."""
        return self._pending_bytes + self._round_bytes

    def add(self, subscriber: Subscriber) -> None:
        """Add a subscriber, which gets the next delivery but none that is already on its way."""
        self._subscribers[subscriber] = None
        if self._pending:
            self._late[subscriber] = len(self._pending)

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber at once: not even deliveries on their way are sent any more."""
        subscriber.active = False
        self._subscribers.pop(subscriber, None)
        self._late.pop(subscriber, None)

    def end(self, error: GatewayError) -> None:
        """Remove all subscribers and end each client with the error, in later turns of the loop."""
        for subscriber in tuple(self._subscribers):
            self.remove(subscriber)
            self._farewells.append((subscriber, error))
        self._fan_out.schedule(self)

    def deliver(self, delivery: Delivery) -> None:
        """Send to all subscribers, joined with everything that arrives before the next round."""
        if self._subscribers:
            self._pending.append(delivery)
            self._pending_bytes += len(delivery.tail)
            if self._pending_bytes >= PENDING:
                self.flowing.clear()
            self._fan_out.schedule(self)

    def send(self, until: float, *, clock: Monotonic, budget: int) -> None:
        """Send until nothing is left, or the clock reaches ``until``.

        ``budget``: bytes of backlog above which a client loses instant messages; at twice as many,
        and more than :data:`FEW` messages have, it is closed as too slow.
        """
        while self._farewells:
            subscriber, error = self._farewells.popleft()
            subscriber.client.end(error)
            if clock() >= until:
                return
        while self._round or self._pending:
            if self._round is None:
                self._round = self._next_round()
            for subscriber, batch in self._round:
                if subscriber.active:
                    _send(batch, subscriber, budget)
                    if clock() >= until:
                        return
            self._round, self._round_bytes = None, 0
            if self._oldest is not None:
                self._fan_out.took(self._oldest)

    def _next_round(self) -> Iterator[tuple[Subscriber, Batch]]:
        batch, late = Batch(self._pending), self._late
        self._oldest = self._pending[0]
        self._fan_out.deliveries += len(batch) * len(self._subscribers)
        self._round_bytes = self._pending_bytes
        self._pending, self._pending_bytes, self._late = [], 0, {}
        self.flowing.set()
        subscribers = tuple(self._subscribers)
        return (
            (subscriber, batch.after(late[subscriber]) if subscriber in late else batch)
            for subscriber in subscribers
        )


def _send(batch: Batch, subscriber: Subscriber, budget: int) -> None:
    writer = subscriber.client.writer
    waits = writer.backlog
    if waits > 2 * budget and waits > FEW * max(batch.largest, writer.largest):
        subscriber.client.end(TooSlow("messages were not read fast enough"))
        return
    if waits > budget:
        batch = batch.lasting()
    if batch:
        subscriber.send(batch)


class FanOut:
    """The scheduler that gives the broadcasters their turns, one after the other.

    ``budget``: the bytes that may wait for one client now. ``clock`` advances within a turn of the
    loop, unlike the loop's own time.
    """

    def __init__(
        self,
        *,
        budget: Callable[[], int],
        clock: Clock,
    ) -> None:
        #: The sum of subscribers over all messages since the start.
        self.deliveries = 0
        #: Seconds from a message's acceptance until the last subscriber's socket has it, for the
        #: oldest message of each round.
        self.latency = Histogram()
        self._time_of_day = clock.unix
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._clock = clock.monotonic
        self._waiting: deque[Broadcaster] = deque()
        self._scheduled: set[Broadcaster] = set()
        self._running = False

    def took(self, delivery: Delivery) -> None:
        """Measure a round that is done, by its oldest message."""
        accepted_at = sent_at(delivery)
        if accepted_at is not None:
            self.latency.observe(self._time_of_day() - accepted_at)

    def schedule(self, broadcaster: Broadcaster) -> None:
        if broadcaster not in self._scheduled:
            self._scheduled.add(broadcaster)
            self._waiting.append(broadcaster)
            if not self._running:
                self._running = True
                self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        try:
            now = self._clock()
            until = now + TURN
            budget = self._budget()
            while self._waiting and now < until:
                broadcaster = self._waiting.popleft()
                self._scheduled.discard(broadcaster)
                broadcaster.send(min(now + SLICE, until), clock=self._clock, budget=budget)
                if broadcaster.busy:
                    self.schedule(broadcaster)
                now = self._clock()
        finally:
            self._running = bool(self._waiting)
            if self._running:
                self._loop.call_soon(self._turn)
