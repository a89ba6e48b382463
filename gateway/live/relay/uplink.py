"""A client's way to the broker: a relay on some node, moved to another one when that is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.nodes.balancer import Lease
from broker.protocol.stomp import Frame, serialise
from broker.timing.backoff import BackOff
from broker.timing.tasks import fault_of
from broker.timing.ticker import Ticker
from broker.webstomp.session import Upstream
from gateway.domain.identity import Identity
from gateway.errors import (
    BrokerRefused,
    BrokerUnavailable,
    GatewayError,
    Internal,
    NoCapacity,
    TooLarge,
)
from gateway.live.destinations import Destination, RoomQueue
from gateway.live.relay.dialler import Dialler
from gateway.live.relay.moves import MOVES, SPAN, Moves
from gateway.live.relay.proofs import Proofs
from gateway.live.relay.rebalance import Rebalancer
from gateway.live.relay.relay import End, Relay, RelayLimits
from gateway.live.relay.state import Ending, RelayState, Verdict
from gateway.live.transport import Transport
from gateway.observe.events import Events, Kind
from gateway.observe.logs import connection as connection_in_logs

logger = logging.getLogger(__name__)

#: Seconds in which another node must have taken over; then the client is told (G11).
RESCUE: Final = 10.0
#: Seconds that a node which is left on purpose has to end the session.
_PARTING: Final = 2.0
#: Seconds in which RabbitMQ must have said that it has taken everything, when the client leaves.
LEAVE: Final = 5.0
#: Seconds, and twice that at most, for which a receipt may be due. RabbitMQ never answers a message
#: that a queue has nacked, and a queue without a majority says nothing.
RECEIPT: Final = 60.0
#: Headers of a message that tell of its body.
_OF_THE_BODY: Final = frozenset({"content-type", "content-length", "content-encoding"})
#: Between two rounds over the nodes.
_BACK_OFF: Final = BackOff(first=0.05, longest=1.0)


class PrivateQueues(Protocol):
    async def ensure_private_queue(self, room: int) -> None:
        """Declare the queue unless it is there. Raises :class:`BrokerUnavailable`."""


@dataclass(frozen=True, slots=True)
class UplinkContext:
    """What every uplink works with."""

    dialler: Dialler
    queues: PrivateQueues
    rebalancer: Rebalancer
    ticker: Ticker
    limits: RelayLimits
    events: Events
    rng: Random


class Ended(Protocol):
    def __call__(self, error: GatewayError, *, error_sent: bool = False) -> None:
        """``error_sent``: an ERROR frame that says why has been passed to the client."""


class Uplink:
    """``who`` tells whom the relay logs in as, at any time. ``ended`` is called once, when nothing
    can be done any more; not after :meth:`close`."""

    def __init__(
        self,
        context: UplinkContext,
        *,
        who: Callable[[], Identity],
        version: str,
        client: Transport,
        ended: Ended,
    ) -> None:
        self._context = context
        self._who = who
        self._version = version
        self._client = client
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._state = RelayState(version)
        self._relay: Relay | None = None
        self._moving: asyncio.Task[None] | None = None
        self._moves = Moves()
        self._parted: asyncio.Future[None] | None = None
        self._name = f"gateway-{context.rng.getrandbits(64):x}"
        self._proofs = Proofs(self._name, doubt=lambda: self._state.doubt, send=self._say)
        self._due: asyncio.TimerHandle | None = None
        #: While DISCONNECT is on its way: whether RabbitMQ has ended the session as asked.
        self._farewell: asyncio.Future[bool] | None = None
        #: Whose logs and events they are, whoever asks for a move.
        self._log_context = copy_context()
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
        return not (busy or self._state.unanswered or self._state.obstacle)

    @property
    def ready(self) -> bool:
        """Whether frames may be passed on now; see :meth:`wait`."""
        return self._moving is None and self._relay is not None and self._relay.flowing

    async def wait(self) -> None:
        """Wait while the uplink moves or the broker is behind; or has ended."""
        while self._moving is not None or not (self._relay is None or self._relay.flowing):
            if self._moving is not None:
                await asyncio.wait({self._moving})
            elif self._relay is not None:
                await self._relay.drained()

    async def open(self) -> None:
        """Dial. Raises :class:`BrokerUnavailable`, :class:`NoCapacity`."""
        self._take_up(*await self._context.dialler.dial(self._who(), self._version))
        if not self._closed:
            self._context.rebalancer.add(self)

    async def subscribe(self, key: str, destination: Destination, frame: Frame) -> None:
        if isinstance(destination, RoomQueue):
            await self._context.queues.ensure_private_queue(destination.room)
        await self.wait()
        self._state.subscribed(key, destination, frame)
        self._send(frame)

    def unsubscribe(self, key: str, frame: Frame) -> None:
        self._state.unsubscribed(key, frame)
        self._send(frame)

    def send(self, frame: Frame) -> bool:
        """Pass a frame on; False if it means nothing any more: it acknowledges a message of a
        session that is gone, and which will come again. Raises :class:`BadFrame` for what RabbitMQ
        would end the session for."""
        if self._state.is_stale(frame):
            return False
        self._state.sent(frame)
        self._send(frame)
        return True

    def acknowledge(self, data: bytes) -> tuple[int, int]:
        """Pass WebSocket frames of the client's on that ``data`` begins with, if they are nothing
        but acknowledgements of this session's messages; how many, and in how many bytes. What is
        behind is to be read."""
        if self._relay is None or not self.ready or self._leaving:
            return 0, 0
        found, end = self._state.deliveries.pass_by(data)
        if found:
            self._relay.pass_on(data if end == len(data) else data[:end])
        return found, end

    @property
    def in_doubt(self) -> bool:
        """Whether something was sent of which nobody knows whether RabbitMQ has taken it."""
        return self._state.doubt.any or self._state.unanswered

    async def leave(self) -> None:
        """End the session; returns when RabbitMQ has taken everything that was sent.

        It closes before its RECEIPT of DISCONNECT is out (3.10, nearly always), and also when it
        has refused something. So it is asked before, and has to have answered every receipt. Raises
        :class:`BrokerUnavailable` if that is not known in time.
        """
        try:
            async with asyncio.timeout(LEAVE):
                await self.wait()
                self._leaving = True
                await self._proofs.now()
                relay = self._relay
                while self._state.unanswered and self._lives(relay):
                    await self._proofs.change()
                if relay is not None and self._lives(relay):
                    self._farewell = self._loop.create_future()
                    receipt = ("receipt", self._receipt_of_farewell)
                    relay.send(serialise("DISCONNECT", [receipt]))
                    if await self._farewell:
                        return
        except TimeoutError:
            pass
        raise BrokerUnavailable(
            "the broker does not say that it has taken everything; what has no receipt may be lost"
        )

    async def relocate(self, why: str) -> bool:
        """Go on at another node, though this one works: dial first, so that the pause is short.
        False if nothing has changed."""
        left = self._relay
        if left is None or not self.free:
            return False
        try:
            upstream, lease = await self._context.dialler.dial(
                self._who(), self._version, exclude={left.node}
            )
        except (BrokerUnavailable, NoCapacity):
            return False
        prepared = _Prepared(upstream, lease)
        if self._relay is not left or not self.free:
            prepared.drop()
            return False
        move = self._move(BrokerUnavailable(why), partial(self._change, prepared))
        self._moving = asyncio.create_task(move, context=self._log_context)
        self._moving.add_done_callback(self._moved)
        self._moving.add_done_callback(lambda _: prepared.drop())
        await asyncio.wait({self._moving})
        return True

    def give_up(self, error: BrokerUnavailable) -> None:
        """End, with the reason for the client."""
        self._ended(error)

    def close(self) -> None:
        self._closed = True
        self._context.rebalancer.remove(self)
        if self._moving is not None:
            self._moving.cancel()
            # Cancelled before it has begun, it would not do so itself, and whoever waits would go
            # on for ever.
            self._moving = None
        if self._relay is not None:
            self._relay.close()
        if self._due is not None:
            self._due.cancel()
        self._end_session(False)

    def answered(self, receipt: str) -> bool:
        """A RECEIPT has come; whether it is the gateway's own, and not for the client."""
        ours = self._proofs.answered(receipt)
        if not ours:
            self._state.answered(receipt)
        elif receipt == self._receipt_of_farewell:
            self._end_session(True)
        self._proofs.wake()
        return ours

    def oversized(self, message: Frame, size: int) -> bytes:
        """What the client gets instead of a message that is too large to be held."""
        limit = self._context.limits.frame_bytes
        what = f"a message of {size} bytes, at most {limit} are passed on"
        where = message.get("destination") or "?"
        logger.warning("%s: %s (%s)", where, what, message.get("message-id"))
        self._note(Kind.REFUSAL, "too_large", f"{where}: {what}")
        destination = self._state.destination_of(message)
        if not isinstance(destination, RoomQueue):
            # What reads there knows nothing of us, and would take a replacement for the real one.
            raise TooLarge(
                f"{where} holds {what}: take it out past the gateway, or raise the limit"
            )
        body = {"type": "too_large", "bytes": size, "limit": limit, "detail": what}
        headers = [(n, v) for n, v in message.headers if n not in _OF_THE_BODY]
        headers += [("content-type", "application/json"), ("too-large", str(size))]
        return serialise("MESSAGE", headers, json.dumps(body).encode())

    def ended(self, end: End) -> None:
        """The relay has ended by itself."""
        self._relay = None
        asked = self._farewell is not None
        self._end_session(end.ending is Ending.CLOSED)
        if asked and end.ending is not None:
            return
        if self._parted is not None and end.ending is not None:
            if not self._parted.done():
                self._parted.set_result(None)
            return
        if end.ending is None:
            self._ended(end.error, error_sent=end.error_sent)
            return
        match self._state.verdict(end.ending):
            case Verdict.REFUSED:
                self._ended(self._refusal(end.error))
            case Verdict.UNKNOWN:
                loss = self._state.loss
                self._ended(BrokerUnavailable(f"{end.error.detail}, and {loss}"))
            case Verdict.MOVE if self._leaving:
                self._ended(BrokerUnavailable(f"{end.error.detail} while the client left"))
            case Verdict.MOVE:
                self._move_on(end)

    def _refusal(self, error: GatewayError) -> GatewayError:
        return BrokerRefused(
            f"{error.detail} after {self._state.doubt}: it refuses that, or a destination, "
            "header or permission of it; nothing that was sent since is certain to be taken"
        )

    def _move_on(self, end: End) -> None:
        if self._moving is not None:
            return
        delay = self._moves.next(self._loop.time())
        if delay is not None:
            move = self._move(end.error, partial(self._set_up_again, delay))
            self._moving = asyncio.create_task(move)
            self._moving.add_done_callback(self._moved)
            return
        detail = f"{end.error.detail}; {MOVES} sessions ended within {SPAN:g} s"
        if end.ending is Ending.CLOSED:
            self._ended(BrokerRefused(f"{detail}: something here ends them"))
        else:
            self._ended(BrokerUnavailable(detail))

    def _send(self, frame: Frame) -> None:
        if self._relay is not None:
            self._relay.send(frame.raw)
            self._proofs.soon()
            if self._due is None and self._state.unanswered:
                self._await_receipt()

    def _say(self, frame: bytes) -> None:
        """Send what the client knows nothing of."""
        if self._relay is not None and not self._closed:
            self._relay.send(frame)

    def _await_receipt(self) -> None:
        oldest = self._state.oldest
        self._due = self._loop.call_later(RECEIPT, self._look_at_receipts, oldest)

    def _look_at_receipts(self, due: tuple[str, int] | None) -> None:
        self._due = None
        if not self._state.unanswered:
            return
        if due is None or self._relay is None or self._state.oldest != due:
            self._await_receipt()
            return
        self._ended(
            BrokerUnavailable(
                f"RabbitMQ has not answered receipt {due[0][:100]!r} for {RECEIPT:g} s; nobody "
                "knows what became of it"
            )
        )

    def _lives(self, relay: Relay | None) -> bool:
        """Whether it is the present session's."""
        return relay is not None and self._relay is relay and not self._closed

    def _end_session(self, as_asked: bool) -> None:
        """Nothing more is heard of this session."""
        self._proofs.end_session()
        if self._farewell is not None and not self._farewell.done():
            self._farewell.set_result(as_asked)

    @property
    def _receipt_of_farewell(self) -> str:
        return f"{self._name}-disconnect"

    def _note(self, kind: Kind, code: str, detail: str) -> None:
        self._context.events.note(
            kind,
            code,
            detail,
            user=self._who().user,
            node=self.node,
            connection=connection_in_logs.get(),
        )

    def _take_up(self, upstream: Upstream, lease: Lease) -> None:
        """Go on in this session. Raises :class:`BrokerUnavailable`."""
        frames = self._state.move(upstream.connected.get("session") or "")
        try:
            self._relay = relay = Relay(
                upstream,
                lease,
                client=self._client,
                deliveries=self._state.deliveries,
                owner=self,
                ticker=self._context.ticker,
                limits=self._context.limits,
            )
        except StreamClosedError as error:
            lease.release()
            raise BrokerUnavailable("the node closed the connection at once") from error
        for frame in frames:
            relay.send(frame)
        self._proofs.soon()
        if self._closed:
            relay.close()

    async def _move(self, lost: GatewayError, to: Callable[[], Awaitable[None]]) -> None:
        """Go on at another node; the client sees a pause."""
        logger.info("%s: going to another node", lost.detail)
        try:
            async with asyncio.timeout(RESCUE):
                await to()
        except TimeoutError:
            self._ended(lost)
        except GatewayError as error:
            self._ended(error)
        else:
            logger.info("going on at %s", self.node)
            self._note(Kind.FAILOVER, "relay_moved", lost.detail)
        finally:
            self._moving = None

    def _moved(self, task: asyncio.Task[None]) -> None:
        fault = fault_of(task)
        if not isinstance(fault, Exception) or (self._closed and task.cancelled()):
            return
        # Cancelled by somebody else, for one: the client would wait for ever.
        logger.error("the move failed", exc_info=fault)
        self._moving = None
        self._ended(Internal("the gateway failed; its log says why"))

    async def _change(self, prepared: _Prepared) -> None:
        """From a session that works to another one. What was sent in it is known to be taken."""
        await self._part()
        try:
            self._take_up(*prepared.take())
        except BrokerUnavailable:
            await self._set_up_again(0.0)

    async def _part(self) -> None:
        """End the session at its node: what it was sent is known to be taken, what it has delivered
        until then is passed on, and only then are its unacknowledged messages another consumer's,
        in their order. Raises :class:`BrokerUnavailable` if messages stay in doubt."""
        relay = self._relay
        if relay is None:
            return
        try:
            async with asyncio.timeout(_PARTING):
                if self._state.doubt.messages:
                    await self._proofs.now()
                if self._lives(relay):
                    self._parted = self._loop.create_future()
                    relay.send(serialise("DISCONNECT"))
                    await self._parted
        except TimeoutError:
            relay.close()
            self._end_session(False)
            if self._state.doubt.messages:
                raise BrokerUnavailable(
                    "the node that was left does not say that it has taken all messages"
                ) from None
        finally:
            self._parted = None

    async def _set_up_again(self, delay: float) -> None:
        failures = 0
        await asyncio.sleep(delay * self._context.rng.uniform(0.5, 1.0))
        while True:
            try:
                for room in self._state.rooms:
                    await self._context.queues.ensure_private_queue(room)
                self._take_up(*await self._context.dialler.dial(self._who(), self._version))
                return
            except (BrokerUnavailable, NoCapacity) as error:
                logger.debug("not yet: %s", error.detail)
            failures += 1
            await asyncio.sleep(_BACK_OFF.delay(failures) * self._context.rng.uniform(0.5, 1.0))


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
