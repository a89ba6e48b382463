"""What the gateway counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.node import NodeState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """A registry of its own: nothing global, one per gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "gateway_http_requests_total",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "gateway_http_request_seconds",
            "Time from a request's headers to its answer.",
            ["route"],
            registry=self.registry,
        )
        self.posts = Counter(
            "gateway_messages_posted_total",
            "Messages accepted, by whether the broker had confirmed when the answer left.",
            ["published"],
            registry=self.registry,
        )

    def observe(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A gauge that is read when Prometheus asks."""
        Gauge(name, what, registry=self.registry).set_function(read)

    def observe_nodes(self, states: Callable[[], list[NodeState]]) -> None:
        """Report the broker nodes as they are when Prometheus asks."""
        self.registry.register(_Nodes(states))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Nodes(Collector):
    def __init__(self, states: Callable[[], list[NodeState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        available = GaugeMetricFamily(
            "gateway_node_available", "1: the node takes connections.", labels=["node"]
        )
        connections = GaugeMetricFamily(
            "gateway_node_connections", "Connections from here to the node.", labels=["node"]
        )
        latency = GaugeMetricFamily(
            "gateway_node_probe_seconds", "How long the last good probe took.", labels=["node"]
        )
        for state in self._states():
            available.add_metric([state.node.name], float(state.available))
            connections.add_metric([state.node.name], float(state.connections))
            if state.probe is not None and state.probe.latency is not None:
                latency.add_metric([state.node.name], state.probe.latency)
        yield from (available, connections, latency)
