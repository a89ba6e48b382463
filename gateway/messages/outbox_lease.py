"""The lease on the stored outbox: a gateway publishes its entries as long as it lives, no longer.

Entries that belong to nobody, or to a gateway without a lease, go to whichever takes them first.
Applications store such entries in transactions of their own (gateway/store/post_function.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from broker.timing.backoff import BackOff
from broker.timing.tasks import Tasks
from broker.topology import Stream
from gateway.errors import StoreUnavailable
from gateway.messages.ports import Leases

#: Seconds until a gateway that does not renew its lease counts as dead.
LEASE: Final = 10.0
#: Seconds between renewals, and between searches for what dead gateways left behind.
INTERVAL: Final = 2.0
#: The same while this gateway cannot publish: what it has stored is left to the others.
DEAF_INTERVAL: Final = 0.5
#: Seconds between two takings that were heard of: what comes in between is taken together.
HEARD_INTERVAL: Final = 0.02
#: Between two attempts to hear, in seconds.
HEAR_AGAIN: Final = BackOff(first=0.1, longest=5.0)
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
        #: Whether others publish what this gateway cannot; set by who knows.
        self.deaf: Callable[[], bool] = lambda: False
        self._started = False
        self._heard = asyncio.Event()
        #: When the last renewal that succeeded began, on the loop's clock.
        self._renewed = -math.inf

    async def start(self) -> None:
        """Take a lease, and take over what is left behind. Raises :class:`StoreUnavailable`."""
        await self._renew()
        await self._take_over()
        await self._look_into_store()
        self._started = True
        self._tasks.forever(self._run, "outbox lease", needed="the lease")
        self._tasks.forever(self._hear, "outbox: hearing of messages of applications")
        self._tasks.forever(self._take_heard, "outbox: taking messages of applications")

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
                error,
            )

    async def _run(self) -> NoReturn:
        while True:
            await asyncio.sleep(DEAF_INTERVAL if self.deaf() else INTERVAL)
            try:
                if not await self._renew():
                    _log.warning(
                        "the outbox lease had expired and begins anew; other gateways may have "
                        "taken over its messages"
                    )
                    self._lapsed()
                await self._take_over()
                await self._look_into_store()
            except StoreUnavailable as error:
                _log.debug("the outbox lease could not be renewed, trying again: %s", error)

    async def _renew(self) -> bool:
        began = asyncio.get_running_loop().time()
        had_one = await self._leases.renew_lease(LEASE)
        self._renewed = began
        return had_one

    async def _hear(self) -> NoReturn:
        failures = 0
        while True:
            try:
                await self._leases.hear(self._heard.set)
                failures = 0
            except StoreUnavailable as error:
                failures += 1
                _log.debug("messages of applications are not heard of now: %s", error)
            await asyncio.sleep(HEAR_AGAIN.delay(max(1, failures)))

    async def _take_heard(self) -> NoReturn:
        while True:
            await self._heard.wait()
            self._heard.clear()
            if asyncio.get_running_loop().time() >= self._renewed + LEASE:
                # Without a lease it would take its own again and again. The next round renews it,
                # and takes these too.
                continue
            try:
                await self._take_over(logging.DEBUG)
            except StoreUnavailable as error:
                # The next round of the lease takes them.
                _log.debug("messages of applications could not be taken: %s", error)
            await asyncio.sleep(HEARD_INTERVAL)

    async def _take_over(self, level: int = logging.INFO) -> None:
        if self.deaf():
            await self._hand_over()
            return
        got = BATCH
        while got == BATCH:
            streams = await self._leases.take_over(limit=BATCH)
            got = len(streams)
            for stream in set(streams):
                self._taken(stream)
            if got:
                _log.log(
                    level,
                    "took over %d messages of %d streams that no living gateway owned",
                    got,
                    len(set(streams)),
                )

    async def _hand_over(self) -> None:
        left = await self._leases.release(limit=BATCH)
        if left:
            self._lapsed()
            _log.info("left %d messages to other gateways, which hear RabbitMQ", left)
