"""A gateway's state, as it is sent to the dashboards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from broker.nodes.node import NodeState
from gateway.admin.history import Sample, SampleHistory
from gateway.observe.events import Events

#: The newest events in one answer; even the longest possible ones fit into a message of the bus.
_EVENTS: Final = 80
#: Seconds for each point of a chart's past.
_STEP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A view of one gateway's state.

    ``started_at`` is Unix time. ``nodes``, ``feeds`` (the node of each; None: it has none) and
    ``problems`` return the current state.
    """

    gateway: str
    started_at: float
    history: SampleHistory
    events: Events
    draining: Callable[[], bool]
    topics: Callable[[], int]
    nodes: Callable[[], list[NodeState]]
    feeds: Callable[[], list[str | None]]
    problems: Callable[[], list[str]]

    def state(self, sample: Sample, *, after: int = 0) -> dict[str, Any]:
        """The state as JSON, with the events whose number is larger than ``after``."""
        nodes = self.nodes()
        return {
            "gateway": self.gateway,
            "started_at": self.started_at,
            "draining": self.draining(),
            "sample": sample,
            "topics": self.topics(),
            "nodes": [_node(state) for state in nodes],
            "feeds": _placed(self.feeds(), len(nodes)),
            "problems": self.problems(),
            "events": [event.as_json() for event in self.events.after(after, limit=_EVENTS)],
            "last_event": self.events.last,
        }

    def past(self) -> list[Sample]:
        """The past for the charts."""
        return self.history.every(_STEP)

    def hours(self, hours: int) -> list[Sample]:
        """The past for the charts over hours."""
        return self.history.hours(hours)


def _placed(feeds: list[str | None], nodes: int) -> list[str | None]:
    """Whether every feed has a node of its own; with a single node the second feed needs none."""
    placed = [feed for feed in feeds if feed is not None]
    return [*placed, *[None] * (min(len(feeds), nodes) - len(placed))]


def _node(state: NodeState) -> dict[str, Any]:
    probe = state.probe
    return {
        "name": state.node.name,
        "health": state.health,
        "draining": state.draining,
        "partitioned": state.partitioned,
        "available": state.available,
        "why": state.unavailable_because,
        "connections": state.connections,
        "limit": state.node.max_connections,
        "latency": None if probe is None else probe.latency,
    }
