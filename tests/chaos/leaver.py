"""A participant who is taken into a room at one gateway, follows it at another, and is removed."""

import asyncio
import time
from random import Random

from tests.chaos.clients import PREFIX, Place
from tests.chaos.journal import Journal
from tests.chaos.poster import call
from tests.chaos.wire import Frame, Wire

#: Seconds between two rounds.
_INTERVAL = 2.0
#: Seconds to be let in and subscribed, and to be cut off after an answered removal.
_PATIENCE = 20.0
#: Seconds for which somebody who was removed is watched, however soon the socket should end.
_WATCHED = 10.0


class _Visit:
    """One connection of the leaver."""

    def __init__(self, token: str, room: int) -> None:
        self._token = token
        self._room = room
        self.wire: Wire | None = None
        self.is_in = asyncio.Event()
        self.ended = asyncio.Event()
        self.code: int | None = None

    def opened(self) -> None:
        self._send("CONNECT", {"accept-version": "1.2", "host": "/", "passcode": self._token})

    def frame(self, frame: Frame) -> None:
        if frame.command == "CONNECTED":
            destination = f"/topic/{PREFIX}.public.{self._room}"
            self._send("SUBSCRIBE", {"id": "s", "destination": destination, "receipt": "up"})
        elif frame.command == "RECEIPT":
            self.is_in.set()

    def closed(self, code: int | None, why: str) -> None:
        self.code = code
        self.ended.set()

    def _send(self, command: str, headers: dict[str, str]) -> None:
        assert self.wire is not None
        self.wire.send(command, headers)


class Leaver:
    """Tells of each answered removal how long the socket has stood after it.

    Whatever stands in the way of being let in is judged by others; then it begins anew.
    """

    def __init__(
        self, user: str, host: str, room: int, *, place: Place, journal: Journal, rng: Random
    ) -> None:
        self._user = user
        self._host = host
        self._room = room
        self._place = place
        self._journal = journal
        self._rng = rng

    async def run(self) -> None:
        """Run until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL * self._rng.uniform(0.5, 1.5))
            first = self._rng.randrange(len(self._place.gateways))
            await self._round(first, (first + 1) % len(self._place.gateways))

    async def _round(self, orders: int, serves: int) -> None:
        """Be let in and removed at the gateway `orders`, and follow at `serves`."""
        if not await self._order(orders, "PUT", {"role": "participant"}):
            return
        visit = _Visit(self._place.token(self._user), self._room)
        address = self._place.gateways[serves]
        host, _, port = address.rpartition(":")

        def new_wire() -> Wire:
            visit.wire = Wire(address, visit)
            return visit.wire

        try:
            await asyncio.get_running_loop().create_connection(new_wire, host, int(port))
        except OSError:
            return
        assert visit.wire is not None
        try:
            if not await _within(_PATIENCE, visit.is_in) or visit.ended.is_set():
                return
            if not await self._order(orders, "DELETE"):
                return
            removed = time.monotonic()
            ended = await _within(_WATCHED, visit.ended)
            self._journal.note(
                "removed",
                who=self._user,
                orders=orders,
                gateway=serves,
                took=time.monotonic() - removed if ended else None,
                code=visit.code,
            )
        finally:
            visit.wire.abort("the round is over")

    async def _order(self, gateway: int, method: str, body: object = None) -> bool:
        answer = await call(
            self._place.gateways[gateway],
            method,
            f"/api/rooms/{self._room}/members/{self._user}",
            token=self._place.token(self._host),
            body=body,
        )
        return answer.status is not None and answer.status < 300


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
