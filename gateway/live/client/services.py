"""What all connections of clients share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import Topology
from gateway.domain.identity import Identity
from gateway.live.attendance import Attendance
from gateway.live.client.judge import Judge
from gateway.live.client.registry import Registry
from gateway.live.client.virtual_host import VirtualHost
from gateway.live.hub.hub import Hub
from gateway.live.relay.uplink import UplinkContext
from gateway.messages.intake import Intake
from gateway.observe.events import Events


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> Identity: ...


@dataclass(slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of one client. Replaced values count for the connections that come then.

    Sizes are in bytes, times in seconds. ``frames_per_second`` and ``frames_burst`` are units of
    work (:mod:`gateway.live.client.allowance`).
    """

    frame_bytes: int
    frames_per_second: float
    frames_burst: int
    subscriptions: int
    connect_timeout: float
    stall_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who is let in, and what of them is known."""

    tokens: TokenVerifier
    virtual_host: VirtualHost
    registry: Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Who may reach what, and by which way."""

    topology: Topology
    judge: Judge
    intake: Intake
    hub: Hub
    attendance: Attendance
    uplinks: UplinkContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every connection works with. ``clock`` is Unix time."""

    admission: Admission
    routes: Routes
    limits: ConnectionLimits
    ticker: Ticker
    events: Events
    clock: Callable[[], float]
    rng: Random
    tasks: Tasks
