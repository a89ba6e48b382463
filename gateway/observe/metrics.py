"""The gateway's metrics for Prometheus; ``docs/reference/metrics.md`` explains each."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from broker.nodes.node import NodeState
from broker.publishing.links import LinkReport
from gateway.observe.events import Events, Kind
from gateway.observe.histogram import Histogram as Durations

# The creation time of each series: it would double the number of lines, and nothing uses it.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one gateway, in a registry of their own: nothing is global."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "gateway_http_requests_total",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "gateway_http_request_seconds",
            "Time from a request's headers to its answer.",
            ["route"],
            registry=self.registry,
        )

        # Looking up labels costs more than counting.
        self._routes: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, *, seconds: float) -> None:
        """Count an HTTP request. ``seconds``: from its head to its answer."""
        labels = method, route, status
        if (metrics := self._routes.get(labels)) is None:
            metrics = self._routes[labels] = (
                self._requests.labels(method, route, str(status)),
                self._request_seconds.labels(route),
            )
        requests, durations = metrics
        requests.inc()
        durations.observe(seconds)

    def observe(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when Prometheus asks."""
        Gauge(name, what, registry=self.registry).set_function(read)

    def observe_build(self, version: str, *, store: str) -> None:
        """Report the gateway's version, and which database it works on."""
        info = Gauge(
            "gateway_build_info",
            "1; its labels say what is running.",
            ["version", "python", "store"],
            registry=self.registry,
        )
        info.labels(version, platform.python_version(), store).set(1)

    def observe_states(self, states: Callable[[], Iterable[PartState]]) -> None:
        """Report the parts that the gateway depends on, as last found."""
        self.registry.register(_States(states))

    def observe_nodes(self, states: Callable[[], list[NodeState]]) -> None:
        """Report the broker nodes as they are when Prometheus asks."""
        self.registry.register(_Nodes(states))

    def observe_links(self, reports: Callable[[], Sequence[LinkReport]]) -> None:
        """Report the AMQP links as they are when Prometheus asks."""
        self.registry.register(_Links(reports))

    def count(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Add a counter that is read when Prometheus asks; ``name`` is without its ``_total``."""
        self.registry.register(_Count(name, what, read))

    def count_each(self, name: str, what: str, *, label: str, counts: Mapping[str, int]) -> None:
        """Add a counter with one series for each of the ``counts``, read when Prometheus asks."""
        self.registry.register(_CountEach(name, what, label, counts))

    def observe_posts(self, posted: Mapping[bool, int]) -> None:
        """Report accepted messages, by whether they were published before the answer."""
        self.registry.register(_Posts(posted))

    def observe_events(self, events: Events) -> None:
        """Report closes, refusals and all other events, by their codes."""
        self.registry.register(_Events(events))

    def observe_durations(self, name: str, what: str, durations: Durations) -> None:
        """Report a histogram that is kept elsewhere."""
        self.registry.register(_Durations(name, what, durations))

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class PartState(Protocol):
    """The state of a part. ``since``: Unix time at which it began."""

    @property
    def part(self) -> str: ...

    @property
    def works(self) -> bool: ...

    @property
    def since(self) -> float: ...


class _States(Collector):
    """Whether each part works, and since when it does or does not."""

    def __init__(self, states: Callable[[], Iterable[PartState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        works = GaugeMetricFamily("gateway_state", "1: the part works.", labels=["part"])
        since = GaugeMetricFamily(
            "gateway_state_since_seconds", "When it began to work or to fail.", labels=["part"]
        )
        for state in self._states():
            works.add_metric([state.part], float(state.works))
            since.add_metric([state.part], state.since)
        yield from (works, since)


class _Nodes(Collector):
    """The health and the connections of each broker node."""

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


class _Links(Collector):
    """The AMQP link to each broker node."""

    def __init__(self, reports: Callable[[], Sequence[LinkReport]]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "gateway_publisher_up", "1: the AMQP link to the node serves.", labels=["node"]
        )
        unconfirmed = GaugeMetricFamily(
            "gateway_publisher_unconfirmed", "Messages on the wire, unanswered.", labels=["node"]
        )
        for report in self._reports():
            up.add_metric([report.node], float(report.problem is None))
            unconfirmed.add_metric([report.node], report.unanswered)
        yield from (up, unconfirmed)


class _Count(Collector):
    """A counter without labels that is kept elsewhere."""

    def __init__(self, name: str, what: str, read: Callable[[], float]) -> None:
        self._name = name
        self._what = what
        self._read = read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._what, value=self._read())


class _CountEach(Collector):
    """A counter with one label that is kept elsewhere."""

    def __init__(self, name: str, what: str, label: str, counts: Mapping[str, int]) -> None:
        self._name = name
        self._what = what
        self._label = label
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._what, labels=[self._label])
        for value, count in self._counts.items():
            family.add_metric([value], count)
        yield family


#: The counter of each kind of event, and what its labels hold: the code, and the status if any.
_COUNTED: Final = {
    Kind.CLOSE: (
        "gateway_closes",
        "Connections by WebSocket or event stream that ended.",
        ("reason", "code"),
    ),
    Kind.REFUSAL: ("gateway_refusals", "HTTP requests turned away.", ("code", "status")),
    Kind.FAILOVER: ("gateway_failovers", "Connections to a node lost, found, moved.", ("what",)),
    Kind.NODE: ("gateway_node_changes", "Changes of broker nodes' states.", ("change",)),
    Kind.ACTION: ("gateway_admin_actions", "What admins have asked for here.", ("action",)),
}


class _Posts(Collector):
    """The accepted messages, by whether the broker had confirmed them before the answer."""

    def __init__(self, posted: Mapping[bool, int]) -> None:
        self._posted = posted

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "gateway_messages_posted", "Messages accepted.", labels=["published"]
        )
        for published, count in self._posted.items():
            family.add_metric([str(published).lower()], count)
        yield family


class _Events(Collector):
    """The events of each kind in :data:`_COUNTED`, by their labels."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def collect(self) -> Iterator[Metric]:
        families = {
            kind: CounterMetricFamily(name, what, labels=labels)
            for kind, (name, what, labels) in _COUNTED.items()
        }
        for (kind, code, status), count in self._events.counts.items():
            labels = [code] if status is None else [code, str(status)]
            families[kind].add_metric(labels, count)
        yield from families.values()


class _Durations(Collector):
    """A histogram that is kept elsewhere."""

    def __init__(self, name: str, what: str, durations: Durations) -> None:
        self._name = name
        self._what = what
        self._durations = durations

    def collect(self) -> Iterator[Metric]:
        kept = self._durations
        bounds = [*map(str, kept.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(kept.counts), strict=True))
        yield HistogramMetricFamily(self._name, self._what, buckets=buckets, sum_value=kept.sum)
