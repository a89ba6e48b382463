"""The factory for the parts that keep the private queues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.foundation import Foundation
from gateway.live.relay.consumers import Consumers
from gateway.queues.acknowledged import AcknowledgedStore, Acknowledgements
from gateway.queues.mender import QueueBroker, QueueMender, QueueStore
from gateway.queues.missed import Missed
from gateway.queues.parked import Parked, ParkingBroker


class Store(QueueStore, AcknowledgedStore, Protocol):
    """The database, for queues and acknowledgements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """The parts that all connections and the outbox share."""

    acknowledgements: Acknowledgements
    consumers: Consumers
    mender: QueueMender
    missed: Missed
    parked: Parked


class Broker(QueueBroker, ParkingBroker, Protocol):
    """The publisher, for queues and for what is parked."""


def private_queues(made_with: Foundation, *, store: Store, publisher: Broker) -> Queues:
    """Make the parts."""
    f, consumers = made_with, Consumers()
    acknowledgements = Acknowledgements(store, clock=f.clock.monotonic, tasks=f.tasks.part())
    return Queues(
        acknowledgements=acknowledgements,
        consumers=consumers,
        mender=QueueMender(
            publisher,
            store,
            f.topology,
            acknowledgements=acknowledgements,
            consumers=consumers,
            events=f.events,
            clock=f.clock.monotonic,
            utc=f.clock.utc,
            tasks=f.tasks.part(),
        ),
        missed=Missed(store, acknowledgements, f.topology, utc=f.clock.utc),
        parked=Parked(publisher, f.topology, tasks=f.tasks.part()),
    )
