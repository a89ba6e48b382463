"""One AMQP link at a time, to whichever node works: to the next one when it is lost."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from itertools import cycle
from random import Random
from typing import Final

from broker.amqp import Link, LinkFailed
from broker.backoff import BackOff
from broker.credentials import Credentials
from broker.node import Node

log = logging.getLogger(__name__)

#: Between rounds over all nodes; within a round the next node is tried at once.
RECONNECT: Final = BackOff(first=0.1, longest=1.0)
#: The node is asked for a sign of life so often, and has so long to give it (seconds).
PULSE: Final = 1.0
ANSWER: Final = 3.0
#: A node that answers but confirms nothing for so long (seconds) may sit in a minority.
STALLED: Final = 5.0
#: A link that lasted less (seconds) counts as one more failure, so that it is not redialled hotly.
LASTING: Final = 5.0


class Connector:
    """``timeout`` bounds a dial, in seconds; ``rng`` shuffles the nodes.

    ``ssl_context`` verifies the certificates of ``amqps://`` nodes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        credentials: Credentials,
        *,
        timeout: float,
        rng: Random,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if ssl_context is None and any(node.amqp.startswith("amqps:") for node in nodes):
            raise ValueError("amqps:// needs an ssl_context that verifies certificates")
        self._nodes = rng.sample(nodes, len(nodes))
        self._credentials = credentials
        self._timeout = timeout
        self._ssl_context = ssl_context
        self._link: Link | None = None
        #: How many links there have been.
        self.links = 0
        self._linked = asyncio.Event()
        self._problems: dict[str, str] = {}
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._supervisor = asyncio.create_task(self._supervise(), name="AMQP connector")
        self._supervisor.add_done_callback(_tell_if_broken)

    async def close(self) -> None:
        """Close the link; what waits for an answer fails at once."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
            self._supervisor = None

    @property
    def link(self) -> Link | None:
        """The link of this moment, blocked or not."""
        return self._link

    @property
    def problem(self) -> str | None:
        """What keeps the link from being used, or None."""
        if self._supervisor is None:
            return "not started"
        if self._link is None:
            return f"not connected: {'; '.join(self._problems.values()) or 'dialling'}"
        if self._link.blocked:
            return f"{self._link.node.name}: blocked by an alarm"
        return None

    async def ready(self, deadline: asyncio.Timeout) -> Link:
        """Wait for a link that can be published on; ``deadline`` expires if it is lost meanwhile.

        Without a turn of the loop if there is one. Raises :data:`broker.amqp.AMQP_ERRORS`.
        """
        while True:
            await self._linked.wait()
            link = self._link
            if link is not None:
                with link.expiring(deadline):
                    await link.ready()
                    await link.renew()
                return link

    async def _supervise(self) -> None:
        failures = 0
        for node in cycle(self._nodes):
            rounds, rest = divmod(failures, len(self._nodes))
            if rounds and not rest:
                await asyncio.sleep(RECONNECT.delay(rounds))
            try:
                link = await Link.open(
                    node,
                    self._credentials,
                    ssl_context=self._ssl_context,
                    timeout=self._timeout,
                )
            except LinkFailed as error:
                failures += 1
                if self._problems.get(node.name) != str(error):
                    log.warning("cannot publish through %s", error)
                self._problems[node.name] = str(error)
                continue
            began = asyncio.get_running_loop().time()
            await self._serve(link)
            lasted = asyncio.get_running_loop().time() - began
            failures = failures + 1 if lasted < LASTING else 0

    async def _serve(self, link: Link) -> None:
        """Let a link be used until it is lost."""
        log.info("publishing through %s", link.node.name)
        self._problems.clear()
        self._link = link
        self.links += 1
        self._linked.set()
        try:
            reason = await self._watch(link)
        except asyncio.CancelledError:
            self._unlink()
            await link.close("the gateway is closing")
            raise
        self._unlink()
        self._problems[link.node.name] = f"{link.node.name}: {reason}"
        log.warning("lost %s: %s", link.node.name, reason)
        await link.lose(reason)

    def _unlink(self) -> None:
        self._link = None
        self._linked.clear()

    async def _watch(self, link: Link) -> str:
        """Why the link is of no more use."""
        while True:
            if ended := await link.ended(within=PULSE):
                return ended
            answered = await link.answers(within=ANSWER)
            if link.blocked:
                # RabbitMQ has said so, and reads nothing until the alarm is over.
                link.answered()
            elif not answered:
                return f"no sign of life for {ANSWER:g} s"
            elif link.unanswered_for >= STALLED:
                return f"nothing confirmed for {STALLED:g} s"


def _tell_if_broken(task: asyncio.Task[None]) -> None:
    """The task ends only when it is cancelled; anything else must not go unseen."""
    if not task.cancelled():
        log.critical("%s is broken", task.get_name(), exc_info=task.exception())
