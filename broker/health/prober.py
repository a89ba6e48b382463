"""Active health checks: each node is asked, again and again, for the gateway's own login.

A probe goes the way that clients go (TCP, TLS, WebSocket, STOMP CONNECT), so it meets the same
faults.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from functools import partial

from broker.dialling import DialError
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node, Probe
from broker.timing.readings import Monotonic
from broker.timing.tasks import Job, Tasks
from broker.webstomp.session import open_session

log = logging.getLogger(__name__)


class Prober:
    """A loop that probes each node every ``interval`` seconds and reports to the balancer.

    ``timeout`` (seconds) bounds the dial, and again the login. ``clock`` is the balancer's.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        nodes: Sequence[Node],
        balancer: Balancer,
        credentials: Credentials,
        *,
        interval: float,
        timeout: float,
        clock: Monotonic,
        tasks: Tasks,
        ssl_options: ssl.SSLContext | None = None,
    ) -> None:
        self._nodes = nodes
        self._balancer = balancer
        self._credentials = credentials
        self._interval = interval
        self._timeout = timeout
        self._clock = clock
        self._ssl_options = ssl_options
        self._tasks = tasks
        self._jobs: dict[Node, Job] = {}

    def start(self) -> None:
        """Probe in the background, one task a node, until :meth:`close`."""
        self.replace(self._nodes)

    def replace(self, nodes: Sequence[Node]) -> None:
        """Probe these nodes from now on; the balancer knows them already."""
        for gone in self._jobs.keys() - set(nodes):
            self._jobs.pop(gone).cancel()
        for new in set(nodes) - self._jobs.keys():
            self._jobs[new] = self._tasks.forever(partial(self._watch, new), f"prober {new.name}")

    async def close(self) -> None:
        """Stop probing; a probe under way is dropped with its socket."""
        await self._tasks.close()

    async def probe(self, node: Node) -> Probe:
        """Log in to a node and leave again."""
        began = self._clock()
        try:
            upstream = await open_session(
                node, self._credentials, timeout=self._timeout, tls=self._ssl_options
            )
        except DialError as error:
            return Probe(began, error=error.what)
        upstream.close()
        return Probe(began, latency=self._clock() - began)

    async def _watch(self, node: Node) -> None:
        error: str | None = None
        while True:
            probe = await self.probe(node)
            self._balancer.report(node.name, probe)
            if probe.error != error:
                error = probe.error
                if error is None:
                    log.info("node %s takes logins again, and connections", node.name)
                else:
                    log.warning(
                        "node %s takes no login, and gets no connection until it does: %s",
                        node.name,
                        error,
                    )
            await asyncio.sleep(self._interval)
