"""The composition root: makes all parts, by their constructors, and stops them in reverse."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import SystemRandom
from secrets import token_hex
from typing import Any, Final, Protocol

from tornado.web import Application

from broker.health.partition_probe import PartitionProbe
from broker.health.prober import Prober
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials as BrokerCredentials
from broker.nodes.node import Node
from broker.publishing.publisher import Publisher
from broker.quirks.dead_queues import DeadQueues
from broker.timing.complaints import Complaints
from broker.timing.tasks import Failures, Tasks
from broker.timing.ticker import Ticker
from broker.topology import Topology
from broker.webstomp.feed import HEART_BEAT, LEFT_OUT, FeedContext
from broker.webstomp.feeds import Feeds
from broker.webstomp.session import WebStompSession, open_session
from gateway import garbage, retention, tls
from gateway.admin import Admin
from gateway.admin.connections import Connections
from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways
from gateway.admin.history import Gauges, History
from gateway.admin.node_watch import NodeWatch
from gateway.admin.orders import Orders
from gateway.admin.overview import Overview
from gateway.auth.access import AccessRules
from gateway.auth.accounts import Accounts
from gateway.auth.broker_auth import BrokerAuth
from gateway.auth.credentials import Credentials
from gateway.auth.ended import EndedSessions
from gateway.auth.guesses import Guesses
from gateway.auth.memberships import Memberships
from gateway.auth.origins import Origins
from gateway.auth.passcodes import Passcodes
from gateway.auth.permissions import Permissions
from gateway.auth.sessions import Sessions
from gateway.auth.tokens import tokens_for
from gateway.cluster.bus import Bus, BusPublisher
from gateway.cluster.envelope import Seal
from gateway.cluster.history_hints import HistoryHints
from gateway.cluster.presence import Presence
from gateway.cluster.revocation import Revocation
from gateway.cluster.session_revocation import SessionRevocation
from gateway.config import Config
from gateway.descriptors import Descriptors
from gateway.domain.message import Message
from gateway.drain import Drain, leaving
from gateway.http import app
from gateway.http.listeners import Capacity, Listener
from gateway.http.services import Services
from gateway.limits import LiveLimits
from gateway.live.attendance import Attendance
from gateway.live.client.judge import Judge
from gateway.live.client.registry import Registry
from gateway.live.client.services import Admission, Routes
from gateway.live.client.services import Services as LiveServices
from gateway.live.client.virtual_host import VirtualHost
from gateway.live.hub.hub import Hub
from gateway.live.relay.dialler import Dialler
from gateway.live.relay.rebalance import Rebalancer
from gateway.live.relay.relay import RelayContext, RelayLimits
from gateway.live.relay.uplink import UplinkContext
from gateway.logins import Logins
from gateway.messages.history_reads import HistoryReads
from gateway.messages.intake import Intake
from gateway.messages.outbox import Outbox
from gateway.messages.pipeline import Pipeline
from gateway.messages.ports import RoomPublisher
from gateway.observe.events import Events, Kind
from gateway.observe.metrics import Metrics
from gateway.private_queues import PrivateQueues, QueueDeclarer
from gateway.rates import RateLimiter
from gateway.readiness import PublisherState, Readiness
from gateway.reload import OnNodes, Reload, Reloadable
from gateway.rooms import Rooms
from gateway.store import Account, Store

logger = logging.getLogger(__name__)

#: The number of feeds that bring the same messages, so that subscribers do not notice a node's
#: death.
_FEEDS: Final = 2


async def serve(config: Config, *, read: Callable[[], Config]) -> None:
    """Serve until SIGTERM or ``POST /drain``, then drain. SIGHUP: ``read`` the configuration again
    and apply what can be changed.

    SIGINT or a second signal skips the drain time, a third one ends at once. Raises
    :class:`ConfigError`, :class:`StartError`, :class:`StoreUnavailable`.
    """
    drain = Drain(lasts=config.server.drain_time, rng=SystemRandom())
    loop = asyncio.get_running_loop()

    def asked_to_stop(number: signal.Signals) -> None:
        if drain.begun or number is signal.SIGINT:
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(each)
            drain.hurry()
        drain.begin(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop, number)
    # Without a handler, SIGHUP would end the process.
    loop.add_signal_handler(
        signal.SIGHUP, logger.warning, "ignored SIGHUP, because the gateway is still starting"
    )
    async with running(config, drain) as serving:
        changes = serving.reloadable.changes(serving.public, serving.on_nodes)
        loop.add_signal_handler(signal.SIGHUP, Reload(config, read=read, changes=changes))
        garbage.settle()
        logger.info("serving %s, internal %s", serving.public.url, serving.internal.url)
        await drain.wait()
        serving.public.no_keep_alive()
        await drain.move_off(serving.registry)
    logger.info("stopped")


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that is serving, with both listeners open."""

    public: Listener
    internal: Listener
    registry: Registry
    reloadable: Reloadable
    on_nodes: Sequence[OnNodes]


@asynccontextmanager
async def running(  # noqa: PLR0915 - all that is started, one after the other
    config: Config, drain: Drain
) -> AsyncIterator[Serving]:
    """A gateway from the database's migration to its last closed connection.

    Raises the errors of :func:`serve`. Everything that was started is stopped, in reverse, each
    part within a bound of its own.
    """
    server, broker = config.server, config.broker
    descriptors = Descriptors.raised(config)
    if shortage := descriptors.shortage(config):
        logger.warning(shortage)
    broker_tls = tls.for_broker(broker.tls)
    client_tls = None if server.tls is None else tls.for_clients(server.tls)
    nodes, own_account = broker.listed, broker.account
    topology = Topology(broker.prefix)
    rng = SystemRandom()
    tasks = _tasks()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tasks.close)
        store = await Store.open(config.store.url.get_secret_value())
        stack.push_async_callback(store.close)
        logger.info("database %s", store.name)
        pruning = tasks.part()
        stack.push_async_callback(pruning.close)
        if (days := config.history.keep_days) is not None:
            pruning.forever(partial(retention.keep, store, days=days, clock=_now), "retention")
        limits = LiveLimits(config.limits)
        guesses = Guesses(limits.failed_logins, clock=time.monotonic)
        accounts = Accounts(store, guesses=guesses)
        stack.callback(accounts.close)

        balancer = Balancer(nodes, clock=time.monotonic, rng=rng)
        publisher = Publisher(
            nodes,
            own_account,
            topology,
            timeout=broker.dial_timeout,
            rng=rng,
            best=balancer.best_link,
            ssl_context=broker_tls,
            tasks=tasks.part(),
        )
        publisher.start()
        stack.push_async_callback(publisher.close)
        dead_queues = DeadQueues(publisher, topology, tasks=tasks.part())
        dead_queues.start()
        stack.push_async_callback(dead_queues.close)
        prober = Prober(
            nodes,
            balancer,
            own_account,
            interval=broker.probe_interval,
            timeout=broker.dial_timeout,
            clock=time.monotonic,
            ssl_options=broker_tls,
            tasks=tasks.part(),
        )
        prober.start()
        stack.push_async_callback(prober.close)
        outbox = Outbox(store, publisher, topology, rng=rng, tasks=tasks.part())
        await outbox.start()
        stack.push_async_callback(outbox.close, within=server.stop_timeout / 2)

        events, ticker = Events(clock=time.time), Ticker(tasks.failures)
        feeds = _feeds(
            config,
            own_account,
            balancer=balancer,
            broker_tls=broker_tls,
            events=events,
            tasks=tasks,
            ticker=ticker,
        )
        gateway = assemble(
            config,
            limits=limits,
            store=store,
            accounts=accounts,
            publisher=publisher,
            outbox=outbox,
            balancer=balancer,
            broker_tls=broker_tls,
            feeds=feeds,
            drain=drain,
            events=events,
            tasks=tasks,
            ticker=ticker,
        )
        stack.callback(gateway.hub.close)
        stack.push_async_callback(feeds.close)
        parts: list[Part] = [
            gateway.bus,
            gateway.history_hints,
            gateway.partition_probe,
            gateway.dashboard,
            gateway.presence,
            gateway.revocation,
            gateway.session_revocation,
            gateway.rebalancer,
        ]
        # The ended sessions are known before anybody can come with their cookies.
        await gateway.session_revocation.poll()
        for part in parts:
            part.start()
            stack.push_async_callback(part.close)
        feeds.start()
        capacity = Capacity(
            limits, frozenset(server.trusted_proxies), descriptors=descriptors.for_clients
        )
        public = Listener(
            gateway.public,
            what="server.address and port",
            events=events,
            tls=client_tls,
            capacity=capacity,
        )
        internal = Listener(
            gateway.internal, what="server.internal_address and internal_port", events=events
        )
        # Stopped from the bottom up: RabbitMQ asks the internal listener about relays until the
        # last one is gone, and posts in hand are answered before their sockets are cut. Until then
        # load balancers see that this gateway is not ready, and new clients are sent away.
        stack.push_async_callback(internal.close)
        stack.push_async_callback(public.close)
        stack.push_async_callback(gateway.pipeline.close)
        stack.push_async_callback(
            gateway.registry.close,
            leaving(),
            within=server.stop_timeout / 4,
        )
        internal.open(server.internal_address, server.internal_port)
        public.open(server.address, server.port)
        # Whatever ends the gateway, nothing new is accepted from here on.
        stack.callback(drain.begin, "stopping")
        yield Serving(
            public,
            internal,
            gateway.registry,
            gateway.reloadable,
            on_nodes=[balancer, prober, publisher],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """All parts of a gateway; they start nothing by themselves."""

    public: Application
    internal: Application
    pipeline: Pipeline
    registry: Registry
    attendance: Attendance
    hub: Hub
    bus: Bus
    history_hints: HistoryHints
    partition_probe: PartitionProbe
    dashboard: Dashboard
    presence: Presence
    revocation: Revocation
    session_revocation: SessionRevocation
    rebalancer: Rebalancer
    events: Events
    reloadable: Reloadable


class Part(Protocol):
    """A part with background work of its own."""

    def start(self) -> None: ...

    async def close(self) -> None: ...


class BrokerPublisher(RoomPublisher, QueueDeclarer, PublisherState, BusPublisher, Protocol):
    """The broker, as the gateway uses :class:`broker.publishing.publisher.Publisher`."""


def assemble(  # noqa: PLR0913, PLR0915 - all parts, each by its name
    config: Config,
    *,
    limits: LiveLimits,
    store: Store,
    accounts: Accounts[Account],
    publisher: BrokerPublisher,
    outbox: Outbox,
    balancer: Balancer,
    broker_tls: ssl.SSLContext,
    feeds: Feeds,
    drain: Drain,
    events: Events,
    tasks: Tasks,
    ticker: Ticker,
) -> Gateway:
    """Connect the parts; call this inside the running loop. Raises :class:`ConfigError`."""
    broker = config.broker
    topology = Topology(broker.prefix)
    secret = config.auth.secret.get_secret_value()
    access = AccessRules(config.access)
    memberships = Memberships(store, clock=time.monotonic)
    permissions = Permissions(memberships, access)
    ended = EndedSessions(clock=time.time)
    passcodes = Passcodes(secret, clock=time.time, ended=ended)
    sessions = Sessions(secret, lifetime=config.auth.session_lifetime, clock=time.time, ended=ended)
    credentials = Credentials(
        sessions=sessions, tokens=tokens_for(config, access, tasks=tasks), clock=time.time
    )
    hub = Hub(topology, store, feeds, budget=limits.now.backlog_bytes, tasks=tasks.part())
    bus = Bus(
        f"{config.server.name or socket.gethostname()}-{token_hex(2)}",
        key=topology.gateways_key,
        seal=Seal(secret, clock=time.time),
        publisher=publisher,
        feeds=feeds,
        tasks=tasks.part(),
    )
    history_hints = HistoryHints(bus, outbox, hub, tasks=tasks.part())
    partition_probe = PartitionProbe(
        topology.echo_key(token_hex(8)),
        publisher=publisher,
        balancer=balancer,
        feeds=feeds,
        doubt=hub.doubt,
        tasks=tasks.part(),
    )

    def stored(messages: Sequence[Message]) -> None:
        hub.stored(messages)
        history_hints.stored(messages)

    pipeline = Pipeline(
        store,
        outbox,
        publisher,
        topology,
        limits=limits,
        confirm_timeout=broker.confirm_timeout,
        stored=stored,
        tasks=tasks.part(),
    )
    intake = Intake(
        pipeline,
        permissions,
        rates=RateLimiter(limits.posts, clock=time.monotonic),
        host_types=config.messages.host_types,
        clock=_now,
    )
    registry = Registry(limits, tasks=tasks.part())
    attendance = Attendance()
    presence = Presence(
        attendance,
        memberships,
        bus,
        publisher,
        topology,
        announced=config.presence,
        clock=time.time,
        tasks=tasks.part(),
    )
    revocation = Revocation(store, memberships, permissions, attendance, bus, tasks=tasks.part())
    session_revocation = SessionRevocation(
        store, ended, registry, bus, clock=time.time, tasks=tasks.part()
    )
    logins = Logins(
        store=store,
        accounts=accounts,
        sessions=sessions,
        endings=session_revocation,
        clock=time.time,
    )
    queues = PrivateQueues(publisher)
    rooms = Rooms(
        permissions=permissions,
        store=store,
        queues=queues,
        changes=revocation,
        presence=presence,
        limits=limits,
        clock=_now,
    )
    rebalancer = Rebalancer(balancer, clock=time.monotonic, rng=SystemRandom(), tasks=tasks.part())
    metrics = Metrics()
    metrics.observe_events(events)
    metrics.observe_posts(intake.posted)
    metrics.observe_nodes(balancer.states)
    metrics.observe_links(lambda: publisher.links)
    metrics.observe("gateway_connections", "WebSocket connections.", lambda: len(registry))
    metrics.observe("gateway_peers", "Other gateways that live.", lambda: len(bus.others))
    metrics.count_each(
        "gateway_bus_messages", "Messages among the gateways.", label="outcome", counts=bus.counts
    )
    _measure(hub, feeds, metrics)
    metrics.observe("gateway_draining", "1: the gateway is leaving.", lambda: drain.begun)
    metrics.count_each(
        "gateway_task_failures",
        "Failures of work that nobody waits for.",
        label="task",
        counts=tasks.failures.counts,
    )
    metrics.observe(
        "gateway_outbox_parked", "Messages that RabbitMQ refuses.", lambda: len(outbox.parking)
    )
    metrics.observe("gateway_outbox_depth", "Messages to publish.", lambda: outbox.depth)
    history = History(
        Gauges(
            connections=lambda: len(registry),
            deliveries=lambda: hub.fan_out.deliveries,
            posts=lambda: sum(intake.posted.values()),
            outbox=lambda: outbox.depth,
            latency=hub.fan_out.latency,
        ),
        clock=time.time,
    )

    def problems() -> list[str]:
        found = [*filter(None, (publisher.problem, outbox.parking.problem))]
        found += [f"{part}: {problem}" for part, problem in hub.problems.items()]
        return found + [f"{each.name}: {each}" for each in tasks.failures.now]

    gateways = Gateways(
        bus,
        overview=Overview(
            gateway=bus.gateway,
            started_at=time.time(),
            history=history,
            events=events,
            draining=lambda: drain.begun,
            topics=lambda: len(hub),
            nodes=balancer.states,
            feeds=lambda: feeds.nodes,
            problems=problems,
        ),
        connections=Connections(registry, gateway=bus.gateway, clock=time.monotonic),
        orders=Orders(connections=registry, nodes=balancer, drain=drain, events=events),
        events=events,
    )
    dashboard = Dashboard(
        gateways,
        history,
        NodeWatch(balancer.states, lambda: publisher.links, events),
        clock=time.time,
        tasks=tasks.part(),
    )
    session_revocation.observe(dashboard.end_sessions)
    services = Services(
        accounts=accounts,
        admin=Admin(dashboard, gateways, permissions),
        clock=time.time,
        credentials=credentials,
        drain=drain,
        events=events,
        history=HistoryReads(store, permissions, limits=limits),
        intake=intake,
        limits=limits,
        logins=logins,
        metrics=metrics,
        origins=Origins(config.server.origins),
        rooms=rooms,
        sessions=sessions,
        topology=topology,
        trusted_proxies=frozenset(config.server.trusted_proxies),
    )
    live = LiveServices(
        admission=Admission(
            tokens=credentials,
            virtual_host=VirtualHost(broker.vhost, services.origins),
            registry=registry,
            connect_timeout=config.auth.connect_timeout,
        ),
        routes=Routes(
            topology=topology,
            judge=Judge(permissions, topology, shared=config.fanout == "shared"),
            intake=intake,
            hub=hub,
            attendance=attendance,
            uplinks=UplinkContext(
                dialler=Dialler(balancer, passcodes, broker.vhost, broker.dial_timeout, broker_tls),
                queues=queues,
                rebalancer=rebalancer,
                relays=RelayContext(
                    limits=RelayLimits(limits.now.upstream_frame_bytes, limits.now.stall_timeout),
                    ticker=ticker,
                    tasks=tasks.part(),
                ),
                events=events,
                rng=SystemRandom(),
            ),
        ),
        limits=limits,
        ticker=ticker,
        events=events,
        clock=time.time,
        rng=SystemRandom(),
        tasks=tasks.part(),
    )

    def progress() -> dict[str, int]:
        return {
            "connections": len(registry),
            "posts": pipeline.in_hand,
            "outbox": outbox.depth,
        }

    readiness = Readiness(
        store=store,
        balancer=balancer,
        publisher=publisher,
        feeds=lambda: hub.problems,
        drain=drain,
        failures=tasks.failures,
        parked=outbox.parking,
    )
    broker_auth = BrokerAuth(passcodes, permissions, access, topology=topology, vhost=broker.vhost)
    return Gateway(
        public=app.public(services, live, readiness),
        internal=app.internal(
            readiness, metrics, events, broker_auth, drain=drain, progress=progress
        ),
        pipeline=pipeline,
        registry=registry,
        attendance=attendance,
        hub=hub,
        bus=bus,
        history_hints=history_hints,
        partition_probe=partition_probe,
        dashboard=dashboard,
        presence=presence,
        revocation=revocation,
        session_revocation=session_revocation,
        rebalancer=rebalancer,
        events=events,
        reloadable=Reloadable(
            config=config,
            access=access,
            services=services,
            tasks=tasks,
        ),
    )


def _measure(hub: Hub, feeds: Feeds, metrics: Metrics) -> None:
    metrics.observe("gateway_topics", "Topics subscribed upstream.", lambda: len(hub))
    metrics.observe(
        "gateway_topics_without_feed",
        "Topics that no feed brings, so that they follow the history.",
        lambda: hub.unfed,
    )
    metrics.count_each(
        "gateway_feed_messages_left_out",
        "Messages from feeds that were given to nobody as they came.",
        label="why",
        counts=feeds.left_out,
    )
    metrics.count(
        "gateway_deliveries",
        "Messages handed to subscribers of topics.",
        lambda: hub.fan_out.deliveries,
    )
    metrics.observe_durations(
        "gateway_delivery_seconds",
        "From a message's acceptance until its last subscriber here has it.",
        hub.fan_out.latency,
    )


def _feeds(
    config: Config,
    account: BrokerCredentials,
    *,
    balancer: Balancer,
    broker_tls: ssl.SSLContext,
    events: Events,
    tasks: Tasks,
    ticker: Ticker,
) -> Feeds:
    """The feeds, each on a node of its own, as far as there are nodes."""

    async def log_in(node: Node) -> WebStompSession:
        return await open_session(
            node,
            account,
            timeout=config.broker.dial_timeout,
            tls=broker_tls,
            heart_beat=HEART_BEAT,
        )

    def witness(number: int, node: str, lost: str | None) -> None:
        code, detail = ("feed_up", "") if lost is None else ("feed_lost", f": {lost}")
        events.note(Kind.FAILOVER, code, f"feed {number}{detail}", node=node)

    context = FeedContext(
        log_in=log_in,
        witness=witness,
        ticker=ticker,
        frame_bytes=config.limits.upstream_frame_bytes,
        complaints=Complaints(LEFT_OUT, clock=time.monotonic),
        rng=SystemRandom(),
    )
    return Feeds(_FEEDS, balancer=balancer, context=context, tasks=tasks.part())


def _tasks() -> Tasks:
    """All background work; other failures in the event loop are kept there, too."""
    tasks = Tasks()
    asyncio.get_running_loop().set_exception_handler(partial(_unforeseen, tasks.failures))
    return tasks


def _unforeseen(
    failures: Failures, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """Note an exception that no part of the gateway has caught, in a callback or in a task without
    an owner."""
    fault = context.get("exception")
    if isinstance(fault, Exception) and not isinstance(fault, OSError):
        failures.note("event loop", fault, consequence=f": {context['message']}")
    else:
        # A socket that breaks is not a fault.
        loop.default_exception_handler(context)


def _now() -> datetime:
    return datetime.now(UTC)
