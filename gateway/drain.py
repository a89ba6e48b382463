"""Leaving: first the gateway only says that it is not ready, then it drains: nothing new is
accepted, and the clients leave one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from random import Random
from typing import Final, Protocol

from gateway.errors import Draining, GatewayError

logger = logging.getLogger(__name__)

#: Seconds after which a refused client should ask again: by then it reaches another gateway.
_RETRY_AFTER: Final = 1.0


def leaving() -> Draining:
    """The error for everybody who is refused or sent away."""
    return Draining(
        "this gateway is shutting down; connect again to reach another one",
        retry_after=_RETRY_AFTER,
    )


class Client(Protocol):
    """A client's connection."""

    def end(self, error: GatewayError) -> None:
        """Tell the client why, and close."""


class Clients(Protocol):
    """The current connections."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Client]: ...


class Drain:
    """The draining of this gateway. It begins once and cannot be undone.

    ``notice``: seconds before it, in which load balancers notice that the gateway is not ready and
    everything goes on. ``lasts``: seconds over which the clients leave; ``rng`` draws their order.
    """

    def __init__(self, *, lasts: float, rng: Random, notice: float = 0.0) -> None:
        self._notice = notice
        self._lasts = lasts
        self._rng = rng
        self._announced = asyncio.Event()
        self._begun = asyncio.Event()
        self._hurried = asyncio.Event()

    @property
    def announced(self) -> bool:
        """Whether this gateway is leaving, and so not ready: it gives notice or drains."""
        return self._announced.is_set()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def announce(self, why: str) -> None:
        """Be not ready from now on, and :meth:`begin` when the notice is over. A second call has no
        effect."""
        if self.announced:
            return
        if not self._notice:
            self.begin(why)
            return
        self._announced.set()
        logger.info(
            "leaving (%s): not ready from now on; everything is served for another %g s, in which"
            " load balancers choose other gateways",
            why,
            self._notice,
        )
        asyncio.get_running_loop().call_later(self._notice, self.begin, why)

    def begin(self, why: str) -> None:
        """Accept nothing new from now on. A second call has no effect."""
        self._announced.set()
        if not self.begun:
            logger.info(
                "draining (%s): clients are sent to other gateways over %g s",
                why,
                self._lasts,
            )
            self._begun.set()

    def hurry(self) -> None:
        """Let the remaining clients leave at once."""
        self._hurried.set()

    def check(self) -> None:
        """Raises :class:`Draining` once it has begun."""
        if self.begun:
            raise leaving()

    async def wait_for_notice(self) -> None:
        """Return when the gateway is leaving."""
        await self._announced.wait()

    async def wait(self) -> None:
        """Return when it has begun."""
        await self._begun.wait()

    async def move_off(self, clients: Clients) -> None:
        """End the current connections, evenly over the time; new ones are not accepted any more.

        Returns when the last one has been told, or all are gone.
        """
        began = asyncio.get_running_loop().time()
        to_tell = list(clients)
        self._rng.shuffle(to_tell)
        for number, client in enumerate(to_tell):
            await self._until(began + self._lasts * number / len(to_tell))
            if not len(clients):
                return
            client.end(leaving())

    async def _until(self, when: float) -> None:
        if self._hurried.is_set():
            return
        try:
            async with asyncio.timeout_at(when):
                await self._hurried.wait()
        except TimeoutError:
            pass
