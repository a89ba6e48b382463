"""The judge of a client's frames: which may pass, and in which form they reach the broker.

A room's own destinations are judged by membership and rebuilt from the headers that mean something
here; what an access rule opens passes byte for byte. Everything else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.feeds.listener import Pattern
from broker.protocol.numerals import natural
from broker.protocol.stomp import Frame, serialise
from broker.topology import EXCHANGE, Stream, Topology
from gateway.auth import patterns
from gateway.auth.access import Direction
from gateway.auth.outsiders import Outsiders
from gateway.auth.permissions import SUBSCRIBE, Action, Permissions
from gateway.domain.identity import Identity
from gateway.errors import GatewayError, Invalid, Refused
from gateway.live.attendance import Right
from gateway.live.client.requests import Acknowledge, Send, Subscribe, Transact, Unsubscribe
from gateway.live.destinations import Destination, RoomQueue, RoomTopic

#: The headers of a SUBSCRIBE to a room that reach the broker.
ROOM_HEADERS: Final = ("destination", "id", "ack", "prefetch-count", "receipt")

#: Headers by which RabbitMQ lets a client shape or name queues
#: (https://www.rabbitmq.com/docs/stomp#queue-parameters); a few more begin with ``x-``.
QUEUE_HEADERS: Final = frozenset({"durable", "persistent", "auto-delete", "exclusive"})
#: The beginning of a ``reply-to`` for which RabbitMQ makes a queue of the connection's own.
TEMP_QUEUE: Final = "/temp-queue/"


@dataclass(frozen=True, slots=True)
class ByHub:
    """A subscription to a topic that the hub serves, from now on or after a seq; ``state``: after
    the kept state."""

    stream: Stream
    resume_after: int | None
    right: Right
    state: bool = False


@dataclass(frozen=True, slots=True)
class ByRelay:
    """A subscription by the client's own relay; the frame's ``raw`` is sent. Without a ``right`` an
    access rule opened it, not a membership."""

    frame: Frame
    right: Right | None = None


@dataclass(frozen=True, slots=True)
class ByPattern:
    """A subscription that the hub serves to all who want the same; one of RabbitMQ's own users must
    have the right to it. If the hub cannot, the client's own relay sends the frame's ``raw``."""

    pattern: Pattern
    frame: Frame


class Judge:
    """The decision about each request of a client, by the permissions of its user.

    Raises :class:`Refused`, ``UnknownRoom``, ``RoomClosed`` or ``RoomReplaced`` for a request that
    may not pass.

    ``shared``: topics are served by the hub, unless the client wants to acknowledge.
    ``outsiders`` judges RabbitMQ's own users, as far as RabbitMQ does not;
    ``shares_with_outsiders``: the hub serves them, too.
    """

    def __init__(
        self,
        permissions: Permissions,
        topology: Topology,
        *,
        shared: bool,
        shares_with_outsiders: bool = False,
        outsiders: Outsiders | None = None,
    ) -> None:
        self._permissions = permissions
        self._topology = topology
        self._shared = shared
        self._shares_with_outsiders = shares_with_outsiders
        self._outsiders = outsiders or Outsiders(topology, rooms=False)

    async def subscribe(self, who: Identity, request: Subscribe) -> ByHub | ByPattern | ByRelay:
        frame = request.frame
        if who.login is not None:
            self._outsiders.check(who, Direction.SUBSCRIBE, frame)
            return self._by_pattern_or_relay(who, frame)
        try:
            right = await self._may_join(who, request.destination)
            _refuse_queue_headers(frame)
        except GatewayError:
            if self._opened(who, Direction.SUBSCRIBE, frame):
                return self._by_pattern_or_relay(who, frame)
            raise
        await self._permissions.recognise(who, right.room, frame.get("room-identity"))
        resume_after, state = frame.get("resume-after"), frame.get("state")
        if state is not None:
            _check_state(state, resume_after)
        match request.destination:
            case RoomTopic(stream) if self._shared and frame.get("ack") in (None, "auto"):
                after = None if resume_after is None else _seq(resume_after)
                return ByHub(stream, after, right, state=state is not None)
        if resume_after is not None or state is not None:
            given = "resume-after" if state is None else "state"
            raise Invalid(f"{given} is for topics that the gateway fans out, with ack:auto")
        return ByRelay(self._for_room(request.destination, frame), right)

    async def follow(
        self, who: Identity, stream: Stream, *, resume_after: int | None, identity: str | None
    ) -> ByHub:
        """The decision about a client that follows a room's topic without STOMP. ``identity``: the
        room's, as the client knows it."""
        await self._permissions.recognise(who, stream.room, identity)
        return ByHub(stream, resume_after, await self._may_join(who, RoomTopic(stream)))

    def unsubscribe(self, who: Identity, request: Unsubscribe) -> Frame:
        """The UNSUBSCRIBE for the broker; ``durable:true`` on it would delete a queue."""
        if who.login is not None:
            self._outsiders.check(who, Direction.SUBSCRIBE, request.frame)
            return request.frame
        if not self._permissions.opens_everything(who, Direction.SUBSCRIBE):
            _refuse_queue_headers(request.frame)
        if isinstance(request.destination, RoomQueue):
            return self._for_room(request.destination, request.frame)
        return request.frame

    def send(self, who: Identity, request: Send) -> Frame:
        if who.login is not None:
            self._outsiders.check(who, Direction.SEND, request.frame)
            return request.frame
        if not self._opened(who, Direction.SEND, request.frame):
            raise Refused(
                f"no access rule opens {request.frame.get('destination')!r} for sending to you"
            )
        return request.frame

    def opens_topic(self, who: Identity, frame: Frame) -> bool:
        """Whether a rule lets somebody who may not post to a room publish to its topic directly.
        Raises :class:`Refused` for RabbitMQ's own users, if they may not reach rooms."""
        if who.login is not None:
            self._outsiders.check(who, Direction.SEND, frame)
            return True
        return self._opened(who, Direction.SEND, frame)

    def still_opens(self, who: Identity, direction: Direction, frame: Frame) -> bool:
        """Whether an access rule opens this now. RabbitMQ's own users need none."""
        return who.login is not None or self._opened(who, direction, frame)

    def transact(self, who: Identity, request: Acknowledge | Transact) -> Frame:
        """Acknowledgements pass; transactions are part of what the rule ``**`` opens."""
        frame = request.frame
        if who.login is not None:
            return frame
        if (isinstance(request, Transact) or frame.get("transaction") is not None) and not any(
            self._permissions.opens_everything(who, direction) for direction in Direction
        ):
            raise Refused("transactions are open only to roles with the access rule '**'")
        return frame

    async def _may_join(self, who: Identity, destination: Destination) -> Right:
        match destination:
            case RoomTopic(stream):
                action, room = SUBSCRIBE[stream.audience], stream.room
            case RoomQueue(room):
                action = Action.CONSUME_PRIVATE
            case _:
                raise Refused("this destination is no room's, and no access rule opens it to you")
        return Right(action, room, await self._permissions.require(who, action, room))

    def _opened(self, who: Identity, direction: Direction, frame: Frame) -> bool:
        if self._permissions.opens_everything(who, direction):
            return True
        plain = not _shapes_queues(frame) and frame.get("transaction") is None
        destination = frame.get("destination") or ""
        return plain and self._permissions.opens(who, direction, destination)

    def _by_pattern_or_relay(self, who: Identity, frame: Frame) -> ByPattern | ByRelay:
        pattern = self._shareable(who, frame)
        return ByRelay(frame) if pattern is None else ByPattern(pattern, frame)

    def _shareable(self, who: Identity, frame: Frame) -> Pattern | None:
        """The pattern of a SUBSCRIBE that the hub may serve: each subscriber gets the same, and
        acknowledges nothing. None: it may not."""
        if not self._shared or who.vhost is not None or _wants_its_own(frame):
            return None
        try:
            requested = patterns.parse(frame.get("destination") or "")
        except ValueError:
            return None
        match requested.kind:
            case patterns.Kind.TOPIC:
                exchange = EXCHANGE
            case patterns.Kind.EXCHANGE if requested.exchange is not None:
                exchange = requested.exchange
            case _:
                return None
        if who.login is not None:
            shares = self._shares_with_outsiders
        else:
            shares = self._permissions.shares(who, requested)
        key = ".".join(requested.words)
        if not shares or (exchange == EXCHANGE and self._topology.is_gateways(key)):
            # RabbitMQ refuses the gateways' own key to everybody by their relay.
            return None
        return Pattern(exchange, key)

    def _for_room(self, destination: Destination, frame: Frame) -> Frame:
        given = ((name, frame.get(name)) for name in ROOM_HEADERS)
        headers = {name: value for name, value in given if value is not None}
        if isinstance(destination, RoomQueue) and "destination" in headers:
            # /queue/… would declare it again with other arguments, which kills the connection.
            name = self._topology.private_queue(destination.room).name
            headers["destination"] = f"/amq/queue/{name}"
        raw = serialise(frame.command, headers.items())
        return Frame(frame.command, tuple(headers.items()), raw=raw)


def _seq(text: str) -> int:
    seq = natural(text)
    if seq is None:
        raise Invalid(
            f"resume-after:{text[:40]}: must be the last seq that you have, or 0, in plain digits"
            " without a sign or leading zeros"
        )
    return seq


def _check_state(value: str, resume_after: str | None) -> None:
    if value != "true":
        raise Invalid(f"state:{value[:40]}: must be true, or left out")
    if resume_after is not None:
        raise Invalid("state and resume-after exclude each other: the state is newer")


def _wants_its_own(frame: Frame) -> bool:
    """Whether a SUBSCRIBE says more than whom it is for, and what it is to be called."""
    plain = frame.get("ack") in (None, "auto") and frame.get("id")
    return (
        not plain
        or _shapes_queues(frame)
        or any(name in ("selector", "prefetch-count", "transaction") for name, _ in frame.headers)
    )


def _shapes_queues(frame: Frame) -> bool:
    return any(
        name in QUEUE_HEADERS
        or name.startswith("x-")
        or (name == "reply-to" and value.startswith(TEMP_QUEUE))
        for name, value in frame.headers
    )


def _refuse_queue_headers(frame: Frame) -> None:
    if _shapes_queues(frame):
        raise Refused(
            "queue headers (durable, auto-delete, exclusive, x-…) are open only to roles with the "
            "access rule '**'"
        )
