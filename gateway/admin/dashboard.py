"""The open dashboards: one ticker serves them all, and does next to nothing while there are
none."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks, shared
from gateway.admin.gateways import Gateways
from gateway.admin.history import SampleHistory
from gateway.admin.node_watch import NodeWatch
from gateway.budget.budgets import CapBudget
from gateway.budget.cap import Lease
from gateway.domain.identity import Identity
from gateway.domain.revocation import TokenMark
from gateway.errors import GatewayError

logger = logging.getLogger(__name__)

#: Seconds between two samples, and two messages to the dashboards.
TICK: Final = 1.0
#: Messages that a dashboard may be behind before it is dropped; it reconnects by itself and begins
#: with the current state.
_BEHIND: Final = 5


class Viewer:
    """One open dashboard, until ``expires_at`` (Unix time) or the user's access ends. Iterating
    gives server-sent events. ``leave`` is called at that end."""

    def __init__(self, identity: Identity, place: Lease, leave: Callable[[Viewer], None]) -> None:
        self.identity = identity
        self.expires_at = identity.expires_at
        self.session = identity.session
        self._place = place
        self._leave = leave
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_BEHIND + 1)

    def tell(self, message: bytes) -> bool:
        """Send a message. False: the dashboard is too far behind."""
        if self._messages.qsize() >= _BEHIND:
            return False
        self._messages.put_nowait(message)
        return True

    def close(self) -> None:
        """End the iteration; messages that wait are dropped. May be called several times."""
        self._place.give_back()
        while not self._messages.empty():
            self._messages.get_nowait()
        self._messages.put_nowait(None)

    def end(self, error: GatewayError | None) -> None:
        """End it; its page calls again, and is told why."""
        self._leave(self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := await self._messages.get()) is not None:
            yield message


class Dashboard:
    """The ticker and all dashboards that are open at this gateway."""

    def __init__(
        self,
        gateways: Gateways,
        history: SampleHistory,
        node_watch: NodeWatch,
        *,
        places: CapBudget,
        clock: UnixTime,
        tasks: Tasks,
    ) -> None:
        self._places = places
        self._gateways = gateways
        self._history = history
        self._node_watch = node_watch
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._last_sent: dict[str, int] = {}
        #: The first message for everybody who comes before the next tick.
        self._beginning: asyncio.Task[bytes] | None = None
        self._tasks = tasks

    def __len__(self) -> int:
        """The number of dashboards that are open here."""
        return len(self._viewers)

    def start(self) -> None:
        """Tick in the background, until :meth:`close`."""
        self._tasks.forever(self._run, "dashboard")

    async def close(self) -> None:
        for viewer in tuple(self._viewers):
            self.leave(viewer)
        await self._tasks.close()

    def __iter__(self) -> Iterator[Viewer]:
        return iter(tuple(self._viewers))

    def watch(
        self,
        user: str,
        *,
        expires_at: float,
        session: str | None = None,
        token: TokenMark | None = None,
    ) -> Viewer:
        """An admin's viewer from now on, to be given back by :meth:`leave`. Raises
        :class:`NoCapacity`."""
        who = Identity(user, frozenset(), expires_at, session, token=token)
        viewer = Viewer(who, self._places.take(user), self.leave)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer; may be called several times."""
        self._viewers.discard(viewer)
        viewer.close()

    async def beginning(self) -> bytes:
        """The first message to a dashboard: everything, with the past and the last events.

        Some hundred kilobytes of JSON, made once for all who come before the next tick: what
        happens later is in the messages after that, which they get as well.
        """
        if self._beginning is None:
            self._beginning = self._tasks.spawn(self._begin(), "dashboard: the first message")
        return await shared(self._beginning)

    async def _begin(self) -> bytes:
        return _server_sent(await self._gateways.states(after={}, past=True))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + TICK
        while True:
            await asyncio.sleep(due - loop.time())
            # After a standstill of the loop, missed seconds stay missing.
            due = max(due, loop.time()) + TICK
            self._beginning = None
            self._gateways.sampled(self._history.take())
            self._node_watch.poll()
            await self._gateways.learn_drained()
            if self._viewers:
                await self._tell_all()
            else:
                self._last_sent.clear()

    async def _tell_all(self) -> None:
        states = await self._gateways.states(after=self._last_sent)
        self._last_sent = {state["gateway"]: state["last_event"] for state in states["gateways"]}
        message = _server_sent(states)
        now = self._clock()
        for viewer in tuple(self._viewers):
            if viewer.expires_at <= now:
                self.leave(viewer)
            elif not viewer.tell(message):
                logger.warning(
                    "closing a dashboard that does not read fast enough; it reconnects by itself"
                )
                self.leave(viewer)


def _server_sent(value: Mapping[str, Any]) -> bytes:
    """A server-sent event. https://html.spec.whatwg.org/multipage/server-sent-events.html; JSON has
    no line ends."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
