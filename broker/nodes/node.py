"""One RabbitMQ server: its addresses (:class:`Node`) and its condition (:class:`NodeState`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from broker.timing.backoff import BackOff


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the configuration describes it.

    ``web_stomp`` is ``ws[s]://host:port/path``, ``amqp`` is ``amqp[s]://host[:port]``; neither has
    credentials.
    """

    name: str
    web_stomp: str
    amqp: str
    max_connections: int = 10_000

    def is_at(self, other: Node) -> bool:
        """Whether both are the same server."""
        return (self.name, self.web_stomp, self.amqp) == (other.name, other.web_stomp, other.amqp)


class Health(StrEnum):
    """A node's health. ``trial``: its back-off is over, and one connection at a time finds out
    whether it works."""

    HEALTHY = "healthy"
    OUT = "out"
    TRIAL = "trial"


class Event(StrEnum):
    """An event that may change a node's health."""

    SESSION_UP = "session up"
    PROBE_PASSED = "probe passed"
    DIAL_FAILED = "dial failed"
    PROBE_FAILED = "probe failed"
    BACK_OFF_OVER = "back-off over"


#: The health that follows from each health and event.
TRANSITIONS: Final[Mapping[tuple[Health, Event], Health]] = MappingProxyType(
    {
        (Health.HEALTHY, Event.SESSION_UP): Health.HEALTHY,
        (Health.HEALTHY, Event.PROBE_PASSED): Health.HEALTHY,
        (Health.HEALTHY, Event.DIAL_FAILED): Health.OUT,
        (Health.HEALTHY, Event.PROBE_FAILED): Health.OUT,
        (Health.OUT, Event.SESSION_UP): Health.HEALTHY,
        (Health.OUT, Event.PROBE_PASSED): Health.HEALTHY,
        (Health.OUT, Event.PROBE_FAILED): Health.OUT,
        (Health.OUT, Event.BACK_OFF_OVER): Health.TRIAL,
        (Health.TRIAL, Event.SESSION_UP): Health.HEALTHY,
        (Health.TRIAL, Event.PROBE_PASSED): Health.HEALTHY,
        (Health.TRIAL, Event.DIAL_FAILED): Health.OUT,
        (Health.TRIAL, Event.PROBE_FAILED): Health.OUT,
    }
)

#: A node that refuses dials is tried again soon: the failure may have been the network's.
DIAL_BACK_OFF: Final = BackOff(first=0.5, longest=10.0)

PARTITIONED: Final = "partitioned: messages published there do not reach the other nodes"

#: Seconds that a failed probe keeps a node out. It matters only when no prober runs: the prober
#: never stops asking, and ends it earlier.
PROBE_OUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of an active probe.

    ``began``: when, on the balancer's clock. ``latency``: seconds to CONNECTED. ``error``: what
    failed, or None.
    """

    began: float
    latency: float | None = None
    error: str | None = None


@dataclass(slots=True)
class NodeState:
    """A node's health and load. All times are seconds of the balancer's clock.

    ``partitioned``: it works, but messages published through it do not reach the other nodes.
    ``suspect``: it said nothing where it should have, and nothing has shown since that it works; it
    takes connections only while no other node does.
    ``failures`` counts since the node last worked; ``why_out`` is the reason while it is not
    healthy.
    """

    node: Node
    health: Health = Health.HEALTHY
    draining: bool = False
    partitioned: bool = False
    suspect: bool = False
    connections: int = 0
    on_trial: bool = False
    failures: int = 0
    out_until: float | None = None
    why_out: str | None = None
    changed_at: float = -math.inf
    probe: Probe | None = None

    @property
    def problem(self) -> str | None:
        """The node's fault, or None. A drain is no fault."""
        return PARTITIONED if self.partitioned else self.why_out

    @property
    def to_be_left(self) -> bool:
        """Whether its connections have to go elsewhere, one after the other."""
        return self.draining or self.partitioned

    @property
    def full(self) -> bool:
        return self.connections >= self.node.max_connections

    @property
    def unavailable_because(self) -> str | None:
        """Why the node takes no further connection, or None: it takes one."""
        if self.draining:
            return "draining"
        if self.partitioned:
            return PARTITIONED
        if self.health is Health.OUT:
            return f"out: {self.why_out}"
        if self.health is Health.TRIAL and self.on_trial:
            return f"on trial: {self.why_out}"
        if self.full:
            return f"full: {self.connections} connections"
        return None

    @property
    def available(self) -> bool:
        return self.unavailable_because is None

    def expire(self, now: float) -> None:
        """End a back-off whose time is over by ``now``."""
        if self.out_until is not None and now >= self.out_until:
            self._change(Event.BACK_OFF_OVER, now)
            self.out_until = None

    def worked(self, event: Event, now: float) -> None:
        """A session or a probe got through: earlier failures count no more."""
        self._change(event, now)
        self.suspect = False
        self.failures = 0
        self.out_until = self.why_out = None

    def failed(self, event: Event, now: float, *, began: float, reason: str) -> None:
        """A dial or probe that began at ``began`` has failed now.

        An attempt that began before the node's health last changed says nothing about it: hundreds
        of dials that one crash fails are one failure.
        """
        if began < self.changed_at or (self.health, event) not in TRANSITIONS:
            return
        self._change(event, now)
        self.failures += 1
        self.why_out = reason
        out = PROBE_OUT if event is Event.PROBE_FAILED else DIAL_BACK_OFF.delay(self.failures)
        self.out_until = now + out

    def _change(self, event: Event, now: float) -> None:
        health = TRANSITIONS[self.health, event]
        if health is not self.health:
            self.health = health
            self.changed_at = now
