"""A reconnect storm in virtual time: everybody has lost the connection at once, and comes back to
gateways that cannot serve them all at once.

What decides is the gateway's own: the budgets with their default limits, the registry of
connections, and the rotation of those who wait for a turn. The clock is moved on by work: so many
seconds of the main thread for each who comes. Clients wait as the browser library does
(``static/interact/backoff.js``). A balancer gives every dial to any of the gateways, so each of
them has its share, and one is simulated.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from broker.timing.tasks import Tasks
from gateway.budget.budgets import Budgets
from gateway.budget.rank import Rank
from gateway.budget.table import HTTP_CONNECTS, UPGRADES
from gateway.config import Limits
from gateway.errors import GatewayError, NoCapacity, TooManyConnects, outcome
from gateway.http.streams import TURN_SECONDS
from gateway.limits import LiveLimits
from gateway.live.client.registry import ConnectionState, Registry
from gateway.rotation import Rotation, Share, Waiting, share_key
from tests.virtual_time import VirtualTimeLoop

#: Seconds of the main thread for accepting a connection and refusing it.
REFUSING: Final = 0.000_15
#: Of the browser library: the first window of a wait, the longest, and the least wait, in seconds.
_WINDOW, _LONGEST, _LEAST = 2.0, 30.0, 0.25
#: Seconds after which the simulation ends, whoever is back.
_END: Final = 900.0


@dataclass(frozen=True)
class Storm:
    """``people`` with a connection each, on so many ``gateways``; ``seconds``: of a main thread for
    each who comes in. ``addresses``: from which they come, evenly; None: through a balancer whose
    word about addresses is taken, each from one of their own."""

    people: int
    gateways: int
    seconds: float
    addresses: int | None = None


@dataclass
class Outcome:
    """``back``: the seconds at which each came in, in order; ``refusals`` by their codes;
    ``longest``: the longest wait for a turn. The figures are of one gateway and its ``share`` of
    the people."""

    share: int
    back: list[float] = field(default_factory=list)
    dials: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0

    def at(self, part: float) -> float | None:
        """The seconds after which this part of the people is back; None: it never was."""
        needed = max(1, round(part * self.share))
        return self.back[needed - 1] if len(self.back) >= needed else None


def simulate(storm: Storm, *, limits: Limits | None = None, seed: int = 1) -> Outcome:
    """The storm from the moment at which all connections are lost; ``limits``: None, the
    default."""
    loop = VirtualTimeLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        # The same each time.
        return runner.run(_simulate(storm, limits or Limits(), loop, Random(seed)))  # noqa: S311


async def _simulate(storm: Storm, limits: Limits, loop: VirtualTimeLoop, rng: Random) -> Outcome:
    found = Outcome(-(-storm.people // storm.gateways))
    site = _Gateway(storm, limits, loop, found)
    people = [
        asyncio.ensure_future(_come_back(number, site, loop, rng)) for number in range(found.share)
    ]
    await asyncio.wait(people, timeout=_END)
    for person in people:
        person.cancel()
    await asyncio.gather(*people, return_exceptions=True)
    await site.close()
    return found


async def _come_back(number: int, site: "_Gateway", loop: VirtualTimeLoop, rng: Random) -> None:
    attempt, least = 0, _LEAST
    while True:
        await asyncio.sleep(least + rng.random() * min(_LONGEST, _WINDOW * 2**attempt))
        try:
            await site.let_in(number)
        except GatewayError as refusal:
            attempt, least = attempt + 1, refusal.retry_after or _LEAST
        else:
            site.found.back.append(loop.time())
            return


class _Gateway:
    """One gateway, as far as it decides who comes in."""

    def __init__(self, storm: Storm, limits: Limits, loop: VirtualTimeLoop, found: Outcome) -> None:
        budgets = Budgets(LiveLimits(limits), clock=loop.time)
        self.found = found
        self._storm = storm
        self._loop = loop
        self._connects = budgets.rate(HTTP_CONNECTS)
        self._upgrades = budgets.rate(UPGRADES)
        self._tasks = Tasks()
        self._registry = Registry(budgets, tasks=self._tasks)
        self._rotation = Rotation(clock=loop.time, cpu=loop.time)

    async def let_in(self, number: int) -> None:
        """Raises a :class:`GatewayError` if it does not."""
        self.found.dials += 1
        try:
            await self._let_in(f"user{number}", self._address(number))
        except GatewayError as refusal:
            self.found.refusals[outcome(refusal).code] += 1
            self._loop.jump(REFUSING)
            raise

    async def close(self) -> None:
        await self._tasks.close()

    def _address(self, number: int) -> str | None:
        if self._storm.addresses is None:
            return None
        place = number % self._storm.addresses
        return f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"

    async def _let_in(self, user: str, address: str | None) -> None:
        try:
            self._connects.take(address, None)
        except TooManyConnects:
            # It was known before: its cookie or token was valid a moment ago.
            self._connects.take(None, user)
        key = share_key(None, address) if address is not None else None
        await self._turn(Share() if key is None else self._rotation.share(key))
        self._upgrades.take(None, user)
        self._registry.check_capacity(address=address or "", user=user, rank=Rank.PARTICIPANT)
        self._registry.serve(_Connection(), address=address or "", user=user)
        began = self._loop.time()
        self._loop.jump(self._storm.seconds)
        self._rotation.charge(self._loop.time() - began, self._rotation.share(share_key(user, "")))

    async def _turn(self, share: Share) -> None:
        """As a request waits for its turn (``gateway/http/streams.py``)."""
        if self._rotation.may_work(share):
            self._rotation.charge(share.request, share)
            return
        began = self._loop.time()
        turn: asyncio.Future[bool] = self._loop.create_future()
        waiting = self._rotation.wait(partial(self._begin, turn, share), share)
        end = self._loop.call_later(TURN_SECONDS, self._give_up, turn, waiting)
        has_turn = await turn
        end.cancel()
        self.found.longest = max(self.found.longest, self._loop.time() - began)
        if not has_turn:
            raise NoCapacity("no turn", retry_after=5.0)

    def _begin(self, turn: asyncio.Future[bool], share: Share) -> None:
        if not turn.done():
            self._rotation.spend(share.request)
            turn.set_result(True)

    @staticmethod
    def _give_up(turn: asyncio.Future[bool], waiting: Waiting) -> None:
        waiting.cancel()
        if not turn.done():
            turn.set_result(False)


class _Connection:
    """A connection that stays."""

    id = ""
    identity = None
    is_open = True

    def end(self, error: GatewayError | None) -> None: ...

    def judge_again(self) -> None: ...

    async def run(self) -> None:
        await asyncio.Event().wait()

    def snapshot(self) -> ConnectionState:
        raise NotImplementedError
