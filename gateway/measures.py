"""Every number that the gateway shows to Prometheus, and where it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from broker.feeds.feeds import Feeds
from gateway.cluster.bus import Bus
from gateway.cluster.clocks import Clocks
from gateway.drain import Drain
from gateway.foundation import Foundation
from gateway.health.states import States
from gateway.live.assembly import Live
from gateway.logins import Logins
from gateway.messages.assembly import Messages
from gateway.messages.outbox import Outbox
from gateway.observe.metrics import Metrics
from gateway.queues.parked import Parked
from gateway.rabbitmq import Broker


class LoggedStore(Protocol):
    """The database, whose write-ahead log is measured."""

    @property
    def name(self) -> str: ...

    @property
    def log_bytes(self) -> int: ...


def measures(  # noqa: PLR0913 - everything that is measured
    made_with: Foundation,
    *,
    broker: Broker,
    live: Live,
    messages: Messages,
    bus: Bus,
    outbox: Outbox,
    parked: Parked,
    drain: Drain,
    store: LoggedStore,
    logins: Logins,
    waiting_logins: Callable[[], int],
    states: States,
    clocks: Clocks,
) -> Metrics:
    """Make the metrics; each is read when Prometheus asks."""
    metrics = Metrics()
    is_server = store.name.startswith("postgresql:")
    metrics.observe_build(_version(), store="postgresql" if is_server else "sqlite")
    metrics.observe_events(made_with.events)
    metrics.observe_states(lambda: states)
    metrics.observe("gateway_ready", "1: load balancers are told to use it.", lambda: states.ready)
    metrics.count(
        "gateway_publications_confirmed",
        "Messages that RabbitMQ has confirmed.",
        lambda: outbox.counts.confirmed,
    )
    metrics.count(
        "gateway_publications_failed",
        "Publications that were not confirmed, and are repeated.",
        lambda: outbox.counts.failed,
    )
    metrics.count(
        "gateway_publications_returned",
        "Publications that no queue took.",
        lambda: outbox.counts.returned,
    )
    metrics.count_each(
        "gateway_budget_met",
        "Refusals and waits by a limit of a budget.",
        label="budget",
        counts=made_with.budgets.met,
    )
    metrics.count_each(
        "gateway_logins", "Logins, by their outcome.", label="outcome", counts=logins.counts
    )
    metrics.observe(
        "gateway_logins_waiting", "Passwords that are checked or wait for it.", waiting_logins
    )
    metrics.observe_posts(messages.intake.posted)
    metrics.count_each(
        "gateway_keys_refused",
        "Messages refused because of the rooms' kept state.",
        label="code",
        counts=messages.intake.keys_refused,
    )
    metrics.observe_nodes(broker.balancer.states)
    metrics.observe_links(lambda: broker.publisher.links)
    metrics.observe(
        "gateway_connections",
        "Connections by WebSocket or event stream.",
        lambda: len(live.registry),
    )
    metrics.observe("gateway_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
    metrics.observe(
        "gateway_backlog_bytes", "Bytes that wait for slow readers.", lambda: live.backlog.kept
    )
    metrics.observe(
        "gateway_half_read_bytes",
        "Bytes of incomplete frames from clients.",
        lambda: live.half_read.kept,
    )
    metrics.observe(
        "gateway_clock_ahead_seconds",
        "By how much the clock is ahead of the database's.",
        lambda: clocks.own,
    )
    metrics.observe("gateway_peers", "Other gateways that live.", lambda: len(bus.others))
    metrics.count_each(
        "gateway_bus_messages", "Messages among the gateways.", label="outcome", counts=bus.counts
    )
    _of_topics(metrics, live=live, feeds=broker.feeds)
    metrics.observe("gateway_draining", "1: the gateway is leaving.", lambda: drain.announced)
    metrics.count_each(
        "gateway_task_failures",
        "Failures of work that nobody waits for.",
        label="task",
        counts=made_with.tasks.failures.counts,
    )
    metrics.observe(
        "gateway_outbox_parked", "Messages that RabbitMQ refuses.", lambda: len(outbox.parking)
    )
    metrics.observe(
        "gateway_outbox_messages",
        "Messages in the outbox of all gateways.",
        lambda: outbox.fill.messages,
    )
    metrics.observe("gateway_outbox_bytes", "Bytes of these messages.", lambda: outbox.fill.bytes)
    metrics.observe(
        "gateway_store_log_bytes", "Bytes of SQLite's write-ahead log.", lambda: store.log_bytes
    )
    metrics.observe(
        "gateway_private_queues_parked",
        "Messages in RabbitMQ that were too large for hosts.",
        lambda: parked.count,
    )
    journal = made_with.journal
    metrics.observe(
        "gateway_journal_waiting", "Entries of the journal to write.", lambda: len(journal)
    )
    metrics.count(
        "gateway_journal_dropped",
        "Entries of the journal that were dropped.",
        lambda: journal.dropped,
    )
    metrics.observe("gateway_outbox_depth", "Messages to publish.", lambda: outbox.depth)
    return metrics


def _version() -> str:
    try:
        return version("interact-gateway")
    except PackageNotFoundError:
        return "unknown"


def _of_topics(metrics: Metrics, *, live: Live, feeds: Feeds) -> None:
    hub = live.hub
    metrics.observe("gateway_topics", "Topics subscribed upstream.", lambda: len(hub))
    patterns = live.patterns
    metrics.observe(
        "gateway_patterns",
        "Destinations outside rooms that are read once for all their subscribers.",
        lambda: len(patterns),
    )
    metrics.observe(
        "gateway_patterns_alone",
        "Those of them whose subscribers must come again if a broker node is lost now.",
        lambda: patterns.alone,
    )
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
