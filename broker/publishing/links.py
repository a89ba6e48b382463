"""The AMQP links to all nodes of the cluster, and which of them takes a stream."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import NamedTuple

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState, home, place, worse
from broker.publishing.link import Link, LinkFailed
from broker.publishing.supervisor import Supervisor
from broker.timing.tasks import Tasks


@dataclass(frozen=True, slots=True)
class LinkReport:
    """The state of one node's link, for people.

    ``unanswered``: publications that wait for their confirm. ``problem``: what is wrong, or None.
    """

    node: str
    state: LinkState
    unanswered: int
    problem: str | None


class Place(NamedTuple):
    """The link and the channel on which a stream is published now.

    ``home``: on the node that takes it while all work. ``blocked``: there only once an alarm has
    ended.
    """

    link: Link
    home: bool
    blocked: bool


class Links:
    """The links to all nodes; each is kept up by a :class:`Supervisor`.

    ``timeout`` bounds a dial, in seconds. ``best`` gives the best state that a node's link can
    have, by its name. ``ssl_context`` verifies the certificates of ``amqps://`` nodes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        credentials: Credentials,
        *,
        timeout: float,
        rng: Random,
        best: Callable[[str], LinkState],
        ssl_context: ssl.SSLContext | None,
        tasks: Tasks,
    ) -> None:
        if ssl_context is None and any(node.amqp.startswith("amqps:") for node in nodes):
            raise ValueError("amqps:// needs an ssl_context that verifies certificates")
        self._best = best
        self._tasks = tasks
        self._rng = rng
        self._open = partial(
            Link.open,
            credentials=credentials,
            ssl_context=ssl_context,
            timeout=timeout,
            tasks=tasks,
        )
        #: Whether the cluster was ever reached, now or before.
        self.have_stood = False
        self._changed = asyncio.Event()
        self._supervisors = {node.name: self._supervisor(node) for node in nodes}
        self._names = tuple(self._supervisors)

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        for supervisor in self._supervisors.values():
            supervisor.start()

    def replace(self, nodes: Sequence[Node]) -> None:
        """Link to these nodes from now on; other links close when their answers have come."""
        before, self._supervisors = self._supervisors, {}
        for node in nodes:
            supervisor = before.get(node.name)
            if supervisor is not None and supervisor.node.is_at(node):
                del before[node.name]
            else:
                supervisor = self._supervisor(node)
                supervisor.start()
            self._supervisors[node.name] = supervisor
        self._names = tuple(self._supervisors)
        for supervisor in before.values():
            self._tasks.spawn(supervisor.leave(), "AMQP link that is left")

    async def close(self) -> None:
        """Close the links; everything that waits for an answer fails at once."""
        await self._tasks.close()
        await asyncio.gather(*(each.close() for each in self._supervisors.values()))

    def place(self, key: str) -> Place | None:
        """The link for this routing key now, or None: there is no link at all."""
        found = place(key, self._names, self._state)
        if found is None:
            return None
        name, state = found
        link = self._supervisors[name].link
        if link is None:
            return None
        return Place(link, home(key, self._names) == name, state is LinkState.BLOCKED)

    @property
    def standing(self) -> dict[str, Link]:
        """All links that can be published on now, by their nodes' names."""
        links = ((name, supervisor.link) for name, supervisor in self._supervisors.items())
        return {name: link for name, link in links if link is not None and not link.blocked}

    @property
    def sound_for(self) -> float:
        """Seconds for which every node has answered whatever was asked; 0: one does not now."""
        now = asyncio.get_running_loop().time()
        since = [each.sound_since for each in self._supervisors.values()]
        return min((0.0 if each is None else now - each for each in since), default=0.0)

    async def dial(self, key: str) -> Link:
        """A further link to this routing key's node, for what may cost the connection.

        The caller closes it. Raises :class:`LinkFailed`.
        """
        found = place(key, self._names, self._state)
        if found is None:
            raise LinkFailed("no node", "no link stands")
        return await self._open(self._supervisors[found[0]].node)

    @property
    def problem(self) -> str | None:
        """Why nothing can be published, or None: a link works."""
        reports = self.reports()
        states = {each.state for each in reports}
        if states - {LinkState.DOWN, LinkState.BLOCKED}:
            return None
        problems = "; ".join(f"{each.node}: {each.problem}" for each in reports)
        return problems if LinkState.BLOCKED in states else f"not connected: {problems}"

    async def changed(self) -> None:
        """Wait until a link has come or gone."""
        await self._changed.wait()

    def reports(self) -> list[LinkReport]:
        """One report a node, in the order of configuration."""
        return [
            LinkReport(
                name,
                self._state(name),
                0 if supervisor.link is None else supervisor.link.unanswered,
                supervisor.problem,
            )
            for name, supervisor in self._supervisors.items()
        ]

    def _state(self, name: str) -> LinkState:
        state, best = self._supervisors[name].state, self._best(name)
        return state if best is LinkState.UP else worse(state, best)

    def _supervisor(self, node: Node) -> Supervisor:
        return Supervisor(
            node,
            dial=self._open,
            changed=self._link_changed,
            rng=self._rng,
            tasks=self._tasks.part(),
        )

    def _link_changed(self) -> None:
        self.have_stood = self.have_stood or any(s.link for s in self._supervisors.values())
        self._changed.set()
        self._changed = asyncio.Event()
