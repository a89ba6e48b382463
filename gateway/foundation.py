"""The objects that all parts of a gateway are made with."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Self

from broker.timing.clock import Clock
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import Topology
from gateway.budget.budgets import Budgets
from gateway.config import Config
from gateway.descriptors import Descriptors
from gateway.limits import LiveLimits
from gateway.observe.events import Events
from gateway.observe.journal import Journal
from gateway.poller import Poller
from gateway.rotation import Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """One of each for the whole gateway. Every package's factory takes it first."""

    budgets: Budgets
    config: Config
    clock: Clock
    descriptors: Descriptors
    events: Events
    journal: Journal
    limits: LiveLimits
    poller: Poller
    rng: Random
    rotation: Rotation
    tasks: Tasks
    ticker: Ticker
    topology: Topology

    @classmethod
    def of(cls, config: Config, *, tasks: Tasks, clock: Clock | None = None) -> Self:
        """The foundation for a configuration. Call this inside the running loop."""
        clock = clock or Clock()
        limits = LiveLimits(config.limits)
        events = Events(clock=clock.unix)
        journal = Journal(clock=clock.monotonic, is_kept=config.journal.keep_days > 0)
        events.observe(journal.note)
        return cls(
            budgets=Budgets(limits, clock=clock.monotonic),
            config=config,
            clock=clock,
            descriptors=Descriptors.found(config),
            events=events,
            journal=journal,
            limits=limits,
            poller=Poller(),
            rng=SystemRandom(),
            rotation=Rotation(clock=clock.monotonic),
            tasks=tasks,
            ticker=Ticker(tasks.failures),
            topology=config.broker.topology,
        )
