"""The factory for the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.feeds.feeds import Feeds
from broker.nodes.balancer import Balancer
from broker.publishing.links import LinkReport
from gateway.admin import Admin, JournalSearch
from gateway.admin.connections import Connections
from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways
from gateway.admin.history import Gauges, SampleHistory
from gateway.admin.node_watch import NodeWatch
from gateway.admin.orders import Orders
from gateway.admin.overview import Overview
from gateway.admin.rooms import FactsStore, ShownRooms
from gateway.admin.traces import Traces, TraceStore
from gateway.auth.permissions import Permissions
from gateway.budget.table import DASHBOARDS
from gateway.cluster.bus import Bus
from gateway.cluster.session_revocation import SessionRevocation
from gateway.drain import Drain
from gateway.foundation import Foundation
from gateway.health.states import States
from gateway.live.assembly import Live
from gateway.messages.assembly import Messages
from gateway.messages.outbox import Outbox
from gateway.queues.sizes import QueueSizes


class BrokerView(QueueSizes, Protocol):
    """The publisher, as far as it shows its links and the private queues."""

    @property
    def links(self) -> Sequence[LinkReport]: ...


class AdminStore(FactsStore, TraceStore, Protocol):
    """The database."""

    @property
    def journal(self) -> JournalSearch: ...


class LoginCounts(Protocol):
    """The logins since the start."""

    @property
    def succeeded(self) -> int: ...

    @property
    def failed(self) -> int: ...


def admin(  # noqa: PLR0913 - what the dashboard shows, each by its name
    made_with: Foundation,
    *,
    bus: Bus,
    live: Live,
    messages: Messages,
    outbox: Outbox,
    balancer: Balancer,
    publisher: BrokerView,
    feeds: Feeds,
    drain: Drain,
    permissions: Permissions,
    states: States,
    endings: SessionRevocation,
    logins: LoginCounts,
    store: AdminStore,
) -> Admin:
    """Make the dashboard of this gateway, and its view of all others."""
    f, hub = made_with, live.hub
    history = SampleHistory(
        Gauges(
            connections=lambda: len(live.registry),
            deliveries=lambda: hub.fan_out.deliveries,
            posts=lambda: sum(messages.intake.posted.values()),
            outbox=lambda: outbox.depth,
            logins=lambda: logins.succeeded,
            failed_logins=lambda: logins.failed,
            latency=hub.fan_out.latency,
        ),
        clock=f.clock.unix,
    )

    gateways = Gateways(
        bus,
        overview=Overview(
            gateway=bus.gateway,
            started_at=f.clock.unix(),
            history=history,
            events=f.events,
            draining=lambda: drain.announced,
            topics=lambda: len(hub),
            nodes=balancer.states,
            feeds=lambda: feeds.nodes,
            problems=lambda: [str(state) for state in states.failing],
        ),
        connections=Connections(live.registry, gateway=bus.gateway, clock=f.clock.monotonic),
        orders=Orders(
            connections=live.registry,
            learn=endings.poll,
            nodes=balancer,
            drain=drain,
            events=f.events,
        ),
        events=f.events,
    )
    dashboard = Dashboard(
        gateways,
        history,
        NodeWatch(balancer.states, lambda: publisher.links, f.events),
        places=f.budgets.cap(DASHBOARDS),
        clock=f.clock.unix,
        tasks=f.tasks.part(),
    )
    endings.end_too(dashboard)
    return Admin(
        dashboard,
        gateways,
        permissions,
        endings,
        store.journal,
        ShownRooms(store, publisher, clock=f.clock.utc),
        Traces(bus, store, messages.posts, hub),
        events=f.events,
        clock=f.clock.utc,
    )
