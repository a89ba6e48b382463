"""A client's way to the broker: a relay on some node, moved to another one when that is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.backoff import BackOff
from broker.balancer import Lease
from broker.stomp import Frame, serialise
from broker.ticker import Ticker
from broker.upstream import Upstream
from gateway.domain.identity import Identity
from gateway.errors import BrokerUnavailable, GatewayError, Internal, NoCapacity
from gateway.events import Events, Kind
from gateway.live import acknowledgements
from gateway.live.destinations import Destination, RoomQueue
from gateway.live.dialler import Dialler
from gateway.live.rebalance import Rebalancer
from gateway.live.relay import Ended, Relay, RelayLimits
from gateway.live.standing import Standing
from gateway.live.wire import Wire
from gateway.logs import connection as connection_in_logs

logger = logging.getLogger(__name__)

#: Seconds in which another node must have taken over; then the client is told (G11).
RESCUE: Final = 10.0
#: Seconds that a node which is left on purpose has to end the session.
_PARTING: Final = 2.0
#: Between two rounds over the nodes.
_BACK_OFF: Final = BackOff(first=0.05, longest=1.0)


class PrivateQueues(Protocol):
    async def ensure_private_queue(self, room: int) -> None:
        """Declare the queue unless it is there. Raises :class:`BrokerUnavailable`."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What every path works with."""

    dialler: Dialler
    queues: PrivateQueues
    rebalancer: Rebalancer
    ticker: Ticker
    limits: RelayLimits
    events: Events
    rng: Random


class Path:
    """``who`` tells whom the relay logs in as, at any time. ``ended`` is called once, when nothing
    can be done any more; not after :meth:`close`."""

    def __init__(
        self,
        ways: Ways,
        *,
        who: Callable[[], Identity],
        version: str,
        client: Wire,
        ended: Ended,
    ) -> None:
        self._ways = ways
        self._who = who
        self._version = version
        self._client = client
        self._ended = ended
        self._standing = Standing()
        self._relay: Relay | None = None
        self._moving: asyncio.Task[None] | None = None
        self._parted: asyncio.Future[None] | None = None
        #: Whose logs and events they are, whoever asks for a move.
        self._context = copy_context()
        self._leaving = False
        self._closed = False

    @property
    def node(self) -> str | None:
        """The name of the node, while there is one."""
        return self._relay.node if self._relay else None

    @property
    def to_be_left(self) -> bool:
        """Whether its node drains, or is not configured any more."""
        return self._relay is not None and self._relay.to_be_left

    @property
    def free(self) -> bool:
        """Whether nothing is under way that :meth:`relocate` would leave in doubt."""
        busy = self._moving is not None or self._leaving or self._closed
        return not (busy or self._standing.unanswered or self._standing.obstacle)

    @property
    def ready(self) -> bool:
        """Whether frames may be passed on now; see :meth:`wait`."""
        return self._moving is None and self._relay is not None and self._relay.flowing

    async def wait(self) -> None:
        """Wait while the path moves or the broker is behind; or has ended."""
        while self._moving is not None or not (self._relay is None or self._relay.flowing):
            if self._moving is not None:
                await asyncio.wait({self._moving})
            elif self._relay is not None:
                await self._relay.drained()

    async def open(self) -> None:
        """Dial. Raises :class:`BrokerUnavailable`, :class:`NoCapacity`."""
        self._take_up(*await self._ways.dialler.dial(self._who(), self._version))
        if not self._closed:
            self._ways.rebalancer.add(self)

    async def subscribe(self, key: str, destination: Destination, frame: Frame) -> None:
        if isinstance(destination, RoomQueue):
            await self._ways.queues.ensure_private_queue(destination.room)
        await self.wait()
        self._standing.subscribed(key, destination, frame)
        self._send(frame)

    def unsubscribe(self, key: str, frame: Frame) -> None:
        self._standing.unsubscribed(key, frame)
        self._send(frame)

    def send(self, frame: Frame) -> bool:
        """Pass a frame on; False if it means nothing any more: it acknowledges a message of a
        session that is gone, and which will come again."""
        if self._standing.is_stale(frame):
            return False
        self._standing.sent(frame)
        self._send(frame)
        return True

    def acknowledge(self, data: bytes) -> int:
        """Pass WebSocket frames of the client's on if they are nothing but acknowledgements of this
        session's messages; how many, or 0: they are to be read."""
        if self._relay is None or not self.ready or self._leaving:
            return 0
        found = acknowledgements.count(data, self._standing.mark)
        if found:
            self._relay.pass_on(data)
        return found

    def leave(self, frame: Frame) -> None:
        """Pass the client's DISCONNECT on; what ends now ends in good order."""
        self._leaving = True
        self._send(frame)

    async def relocate(self, why: str) -> bool:
        """Go on at another node, though this one works: dial first, so that the pause is short.
        False if nothing has changed."""
        left = self._relay
        if left is None or not self.free:
            return False
        try:
            upstream, lease = await self._ways.dialler.dial(
                self._who(), self._version, exclude={left.node}
            )
        except (BrokerUnavailable, NoCapacity):
            return False
        prepared = _Prepared(upstream, lease)
        if self._relay is not left or not self.free:
            prepared.drop()
            return False
        move = self._move(BrokerUnavailable(why), partial(self._change, prepared))
        self._moving = asyncio.create_task(move, context=self._context)
        self._moving.add_done_callback(lambda _: prepared.drop())
        await asyncio.wait({self._moving})
        return True

    def give_up(self, error: BrokerUnavailable) -> None:
        """End, with the reason for the client."""
        self._ended(error)

    def close(self) -> None:
        self._closed = True
        self._ways.rebalancer.remove(self)
        if self._moving is not None:
            self._moving.cancel()
            # Cancelled before it has begun, it would not do so itself, and whoever waits would go
            # on for ever.
            self._moving = None
        if self._relay is not None:
            self._relay.close()

    def _send(self, frame: Frame) -> None:
        if self._relay is not None:
            self._relay.send(frame.raw)

    def _take_up(self, upstream: Upstream, lease: Lease) -> None:
        """Go on in this session. Raises :class:`BrokerUnavailable`."""
        try:
            self._relay = relay = Relay(
                upstream,
                lease,
                client=self._client,
                answered=self._standing.answered,
                ended=self._relay_ended,
                ticker=self._ways.ticker,
                limits=self._ways.limits,
            )
        except StreamClosedError as error:
            lease.release()
            raise BrokerUnavailable("the node closed the connection at once") from error
        for frame in self._standing.move(upstream.connected.get("session") or ""):
            relay.send(frame)
        if self._closed:
            relay.close()

    def _relay_ended(self, error: GatewayError | None, *, told: bool = False) -> None:
        self._relay = None
        if told or self._leaving or not (error is None or isinstance(error, BrokerUnavailable)):
            self._ended(error, told=told)
            return
        if self._parted is not None:
            if not self._parted.done():
                self._parted.set_result(None)
            return
        lost = error or BrokerUnavailable("the broker closed the connection")
        if obstacle := self._standing.obstacle:
            self._ended(BrokerUnavailable(f"{lost.detail}, and {obstacle}"))
        elif self._moving is None:
            self._moving = asyncio.create_task(self._move(lost, self._set_up_again))

    async def _move(self, lost: BrokerUnavailable, to: Callable[[], Awaitable[None]]) -> None:
        """Go on at another node; the client sees a pause."""
        logger.info("%s: going to another node", lost.detail)
        try:
            async with asyncio.timeout(RESCUE):
                await to()
        except TimeoutError:
            self._ended(lost)
        except Exception:
            logger.exception("the move failed")
            self._ended(Internal("the gateway failed; its log says why"))
        else:
            logger.info("going on at %s", self.node)
            self._ways.events.note(
                Kind.FAILOVER,
                "relay_moved",
                lost.detail,
                user=self._who().user,
                node=self.node,
                connection=connection_in_logs.get(),
            )
        finally:
            self._moving = None

    async def _change(self, prepared: _Prepared) -> None:
        """From a session that works to another one."""
        await self._part()
        try:
            self._take_up(*prepared.take())
        except BrokerUnavailable:
            await self._set_up_again()

    async def _part(self) -> None:
        """End the session at its node: what it has delivered until then is passed on, and only then
        are its unacknowledged messages another consumer's, in their order."""
        if self._relay is None:
            return
        relay, self._parted = self._relay, asyncio.get_running_loop().create_future()
        relay.send(serialise("DISCONNECT"))
        try:
            async with asyncio.timeout(_PARTING):
                await self._parted
        except TimeoutError:
            relay.close()
        finally:
            self._parted = None

    async def _set_up_again(self) -> None:
        failures = 0
        while True:
            try:
                for room in self._standing.rooms:
                    await self._ways.queues.ensure_private_queue(room)
                self._take_up(*await self._ways.dialler.dial(self._who(), self._version))
                return
            except (BrokerUnavailable, NoCapacity) as error:
                logger.debug("not yet: %s", error.detail)
            failures += 1
            await asyncio.sleep(_BACK_OFF.delay(failures) * self._ways.rng.uniform(0.5, 1.0))


class _Prepared:
    """A session that nobody uses yet."""

    def __init__(self, upstream: Upstream, lease: Lease) -> None:
        self._upstream = upstream
        self._lease = lease
        self._taken = False

    def take(self) -> tuple[Upstream, Lease]:
        self._taken = True
        return self._upstream, self._lease

    def drop(self) -> None:
        """Give it back, unless it was taken."""
        if not self._taken:
            self._upstream.close()
            self._lease.release()
