"""One node's AMQP link, kept up: watched, and dialled again when it is lost."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.link import Link, LinkFailed
from broker.publishing.liveness import INTERVAL, Liveness, Verdict
from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Between two dials, in seconds; drawn between half of it and all of it.
RECONNECT: Final = BackOff(first=0.1, longest=1.0)
#: A link that lasted less (seconds) counts as one more failure, so that it is not redialled hotly.
LASTING: Final = 5.0
#: Seconds that a node is avoided once it is back, if it hung and kept its connection all the same:
#: it may have lost the others meanwhile.
SUSPECTED: Final = 30.0
#: Seconds that publications have to be answered on a link that is not wanted any more.
FAREWELL: Final = 15.0
_POLL: Final = 0.1


class Supervisor:
    """The keeper of one node's link.

    ``dial`` opens a link and raises :class:`LinkFailed`; ``changed`` is called when a link comes or
    goes.
    """

    def __init__(
        self,
        node: Node,
        *,
        dial: Callable[[Node], Awaitable[Link]],
        changed: Callable[[], None],
        rng: Random,
        tasks: Tasks,
    ) -> None:
        self.node = node
        #: The link of this moment, blocked or not.
        self.link: Link | None = None
        #: Since when the node has answered whatever was asked, on the loop's clock; None: it does
        #: not now.
        self.sound_since: float | None = None
        self._dial = dial
        self._changed = changed
        self._rng = rng
        self._lost: str | None = None
        self._hung = False
        self._suspect_until = -math.inf
        self._tasks = tasks
        self._started = False

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._started = True
        self._tasks.forever(self._run, f"AMQP link to {self.node.name}", needed="publishing")

    async def leave(self) -> None:
        """Close when everything sent is answered, :data:`FAREWELL` seconds later at most."""
        try:
            async with asyncio.timeout(FAREWELL):
                while True:
                    if self.link is None or not self.link.unanswered:
                        break
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            log.warning(
                "AMQP link to %s: closed though publications are unanswered after %g s; they are"
                " published again through other nodes",
                self.node.name,
                FAREWELL,
            )
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the link; everything that waits for an answer fails at once."""
        await self._tasks.close()
        self._started = False

    @property
    def state(self) -> LinkState:
        """The condition of the link now."""
        if self.link is None:
            return LinkState.DOWN
        state = self.link.state
        if state is not LinkState.UP:
            return state
        suspect = asyncio.get_running_loop().time() < self._suspect_until
        return LinkState.SUSPECT if suspect else LinkState.UP

    @property
    def problem(self) -> str | None:
        """The link's fault, or None."""
        match self.state:
            case LinkState.DOWN if not self._started:
                return "not started"
            case LinkState.DOWN:
                return self._lost or "dialling"
            case LinkState.BLOCKED:
                return "blocked by an alarm"
            case LinkState.SUSPECT:
                return self._lost
            case _:
                return None

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                link = await self._dial(self.node)
            except LinkFailed as error:
                failures += 1
                self.sound_since = None
                if self._lost != error.reason:
                    log.warning("AMQP link to %s; dialling again", error)
                self._lost = error.reason
            else:
                began = asyncio.get_running_loop().time()
                await self._use(link)
                lasted = asyncio.get_running_loop().time() - began
                failures = failures + 1 if lasted < LASTING else 1
            await asyncio.sleep(RECONNECT.delay(failures) * self._rng.uniform(0.5, 1.0))

    async def _use(self, link: Link) -> None:
        """Offer a link until it is lost."""
        log.info("AMQP link to %s: connected, messages are published through it", self.node.name)
        self.link = link
        now = asyncio.get_running_loop().time()
        if self.sound_since is None:
            self.sound_since = now
        if self._hung:
            self._hung, self._suspect_until = False, now + SUSPECTED
        self._changed()
        reason = "the gateway failed to watch it"
        try:
            reason = await self._watch(link)
        except asyncio.CancelledError:
            self._unlink()
            await link.close("the gateway is closing")
            raise
        finally:
            # Also after an unforeseen error: nobody watches the link any more.
            if self.link is link:
                await self._lose(link, reason)

    async def _lose(self, link: Link, reason: str) -> None:
        self._lost = reason
        if reason != Verdict.STALLED:
            self.sound_since = None
        self._unlink()
        log.warning("AMQP link to %s: lost, and dialled again: %s", self.node.name, reason)
        await link.lose(reason)

    def _unlink(self) -> None:
        self.link = None
        self._changed()

    async def _watch(self, link: Link) -> str:
        """The reason why the link is of no more use."""
        liveness = Liveness()
        while True:
            if ended := await link.ended(within=INTERVAL):
                return ended
            if verdict := liveness.check(link.activity):
                self._hung = True
                return verdict
            if liveness.silent:
                link.ask()
