"""Dials before a client's first frame needs the broker, for clients whose like have needed it.

A relay takes a few ways to the broker and back, and RabbitMQ's questions about the user. When
CONNECT is accepted, the client's first frame is still under way: the relay is opened meanwhile.
Only clients with the same rights can tell whether it will be needed, so it is learnt from them:
a client that has come in counts as one that needs none, until a frame of it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Final

from broker.nodes.balancer import Lease
from broker.timing.tasks import Cancelled, Tasks, shared
from broker.webstomp.session import WebStompSession
from gateway.auth.access import AccessRules
from gateway.budget.addresses import network_of
from gateway.domain.identity import HOST, Identity
from gateway.errors import GatewayError
from gateway.fair_turns import Urgency
from gateway.live.relay.charges import Charges
from gateway.live.relay.dialler import Dialler

logger = logging.getLogger(__name__)

#: Seconds after CONNECT in which a frame shows that an early dial was worth it, or would have been;
#: for so long a session is kept that nobody uses.
SOON: Final = 5.0
#: Sessions that nobody has used yet, in all and of clients at one address.
AT_ONCE: Final = 16
OF_ADDRESS: Final = 8
#: The weight of the newest client of a kind, and the part of them that makes early dials worth it.
_WEIGHT: Final = 1 / 16
_WORTH: Final = 0.5
#: What is assumed of a kind that nobody knows: two that have needed the broker show that it is
#: worth it. Where all are served by the hub nothing is ever dialled in vain.
_UNKNOWN: Final = 0.45
#: Kinds of clients that are remembered.
_KINDS: Final = 1_000

Session = tuple[WebStompSession, Lease]


class EarlyDials:
    """The early dials of all clients, and what was learnt about who needs them.

    ``access``: whose roles open something at the broker.
    """

    def __init__(
        self, dialler: Dialler, charges: Charges, access: AccessRules, *, tasks: Tasks
    ) -> None:
        self._dialler = dialler
        self._charges = charges
        self._access = access
        self._tasks = tasks
        #: The part of the clients of a kind that has needed the broker soon, the newest most.
        self._needs: OrderedDict[Hashable, float] = OrderedDict()
        #: Sessions that nobody has used yet, by address.
        self._unused: Counter[str] = Counter()

    def begin(self, who: Identity, version: str, *, address: str) -> EarlyDial | None:
        """Watch a client that has just come in, and dial for it if that is worth it. None: it can
        have no use for a relay. To be closed or taken."""
        kind = self._kind(who)
        if kind is None:
            return None
        place = network_of(address)
        early = EarlyDial(self, kind, place)
        if self._is_worth(kind, place) and self._charges.dial_now(who.payer):
            self._unused[place] += 1
            early.dial(
                self._tasks.spawn(self._dial(who, version, early.urgency), "relay: an early dial")
            )
        self._needs[kind] = self._needs.pop(kind, _UNKNOWN) * (1 - _WEIGHT)
        if len(self._needs) > _KINDS:
            self._needs.popitem(last=False)
        return early

    def needed(self, kind: Hashable) -> None:
        """A client of that kind has needed the broker soon after CONNECT."""
        if kind in self._needs:
            self._needs[kind] = min(1.0, self._needs[kind] + _WEIGHT)

    def used(self, place: str) -> None:
        """A session of that address is not unused any more."""
        self._unused[place] -= 1
        if not self._unused[place]:
            del self._unused[place]

    def _kind(self, who: Identity) -> Hashable | None:
        if who.login is not None:
            return who.login.user, who.vhost
        roles = who.roles & {HOST, *self._access.roles}
        return (roles, who.vhost) if roles else None

    def _is_worth(self, kind: Hashable, place: str) -> bool:
        return (
            self._needs.get(kind, _UNKNOWN) >= _WORTH
            and self._unused[place] < OF_ADDRESS
            and self._unused.total() < AT_ONCE
            and self._dialler.has_turn
        )

    async def _dial(self, who: Identity, version: str, urgency: Urgency) -> Session | None:
        """None: it was not possible. The client is told when it asks for something."""
        try:
            return await self._dialler.dial(who, version, urgent=urgency)
        except GatewayError as error:
            logger.info("a relay could not be opened before it was needed: %s", error.detail)
            return None


class EarlyDial:
    """One client's early dial, or only the watch whether it would have been worth it."""

    __slots__ = ("_dialling", "_kind", "_loop", "_owner", "_place", "_timer", "_until", "urgency")

    def __init__(self, owner: EarlyDials, kind: Hashable, place: str) -> None:
        self._owner = owner
        self._kind = kind
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + SOON
        self._dialling: asyncio.Task[Session | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.urgency = Urgency()

    def dial(self, dialling: asyncio.Task[Session | None]) -> None:
        """It is being dialled."""
        self._dialling = dialling
        self._timer = self._loop.call_later(SOON, self.close)

    async def take(self, *, urgent: bool = False) -> Session | None:
        """The session, for good; None: there is none. To be called once, when a frame needs it;
        ``urgent``: a frame for which a dial would come before others."""
        if self._loop.time() < self._until:
            self._owner.needed(self._kind)
        dialling = self._end()
        if dialling is None:
            return None
        if urgent:
            self.urgency.rise()
        try:
            return await shared(dialling)
        except Cancelled:
            return None
        except asyncio.CancelledError:
            _give_back(dialling)
            raise

    def close(self) -> None:
        """Nobody has taken it; any number of times."""
        dialling = self._end()
        if dialling is not None:
            _give_back(dialling)

    def _end(self) -> asyncio.Task[Session | None] | None:
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            self._owner.used(self._place)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return dialling


def _give_back(dialling: asyncio.Task[Session | None]) -> None:
    """End the dial, or the session that it has opened."""
    dialling.cancel()
    # Also if it has ended already; the callback comes in the next turn of the loop then.
    dialling.add_done_callback(_close)


def _close(dialling: asyncio.Task[Session | None]) -> None:
    if not dialling.cancelled() and dialling.exception() is None:
        session = dialling.result()
        if session is not None:
            upstream, lease = session
            upstream.close()
            lease.release()
