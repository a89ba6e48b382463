"""The factory for live connections: the hub, the registry, and what connections work with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from broker.feeds.feeds import Feeds
from broker.nodes.balancer import Balancer
from gateway.auth.assembly import Auth
from gateway.auth.outsiders import Outsiders
from gateway.auth.rabbitmq_logins import RabbitmqLogins
from gateway.budget.table import (
    BACKLOG,
    COPIES,
    HALF_READ,
    READ_BYTES,
    STATE_BYTES,
    SUBSCRIPTIONS,
    UPGRADES,
)
from gateway.foundation import Foundation
from gateway.live.attendance import Attendance
from gateway.live.bytes_in_hand import BytesInHand
from gateway.live.client.judge import Judge
from gateway.live.client.registry import Registry
from gateway.live.client.services import Admission, ConnectionServices, Routes
from gateway.live.client.virtual_host import VirtualHosts
from gateway.live.hub.hub import Hub, StreamReader
from gateway.live.hub.shared_patterns import SharedPatterns
from gateway.live.relay.acknowledgements import Noted
from gateway.live.relay.charges import Charges
from gateway.live.relay.consumers import Consumers
from gateway.live.relay.dialler import Dialler
from gateway.live.relay.early import EarlyDials
from gateway.live.relay.missed import MissedMessages
from gateway.live.relay.oversized import Parking
from gateway.live.relay.partings import Partings
from gateway.live.relay.rebalance import Rebalancer
from gateway.live.relay.relay import RelayContext, RelayLimits
from gateway.live.relay.uplink import PrivateQueues, UplinkContext
from gateway.messages.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The parts that all connections share."""

    attendance: Attendance
    backlog: BytesInHand
    half_read: BytesInHand
    hub: Hub
    partings: Partings
    patterns: SharedPatterns
    rebalancer: Rebalancer
    registry: Registry


def live(made_with: Foundation, *, history: StreamReader, feeds: Feeds, balancer: Balancer) -> Live:
    """Make the parts."""
    f = made_with
    hub = Hub(
        f.topology,
        history,
        feeds,
        budget=lambda: f.limits.now.backlog_bytes,
        clock=f.clock,
        tasks=f.tasks.part(),
        reads=f.budgets.rate(READ_BYTES),
        state_reads=f.budgets.rate(STATE_BYTES),
    )
    return Live(
        attendance=Attendance(),
        backlog=BytesInHand(BACKLOG, f.limits, met=f.budgets.met),
        half_read=BytesInHand(
            HALF_READ,
            f.limits,
            met=f.budgets.met,
            # One frame must always fit: as it comes, and unpacked.
            at_least=lambda: 3 * f.limits.now.frame_bytes,
        ),
        hub=hub,
        partings=Partings(),
        patterns=SharedPatterns(
            feeds, hub.fan_out, clock=f.clock.monotonic, rng=f.rng, ticker=f.ticker
        ),
        rebalancer=Rebalancer(balancer, clock=f.clock.monotonic, rng=f.rng, tasks=f.tasks.part()),
        registry=Registry(f.budgets, tasks=f.tasks.part()),
    )


def connection_services(  # noqa: PLR0913 - the packages that connections work with
    made_with: Foundation,
    *,
    live: Live,
    auth: Auth,
    intake: Intake,
    queues: PrivateQueues,
    consumers: Consumers,
    acknowledgements: Noted,
    missed: MissedMessages,
    parking: Parking,
    balancer: Balancer,
    broker_tls: ssl.SSLContext,
    rabbitmq: RabbitmqLogins | None,
) -> ConnectionServices:
    """Make what every connection works with."""
    f, config, limits = made_with, made_with.config, made_with.limits.now
    broker = config.broker
    relays = RelayContext(
        limits=RelayLimits(limits.upstream_frame_bytes, limits.stall_timeout),
        ticker=f.ticker,
        poller=f.poller,
        rotation=f.rotation,
        tasks=f.tasks.part(),
        acknowledgements=acknowledgements,
        missed=missed,
        parking=parking,
        partings=live.partings,
    )
    dialler = Dialler(
        balancer,
        auth.passcodes,
        broker.vhost,
        broker.dial_timeout,
        broker_tls,
        has_room=lambda: f.descriptors.has_room,
    )
    charges = Charges(f.budgets)
    return ConnectionServices(
        admission=Admission(
            tokens=auth.credentials,
            ended=auth.revocations,
            rabbitmq=rabbitmq,
            virtual_hosts=VirtualHosts(broker.vhost, auth.origins, others=broker.vhosts),
            registry=live.registry,
            upgrades=f.budgets.rate(UPGRADES),
            subscriptions=f.budgets.cap(SUBSCRIPTIONS),
            met=f.budgets.met,
            connect_timeout=config.auth.connect_timeout,
        ),
        routes=Routes(
            topology=f.topology,
            judge=Judge(
                auth.permissions,
                f.topology,
                shared=config.fanout == "shared",
                shares_with_outsiders=(
                    config.auth.rabbitmq is not None and config.auth.rabbitmq.shared
                ),
                outsiders=Outsiders(
                    f.topology,
                    rooms=config.auth.rabbitmq is not None and config.auth.rabbitmq.rooms,
                ),
            ),
            intake=intake,
            hub=live.hub,
            patterns=live.patterns,
            attendance=live.attendance,
            copies=f.budgets.cap(COPIES),
            uplinks=UplinkContext(
                dialler=dialler,
                early=EarlyDials(dialler, charges, auth.access, tasks=f.tasks.part()),
                charges=charges,
                queues=queues,
                consumers=consumers,
                rebalancer=live.rebalancer,
                relays=relays,
                events=f.events,
                rng=f.rng,
            ),
        ),
        limits=f.limits,
        bytes_in_hand=(live.backlog, live.half_read),
        ticker=f.ticker,
        poller=f.poller,
        rotation=f.rotation,
        events=f.events,
        journal=f.journal,
        clock=f.clock.unix,
        rng=f.rng,
        tasks=f.tasks.part(),
    )
