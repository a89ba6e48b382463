"""Polling the database, so that nothing depends on a message's arrival."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from broker.timing.tasks import Tasks
from gateway.errors import StoreUnavailable

logger = logging.getLogger(__name__)

#: Seconds between two polls; together with the poll itself they stay below one second (G7).
INTERVAL: Final = 0.7


class DatabasePoll:
    """A loop that calls ``poll`` until it is closed.

    A poll may raise :class:`StoreUnavailable`; the next one may succeed. ``name`` is the loop's
    name, ``of`` says in the log what is polled.
    """

    def __init__(
        self, poll: Callable[[], Awaitable[object]], name: str, *, of: str, tasks: Tasks
    ) -> None:
        self._poll = poll
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
                await self._poll()
            except StoreUnavailable as error:
                if not self._away:
                    logger.warning(
                        "%s cannot be polled, trying again until the database is back: %s",
                        self._of,
                        error,
                    )
                self._away = True
            else:
                self._away = False
