"""What becomes of the broker nodes, as events."""

from __future__ import annotations

from collections.abc import Callable

from broker.node import Health, NodeState
from gateway.events import Events, Kind


class NodeWatch:
    """Compares the nodes with what they were when it looked last."""

    def __init__(self, nodes: Callable[[], list[NodeState]], events: Events) -> None:
        self._nodes = nodes
        self._events = events
        self._out: dict[str, bool] = {}

    def look(self) -> None:
        """A node is out until it is healthy again, however often it is tried in between."""
        before, self._out = self._out, {}
        for state in self._nodes():
            name, out = state.node.name, state.health is not Health.HEALTHY
            self._out[name] = out
            if out and not before.get(name, False):
                self._events.note(Kind.NODE, "out", state.why_out or "", node=name)
            elif before.get(name, False) and not out:
                self._events.note(Kind.NODE, "healthy", "it works again", node=name)
