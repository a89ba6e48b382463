"""One client's connection: its requests are judged and carried out, and it is cleaned up once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Protocol

from tornado.iostream import IOStream

from broker.protocol.stomp import Frame, HeartBeat
from broker.protocol.websocket import CloseCode
from broker.timing.tasks import fault_of
from broker.timing.ticker import Ticker
from broker.topology import Stream, Topology
from gateway.auth.names import check_user
from gateway.domain.identity import Identity
from gateway.errors import (
    BadFrame,
    GatewayError,
    Internal,
    Invalid,
    NotAuthenticated,
    Refused,
    TokenExpired,
    TooSlow,
    UnknownRoom,
    outcome,
)
from gateway.live.attendance import Attendance, Right
from gateway.live.client.judge import ByHub, ByRelay, Judge
from gateway.live.client.registry import ConnectionState, Registry
from gateway.live.client.requests import (
    Acknowledge,
    Connect,
    Disconnect,
    Ping,
    Post,
    Renew,
    Request,
    Send,
    Subscribe,
    Transact,
    Unsubscribe,
)
from gateway.live.client.session import Session
from gateway.live.client.socket import PAUSE, ClientSocket, Pause
from gateway.live.client.virtual_host import VirtualHost
from gateway.live.destinations import RoomQueue, RoomTopic
from gateway.live.hub.fanout import Subscriber
from gateway.live.hub.hub import Hub
from gateway.live.relay.uplink import Uplink, UplinkContext
from gateway.live.transport import Stalled, Transport
from gateway.messages.intake import Intake
from gateway.observe.events import Events, Kind
from gateway.observe.logs import connection as connection_in_logs

logger = logging.getLogger(__name__)

SERVER: Final = "interact-gateway"
#: Milliseconds: heart-beats more often than this are neither promised nor expected.
_SHORTEST_HEART_BEAT: Final = 1_000
#: Seconds over which clients that have to come back are spread, each drawing its own.
SPREAD: Final = (1.0, 5.0)


#: What remains of a request that cannot be carried out at once.
Work = Coroutine[None, None, None]
#: What has come and was not taken yet.
Incoming = Iterator[Frame | HeartBeat | Pause]


class TokenVerifier(Protocol):
    async def verify(self, token: str) -> Identity: ...


@dataclass(slots=True)
class Services:
    """What every connection works with. ``clock`` is Unix time; all times are seconds.

    Limits that are replaced count for the connections that come then."""

    topology: Topology
    tokens: TokenVerifier
    judge: Judge
    intake: Intake
    virtual_host: VirtualHost
    uplinks: UplinkContext
    hub: Hub
    ticker: Ticker
    registry: Registry
    attendance: Attendance
    events: Events
    frame_bytes: int
    frames_per_second: float
    frames_burst: int
    subscriptions: int
    connect_timeout: float
    stall_timeout: float
    clock: Callable[[], float]
    rng: Random


class Connection:
    """``identity`` is known from the handshake, or comes with CONNECT. ``address`` and ``id`` are
    for logs and the dashboard; ``host`` is the handshake's header."""

    def __init__(
        self,
        stream: IOStream,
        services: Services,
        *,
        id: str,
        address: str,
        host: str,
        identity: Identity | None,
    ) -> None:
        self.id = id
        self.address = address
        self._host = host
        self.identity = identity
        self.since = services.clock()
        self.session = Session(services.topology, max_subscriptions=services.subscriptions)
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._socket = ClientSocket(
            stream, frame_bytes=services.frame_bytes, stall_timeout=services.stall_timeout
        )
        self._uplink: Uplink | None = None
        self._joined: dict[str, tuple[Stream, Subscriber]] = {}
        self._rights: dict[str, Right] = {}
        self.due = math.inf
        self._deadline = math.inf
        self._overdue: GatewayError | None = None
        self._receipt: str | None = None
        self._ended = False
        self._working: asyncio.Task[None] | None = None
        self._resting: asyncio.Handle | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()

    @property
    def writer(self) -> Transport:
        """Where the hub delivers to."""
        return self._socket.transport

    @property
    def node(self) -> str | None:
        """The broker node of the relay, if there is one."""
        return self._uplink.node if self._uplink else None

    def snapshot(self) -> ConnectionState:
        """How it stands now."""
        identity, socket, transport = self.identity, self._socket, self._socket.transport
        return ConnectionState(
            id=self.id,
            user=identity.user if identity else None,
            rooms=tuple(sorted(set(self._rooms()))),
            address=self.address,
            since=self.since,
            node=self.node,
            frames_in=socket.frames_in,
            frames_out=transport.frames_out,
            bytes_in=transport.bytes_in,
            bytes_out=transport.bytes_out,
            backlog=transport.backlog,
            heard_at=self._services.clock() - (self._loop.time() - transport.received_at),
            expires_at=identity.expires_at if identity else None,
        )

    def _rooms(self) -> Iterator[int]:
        for destination in self.session.subscriptions.values():
            match destination:
                case RoomTopic(stream):
                    yield stream.room
                case RoomQueue(room):
                    yield room

    async def run(self) -> None:
        """Serve the client until it is gone; everything it held is given back by then."""
        connection_in_logs.set(self.id)
        self._set_deadline(
            self._services.connect_timeout, NotAuthenticated("no CONNECT came in time")
        )
        self._services.ticker.add(self)
        self._socket.transport.attach(received=self._received, lost=self._lost)
        try:
            await self._over
            while self._working is not None:
                await asyncio.wait({self._working})
        finally:
            if self._working is not None:
                self._working.cancel()
            if self._resting is not None:
                self._resting.cancel()
            self._ended = True
            self._release()
            self._socket.close()

    def end(self, error: GatewayError | None, *, error_sent: bool = False) -> None:
        """Tell the client why in an ERROR frame, unless one has been sent (``error_sent``), close,
        and give everything back: at once, once, from anywhere. None: the client asked for it."""
        if self._ended:
            return
        self._ended = True
        self._release()
        code = CloseCode.NORMAL if error is None else outcome(error).close_code
        if error is None:
            logger.info("closing with %d: the client has asked for it", code)
            self._note_end("left", "the client has asked for it", code)
        else:
            if not error_sent:
                self._socket.send("ERROR", self._explanation(error), error.detail.encode())
            logger.info("closing with %d %s: %s", code, outcome(error).code, error.detail)
            self._note_end(outcome(error).code, error.detail, code)
        self._socket.say_goodbye(code, self._leave)

    def _note_end(self, code: str, detail: str, status: int) -> None:
        self._services.events.note(
            Kind.CLOSE,
            code,
            detail,
            status=status,
            user=self.identity.user if self.identity else None,
            address=self.address,
            node=self.node,
            connection=self.id,
        )

    def _explanation(self, error: GatewayError) -> list[tuple[str, str]]:
        row = outcome(error)
        headers = [("message", row.code), ("content-type", "text/plain;charset=utf-8")]
        if self._receipt is not None:
            headers.append(("receipt-id", self._receipt))
        if row.close_code in (CloseCode.SERVICE_RESTART, CloseCode.TRY_AGAIN_LATER):
            # Drawn for each client: those who leave together must not come back together.
            wait = (error.retry_after or 0.0) + self._services.rng.uniform(*SPREAD)
            headers.append(("retry-after", str(round(wait * 1000))))
        return headers

    def _release(self) -> None:
        self._services.ticker.remove(self)
        if self._uplink is not None:
            self._uplink.close()
        for joined in self._joined.values():
            self._services.hub.leave(*joined)
        self._joined.clear()
        for right in self._rights.values():
            self._services.attendance.end(self, right)
        self._rights.clear()

    def _lost(self) -> None:
        logger.info("the client is gone")
        if not self._ended:
            self._note_end("gone", "the connection broke off", CloseCode.ABNORMAL)
        self._ended = True
        self._leave()

    def _leave(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _received(self, data: bytes) -> None:
        try:
            self._read(data)
        except Exception as error:
            self._failed(error)

    def _read(self, data: bytes) -> None:
        if self._uplink is not None and self._socket.between_frames:
            found, end = self._uplink.acknowledge(data)
            if found:
                self._socket.frames_in += found
                self._socket.allowance.spend(found)
                if end == len(data):
                    self._rest(iter(()), unfinished=False)
                    return
                data = data[end:]
        self._take(self._socket.frames(data))

    def _take(self, frames: Incoming) -> None:
        """Carry out what has come, one after the other. Where one has to wait, the others do, and
        what else comes stays in the socket; so it does when the turn of this client is over."""
        try:
            for frame in frames:
                if frame is PAUSE:
                    self._rest(frames, unfinished=True)
                    return
                if isinstance(frame, Frame) and not self._ended:
                    self._receipt = frame.get("receipt")
                    waiting = self._carry_out(self.session.receive(frame))
                    if waiting is not None:
                        self._wait_for(waiting, frames)
                        return
                    self._receipt = None
            if self._socket.left:
                if self._uplink is not None and self._uplink.in_doubt and not self._ended:
                    # Our Close says that all is well.
                    self._wait_for(self._depart(self._uplink), iter(()))
                    return
                self.end(None)
                self._leave()
            elif self._socket.asks_too_much:
                self._wait_for(self._socket.answers_taken(), iter(()))
                return
        except Exception as error:
            self._failed(error)
        self._rest(iter(()), unfinished=False)

    def _rest(self, frames: Incoming, *, unfinished: bool) -> None:
        """The turn is over: what is unfinished goes on in the next one, and nothing more is read
        until the rate of this client allows it."""
        seconds = self._socket.allowance.end_turn(self._loop.time())
        if seconds > 0:
            self._resting = self._loop.call_later(seconds, self._go_on, frames)
        elif unfinished:
            self._resting = self._loop.call_soon(self._go_on, frames)
        else:
            return
        self._socket.transport.hold()

    def _go_on(self, frames: Incoming) -> None:
        self._resting = None
        self._take(frames)
        self._listen_again()

    def _listen_again(self) -> None:
        if self._resting is None and self._working is None:
            self._socket.transport.listen()

    def _wait_for(self, waiting: Work, frames: Incoming) -> None:
        self._socket.transport.hold()
        self._working = self._loop.create_task(self._work(waiting, frames))
        self._working.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        fault = fault_of(task)
        if isinstance(fault, Exception) and not self._ended:
            # Cancelled by somebody else, for one: nothing that came after would ever be read.
            self._working = None
            self._failed(fault)
            self._listen_again()

    async def _work(self, waiting: Work, frames: Incoming) -> None:
        try:
            await waiting
        except Exception as error:
            self._failed(error)
        else:
            self._receipt = None
            self._take(frames)
        if self._working is asyncio.current_task():
            self._working = None
            self._listen_again()

    def _failed(self, error: Exception) -> None:
        """Whatever is wrong with what comes, or with us, ends the connection with its reason."""
        match error:
            case GatewayError():
                self.end(error)
            case Stalled():
                self.end(TooSlow("messages were not read fast enough"))
            case _:
                logger.error("a frame could not be handled", exc_info=error)
                self.end(Internal("the gateway failed; its log says why"))

    def _carry_out(self, request: Request) -> Work | None:
        """At once, or as what is returned."""
        judge = self._services.judge
        match request:
            case Connect():
                return self._connect(request)
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe():
                return self._unsubscribe(request)
            case Send():
                frame = judge.send(self._who, request)
                return self._send(frame) if self._uplink is None else self._pass(frame)
            case Post():
                return self._post(request)
            case Acknowledge() | Transact():
                frame = judge.transact(self._who, request)
                begins = self._uplink is None and isinstance(request, Transact)
                return self._send(frame) if begins else self._pass(frame)
            case Renew() | Ping():
                return self._for_gateway(request)
            case Disconnect():
                return self._disconnect(request)

    async def _connect(self, request: Connect) -> None:
        if self.identity is None:
            if not request.token:
                raise NotAuthenticated(
                    "CONNECT needs a token as passcode, or the handshake a cookie or bearer token"
                )
            self.identity = await self._services.tokens.verify(request.token)
            if self._ended:
                return
        if request.user is not None:
            check_user(request.user, self.identity)
        # Not before it is known who asks: the refusal names the right one.
        self._services.virtual_host.check(request.host, dialled=self._host)
        self._services.registry.admit(self, self.identity.user)
        self._end_with(self.identity)
        self.session.authenticated(request.version)
        self._socket.introduced(
            rate=self._services.frames_per_second, burst=self._services.frames_burst
        )
        sends, wants = (
            max(_SHORTEST_HEART_BEAT, interval) if interval else 0
            for interval in request.heart_beat
        )
        self._socket.send(
            "CONNECTED",
            [
                ("version", request.version),
                ("heart-beat", f"{wants},{sends}"),
                ("server", SERVER),
                ("session", self.id),
            ],
        )
        self._socket.keep_alive(sends=sends / 1000, wants=wants / 1000)
        self.check(self._loop.time())
        logger.info("%s from %s speaks STOMP %s", self.identity.user, self.address, request.version)

    async def _subscribe(self, request: Subscribe) -> None:
        match await self._services.judge.subscribe(self._who, request):
            case _ if self._ended:
                # Meanwhile, from outside: everything has been given back already.
                return
            case ByHub(stream, resume_after, right):
                self._attend(request.key, right)
                subscriber = Subscriber(self, request.key)
                self._joined[request.key] = (stream, subscriber)
                seq = await self._services.hub.join(stream, subscriber, resume_after=resume_after)
                self._acknowledge(request.frame, ("seq", str(seq)))
            case ByRelay(frame, right):
                if right is not None:
                    self._attend(request.key, right)
                await (await self._open_uplink()).subscribe(request.key, request.destination, frame)

    def _attend(self, key: str, right: Right) -> None:
        """In the turn of the loop in which the membership was found: nothing can end it between."""
        self._rights[key] = right
        self._services.attendance.begin(self, right)

    def _unsubscribe(self, request: Unsubscribe) -> Work | None:
        if right := self._rights.pop(request.key, None):
            self._services.attendance.end(self, right)
        joined = self._joined.pop(request.key, None)
        if joined is None:
            frame = self._services.judge.unsubscribe(self._who, request)
            uplink = self._existing_uplink()
            return self._by(uplink, lambda: uplink.unsubscribe(request.key, frame))
        self._services.hub.leave(*joined)
        self._acknowledge(request.frame)
        return None

    def _pass(self, frame: Frame) -> Work | None:
        uplink = self._existing_uplink()

        def send() -> None:
            if not uplink.send(frame):
                self._acknowledge(frame)

        return self._by(uplink, send)

    def _by(self, uplink: Uplink, act: Callable[[], None]) -> Work | None:
        """Now if the uplink is ready, or when it is."""
        if not uplink.ready:
            return self._when_ready(uplink, act)
        act()
        return None

    async def _when_ready(self, uplink: Uplink, act: Callable[[], None]) -> None:
        await uplink.wait()
        act()

    async def _send(self, frame: Frame) -> None:
        uplink = await self._open_uplink()
        await uplink.wait()
        uplink.send(frame)

    async def _post(self, request: Post) -> None:
        try:
            await self._services.intake.post(
                self._who,
                request.stream,
                id=request.id,
                type=request.type,
                importance=request.importance,
                body=request.body,
                elsewhere=lambda: self._services.judge.opens_topic(self._who, request.frame),
            )
        except (Refused, UnknownRoom):
            if not self._services.judge.opens_topic(self._who, request.frame):
                raise
            await self._send(request.frame)
        else:
            self._acknowledge(request.frame)

    def _for_gateway(self, request: Renew | Ping) -> Work | None:
        """What is sent to the gateway itself."""
        if isinstance(request, Renew):
            return self._renew(request)
        self._acknowledge(request.frame)
        return None

    async def _renew(self, request: Renew) -> None:
        identity = await self._services.tokens.verify(request.token)
        if identity.user != self._who.user:
            raise Refused("the token is another user's; renew with one of the same subject")
        if identity.roles != self._who.roles:
            # What the old roles opened must end; the relay's login still carries them.
            raise TokenExpired("your roles have changed: connect again with the new token")
        # A socket that a login has opened ends with it, whatever token it is renewed by.
        self.identity = replace(identity, session=self._who.session)
        self._end_with(identity)
        self._acknowledge(request.frame)

    async def _disconnect(self, request: Disconnect) -> None:
        if self._uplink is not None:
            await self._uplink.leave()
        self._acknowledge(request.frame)
        self.end(None)

    async def _depart(self, uplink: Uplink) -> None:
        """Close, as the client has done without a DISCONNECT."""
        await uplink.leave()
        self.end(None)

    async def _open_uplink(self) -> Uplink:
        """The way to the broker, made when it is needed first."""
        if self._uplink is None:
            self._uplink = Uplink(
                self._services.uplinks,
                who=lambda: self._who,
                version=self.session.version,
                client=self._socket.transport,
                ended=self.end,
            )
            if self._ended:
                self._uplink.close()
            await self._uplink.open()
        return self._uplink

    def _existing_uplink(self) -> Uplink:
        if self._uplink is None:
            raise BadFrame("there is no subscription at the broker that this could mean")
        return self._uplink

    def _acknowledge(self, frame: Frame, *more: tuple[str, str]) -> None:
        receipt = frame.get("receipt")
        if receipt is not None and not self._ended:
            self._socket.send("RECEIPT", [("receipt-id", receipt), *more])

    @property
    def _who(self) -> Identity:
        if self.identity is None:
            raise NotAuthenticated("CONNECT first")
        return self.identity

    def _end_with(self, identity: Identity) -> None:
        self._set_deadline(
            identity.expires_at - self._services.clock(),
            TokenExpired("the token has ended: get a new one and connect again"),
        )

    def _set_deadline(self, seconds: float, error: GatewayError | None) -> None:
        """End with ``error`` then, whatever the deadline was before."""
        self._deadline = self._loop.time() + seconds
        self._overdue = error
        self.due = min(self.due, self._deadline)

    def check(self, now: float) -> None:
        """What the ticker calls: the deadline, and the heart-beats."""
        if now >= self._deadline:
            self.end(self._overdue)
            return
        following = self._socket.check(now)
        if following is None:
            self.end(Invalid("nothing came within the heart-beat's time"))
        else:
            self.due = min(following, self._deadline)
