"""Changes of broker nodes, and of the AMQP links to them, noted as events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from broker.nodes.node import NodeState
from broker.nodes.rendezvous import LinkState
from broker.publishing.links import LinkReport
from gateway.observe.events import Events, Kind

#: Nothing is published through a link in one of these states.
_LOST = frozenset({LinkState.DOWN, LinkState.BLOCKED, LinkState.SUSPECT, LinkState.PARTITIONED})


class NodeWatch:
    """A poll that compares the nodes and links with their last state, and notes the changes."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[NodeState]],
        links: Callable[[], Sequence[LinkReport]],
        events: Events,
    ) -> None:
        self._nodes = nodes
        self._links = links
        self._events = events
        #: By node.
        self._out: dict[str, bool] = {}
        self._lost: dict[str, bool] = {}

    def poll(self) -> None:
        """Note what has changed. A node is out until it is healthy again, however often it is tried
        in between."""
        nodes = [
            (state.node.name, state.problem is not None, state.problem) for state in self._nodes()
        ]
        for node, out, why in _changed(nodes, self._out):
            if out:
                self._events.note(Kind.NODE, "out", why or "", node=node)
            else:
                self._events.note(Kind.NODE, "healthy", "it works again", node=node)
        links = [(each.node, each.state in _LOST, each.problem) for each in self._links()]
        for node, lost, why in _changed(links, self._lost):
            if lost:
                self._events.note(Kind.FAILOVER, "publisher_lost", why or "", node=node)
            else:
                self._events.note(Kind.FAILOVER, "publisher_up", "", node=node)


Seen = tuple[str, bool, str | None]


def _changed(seen: Iterable[Seen], before: dict[str, bool]) -> Iterable[Seen]:
    """The entries that have become bad or good; ``before`` is updated. A new entry counts as good
    before."""
    for each in seen:
        node, bad, _ = each
        if bad != before.get(node, False):
            yield each
        before[node] = bad
