"""The clients that consume private queues here, and which queue each of them consumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gateway.errors import BrokerUnavailable


class Consumer(Protocol):
    """A client's connection to the broker, as far as it consumes private queues."""

    @property
    def consumed(self) -> list[int]:
        """The rooms whose queues it consumes now; none while it changes its session."""
        ...

    def give_up(self, error: BrokerUnavailable) -> None:
        """End, with the reason for the client."""


class Consumers:
    """The consumers of private queues on this gateway.

    A queue is known by its number, which grows whenever the room's queue is replaced.
    """

    def __init__(self) -> None:
        self._numbers: dict[Consumer, dict[int, int]] = {}

    def consume(self, consumer: Consumer, room: int, number: int) -> None:
        """Note that ``consumer`` subscribes to the room's queue of this number."""
        self._numbers.setdefault(consumer, {})[room] = number

    def end(self, consumer: Consumer) -> None:
        """Forget a consumer that has ended. An unknown one is no error."""
        self._numbers.pop(consumer, None)

    @property
    def rooms(self) -> list[int]:
        """The rooms whose queues are consumed here."""
        return sorted({room for consumer in self._numbers for room in consumer.consumed})

    def end_older(self, room: int, number: int, error: BrokerUnavailable) -> int:
        """End all who consume a queue that was replaced by the one of this number; how many."""
        older = list(self._older(room, number))
        for consumer in older:
            consumer.give_up(error)
        return len(older)

    def _older(self, room: int, number: int) -> Iterator[Consumer]:
        for consumer, numbers in self._numbers.items():
            if numbers.get(room, number) < number and room in consumer.consumed:
                yield consumer
