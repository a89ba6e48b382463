"""Readiness: whether this gateway should get requests, and what is wrong if not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from broker.nodes.balancer import Balancer
from broker.publishing.links import LinkReport
from broker.timing.tasks import Failures
from gateway.drain import Drain
from gateway.errors import StoreUnavailable

#: Seconds: a store that takes longer to answer counts as away.
_PING_TIMEOUT: Final = 2.0


class Pinged(Protocol):
    """The store, which can be asked whether it works."""

    async def ping(self) -> None: ...


class PublisherState(Protocol):
    """The AMQP links to the broker."""

    @property
    def has_been_connected(self) -> bool: ...

    @property
    def links(self) -> Sequence[LinkReport]: ...

    @property
    def problem(self) -> str | None: ...


class Parked(Protocol):
    """Messages that are kept apart because they are too large."""

    @property
    def problem(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a probe. ``problems`` names what fails, by part; a gateway can be ready and
    have some."""

    ready: bool
    problems: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"ready": self.ready, "problems": dict(self.problems)}


class Readiness:
    """The decision whether the gateway is ready.

    It is if it does not leave, the store can be read and written, the broker was reached once, and
    nothing that it needs (its lease, publishing, topics, revocation) fails for good by a fault of
    its own. ``feeds`` names by part what is wrong with the feeds. These are details, because topics
    without a feed follow the history.

    A broker that goes away later makes no gateway unready: messages are still accepted (202) and
    sockets stay up, and taking all gateways out at once would end both.
    """

    def __init__(
        self,
        *,
        store: Pinged,
        balancer: Balancer,
        publisher: PublisherState,
        feeds: Callable[[], Mapping[str, str]],
        drain: Drain,
        failures: Failures,
        parked: Mapping[str, Parked],
    ) -> None:
        self._store = store
        self._balancer = balancer
        self._publisher = publisher
        self._feeds = feeds
        self._drain = drain
        self._failures = failures
        self._parked = parked

    async def report(self) -> Report:
        problems = {
            f"broker node {state.node.name}": state.unavailable_because
            for state in self._balancer.states()
            if state.unavailable_because is not None
        }
        if self._publisher.problem is not None:
            problems["publisher"] = self._publisher.problem
        for link in self._publisher.links:
            if link.problem is not None:
                problems[f"publisher on {link.node}"] = link.problem
        problems |= self._feeds()
        problems |= {
            part: parked.problem for part, parked in self._parked.items() if parked.problem
        }
        for failing in self._failures.now:
            problems[f"task {failing.name}"] = str(failing)
        broken = self._failures.broken
        for what in broken:
            problems[what] = (
                "fails again and again by a fault of the gateway, which goes on restarting it; "
                "see the log"
            )
        if self._drain.announced:
            problems["gateway"] = "draining" if self._drain.begun else "leaving"
        store_problem = await self._store_problem()
        if store_problem is not None:
            problems["store"] = store_problem
        return Report(
            ready=store_problem is None
            and self._publisher.has_been_connected
            and not self._drain.announced
            and not broken,
            problems=problems,
        )

    async def _store_problem(self) -> str | None:
        try:
            async with asyncio.timeout(_PING_TIMEOUT):
                await self._store.ping()
        except StoreUnavailable as error:
            return error.reason or error.detail
        except TimeoutError:
            return f"no answer within {_PING_TIMEOUT:g} s"
        return None
