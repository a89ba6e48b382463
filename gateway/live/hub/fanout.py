"""Delivering to many: a frame is built once per subscription id, and a turn's work is bounded."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from gateway.errors import GatewayError, TooSlow
from gateway.live.hub.delivery import Delivery, head, sent_at
from gateway.live.transport import Transport
from gateway.observe.histogram import Histogram

#: Seconds of work in one turn of the loop, then everybody else has a turn.
TURN: Final = 0.005
#: Seconds for one topic before the next topic has its turn.
SLICE: Final = 0.001
#: Bytes that may wait for an outlet's next round; a client that reads cannot cause so much.
PENDING: Final = 4 * 1024 * 1024
#: Subscription ids for which a round's frames are kept: clients of one kind choose the same few,
#: and those who do not must not make us hold a copy for each.
_HEADS: Final = 32


class Client(Protocol):
    """What a subscriber belongs to."""

    @property
    def writer(self) -> Transport: ...

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""


class Subscriber:
    """One subscription of one client; ``id`` as the client chose it."""

    __slots__ = ("active", "client", "head")

    def __init__(self, client: Client, id: str) -> None:
        self.client = client
        self.head = head(id)
        self.active = True

    def send(self, batch: Batch) -> None:
        self.client.writer.write(batch.whole(self.head), frames=len(batch))


class Batch:
    """Some deliveries as one chunk of bytes per subscription id."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        self._deliveries = deliveries
        self._whole: dict[bytes, bytes] = {}

    def whole(self, head: bytes) -> bytes:
        chunk = self._whole.get(head)
        if chunk is None:
            chunk = _joined(self._deliveries, head)
            if len(self._whole) < _HEADS:
                self._whole[head] = chunk
        return chunk

    def __len__(self) -> int:
        return len(self._deliveries)

    def lasting(self) -> Batch:
        """Without what may be dropped; for slow readers only, so it is not kept."""
        return Batch([d for d in self._deliveries if not d.instant])

    def after(self, count: int) -> Batch:
        """Without the first so many."""
        return Batch(self._deliveries[count:])


def _joined(deliveries: list[Delivery], head: bytes) -> bytes:
    if len(deliveries) == 1:
        return deliveries[0].frame(head)
    return b"".join([delivery.frame(head) for delivery in deliveries])


class Outlet:
    """One topic's subscribers, and what is on its way to them.

    Deliveries go out in rounds, one at a time: what comes while a round is under way waits for the
    next and goes out joined. So the further it is behind, the cheaper a delivery becomes.
    """

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._subscribers: dict[Subscriber, None] = {}
        self._pending: list[Delivery] = []
        self._pending_bytes = 0
        #: Cleared while more comes than goes out: what can wait, or be dropped, should not be
        #: delivered now.
        self.flowing = asyncio.Event()
        self.flowing.set()
        #: Who joined when so many were pending, which are not for them.
        self._late: dict[Subscriber, int] = {}
        self._round: Iterator[tuple[Subscriber, Batch]] | None = None
        #: Of the round.
        self._oldest: Delivery | None = None
        self._farewells: deque[tuple[Subscriber, GatewayError]] = deque()

    def __len__(self) -> int:
        return len(self._subscribers)

    @property
    def busy(self) -> bool:
        return bool(self._round or self._pending or self._farewells)

    def add(self, subscriber: Subscriber) -> None:
        """From the next delivery on; what is on its way to the others is not for this one."""
        self._subscribers[subscriber] = None
        if self._pending:
            self._late[subscriber] = len(self._pending)

    def remove(self, subscriber: Subscriber) -> None:
        """At once: not even what is on its way is sent any more."""
        subscriber.active = False
        self._subscribers.pop(subscriber, None)
        self._late.pop(subscriber, None)

    def end(self, error: GatewayError) -> None:
        """Nothing more for anybody: everyone is told why, turn by turn."""
        for subscriber in tuple(self._subscribers):
            self.remove(subscriber)
            self._farewells.append((subscriber, error))
        self._fan_out.schedule(self)

    def deliver(self, delivery: Delivery) -> None:
        """To everyone, joined with all else that comes before the next round."""
        if self._subscribers:
            self._pending.append(delivery)
            self._pending_bytes += len(delivery.tail)
            if self._pending_bytes >= PENDING:
                self.flowing.clear()
            self._fan_out.schedule(self)

    def send(self, until: float, *, clock: Callable[[], float], budget: int) -> None:
        """Work until nothing is left, or it is ``until`` on the clock.

        ``budget``: bytes of backlog from which a client loses what is instant; at twice as much it
        is too slow.
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
            self._round = None
            if self._oldest is not None:
                self._fan_out.took(self._oldest)

    def _next_round(self) -> Iterator[tuple[Subscriber, Batch]]:
        batch, late = Batch(self._pending), self._late
        self._oldest = self._pending[0]
        self._fan_out.deliveries += len(batch) * len(self._subscribers)
        self._pending, self._pending_bytes, self._late = [], 0, {}
        self.flowing.set()
        subscribers = tuple(self._subscribers)
        return (
            (subscriber, batch.after(late[subscriber]) if subscriber in late else batch)
            for subscriber in subscribers
        )


def _send(batch: Batch, subscriber: Subscriber, budget: int) -> None:
    writer = subscriber.client.writer
    if writer.backlog > 2 * budget:
        subscriber.client.end(TooSlow("messages were not read fast enough"))
        return
    if writer.backlog > budget:
        batch = batch.lasting()
    if batch:
        subscriber.send(batch)


class FanOut:
    """Gives the outlets their turns, one after the other. ``clock``: seconds that pass also within
    a turn of the loop, whose own time stands still there; ``time_of_day`` is Unix time."""

    def __init__(
        self,
        *,
        budget: int,
        clock: Callable[[], float] = time.perf_counter,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        #: Messages times subscribers since the start.
        self.deliveries = 0
        #: From a message's acceptance until its last subscriber's socket has it; of each round the
        #: oldest message's.
        self.latency = Histogram()
        self._time_of_day = time_of_day
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._clock = clock
        self._waiting: deque[Outlet] = deque()
        self._scheduled: set[Outlet] = set()
        self._running = False

    def took(self, delivery: Delivery) -> None:
        """A round with this message is done."""
        accepted_at = sent_at(delivery)
        if accepted_at is not None:
            self.latency.observe(self._time_of_day() - accepted_at)

    def schedule(self, outlet: Outlet) -> None:
        if outlet not in self._scheduled:
            self._scheduled.add(outlet)
            self._waiting.append(outlet)
            if not self._running:
                self._running = True
                self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        try:
            now = self._clock()
            until = now + TURN
            while self._waiting and now < until:
                outlet = self._waiting.popleft()
                self._scheduled.discard(outlet)
                outlet.send(min(now + SLICE, until), clock=self._clock, budget=self._budget)
                if outlet.busy:
                    self.schedule(outlet)
                now = self._clock()
        finally:
            self._running = bool(self._waiting)
            if self._running:
                self._loop.call_soon(self._turn)
