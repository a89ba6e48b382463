"""Readiness: whether this gateway should get requests, and what is wrong if not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from broker.timing.tasks import Tasks
from gateway.errors import StoreUnavailable
from gateway.health.states import Found, State, States

#: Seconds: a store that takes longer to answer counts as away.
_PING_TIMEOUT: Final = 2.0
#: Seconds between two looks, however often load balancers ask.
_LOOK: Final = 2.0


class Pinged(Protocol):
    """The store, which can be asked whether it works."""

    async def ping(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a probe: whether the gateway is ready, and the states of all parts. A gateway
    can be ready although some of them fail."""

    ready: bool
    states: tuple[State, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "ready": self.ready,
            "problems": {each.part: each.found.reason for each in self.states if not each.works},
            "states": [each.as_json() for each in self.states],
        }


class Readiness:
    """The decision whether the gateway is ready: it is if every part works that it needs.

    ``look`` looks at all parts; it is given the reason why the store has not answered, or None.
    Besides answering probes this looks every two seconds, so the database is read and written in
    any case, and what has changed is logged when it happens.
    """

    def __init__(
        self,
        states: States,
        *,
        store: Pinged,
        look: Callable[[str | None], Iterable[Found]],
        tasks: Tasks,
    ) -> None:
        self._states = states
        self._store = store
        self._look = look
        self._tasks = tasks

    def start(self) -> None:
        self._tasks.forever(self._watch, "states")

    async def close(self) -> None:
        await self._tasks.close()

    async def report(self) -> Report:
        """Look at all parts now."""
        unanswered = None
        try:
            async with asyncio.timeout(_PING_TIMEOUT):
                await self._store.ping()
        except StoreUnavailable as error:
            unanswered = error.reason or error.detail
        except TimeoutError:
            unanswered = f"no answer within {_PING_TIMEOUT:g} s"
        self._states.take(self._look(unanswered))
        return Report(self._states.ready, tuple(self._states))

    async def _watch(self) -> NoReturn:
        while True:
            await self.report()
            await asyncio.sleep(_LOOK)
