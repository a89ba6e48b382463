"""The factory for what the gateways of one cluster tell each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol

from broker.feeds.feeds import Feeds
from gateway.auth.assembly import Auth
from gateway.cluster.bus import Bus, BusPublisher
from gateway.cluster.clocks import Clocks
from gateway.cluster.envelope import Seal
from gateway.cluster.history_hints import HistoryHints
from gateway.cluster.neighbours import MEET, MeetingPlace, Neighbours
from gateway.cluster.presence import Presence
from gateway.cluster.revocation import Revisions, Revocation
from gateway.cluster.session_revocation import SessionRevocation, SessionStore
from gateway.foundation import Foundation
from gateway.live.assembly import Live
from gateway.messages.outbox import Outbox


class Store(Revisions, SessionStore, MeetingPlace, Protocol):
    """The store, as far as access ends by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The bus, and the parts that speak over it."""

    bus: Bus
    neighbours: Neighbours
    history_hints: HistoryHints
    presence: Presence
    revocation: Revocation
    session_revocation: SessionRevocation


def cluster(
    made_with: Foundation,
    *,
    store: Store,
    auth: Auth,
    live: Live,
    outbox: Outbox,
    publisher: BusPublisher,
    feeds: Feeds,
) -> Cluster:
    """Make the parts."""
    f, config, clocks = made_with, made_with.config, Clocks()
    bus = Bus(
        f"{config.server.name or socket.gethostname()}-{token_hex(2)}",
        key=f.topology.gateways_key,
        seal=Seal(auth.secret, clock=f.clock.unix, ahead=clocks.ahead),
        publisher=publisher,
        feeds=feeds,
        tasks=f.tasks.part(),
    )
    neighbours = Neighbours(
        store,
        clocks,
        name=bus.gateway,
        hearing=bus,
        # Feeds that seem to stand may bring nothing.
        deafened=lambda: live.hub.doubt_for(2 * MEET),
        clock=f.clock.unix,
        tasks=f.tasks.part(),
    )
    outbox.hand_over_while(lambda: neighbours.deaf)
    return Cluster(
        bus=bus,
        neighbours=neighbours,
        history_hints=HistoryHints(bus, outbox, live.hub, tasks=f.tasks.part()),
        presence=Presence(
            live.attendance,
            auth.memberships,
            bus,
            publisher,
            f.topology,
            announced=config.presence,
            clock=f.clock.unix,
            tasks=f.tasks.part(),
        ),
        revocation=Revocation(
            store,
            auth.memberships,
            auth.permissions,
            live.attendance,
            bus,
            tasks=f.tasks.part(),
        ),
        session_revocation=SessionRevocation(
            store, auth.ended, auth.revocations, live.registry, bus, tasks=f.tasks.part()
        ),
    )
