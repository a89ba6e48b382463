"""The services of the handlers, made once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.topology import Topology
from gateway.admin import Admin
from gateway.auth.accounts import Accounts
from gateway.auth.credentials import Credentials
from gateway.auth.origins import Origins
from gateway.auth.permissions import Permissions
from gateway.auth.sessions import Sessions
from gateway.cluster.presence import Presence
from gateway.config import Limits
from gateway.drain import Drain
from gateway.http.turns import Turns
from gateway.logins import Logins
from gateway.messages.intake import Intake
from gateway.observe.events import Events
from gateway.observe.metrics import Metrics
from gateway.rooms import Rooms
from gateway.store import Account, Store


@dataclass(slots=True, kw_only=True)
class Services:
    """What the handlers work with. ``clock`` gives seconds since the epoch. ``limits`` may be
    replaced while serving."""

    accounts: Accounts[Account]
    admin: Admin
    clock: Callable[[], float]
    credentials: Credentials
    drain: Drain
    events: Events
    intake: Intake
    limits: Limits
    logins: Logins
    metrics: Metrics
    origins: Origins
    permissions: Permissions
    presence: Presence
    reads: Turns
    rooms: Rooms
    sessions: Sessions
    store: Store
    topology: Topology
    trusted_proxies: frozenset[str]
