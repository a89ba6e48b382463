"""The choice of the node for the next connection: the available one with the fewest connections.

    available = healthy and not draining and not partitioned and not full

Every connection holds a :class:`Lease`, from before the dial until it is closed. Failures before
the session is up count against the node; later ones do not (a browser that leaves is no failure).
But silence makes a node suspect. A node that hangs loses all its connections, so without that it
would be the one with the fewest, and would get them all back: each dial there takes its whole time
before it fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from enum import Enum, auto
from random import Random
from types import TracebackType
from typing import Final, Self

from broker.nodes.node import Event, Health, Node, NodeState, Probe
from broker.nodes.rendezvous import LinkState
from broker.timing.readings import Monotonic

#: The reason of a node that the caller has excluded.
_EXCLUDED: Final = "tried already"


class NoNodeAvailable(Exception):
    """No node takes a connection now.

    ``reasons`` says why, by node name. ``full``: a healthy node has no place left.
    """

    def __init__(self, reasons: Mapping[str, str], *, full: bool) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in reasons.items()))
        self.reasons = dict(reasons)
        self.full = full

    @property
    def only_excluded(self) -> bool:
        """Whether nothing is wrong with any node: the caller has excluded all of them."""
        return set(self.reasons.values()) <= {_EXCLUDED}


class UnknownNode(Exception):
    """No node has this name."""


class Balancer:
    """The nodes of the cluster, and the choice of the one that takes the next connection.

    ``rng`` decides between equally loaded nodes.
    """

    def __init__(self, nodes: Iterable[Node], *, clock: Monotonic, rng: Random) -> None:
        self._states = {node.name: NodeState(node) for node in nodes}
        self._clock = clock
        self._rng = rng

    def acquire(self, exclude: AbstractSet[str] = frozenset()) -> Lease:
        """Take a place on a node; ``exclude`` names the nodes that were tried already.

        Raises :class:`NoNodeAvailable`.
        """
        now = self._expire()
        reasons: dict[str, str] = {}
        candidates: list[NodeState] = []
        for name, state in self._states.items():
            why = _EXCLUDED if name in exclude else state.unavailable_because
            if why is None:
                candidates.append(state)
            else:
                reasons[name] = why
        if not candidates:
            full = any(s.full and s.health is Health.HEALTHY for s in self._states.values())
            raise NoNodeAvailable(reasons, full=full)
        candidates = [state for state in candidates if not state.suspect] or candidates
        fewest = min(state.connections for state in candidates)
        choice = self._rng.choice([s for s in candidates if s.connections == fewest])
        return Lease(choice, clock=self._clock, began=now)

    def report(self, name: str, probe: Probe) -> None:
        """Take note of what an active probe found. Raises :class:`UnknownNode`."""
        now = self._expire()
        state = self._state(name)
        state.probe = probe
        if probe.error is None:
            state.worked(Event.PROBE_PASSED, now)
        else:
            state.failed(Event.PROBE_FAILED, now, began=probe.began, reason=probe.error)

    def drain(self, name: str) -> None:
        """Send no further connection to a node; those it has stay. Raises :class:`UnknownNode`."""
        self._state(name).draining = True

    def resume(self, name: str) -> None:
        """End a drain. Raises :class:`UnknownNode`."""
        self._state(name).draining = False

    def mark_partitioned(self, names: Collection[str]) -> None:
        """Exactly these nodes have lost the rest of the cluster: connections leave them."""
        for name, state in self._states.items():
            state.partitioned = name in names

    def is_to_be_left(self, name: str) -> bool:
        """Whether connections have to leave the node of this name; False for an unknown name."""
        state = self._states.get(name)
        return state is not None and state.to_be_left

    def best_link(self, name: str) -> LinkState:
        """The best state that a link to the node of this name can have."""
        state = self._states.get(name)
        if state is None:
            return LinkState.UP
        if state.partitioned:
            return LinkState.PARTITIONED
        return LinkState.DRAINING if state.draining else LinkState.UP

    def replace(self, nodes: Iterable[Node]) -> None:
        """Balance over these nodes from now on.

        A node whose addresses have changed counts as another node. Connections to a node that is
        gone keep their leases, whose :attr:`Lease.leaving` becomes true.
        """
        before, self._states = self._states, {}
        for node in nodes:
            state = before.get(node.name)
            if state is None or not state.node.is_at(node):
                state = NodeState(node)
            state.node = node
            self._states[node.name] = state
        for state in before.values():
            if self._states.get(state.node.name) is not state:
                state.draining = True

    def states(self) -> list[NodeState]:
        """Copies of the nodes' states, in the order of configuration."""
        self._expire()
        return [replace(state) for state in self._states.values()]

    def _state(self, name: str) -> NodeState:
        try:
            return self._states[name]
        except KeyError:
            raise UnknownNode(name) from None

    def _expire(self) -> float:
        now = self._clock()
        for state in self._states.values():
            state.expire(now)
        return now


class _Phase(Enum):
    """The phase of a lease: dialling, in use, or given back."""

    DIALLING = auto()
    UP = auto()
    RELEASED = auto()


class Lease:
    """One connection's place on a node, given back once, however often it is released.

    ========  ==========  ===================  =================  ===========
    phase     up()        failed(reason)       silent()           release()
    ========  ==========  ===================  =================  ===========
    dialling  up; works   released; a failure  dialling; suspect  released
    up        up          released             up; suspect        released
    released  released    released             released           released
    ========  ==========  ===================  =================  ===========

    As a context manager it is released at the end of the block.
    """

    def __init__(self, state: NodeState, *, clock: Monotonic, began: float) -> None:
        self._state = state
        self._clock = clock
        self._began = began
        self._phase = _Phase.DIALLING
        #: Whether this lease is the one that finds out whether the node works again.
        self._trial = state.health is Health.TRIAL
        state.connections += 1
        state.on_trial = state.on_trial or self._trial

    @property
    def node(self) -> Node:
        return self._state.node

    @property
    def leaving(self) -> bool:
        """Whether the connection has to leave: the node drains, has lost the others, or is not
        configured any more."""
        return self._state.to_be_left

    @property
    def answers(self) -> bool:
        """Whether the node takes logins: no probe and no dial has failed since one worked."""
        return self._state.health is Health.HEALTHY

    def up(self) -> None:
        """The session is established: the node works."""
        if self._phase is _Phase.DIALLING:
            self._phase = _Phase.UP
            self._end_trial()
            self._state.worked(Event.SESSION_UP, self._clock())

    def silent(self) -> None:
        """The node says nothing where it should: others are tried before it, until a probe or
        another session has shown that it works."""
        if self._phase is not _Phase.RELEASED:
            self._state.suspect = True

    def failed(self, reason: str) -> None:
        """The dial failed: a failure of the node, and the place is given back."""
        if self._phase is _Phase.DIALLING:
            self._state.failed(Event.DIAL_FAILED, self._clock(), began=self._began, reason=reason)
        self.release()

    def release(self) -> None:
        """Give the place back."""
        if self._phase is not _Phase.RELEASED:
            self._phase = _Phase.RELEASED
            self._end_trial()
            self._state.connections -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _end_trial(self) -> None:
        if self._trial:
            self._trial = False
            self._state.on_trial = False
