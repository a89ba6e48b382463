"""Looking into the database again and again, so that nothing depends on a message's arrival."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from broker.timing.tasks import Tasks
from gateway.errors import StoreUnavailable

logger = logging.getLogger(__name__)

#: Seconds between two looks; with the look itself it stays below one second (G7).
INTERVAL: Final = 0.7


class DatabasePoll:
    """Calls ``look`` until it is closed. A look may raise :class:`StoreUnavailable`: the next one
    may have more luck. ``name`` is that of the loop, ``of`` tells the log what is looked at."""

    def __init__(
        self, look: Callable[[], Awaitable[None]], name: str, *, of: str, tasks: Tasks
    ) -> None:
        self._look = look
        self._name = name
        self._of = of
        self._tasks = tasks
        self._away = False

    def start(self) -> None:
        self._tasks.forever(self._watch, self._name, needed=self._name)

    async def close(self) -> None:
        await self._tasks.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._look()
            except StoreUnavailable as error:
                if not self._away:
                    logger.warning("%s cannot be looked at: %s", self._of, error)
                self._away = True
            else:
                self._away = False
