"""The other gateways as the database knows them: whether they hear the bus, and their clocks.

So a gateway that RabbitMQ does not reach can tell whether all gateways have lost it, or it alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, Protocol

from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks
from gateway.cluster.clocks import Clocks
from gateway.errors import StoreUnavailable
from gateway.store.records import Meeting, Neighbour

logger = logging.getLogger(__name__)

#: Seconds between two looks into the database.
MEET: Final = 2.0
#: Seconds for which what the database said of the others is believed.
KNOWN: Final = 10.0


class MeetingPlace(Protocol):
    """The store, where the gateways write how they are."""

    async def meet(self, name: str, *, hears: bool, clock: UnixTime) -> Meeting: ...


class Hearing(Protocol):
    """The bus: whether a message of this gateway came back just now, or none has for long."""

    @property
    def hears(self) -> bool: ...

    @property
    def silent(self) -> bool: ...


class Neighbours:
    """The other gateways of the same database.

    ``name`` is this gateway's name on the bus; ``hearing`` tells what it hears there.
    ``deafened`` is called in each round in which it is :attr:`deaf`.
    """

    def __init__(
        self,
        place: MeetingPlace,
        clocks: Clocks,
        *,
        name: str,
        hearing: Hearing,
        deafened: Callable[[], None],
        clock: UnixTime,
        tasks: Tasks,
    ) -> None:
        self._place = place
        self._name = name
        self._hearing = hearing
        self._deafened = deafened
        self._clock = clock
        self._tasks = tasks
        self.clocks = clocks
        self._others: Sequence[Neighbour] = ()
        self._known_until = asyncio.get_running_loop().time()

    @property
    def deaf(self) -> bool:
        """Whether this gateway has no path to the broker while another one has."""
        if not self._hearing.silent or asyncio.get_running_loop().time() > self._known_until:
            return False
        return any(other.hears for other in self._others)

    def start(self) -> None:
        self._tasks.forever(self._run, "neighbours")

    async def close(self) -> None:
        await self._tasks.close()

    async def look(self) -> None:
        """Write how this gateway is, and read how the others are. Raises
        :class:`StoreUnavailable`."""
        met = await self._place.meet(self._name, hears=self._hearing.hears, clock=self._clock)
        self._others = met.others
        self._known_until = asyncio.get_running_loop().time() + KNOWN
        self.clocks.compared(
            met.ahead,
            {each.name: each.ahead for each in met.others if each.ahead is not None},
        )
        if self.deaf:
            self._deafened()

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                logger.debug("how the other gateways are is read later: %s", error)
            await asyncio.sleep(MEET)
