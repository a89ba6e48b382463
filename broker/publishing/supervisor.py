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
from broker.publishing.liveness import PULSE, Verdict, Vigil
from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks

log = logging.getLogger(__name__)

#: Between two dials, in seconds; drawn between half of it and all of it.
RECONNECT: Final = BackOff(first=0.1, longest=1.0)
#: A link that lasted less (seconds) counts as one more failure, so that it is not redialled hotly.
LASTING: Final = 5.0
#: Seconds that a node is avoided, once it is back, if it stood still and kept its connection all
#: the same: it may have lost the others meanwhile.
SUSPECTED: Final = 30.0
#: Seconds that publications have to be answered on a link that is not wanted any more.
FAREWELL: Final = 15.0
_LOOK: Final = 0.1


class Supervisor:
    """``dial`` raises :class:`LinkFailed`; ``changed`` is called when a link comes or goes."""

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
        #: Since when the node has answered whatever was asked, on the loop's clock; None: not now.
        self.sound_since: float | None = None
        self._dial = dial
        self._changed = changed
        self._rng = rng
        self._lost: str | None = None
        self._stood_still = False
        self._suspect_until = -math.inf
        self._tasks = tasks
        self._started = False

    def start(self) -> None:
        """Connect in the background and stay connected until :meth:`close`."""
        self._started = True
        self._tasks.forever(self._run, f"AMQP link to {self.node.name}", needed="publishing")

    async def leave(self) -> None:
        """Close when what is on the wire is answered, :data:`FAREWELL` seconds later at most."""
        try:
            async with asyncio.timeout(FAREWELL):
                while True:
                    if self.link is None or not self.link.unanswered:
                        break
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            log.warning("%s has not answered everything", self.node.name)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the link; what waits for an answer fails at once."""
        await self._tasks.close()
        self._started = False

    @property
    def state(self) -> LinkState:
        # Whoever publishes may hear of the link's end first: sent there again, and refused without
        # a turn of the loop, they would keep us from ever hearing of it.
        if self.link is None or self.link.over:
            return LinkState.DOWN
        if self.link.blocked:
            return LinkState.BLOCKED
        if asyncio.get_running_loop().time() < self._suspect_until:
            return LinkState.SUSPECT
        return LinkState.UP

    @property
    def problem(self) -> str | None:
        """What is wrong with the link, or None."""
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
                if self._lost != error.what:
                    log.warning("cannot publish through %s", error)
                self._lost = error.what
            else:
                began = asyncio.get_running_loop().time()
                await self._serve(link)
                lasted = asyncio.get_running_loop().time() - began
                failures = failures + 1 if lasted < LASTING else 1
            await asyncio.sleep(RECONNECT.delay(failures) * self._rng.uniform(0.5, 1.0))

    async def _serve(self, link: Link) -> None:
        """Let a link be used until it is lost."""
        log.info("publishing through %s", self.node.name)
        self.link = link
        now = asyncio.get_running_loop().time()
        if self.sound_since is None:
            self.sound_since = now
        if self._stood_still:
            self._stood_still, self._suspect_until = False, now + SUSPECTED
        self._changed()
        reason = "the gateway failed to watch it"
        try:
            reason = await self._watch(link)
        except asyncio.CancelledError:
            self._unlink()
            await link.close("the gateway is closing")
            raise
        finally:
            # Also after an error that nobody foresaw: nobody watches it any more.
            if self.link is link:
                await self._lose(link, reason)

    async def _lose(self, link: Link, reason: str) -> None:
        self._lost = reason
        if reason != Verdict.STALLED:
            self.sound_since = None
        self._unlink()
        log.warning("lost %s: %s", self.node.name, reason)
        await link.lose(reason)

    def _unlink(self) -> None:
        self.link = None
        self._changed()

    async def _watch(self, link: Link) -> str:
        """Why the link is of no more use."""
        vigil = Vigil()
        while True:
            if ended := await link.ended(within=PULSE):
                return ended
            if verdict := vigil.look(link.signs):
                self._stood_still = True
                return verdict
            if vigil.silent:
                link.ask()
