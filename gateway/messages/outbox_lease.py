"""What of the stored outbox is this gateway's to publish, as long as it lives and no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from broker.timing.tasks import Tasks
from broker.topology import Stream
from gateway.errors import StoreUnavailable
from gateway.messages.ports import Leases

#: Seconds until a gateway that does not renew its lease counts as dead.
LEASE: Final = 10.0
#: Seconds between renewals, and between looks for what dead gateways left behind.
INTERVAL: Final = 2.0
#: How many messages one transaction takes over at most.
BATCH: Final = 5000

_log = logging.getLogger(__name__)


class OutboxLease:
    """Keeps the gateway's lease, and takes over from those whose lease has ended.

    ``lapsed`` is told that others may have taken what was this gateway's, ``taken`` which streams
    have got messages from others. ``look`` is called in every round; it may raise
    :class:`StoreUnavailable`.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        lapsed: Callable[[], None],
        taken: Callable[[Stream], None],
        look: Callable[[], Awaitable[None]],
        tasks: Tasks,
    ) -> None:
        self._leases = leases
        self._lapsed = lapsed
        self._taken = taken
        self._look = look
        self._tasks = tasks
        self._started = False

    async def start(self) -> None:
        """Live, and take over what is left behind. Raises :class:`StoreUnavailable`."""
        await self._leases.renew_lease(LEASE)
        await self._take_over()
        self._started = True
        self._tasks.forever(self._run, "outbox lease", needed="the lease")

    async def close(self) -> None:
        """Leave what is not published to the others: at once, if the database can be told."""
        if not self._started:
            return
        await self._tasks.close()
        try:
            await self._leases.end_lease()
        except StoreUnavailable as error:
            _log.warning("the lease ends by itself in %g s: %s", LEASE, error.detail)

    async def _run(self) -> NoReturn:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                if not await self._leases.renew_lease(LEASE):
                    _log.warning("the lease had ended; other gateways may publish what was here")
                    self._lapsed()
                await self._take_over()
            except StoreUnavailable as error:
                _log.debug("the lease is not renewed: %s", error.detail)

    async def _take_over(self) -> None:
        got = BATCH
        while got == BATCH:
            streams = await self._leases.take_over(limit=BATCH)
            got = len(streams)
            for stream in set(streams):
                self._taken(stream)
            if got:
                _log.info("took over %d messages of %d streams", got, len(set(streams)))
        await self._look()
