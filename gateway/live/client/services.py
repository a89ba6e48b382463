"""The services that all clients' connections share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Protocol

from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from broker.topology import Topology
from gateway.auth.rabbitmq_logins import RabbitmqLogins
from gateway.auth.revocations import AccessEnded
from gateway.budget.budgets import CapBudget, RateBudget
from gateway.domain.identity import Identity
from gateway.limits import LiveLimits
from gateway.live.attendance import Attendance
from gateway.live.bytes_in_hand import BytesInHand
from gateway.live.client.judge import Judge
from gateway.live.client.registry import Registry
from gateway.live.client.virtual_host import VirtualHosts
from gateway.live.hub.hub import Hub
from gateway.live.hub.shared_patterns import SharedPatterns
from gateway.live.relay.uplink import UplinkContext
from gateway.messages.intake import Intake
from gateway.observe.events import Events
from gateway.observe.journal import Journal
from gateway.poller import Poller
from gateway.rotation import Rotation


class TokenVerifier(Protocol):
    """The checker of clients' tokens."""

    async def verify(self, token: str) -> Identity: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The services that let a connection in. ``upgrades``: the rate of new ones from an address;
    ``met``: how often each budget made somebody wait; ``connect_timeout``: seconds until
    CONNECT. ``ended``: whose access has ended. ``rabbitmq`` is None where RabbitMQ's own users are
    not let in."""

    tokens: TokenVerifier
    ended: AccessEnded
    rabbitmq: RabbitmqLogins | None
    virtual_hosts: VirtualHosts
    registry: Registry
    upgrades: RateBudget
    subscriptions: CapBudget
    met: Counter[str]
    connect_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The services that decide about a client's frames, and the ways for them."""

    topology: Topology
    judge: Judge
    intake: Intake
    hub: Hub
    patterns: SharedPatterns
    attendance: Attendance
    copies: CapBudget
    uplinks: UplinkContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionServices:
    """The services that every connection works with.

    A limit that changes counts for the connections that come from then on. ``bytes_in_hand``: what
    waits for slow readers, and what has come of frames that are not whole.
    """

    admission: Admission
    routes: Routes
    limits: LiveLimits
    bytes_in_hand: tuple[BytesInHand, BytesInHand]
    ticker: Ticker
    poller: Poller
    rotation: Rotation
    events: Events
    journal: Journal
    clock: UnixTime
    rng: Random
    tasks: Tasks
