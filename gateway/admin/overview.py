"""What one gateway tells the dashboards about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from broker.nodes.node import NodeState
from gateway.admin.history import History, Sample
from gateway.observe.events import Events

#: Events in one answer, the newest: as long as they can be, the bus has room for them.
_EVENTS: Final = 80
#: Seconds that a point of a chart's past stands for.
_STEP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """``started_at`` is Unix time. ``nodes``, ``feeds`` (the node of each, None: it looks for one)
    and ``problems`` tell how things are now."""

    gateway: str
    started_at: float
    history: History
    events: Events
    draining: Callable[[], bool]
    topics: Callable[[], int]
    nodes: Callable[[], list[NodeState]]
    feeds: Callable[[], list[str | None]]
    problems: Callable[[], list[str]]

    def state(self, sample: Sample, *, after: int = 0) -> dict[str, Any]:
        """As JSON, with the events whose number is larger than ``after``."""
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
        """What the charts begin with."""
        return self.history.every(_STEP)


def _placed(feeds: list[str | None], nodes: int) -> list[str | None]:
    """No two are on one node: of a single node the second feed has nothing to look for."""
    placed = [feed for feed in feeds if feed is not None]
    return [*placed, *[None] * (min(len(feeds), nodes) - len(placed))]


def _node(state: NodeState) -> dict[str, Any]:
    probe = state.probe
    return {
        "name": state.node.name,
        "health": state.health,
        "draining": state.draining,
        "apart": state.partitioned,
        "available": state.available,
        "why": state.unavailable_because,
        "connections": state.connections,
        "limit": state.node.max_connections,
        "latency": None if probe is None else probe.latency,
    }
