"""The frames between one client and the broker, through one session after the other."""

from __future__ import annotations

import asyncio
import logging
from asyncio import Task
from collections.abc import AsyncIterator
from typing import Final, Protocol

from tornado.iostream import StreamClosedError

from broker.nodes.balancer import Lease
from broker.protocol.stomp import Frame, serialise
from broker.topology import Stream
from broker.webstomp.session import WebStompSession
from gateway.domain.message import Message
from gateway.errors import BrokerUnavailable, StoreUnavailable, TooLarge
from gateway.live.destinations import Destination, RoomQueue
from gateway.live.relay import oversized
from gateway.live.relay.missed import Consumer, Gap
from gateway.live.relay.proofs import Proofs
from gateway.live.relay.receipts import ReceiptWatch
from gateway.live.relay.relay import End, Relay, RelayContext
from gateway.live.relay.state import RelayState
from gateway.live.transport import Transport

logger = logging.getLogger(__name__)

#: Seconds that a host's queue stands still while the database is away from which it gets what is
#: missing; then the client gets an ERROR (G11).
OUTAGE: Final = 10.0
#: Seconds between two attempts to read it.
_AGAIN: Final = 0.5


class Owner(Protocol):
    """The uplink, as far as the conversation reports to it."""

    def ended(self, end: End) -> None:
        """The session has ended by itself."""

    def disconnected(self) -> None:
        """RabbitMQ has answered our DISCONNECT."""

    def receipt_overdue(self, receipt: str) -> None:
        """RabbitMQ owes the client a RECEIPT for too long."""

    def refused(self, code: str, detail: str) -> None:
        """Something was kept from the client, for the list of events."""

    def refilled(self, detail: str) -> None:
        """Messages that a private queue had dropped were given to the client, for the same list."""


class Conversation:
    """One client's conversation; it has no session until :meth:`take_up`.

    ``name`` begins the gateway's own receipts and transactions; nobody else can know it. ``client``
    takes the broker's frames.
    """

    __slots__ = (
        "_client",
        "_context",
        "_farewell",
        "_owner",
        "_parking",
        "_receipts",
        "_room",
        "_unready",
        "proofs",
        "relay",
        "state",
    )

    def __init__(
        self,
        name: str,
        version: str,
        *,
        client: Transport,
        owner: Owner,
        context: RelayContext,
    ) -> None:
        self.state = RelayState(version, context.acknowledgements)
        self.relay: Relay | None = None
        self._client = client
        self._owner = owner
        self._context = context
        self._farewell = f"{name}-disconnect"
        self.proofs = Proofs(name, doubt=lambda: self.state.doubt, send=self._ask)
        self._receipts = ReceiptWatch(self.state, overdue=self._overdue)
        #: Waits for the place of messages that are too large; then they can be rejected.
        self._parking: Task[None] | None = None
        #: What is to be rejected by it, by room: in words.
        self._unready: dict[int, str] = {}
        #: Set when the client may take more messages from the history.
        self._room = asyncio.Event()

    @property
    def flowing(self) -> bool:
        """Whether there is a session and its node has taken all that was sent."""
        return self.relay is not None and self.relay.flowing

    @property
    def in_doubt(self) -> bool:
        """Whether something was sent of which nobody knows whether RabbitMQ has taken it."""
        return self.state.doubt.any or self.state.unanswered

    @property
    def returning(self) -> bool:
        """Whether the session asks again for what an earlier one had."""
        return self.state.returning

    def take_up(self, upstream: WebStompSession, lease: Lease) -> Relay:
        """Go on in this session. Raises :class:`BrokerUnavailable`."""
        frames = self.state.move(upstream.connected.get("session") or "")
        try:
            self.relay = relay = Relay(
                upstream,
                lease,
                client=self._client,
                deliveries=self.state.deliveries,
                owner=self,
                context=self._context,
            )
        except StreamClosedError as error:
            lease.release()
            raise BrokerUnavailable("the node closed the connection at once") from error
        for frame in frames:
            relay.send(frame)
        self.proofs.soon()
        return relay

    def subscribe(self, key: str, destination: Destination, frame: Frame) -> None:
        self.state.subscribed(key, destination, frame)
        self._send(frame)

    def unsubscribe(self, key: str, frame: Frame) -> None:
        self.state.unsubscribed(key, frame)
        self._send(frame)
        self._room.set()

    def send(self, frame: Frame) -> bool:
        """Pass a frame on. False: it is not RabbitMQ's concern, because it acknowledges a message
        from the history, or one of a session that is gone, which will come again. Raises
        :class:`BadFrame` for what RabbitMQ would end the session for."""
        frame = self.state.deliveries.without_discarding(frame)
        if (instead := self.state.handled(frame)) is not None:
            self._room.set()
            self._tell(instead)
            return False
        if self.state.is_stale(frame):
            return False
        self.state.sent(frame)
        self._send(frame)
        self._tell(self.state.told())
        if self.state.deliveries.parks:
            self._tell(self.state.deliveries.reject())
        # A cumulative acknowledgement may be for messages from the history, too.
        self._room.set()
        return True

    def acknowledge(self, data: bytes) -> tuple[int, int]:
        """Pass on the client's WebSocket frames at the beginning of ``data`` that are nothing but
        acknowledgements of this session's messages. Returns how many frames and how many bytes were
        passed; the rest is to be parsed."""
        relay = self.relay
        if relay is None or not relay.flowing:
            return 0, 0
        found, end = self.state.deliveries.pass_by(data)
        if found:
            if not self._room.is_set():
                self._room.set()
            relay.pass_on(data if end == len(data) else data[:end])
        return found, end

    def disconnect(self, *, receipt: bool) -> None:
        """Send DISCONNECT; with a ``receipt``, :meth:`Owner.disconnected` tells of its answer."""
        if self.relay is not None:
            headers = [("receipt", self._farewell)] if receipt else []
            self.relay.send(serialise("DISCONNECT", headers))

    def drop(self) -> None:
        """End the session without a word to its owner; another one may follow."""
        if self.relay is not None:
            self.relay.close()
        self._end_session()

    def forget(self) -> None:
        """Point at nothing any more that points here; see :meth:`Connection.run`. After
        :meth:`close`, as the last thing."""
        self.relay = None
        del self._owner, self._receipts, self.proofs

    def close(self) -> None:
        """Give everything back; any number of times."""
        self.drop()
        self._receipts.close()

    def answered(self, receipt: str) -> bool:
        """A RECEIPT has come. Returns whether it is the gateway's own, and not for the client."""
        ours = self.proofs.answered(receipt)
        if not ours:
            self.state.answered(receipt)
        elif receipt == self._farewell:
            self._owner.disconnected()
        self.proofs.wake()
        return ours

    def oversized(self, message: Frame, size: int) -> bytes | None:
        """The frame that the client gets in place of a message that is too large to be held, if
        any. A message of a private queue is parked. Raises :class:`TooLarge` for any other one."""
        limit = self._context.limits.frame_bytes
        what = f"a message of {size} bytes, at most {limit} are passed on"
        where = message.get("destination") or "?"
        origin = self.state.destination_of(message)
        if isinstance(origin, RoomQueue) and self.state.deliveries.muted:
            # The session is about to end; the message comes again in the next one.
            return None
        left = "still in its queue"
        if isinstance(origin, RoomQueue):
            left = self._park(message, origin.room, size)
        logger.warning(
            "the message %s in %s has %d bytes and was left out: at most %d are passed on; it is "
            "%s. Raise limits.upstream_frame_bytes if such messages are meant to come",
            message.get("message-id"),
            where,
            size,
            limit,
            left,
        )
        self._owner.refused("too_large", f"{where}: {what}; it is {left}")
        if not isinstance(origin, RoomQueue):
            # A consumer elsewhere knows nothing of the gateway, and would take the replacement for
            # the real message.
            raise TooLarge(
                f"{where} holds {what}: take it out past the gateway, or raise the limit"
            )
        return oversized.replacement(message, size, limit=limit, detail=what)

    def _park(self, message: Frame, room: int, size: int) -> str:
        """Let RabbitMQ keep the message elsewhere, and tell where it is then."""
        if not self.state.deliveries.too_large(message):
            return "lost, because its client acknowledges nothing (ack:auto)"
        self._unready[room] = f"{size} bytes in the private queue of room {room}"
        if self._parking is None or self._parking.done():
            self._parking = self._context.tasks.spawn(
                self._wait_for_parking(), "relay: a message that is too large"
            )
        return f"to be kept in the queue {self._context.parking.queue}, see `gateway parked list`"

    async def _wait_for_parking(self) -> None:
        while self._unready:
            room, what = self._unready.popitem()
            await self._context.parking.ready(room, what)
        self._tell(self.state.deliveries.reject())

    def _tell(self, frames: list[bytes]) -> None:
        """Send what RabbitMQ is to be told of its messages; some may be rejected by it."""
        for each in frames:
            self._ask(each)
        if self.state.deliveries.has_rejected():
            self._context.parking.rejected()

    async def missed(self, gap: Gap) -> AsyncIterator[bytes]:
        """The MESSAGE frames of what is missing before a message, as fast as the client
        acknowledges them. Raises :class:`gateway.errors.StoreUnavailable` if the database is away
        for longer than :data:`OUTAGE`."""
        given = set[tuple[Stream, int | None]]()
        async for message in self._from_history(gap):
            if (message.stream, message.seq) in given:
                continue
            if (consumer := await self._with_room(gap)) is None:
                break
            yield self.state.deliveries.give(message, consumer)
            given.add((message.stream, message.seq))
        await self._with_room(gap)
        if given:
            detail = (
                f"{len(given)} messages came from the history, before {gap.seq} of {gap.stream}"
            )
            logger.info(
                "the private queue of room %d had dropped some: %s", gap.stream.room, detail
            )
            self._owner.refilled(detail)

    async def _from_history(self, gap: Gap) -> AsyncIterator[Message]:
        """The missing messages, from the first one again after each time that the database was
        away."""
        loop = asyncio.get_running_loop()
        worked = loop.time()
        while True:
            try:
                async for message in self._context.missed.before(gap):
                    yield message
                    # However long the client has taken for it.
                    worked = loop.time()
            except StoreUnavailable:
                if loop.time() >= worked + OUTAGE:
                    raise
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def _with_room(self, gap: Gap) -> Consumer | None:
        """The consumer, as soon as it may take a message more; None: it has unsubscribed."""
        deliveries = self.state.deliveries
        while (found := deliveries.consumer(gap.before)) and deliveries.is_full(found):
            self._room.clear()
            await self._room.wait()
        return found

    def leaving(self) -> None:
        """The client gets no more messages of private queues; the session is about to end."""
        if self.relay is not None:
            self.relay.stop_filling()

    def ended(self, end: End) -> None:
        """The relay has ended by itself."""
        self.relay = None
        self._owner.ended(end)
        self._end_session()

    def _end_session(self) -> None:
        self.proofs.end_session()
        self._unready.clear()
        if self._parking is not None:
            # What is rejected by then would be a message of the next session.
            self._parking.cancel()
            self._parking = None

    def _send(self, frame: Frame) -> None:
        if self.relay is not None:
            self.relay.send(frame.raw)
            self.proofs.soon()
            self._receipts.begin()

    def _ask(self, frame: bytes) -> None:
        """Send a question of the gateway's own, of which the client knows nothing."""
        if self.relay is not None:
            self.relay.send(frame)

    def _overdue(self, receipt: str) -> None:
        if self.relay is None:
            # The next session is asked again.
            self._receipts.begin()
        else:
            self._owner.receipt_overdue(receipt)
