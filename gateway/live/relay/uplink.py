"""A client's connection to the broker: a relay on some node, replaced when that node is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

from broker.nodes.balancer import Lease
from broker.protocol.stomp import Frame
from broker.timing.backoff import BackOff
from broker.webstomp.session import WebStompSession
from gateway.domain.identity import Identity
from gateway.errors import (
    BrokerRefused,
    BrokerUnavailable,
    GatewayError,
    Internal,
    NoCapacity,
)
from gateway.live.destinations import Destination, RoomQueue
from gateway.live.relay.charges import Charges
from gateway.live.relay.consumers import Consumers
from gateway.live.relay.conversation import Conversation
from gateway.live.relay.dialler import Dialler
from gateway.live.relay.early import EarlyDial, EarlyDials
from gateway.live.relay.moves import MOVES, SPAN, Moves
from gateway.live.relay.rebalance import Rebalancer
from gateway.live.relay.receipts import LONGEST
from gateway.live.relay.relay import End, RelayContext
from gateway.live.relay.state import RelayState
from gateway.live.relay.uplink_states import FINAL, INPUTS, PAUSED, TRANSITIONS, Input, State
from gateway.live.transport import Transport
from gateway.observe.events import Events, Kind
from gateway.observe.logs import connection as connection_in_logs

logger = logging.getLogger(__name__)

#: Seconds in which another node must have taken over; then the client gets an ERROR (G11).
RESCUE: Final = 10.0
#: Seconds that a node has to end the session in a planned move.
_PARTING: Final = 2.0
#: Seconds in which RabbitMQ must have said that it has taken everything, when the client leaves.
LEAVE: Final = 5.0
#: Seconds that a move waits until its private queues are declared. A cluster that is just losing a
#: node declares nothing for seconds, but delivers what a queue holds.
_DECLARED: Final = 0.5
#: Between two rounds over the nodes.
_BACK_OFF: Final = BackOff(first=0.05, longest=1.0)


class PrivateQueues(Protocol):
    """The rooms' private queues, which must exist before a relay subscribes to one."""

    async def ensure_private_queue(self, room: int) -> int:
        """Make sure that the room's queue is there; its number, which grows when it is replaced.

        Raises :class:`BrokerUnavailable`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkContext:
    """The services that all uplinks share."""

    dialler: Dialler
    early: EarlyDials
    charges: Charges
    queues: PrivateQueues
    consumers: Consumers
    rebalancer: Rebalancer
    relays: RelayContext
    events: Events
    rng: Random


class Ended(Protocol):
    """The callback for an uplink that cannot go on."""

    def __call__(self, error: GatewayError, *, error_sent: bool = False) -> None:
        """End the client's connection; ``error_sent``: it has got an ERROR with the reason."""


class Uplink:
    """The uplink of one client. :data:`TRANSITIONS` says what each event means in each state.

    ``who`` gives the user to log in as, at any time. ``ended`` is called once, when the uplink has
    failed for good; not after :meth:`close`.
    """

    __slots__ = (
        "_context",
        "_conversation",
        "_ended",
        "_left",
        "_log_context",
        "_loop",
        "_moves",
        "_moving",
        "_next",
        "_state",
        "_version",
        "_who",
    )

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
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._state = State.OPENING
        self._conversation = Conversation(
            f"gateway-{context.rng.getrandbits(64):x}",
            version,
            client=client,
            owner=self,
            context=context.relays,
        )
        #: The next session of a planned move.
        self._next: tuple[WebStompSession, Lease] | None = None
        self._moving: asyncio.Task[None] | None = None
        self._moves = Moves()
        #: The node of the last session.
        self._left = ""
        #: The client's, for logs and events; whoever asks for a move has another one.
        self._log_context = copy_context()

    @property
    def node(self) -> str | None:
        """The name of the node, while there is one."""
        relay = self._conversation.relay
        return None if relay is None else relay.node

    @property
    def to_be_left(self) -> bool:
        """Whether its node drains, or is not configured any more."""
        relay = self._conversation.relay
        return relay is not None and relay.to_be_left

    @property
    def free(self) -> bool:
        """Whether nothing is under way that :meth:`relocate` would leave in doubt, or, without
        need, repeat."""
        at_broker = self._conversation.state
        return (
            self._state is State.OPEN
            and not (at_broker.unanswered or at_broker.obstacle)
            and (self.to_be_left or not at_broker.would_repeat)
        )

    @property
    def consumed(self) -> list[int]:
        """The rooms whose private queues it consumes; none while it moves, because then it looks
        for them anew."""
        return self._conversation.state.rooms if self._state is State.OPEN else []

    @property
    def ready(self) -> bool:
        """Whether frames may be passed on now; see :meth:`wait`."""
        return (
            self._state not in PAUSED
            and self._conversation.flowing
            and not self._conversation.state.doubt.is_wrong
        )

    @property
    def in_doubt(self) -> bool:
        """Whether something was sent of which nobody knows whether RabbitMQ has taken it."""
        return self._conversation.in_doubt

    async def wait(self) -> None:
        """Wait while the uplink moves, the broker is behind, or is about to refuse something.
        Returns also when it has ended."""
        while True:
            relay = self._conversation.relay
            if self._moving is not None:
                await asyncio.wait({self._moving})
            elif relay is not None and not relay.flowing:
                await relay.drained()
            elif self._state is State.OPEN and self._conversation.state.doubt.is_wrong:
                await self._conversation.proofs.change()
            else:
                return

    async def open(self, *, urgent: bool, early: EarlyDial | None = None) -> None:
        """Dial, or take what was dialled ``early``; ``urgent``: for a host's private queue. Raises
        :class:`BrokerUnavailable`, :class:`NoCapacity`, :class:`TooManyDials`."""
        if early is not None:
            await self._take_early(early, urgent=urgent)
        if self._state is State.OPENING:
            await self._context.charges.dial(self._who().payer)
            dialler = self._context.dialler
            self._take_up(*await dialler.dial(self._who(), self._version, urgent=urgent))
        if self._state is State.OPEN:
            self._context.rebalancer.add(self)

    async def subscribe(self, key: str, destination: Destination, frame: Frame) -> None:
        """Subscribe at the broker. Raises :class:`BrokerUnavailable`,
        :class:`TooManySubscriptions`, :class:`TooManyQueues`."""
        self._context.charges.queues.count(self._who(), frame)
        await self._context.charges.subscription(self._who().payer)
        if isinstance(destination, RoomQueue):
            await self._ensure(destination.room)
        await self.wait()
        self._conversation.subscribe(key, destination, frame)

    def unsubscribe(self, key: str, frame: Frame) -> None:
        self._conversation.unsubscribe(key, frame)

    def send(self, frame: Frame) -> bool:
        """Pass a frame on; see :meth:`Conversation.send`. Raises :class:`TooManyQueues`, too."""
        if frame.command == "SEND":
            self._context.charges.queues.count(self._who(), frame)
        return self._conversation.send(frame)

    def acknowledge(self, data: bytes) -> tuple[int, int]:
        """Pass acknowledgements on at a glance; see :meth:`Conversation.acknowledge`."""
        if self._state is not State.OPEN:
            return 0, 0
        return self._conversation.acknowledge(data)

    async def leave(self) -> None:
        """End the session; returns when RabbitMQ has taken everything that was sent.

        RabbitMQ closes before its RECEIPT of DISCONNECT is out (3.10, nearly always), and also when
        it has refused something. So it is asked before, and has to have answered every receipt.
        Raises :class:`BrokerUnavailable` if that is not known in time.
        """
        conversation = self._conversation
        try:
            async with asyncio.timeout(LEAVE):
                await self.wait()
                conversation.leaving()
                self._receive(Input.LEAVE)
                if self._state is State.LEAVING:
                    await conversation.proofs.now()
                while self._state is State.LEAVING and conversation.state.unanswered:
                    await conversation.proofs.change()
                if self._state is State.LEAVING:
                    conversation.disconnect(receipt=True)
                    self._receive(Input.DISCONNECT)
                while self._state is State.FAREWELL:
                    await conversation.proofs.change()
        except TimeoutError:
            pass
        if self._state is not State.LEFT:
            raise BrokerUnavailable(
                "the broker does not say that it has taken everything; what has no receipt may be "
                "lost"
            )

    async def relocate(self, why: str) -> bool:
        """Go on at another node, though this one works: dial first, so that the pause is short.
        False if nothing has changed."""
        left = self._conversation.relay
        if left is None or not self.free:
            return False
        try:
            # The node may be of another cluster, after the list of nodes was replaced.
            async with asyncio.timeout(RESCUE):
                for room in self._conversation.state.rooms:
                    await self._ensure(room)
            upstream, lease = await self._dial(exclude={left.node})
        except (BrokerUnavailable, NoCapacity, TimeoutError):
            return False
        if self._conversation.relay is not left or not self.free:
            _drop(upstream, lease)
            return False
        self._next = upstream, lease
        self._receive(Input.RELOCATE)
        await asyncio.wait({self._move(BrokerUnavailable(why), self._change)})
        return True

    def give_up(self, error: BrokerUnavailable) -> None:
        """End, with the reason for the client."""
        self._fail(error)

    def close(self) -> None:
        """Give everything back; any number of times."""
        self._receive(Input.CLOSE)
        self._release()

    def ended(self, end: End) -> None:
        """The session has ended by itself."""
        if end.ending is None:
            self._fail(end.error, error_sent=end.error_sent)
            return
        before, at_broker = self._state, self._conversation.state
        received = INPUTS[end.ending, at_broker.verdict(end.ending)]
        at_broker.ended()
        self._receive(received)
        if self._state is State.FAILED:
            self._tell(_reason(received, end.error, at_broker))
        elif self._state is State.MOVING and before is State.OPEN:
            self._move_on(received, end.error)

    def disconnected(self) -> None:
        """RabbitMQ has answered our DISCONNECT."""
        self._receive(Input.RECEIPT)

    def receipt_overdue(self, receipt: str) -> None:
        """RabbitMQ owes the client a RECEIPT for too long."""
        self._fail(
            BrokerUnavailable(
                f"RabbitMQ has not answered receipt {receipt[:100]!r} for {LONGEST:g} s; nobody "
                "knows what became of it"
            )
        )

    def refused(self, code: str, detail: str) -> None:
        """Something was kept from the client."""
        self._note(Kind.REFUSAL, code, detail)

    def refilled(self, detail: str) -> None:
        """Messages that a private queue had dropped were given to the client."""
        self._note(Kind.FAILOVER, "queue_refilled", detail)

    def _receive(self, received: Input) -> None:
        self._state = TRANSITIONS.get((self._state, received), self._state)

    def _fail(self, error: GatewayError, *, error_sent: bool = False) -> None:
        """End with a reason for the client, unless it has ended already."""
        before = self._state
        self._receive(Input.ERROR)
        if self._state is not before:
            self._tell(error, error_sent=error_sent)

    def _tell(self, error: GatewayError, *, error_sent: bool = False) -> None:
        self._release()
        self._ended(error, error_sent=error_sent)

    def forget(self) -> None:
        """Leave nothing to the collector of garbage; see :meth:`Connection.run`. After
        :meth:`close`, as the last thing."""
        self._conversation.forget()

    def _release(self) -> None:
        self._context.consumers.end(self)
        self._context.rebalancer.remove(self)
        if self._moving is not None:
            moving, self._moving = self._moving, None
            moving.cancel()
        if self._next is not None:
            _drop(*self._next)
            self._next = None
        self._conversation.close()

    def _note(self, kind: Kind, code: str, detail: str) -> None:
        self._context.events.note(
            kind,
            code,
            detail,
            user=self._who().user,
            node=self.node,
            connection=connection_in_logs.get(),
        )

    def _take_up(self, upstream: WebStompSession, lease: Lease) -> None:
        """Go on in this session. Raises :class:`BrokerUnavailable`."""
        self._left = lease.node.name
        relay = self._conversation.take_up(upstream, lease)
        self._receive(Input.SESSION)
        if self._state in FINAL:
            relay.close()

    async def _take_early(self, early: EarlyDial, *, urgent: bool) -> None:
        if (session := await early.take(urgent=urgent)) is not None:
            try:
                self._take_up(*session)
            except BrokerUnavailable as error:
                logger.info("a relay was lost before it was needed: %s", error.detail)

    def _move_on(self, received: Input, lost: GatewayError) -> None:
        delay = self._moves.next(self._loop.time())
        if delay is not None:
            suspect = self._left if received is Input.LOST_AGAIN else None
            self._move(lost, partial(self._find, delay, suspect))
            return
        detail = f"{lost.detail}; {MOVES} sessions ended within {SPAN:g} s"
        if received is Input.ENDED:
            self._fail(BrokerRefused(f"{detail}: something here ends them"))
        else:
            self._fail(BrokerUnavailable(detail))

    def _move(self, lost: GatewayError, to: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Go on at another node; the client sees a pause."""
        self._moving = self._log_context.run(
            self._context.relays.tasks.spawn,
            self._moved_by(lost, to),
            "relay: a move",
            failed=self._move_failed,
        )
        return self._moving

    async def _moved_by(self, lost: GatewayError, to: Callable[[], Awaitable[None]]) -> None:
        logger.info("moving to another node: %s", lost.detail)
        failure: GatewayError | None = None
        try:
            async with asyncio.timeout(RESCUE):
                await to()
        except TimeoutError:
            failure = lost
        except GatewayError as error:
            failure = error
        self._moving = None
        if failure is not None:
            self._fail(failure)
        elif self._state is State.OPEN:
            logger.info("moved to node %s", self.node)
            self._note(Kind.FAILOVER, "relay_moved", lost.detail)

    def _move_failed(self, fault: Exception) -> None:
        if self._state not in FINAL:
            # Cancelled by somebody else, for one: the client would wait for ever.
            logger.error("a move failed; its client is disconnected", exc_info=fault)
            self._moving = None
            self._fail(Internal("the gateway failed; its log says why"))

    async def _dial(
        self, *, exclude: AbstractSet[str] = frozenset()
    ) -> tuple[WebStompSession, Lease]:
        """Another session for a client that has one, or had."""
        urgent = bool(self._conversation.state.rooms)
        return await self._context.dialler.dial(
            self._who(), self._version, urgent=urgent, exclude=exclude
        )

    async def _ensure(self, room: int) -> None:
        number = await self._context.queues.ensure_private_queue(room)
        if self._state not in FINAL:
            self._context.consumers.consume(self, room, number)

    async def _change(self) -> None:
        """From a session that works to the next one."""
        await self._part()
        if self._next is not None:
            session, self._next = self._next, None
            try:
                self._take_up(*session)
            except BrokerUnavailable:
                await self._find(0.0)

    async def _part(self) -> None:
        """End the session at its node: what it was sent is known to be taken, what it has delivered
        until then is passed on, and only then are its unacknowledged messages another consumer's,
        in their order. Raises :class:`BrokerUnavailable` if messages stay in doubt."""
        conversation = self._conversation
        conversation.leaving()
        try:
            async with asyncio.timeout(_PARTING):
                if self._state is State.PROVING and conversation.state.doubt.messages:
                    await conversation.proofs.now()
                if self._state is State.PROVING:
                    conversation.disconnect(receipt=False)
                    self._receive(Input.DISCONNECT)
                while self._state is State.PARTING:
                    await conversation.proofs.change()
        except TimeoutError:
            self._receive(Input.TIMEOUT)
            conversation.drop()
            if conversation.state.doubt.messages:
                raise BrokerUnavailable(
                    "the node that was left does not say that it has taken all messages"
                ) from None

    async def _find(self, delay: float, suspect: str | None = None) -> None:
        """Try the nodes after so many seconds, until one takes the session.

        ``suspect``: the node of the last session, which was the second to end at the same request.
        Raises :class:`BrokerRefused` if that node is well: the request ends sessions.
        """
        if suspect is not None:
            doubted = str(self._conversation.state.doubt)
            if await self._context.dialler.is_well(suspect, self._who(), self._version):
                raise BrokerRefused(
                    f"two nodes have ended the session after {doubted}, and the second one works: "
                    "RabbitMQ cannot do that"
                )
        failures = 0
        await asyncio.sleep(delay * self._context.rng.uniform(0.5, 1.0))
        declaring: asyncio.Task[None] | None = None
        while True:
            if declaring is None or declaring.done():
                declaring = self._context.relays.tasks.spawn(
                    self._declare(), "relay: queues of a move"
                )
            began = self._loop.time()
            try:
                session = await self._dial()
                try:
                    await asyncio.wait({declaring}, timeout=began + _DECLARED - self._loop.time())
                except BaseException:
                    _drop(*session)
                    raise
                self._take_up(*session)
                return
            except (BrokerUnavailable, NoCapacity) as error:
                logger.debug("no node has taken the session yet: %s", error.detail)
            failures += 1
            await asyncio.sleep(_BACK_OFF.delay(failures) * self._context.rng.uniform(0.5, 1.0))

    async def _declare(self) -> None:
        """Declare the private queues again that have been lost. What fails is no reason to wait:
        the queues were there, and if one is not, RabbitMQ answers the SUBSCRIBE with an ERROR."""
        try:
            for room in self._conversation.state.rooms:
                number = await self._context.queues.ensure_private_queue(room)
                if self._state is State.MOVING:
                    # Later it may have subscribed to the queue that was there before.
                    self._context.consumers.consume(self, room, number)
        except BrokerUnavailable as error:
            logger.debug("a private queue could not be declared for a move: %s", error.detail)


def _reason(received: Input, error: GatewayError, at_broker: RelayState) -> GatewayError:
    """The error for a client whose session has ended and cannot go on elsewhere."""
    match received:
        case Input.REFUSED:
            return BrokerRefused(
                f"{error.detail} after {at_broker.doubt}: it refuses that, or a destination, "
                "header or permission of it; nothing that was sent since is certain to be taken"
            )
        case Input.LOST_IN_DOUBT | Input.ENDED_IN_DOUBT:
            why = at_broker.loss or "does not give again what was subscribed to at another node"
            return BrokerUnavailable(f"{error.detail}, and {why}")
        case _:
            return BrokerUnavailable(f"{error.detail} while the client left")


def _drop(upstream: WebStompSession, lease: Lease) -> None:
    """Give back a session that nobody uses."""
    upstream.close()
    lease.release()
