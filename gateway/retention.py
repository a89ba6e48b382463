"""Deletion of old history."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

from broker.timing.readings import UtcTime
from gateway.errors import StoreUnavailable

logger = logging.getLogger(__name__)

#: Seconds between two searches for old messages.
INTERVAL: Final = 3600.0


class Prunable(Protocol):
    """The store, whose old messages can be deleted."""

    async def prune(self, before: datetime) -> int: ...


async def keep(store: Prunable, *, days: int, clock: UtcTime) -> NoReturn:
    """Delete messages older than ``days``, now and every hour, until cancelled.

    A store that is away is asked again an hour later: old messages can wait.
    """
    while True:
        try:
            if deleted := await store.prune(clock() - timedelta(days=days)):
                logger.info("deleted %d messages older than %d days", deleted, days)
        except StoreUnavailable as error:
            logger.warning(
                "old messages could not be deleted; the next attempt is in an hour: %s", error
            )
        await asyncio.sleep(INTERVAL)
