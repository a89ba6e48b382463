"""Delivering to many: a frame is built once per subscription id, and a turn's work is bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from gateway.errors import GatewayError, TooSlow
from gateway.live.delivery import Delivery, head
from gateway.live.writer import Writer

#: Sends of one turn of the loop: some milliseconds, then everybody else has a turn.
SENDS_PER_TURN: Final = 1_000
#: Sends for one topic before the next topic has its turn.
SENDS_PER_TOPIC: Final = 250


class Client(Protocol):
    """What a subscriber belongs to."""

    @property
    def writer(self) -> Writer: ...

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and close; at once and only once."""


class Subscriber:
    """One subscription of one client; ``id`` as the client chose it."""

    __slots__ = ("active", "client", "head")

    def __init__(self, client: Client, id: str) -> None:
        self.client = client
        self.head = head(id)
        self.active = True


class Batch:
    """The deliveries of one turn as one chunk of bytes per subscription id."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        self._deliveries = deliveries
        self._whole: dict[bytes, bytes] = {}

    def whole(self, head: bytes) -> bytes:
        chunk = self._whole.get(head)
        if chunk is None:
            chunk = self._whole[head] = _joined(self._deliveries, head)
        return chunk

    def lasting(self, head: bytes) -> bytes:
        """Without what may be dropped; for slow readers only, so it is not kept."""
        return _joined([d for d in self._deliveries if not d.instant], head)


def _joined(deliveries: list[Delivery], head: bytes) -> bytes:
    if len(deliveries) == 1:
        return deliveries[0].frame(head)
    return b"".join([delivery.frame(head) for delivery in deliveries])


class Outlet:
    """One topic's subscribers, and what is on its way to them."""

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._subscribers: dict[Subscriber, None] = {}
        self._pending: list[Delivery] = []
        self._jobs: deque[tuple[Batch, Iterator[Subscriber]]] = deque()

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(tuple(self._subscribers))

    def add(self, subscriber: Subscriber) -> None:
        """From the next delivery on; what is on its way to the others is not for this one."""
        self._cut()
        self._subscribers[subscriber] = None

    def remove(self, subscriber: Subscriber) -> None:
        """At once: not even what is on its way is sent any more."""
        subscriber.active = False
        self._subscribers.pop(subscriber, None)

    def deliver(self, delivery: Delivery) -> None:
        """To everyone, joined with all else that comes in this turn of the loop."""
        if self._subscribers:
            self._pending.append(delivery)
            self._fan_out.schedule(self)

    def send(self, most: int, budget: int) -> int:
        """Send to at most so many subscribers; returns to how many it was.

        ``budget``: bytes of backlog from which a client loses what is instant; at twice as much it
        is too slow.
        """
        self._cut()
        sent = 0
        while self._jobs and sent < most:
            batch, subscribers = self._jobs[0]
            for subscriber in subscribers:
                if subscriber.active:
                    _send(batch, subscriber, budget)
                    sent += 1
                    if sent == most:
                        return sent
            self._jobs.popleft()
        return sent

    @property
    def busy(self) -> bool:
        return bool(self._jobs or self._pending)

    def _cut(self) -> None:
        if self._pending:
            self._jobs.append((Batch(self._pending), iter(tuple(self._subscribers))))
            self._pending = []


def _send(batch: Batch, subscriber: Subscriber, budget: int) -> None:
    writer = subscriber.client.writer
    if writer.backlog <= budget:
        writer.write(batch.whole(subscriber.head))
    elif writer.backlog > 2 * budget:
        subscriber.client.end(TooSlow("messages were not read fast enough"))
    elif lasting := batch.lasting(subscriber.head):
        writer.write(lasting)


class FanOut:
    """Gives the outlets their turns, one after the other."""

    def __init__(self, *, budget: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._waiting: deque[Outlet] = deque()
        self._scheduled: set[Outlet] = set()

    def schedule(self, outlet: Outlet) -> None:
        if outlet not in self._scheduled:
            if not self._scheduled:
                self._loop.call_soon(self._turn)
            self._scheduled.add(outlet)
            self._waiting.append(outlet)

    def _turn(self) -> None:
        left = SENDS_PER_TURN
        while self._waiting and left > 0:
            outlet = self._waiting.popleft()
            # An outlet that had nobody to send to has still cost something.
            left -= outlet.send(min(SENDS_PER_TOPIC, left), self._budget) or 1
            if outlet.busy:
                self._waiting.append(outlet)
            else:
                self._scheduled.discard(outlet)
        if self._waiting:
            self._loop.call_soon(self._turn)
