"""Leaving calmly: nothing new is taken, and the clients go one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from random import Random
from typing import Final, Protocol

from gateway.errors import Draining, GatewayError

logger = logging.getLogger(__name__)

#: Seconds after which to ask again what is refused here: by then it reaches another gateway.
_RETRY_AFTER: Final = 1.0


def leaving() -> Draining:
    """What everybody is told."""
    return Draining("this gateway is leaving; another one takes over", retry_after=_RETRY_AFTER)


class Client(Protocol):
    def end(self, error: GatewayError) -> None:
        """Tell the client why, and close."""


class Clients(Protocol):
    """Those who are here at the moment."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Client]: ...


class Drain:
    """It begins once and has no way back. ``lasts``: seconds over which clients are spread;
    ``rng`` draws their order."""

    def __init__(self, *, lasts: float, rng: Random) -> None:
        self._lasts = lasts
        self._rng = rng
        self._begun = asyncio.Event()
        self._hurried = asyncio.Event()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self, why: str) -> None:
        """From now on nothing new is taken. Again: nothing more happens."""
        if not self.begun:
            logger.info("%s: draining over %g s", why, self._lasts)
            self._begun.set()

    def hurry(self) -> None:
        """The clients that are still here leave at once."""
        self._hurried.set()

    def check(self) -> None:
        """Raises :class:`Draining`."""
        if self.begun:
            raise leaving()

    async def wait(self) -> None:
        """Return when it has begun."""
        await self._begun.wait()

    async def move_off(self, clients: Clients) -> None:
        """End those who are here now, evenly over the time; new ones are not let in any more.

        Returns when the last one is told, or all are gone.
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
