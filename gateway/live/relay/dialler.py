"""The dialler of relays: it tries the least loaded node first, then the others."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from broker.dialling import DialError, DialTimeout, LoginRefused
from broker.nodes.balancer import Balancer, Lease, NoNodeAvailable
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.webstomp.session import WebSocketStream, WebStompSession, dial, log_in
from gateway.auth.passcodes import Passcodes
from gateway.auth.rabbitmq_logins import refusal
from gateway.domain.identity import Identity
from gateway.errors import (
    BrokerUnavailable,
    DialsBusy,
    GatewayError,
    NoCapacity,
    UnknownVirtualHost,
)
from gateway.fair_turns import FairTurns, Urgency
from gateway.live.relay.pace import LEAST, Pace

logger = logging.getLogger(__name__)

#: Milliseconds: what the gateway sends and wants on a relay, whatever its client agreed to. A node
#: that hangs is left within 4 s (a host's pause is to be 5 s at most), and Web-STOMP's idle
#: timeout (60 s without a byte from us) never strikes.
HEART_BEAT: Final = (10_000, 2_000)
#: Seconds in which a node accepts a WebSocket, unless it hangs: before that is known, every new
#: connection may meet it. A node that takes longer is passed over, as long as there are others.
ACCEPT: Final = 1.5
#: Of the relays that are opened at the same time (:mod:`gateway.live.relay.pace`), those that only
#: hosts get who wait for their private queue, and those of one user.
KEPT: Final = 8
OF_USER: Final = 2
#: Seconds that a relay may wait for its turn.
LONGEST_WAIT: Final = 60.0


class _NotAccepted(Exception):
    """A node did not accept the WebSocket within :data:`ACCEPT`."""


@dataclass(frozen=True, slots=True)
class Dialler:
    """A dialler that opens sessions at the broker, a bounded number at a time.

    ``timeout``: seconds for a node to accept the WebSocket, and again for its CONNECTED. No relay
    is opened while ``has_room`` says no: its descriptor would be one that is kept for feeds,
    publishing and probes.
    """

    balancer: Balancer
    passcodes: Passcodes
    vhost: str
    timeout: float
    tls: ssl.SSLContext | None
    #: Whether there is a file descriptor for one more relay.
    has_room: Callable[[], bool] = lambda: True
    _turns: FairTurns = field(
        default_factory=partial(FairTurns, LEAST, of_user=OF_USER, kept=KEPT),
        init=False,
        repr=False,
    )
    _pace: Pace = field(default_factory=Pace, init=False, repr=False)

    @property
    def has_turn(self) -> bool:
        """Whether a relay could be opened without waiting for others, or making them wait."""
        return self._turns.has_one

    async def dial(
        self,
        who: Identity,
        version: str,
        *,
        urgent: bool | Urgency = False,
        exclude: AbstractSet[str] = frozenset(),
    ) -> tuple[WebStompSession, Lease]:
        """A session at the broker as this user, in exactly this STOMP version.

        ``urgent``: for a host's private queue, before all others. Each available node but those to
        ``exclude`` is tried once; those that were passed over for being slow are tried last, and
        have the whole time then. Raises :class:`BrokerUnavailable`, :class:`NoCapacity`,
        :class:`DialsBusy`, and for RabbitMQ's own users :class:`WrongLogin` and
        :class:`UnknownVirtualHost`.
        """
        tried, passed_over, accept = set(exclude), set[str](), ACCEPT
        while True:
            try:
                lease = self._acquire(tried | passed_over)
            except NoNodeAvailable as error:
                if passed_over:
                    passed_over, accept = set(), self.timeout
                    continue
                logger.warning("no broker node can take a relay: %s", error)
                if error.full:
                    raise NoCapacity("the broker's nodes take no more connections") from error
                raise BrokerUnavailable("no broker node is available") from error
            try:
                async with self._turn(who.payer, urgent=urgent), self._paced():
                    upstream = await self._session(lease, who, version, accept=accept)
            except _NotAccepted:
                lease.silent()
                lease.release()
                logger.info("a relay is opened elsewhere: node %s is slow", lease.node.name)
                passed_over.add(lease.node.name)
            except LoginRefused as error:
                # The node works; the gateway that it asks may not, and another node asks another.
                lease.release()
                logger.warning("a relay could not log in, another node is tried: %s", error)
                tried.add(lease.node.name)
            except DialError as error:
                lease.failed(error.what)
                logger.warning("a relay could not be opened, another node is tried: %s", error)
                tried.add(lease.node.name)
            except BaseException:
                lease.release()
                raise
            else:
                lease.up()
                return upstream, lease

    async def is_well(self, node: str, who: Identity, version: str) -> bool:
        """Whether the node takes this login now, within :data:`ACCEPT` seconds."""
        others = {state.node.name for state in self.balancer.states()} - {node}
        try:
            async with asyncio.timeout(ACCEPT):
                upstream, lease = await self.dial(who, version, exclude=others)
        except (TimeoutError, GatewayError):
            return False
        upstream.close()
        lease.release()
        return True

    def _acquire(self, exclude: AbstractSet[str]) -> Lease:
        """Raises :class:`NoNodeAvailable`, :class:`NoCapacity`."""
        if not self.has_room():
            raise NoCapacity("the gateway has no file descriptor left", retry_after=5.0)
        return self.balancer.acquire(exclude)

    async def _session(
        self, lease: Lease, who: Identity, version: str, *, accept: float
    ) -> WebStompSession:
        accepted = await self._accepted(lease.node, version, accept)
        try:
            return await log_in(
                accepted,
                self._credentials(who),
                timeout=self.timeout,
                version=version,
                heart_beat=HEART_BEAT,
            )
        except LoginRefused as error:
            if (refused := self._refusal(who, error)) is not None:
                raise refused from None
            raise

    def _credentials(self, who: Identity) -> Credentials:
        if who.login is not None:
            return who.login.credentials
        return Credentials(who.user, self.passcodes.issue(who), who.vhost or self.vhost)

    def _refusal(self, who: Identity, error: LoginRefused) -> GatewayError | None:
        """RabbitMQ's decision about this user; None if another node may say something else.

        Its text may quote what stays here, so only what it is known to say is said again.
        """
        denied = f"Virtual host '{who.vhost or self.vhost}' access denied"
        if (who.vhost or who.login) and denied in error.message:
            return UnknownVirtualHost(denied)
        if who.login is not None and "Access refused for user" in error.message:
            return refusal(who.user)
        return None

    async def _accepted(self, node: Node, version: str, seconds: float) -> WebSocketStream:
        """Raises :class:`DialError`, and :class:`_NotAccepted` before the whole time is over."""
        seconds = min(seconds, self.timeout)
        protocol = f"v{version.replace('.', '')}.stomp"
        try:
            return await dial(node, timeout=seconds, ssl_options=self.tls, protocol=protocol)
        except DialTimeout:
            if seconds < self.timeout:
                raise _NotAccepted from None
            raise

    @asynccontextmanager
    async def _paced(self) -> AsyncIterator[None]:
        """Learn from how long the block takes how many may be under way."""
        pace, clock = self._pace, asyncio.get_running_loop().time
        began, full = clock(), self._turns.full
        try:
            yield
        except (_NotAccepted, DialTimeout):
            pace.failed(began=began, now=clock())
            raise
        else:
            pace.answered(began=began, now=clock(), full=full)
        finally:
            self._turns.resize(pace.at_once)

    @asynccontextmanager
    async def _turn(self, user: str, *, urgent: bool | Urgency) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                turn = self._turns.turn(user, urgent=urgent, within=LONGEST_WAIT)
                await stack.enter_async_context(turn)
            except TimeoutError:
                raise DialsBusy("too many relays are being opened", retry_after=5.0) from None
            yield
