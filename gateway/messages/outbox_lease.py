"""The lease on the stored outbox: a gateway publishes its entries as long as it lives, no
longer."""

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
#: Seconds between renewals, and between searches for what dead gateways left behind.
INTERVAL: Final = 2.0
#: The most messages that one transaction takes over.
BATCH: Final = 5000

_log = logging.getLogger(__name__)


class OutboxLease:
    """The gateway's lease, and the taking over of messages from gateways whose lease has ended.

    ``lapsed`` is called when others may have taken this gateway's messages, ``taken`` with each
    stream that has got messages from others. ``look_into_store`` is called in every round; it may
    raise :class:`StoreUnavailable`.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        lapsed: Callable[[], None],
        taken: Callable[[Stream], None],
        look_into_store: Callable[[], Awaitable[None]],
        tasks: Tasks,
    ) -> None:
        self._leases = leases
        self._lapsed = lapsed
        self._taken = taken
        self._look_into_store = look_into_store
        self._tasks = tasks
        self._started = False

    async def start(self) -> None:
        """Take a lease, and take over what is left behind. Raises :class:`StoreUnavailable`."""
        await self._leases.renew_lease(LEASE)
        await self._take_over()
        self._started = True
        self._tasks.forever(self._run, "outbox lease", needed="the lease")

    async def close(self) -> None:
        """Leave unpublished messages to the others, at once if the database can be reached."""
        if not self._started:
            return
        await self._tasks.close()
        try:
            await self._leases.end_lease()
        except StoreUnavailable as error:
            _log.warning(
                "the outbox lease could not be ended; it expires in %g s, then other gateways "
                "take over: %s",
                LEASE,
                error.detail,
            )

    async def _run(self) -> NoReturn:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                if not await self._leases.renew_lease(LEASE):
                    _log.warning(
                        "the outbox lease had expired and begins anew; other gateways may have "
                        "taken over its messages"
                    )
                    self._lapsed()
                await self._take_over()
            except StoreUnavailable as error:
                _log.debug("the outbox lease could not be renewed, trying again: %s", error.detail)

    async def _take_over(self) -> None:
        got = BATCH
        while got == BATCH:
            streams = await self._leases.take_over(limit=BATCH)
            got = len(streams)
            for stream in set(streams):
                self._taken(stream)
            if got:
                _log.info(
                    "took over %d messages of %d streams from gateways whose outbox lease has "
                    "expired",
                    got,
                    len(set(streams)),
                )
        await self._look_into_store()
