"""The factory for what the gateway does with RabbitMQ itself: nodes, publishing, feeds, probes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from broker.feeds.connection import Connection, open_connection
from broker.feeds.feed import FeedContext
from broker.feeds.feeds import Feeds
from broker.feeds.leftovers import Leftovers
from broker.feeds.listener import LEFT_OUT
from broker.health.prober import Prober
from broker.nodes.balancer import Balancer
from broker.nodes.node import Node
from broker.publishing.publication import ConfirmedPublisher
from broker.publishing.publisher import Publisher
from broker.timing.complaints import Complaints
from gateway import tls
from gateway.cluster.bus import BusPublisher
from gateway.foundation import Foundation
from gateway.health.dependencies import PublisherState
from gateway.observe.events import Kind
from gateway.queues.mender import QueueBroker
from gateway.queues.sizes import QueueSizes

#: The number of feeds that bring the same messages, so that subscribers do not notice a node's
#: death.
_FEEDS: Final = 2


class BrokerPublisher(
    QueueBroker, QueueSizes, PublisherState, BusPublisher, ConfirmedPublisher, Protocol
):
    """The broker, as the gateway uses :class:`broker.publishing.publisher.Publisher`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """RabbitMQ, as far as the other packages use it. ``tls`` verifies its certificates."""

    balancer: Balancer
    publisher: BrokerPublisher
    feeds: Feeds
    tls: ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQ:
    """The parts that work with RabbitMQ's nodes; they start nothing by themselves."""

    broker: Broker
    publisher: Publisher
    prober: Prober

    @property
    def on_nodes(self) -> Sequence[Balancer | Prober | Publisher]:
        """The parts that a new list of nodes is given to, in this order."""
        return [self.broker.balancer, self.prober, self.publisher]


def rabbitmq(made_with: Foundation) -> RabbitMQ:
    """Make the parts for the configured nodes. Raises :class:`ConfigError`."""
    f, settings = made_with, made_with.config.broker
    nodes, context = settings.listed, tls.for_broker(settings.tls)
    balancer = Balancer(nodes, clock=f.clock.monotonic, rng=f.rng)
    publisher = Publisher(
        nodes,
        settings.account,
        f.topology,
        timeout=settings.dial_timeout,
        rng=f.rng,
        best=balancer.best_link,
        ssl_context=context,
        tasks=f.tasks.part(),
    )
    prober = Prober(
        nodes,
        balancer,
        settings.account,
        interval=settings.probe_interval,
        timeout=settings.dial_timeout,
        clock=f.clock.monotonic,
        ssl_options=context,
        tasks=f.tasks.part(),
    )
    feeds = feeds_of(f, balancer=balancer, context=context)
    return RabbitMQ(
        broker=Broker(balancer=balancer, publisher=publisher, feeds=feeds, tls=context),
        publisher=publisher,
        prober=prober,
    )


def feeds_of(made_with: Foundation, *, balancer: Balancer, context: ssl.SSLContext) -> Feeds:
    """The feeds, each on a node of its own, as far as there are nodes."""
    f, settings = made_with, made_with.config.broker

    gateway = made_with.config.server.name or socket.gethostname()

    async def dial(number: int, node: Node) -> Connection:
        return await open_connection(
            node,
            settings.account,
            timeout=settings.dial_timeout,
            tls=context,
            name=f"interact-gateway {gateway}, feed {number}",
            message_bytes=f.limits.now.upstream_frame_bytes,
        )

    def queue(number: int) -> str:
        return f.topology.feed_queue(gateway, number, f"{f.rng.getrandbits(32):08x}")

    def witness(number: int, node: str, lost: str | None) -> None:
        code, detail = ("feed_up", "") if lost is None else ("feed_lost", f": {lost}")
        f.events.note(Kind.FAILOVER, code, f"feed {number}{detail}", node=node)

    shared = FeedContext(
        dial=dial,
        queue=queue,
        witness=witness,
        leftovers=Leftovers(),
        ticker=f.ticker,
        complaints=Complaints(LEFT_OUT, clock=f.clock.monotonic),
        rng=f.rng,
    )
    return Feeds(_FEEDS, balancer=balancer, context=shared, tasks=f.tasks.part())
