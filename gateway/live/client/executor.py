"""Carrying out what one client asks for: each request is judged, and goes where it belongs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from broker.feeds.listener import Pattern
from broker.protocol.stomp import Frame
from gateway.auth.access import Direction
from gateway.auth.names import check_user, is_user
from gateway.auth.rabbitmq_logins import RabbitmqLogins
from gateway.auth.rabbitmq_rights import Held
from gateway.budget.budgets import rate_of
from gateway.budget.cap import Lease
from gateway.budget.rank import rank_of
from gateway.budget.table import BYTES_IN
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.errors import (
    BadFrame,
    CredentialsDiffer,
    GatewayError,
    NotAuthenticated,
    Refused,
    TokenExpired,
    UnknownRoom,
)
from gateway.live.attendance import Follower, Right
from gateway.live.client.judge import TEMP_QUEUE, ByHub, ByPattern, ByRelay
from gateway.live.client.reader import Reader, Work
from gateway.live.client.registry import Member
from gateway.live.client.requests import (
    Acknowledge,
    Connect,
    Disconnect,
    Ping,
    Post,
    Renew,
    Send,
    Subscribe,
    Transact,
    Unsubscribe,
)
from gateway.live.client.services import ConnectionServices
from gateway.live.client.session import Session
from gateway.live.client.socket import ClientSocket
from gateway.live.destinations import Elsewhere, RoomQueue
from gateway.live.hub import fanout
from gateway.live.hub.fanout import Subscriber
from gateway.live.hub.shared_pattern import NotShared
from gateway.live.relay.early import EarlyDial
from gateway.live.relay.uplink import Uplink
from gateway.rotation import share_key

logger = logging.getLogger(__name__)

SERVER: Final = "interact-gateway"
#: Milliseconds: heart-beats more often than this are neither promised nor expected.
_SHORTEST_HEART_BEAT: Final = 1_000


class Client(Member, Follower, fanout.Client, Protocol):
    """The connection whose requests are carried out."""

    identity: Identity | None
    address: str

    @property
    def ended(self) -> bool:
        """Whether everything has been given back, and nothing more may be said."""

    def end(self, error: GatewayError | None, *, error_sent: bool = False) -> None: ...

    def admitted(self, user: str) -> None:
        """CONNECT is accepted for this user."""

    def end_with(self, identity: Identity) -> None:
        """End when the identity's time is over."""

    def check(self, now: float) -> None:
        """Look at deadline and heart-beats."""


class Executor:
    """One client's requests, and what they have opened: subscriptions, rights, the uplink.

    ``host`` is the header of the handshake.
    """

    __slots__ = (
        "_asked",
        "_client",
        "_copies",
        "_early",
        "_follows",
        "_held",
        "_host",
        "_joined",
        "_login",
        "_login_held",
        "_login_place",
        "_opened",
        "_reader",
        "_rights",
        "_routes",
        "_services",
        "_session",
        "_socket",
        "uplink",
    )

    def __init__(
        self,
        client: Client,
        services: ConnectionServices,
        *,
        session: Session,
        socket: ClientSocket,
        reader: Reader,
        host: str,
    ) -> None:
        #: Made when the first frame needs it.
        self.uplink: Uplink | None = None
        #: What was dialled before a frame needs it; until one does.
        self._early: EarlyDial | None = None
        self._client = client
        self._services = services
        self._routes = services.routes
        self._session = session
        self._socket = socket
        self._reader = reader
        self._host = host
        #: What is called when the hub's subscription of this key ends.
        self._joined: dict[str, Callable[[], None]] = {}
        #: The SUBSCRIBEs that an access rule has opened, by key, without bodies.
        self._opened: dict[str, Frame] = {}
        #: The last SEND that RabbitMQ answers from a temp queue, without its body.
        self._asked: Frame | None = None
        #: The rights of RabbitMQ's own user that a subscription relies on, by its key.
        self._held: dict[str, Held] = {}
        #: Whether the hub has served it a pattern.
        self._follows = False
        self._rights: dict[str, Right] = {}
        #: By the subscription's key: its place among those to the same destination.
        self._copies: dict[str, Lease] = {}
        #: One of RabbitMQ's own users, and its right to be logged in.
        self._login: BrokerLogin | None = None
        self._login_held: Held | None = None
        self._login_place: Lease | None = None

    def carry_out(self, frame: Frame) -> Work | None:
        """Carry a frame out, at once or with the work that is returned. Raises the reason why not,
        a :class:`GatewayError`."""
        judge = self._routes.judge
        match request := self._session.receive(frame):
            case Connect():
                return self._connect(request)
            case Subscribe():
                return self._subscribe(request)
            case Unsubscribe():
                return self._unsubscribe(request)
            case Send():
                frame = judge.send(self._who, request)
                self._note_question(frame)
                return self._send(frame) if self.uplink is None else self._pass(frame)
            case Post():
                return self._post(request)
            case Acknowledge() | Transact():
                frame = judge.transact(self._who, request)
                begins = self.uplink is None and isinstance(request, Transact)
                return self._send(frame) if begins else self._pass(frame)
            case Renew() | Ping():
                return self._for_gateway(request)
            case Disconnect():
                return self._disconnect(request)

    @property
    def in_doubt(self) -> bool:
        """Whether something was sent of which nobody knows whether RabbitMQ has taken it."""
        return self.uplink is not None and self.uplink.in_doubt

    @property
    def follows_as_host(self) -> bool:
        """Whether the client follows a room as its host."""
        return any(right.role is MemberRole.HOST for right in self._rights.values())

    def withdrawn(self) -> str | None:
        """A destination that an access rule has opened and none opens any more; None: there is
        none."""
        who = self._client.identity
        opened = [(Direction.SUBSCRIBE, frame) for frame in self._opened.values()]
        if self._asked is not None:
            opened.append((Direction.SEND, self._asked))
        for direction, frame in opened:
            if who is not None and not self._routes.judge.still_opens(who, direction, frame):
                return repr(frame.get("destination"))
        return None

    async def leave(self) -> None:
        """Return when RabbitMQ has taken everything. Raises :class:`BrokerUnavailable`."""
        if self.uplink is not None:
            await self.uplink.leave()

    def forget(self) -> None:
        """Leave nothing to the collector of garbage; see :meth:`Connection.run`. After
        :meth:`release`, as the last thing."""
        if self.uplink is not None:
            self.uplink.forget()
            self.uplink = self._reader.fast_path = None

    def release(self) -> None:
        """Give back everything that the requests have opened; any number of times."""
        if self.uplink is not None:
            self.uplink.close()
        if self._early is not None:
            self._early.close()
        for leave in self._joined.values():
            leave()
        self._joined.clear()
        for held in self._held.values():
            held.release()
        self._held.clear()
        for right in self._rights.values():
            self._routes.attendance.end(self._client, right)
        self._rights.clear()
        for copy in self._copies.values():
            copy.give_back()
        self._copies.clear()
        if self._login_place is not None:
            self._login_place.give_back()
        if self._login_held is not None:
            self._login_held.release()
        if self._login is not None:
            self._login.forget()

    async def _connect(self, request: Connect) -> None:
        client, admission = self._client, self._services.admission
        limits = self._services.limits.now
        shown, rabbitmq = client.identity, admission.rabbitmq
        if rabbitmq is not None and rabbitmq.is_meant(request.login, request.token):
            await self._log_in(request, rabbitmq)
        else:
            await self._identify(request)
        if client.ended:
            return
        identity = self._who
        if request.user is not None:
            check_user(request.user, identity)
        if shown is not None and identity.login is None:
            await self._confirm(request, shown)
            if client.ended:
                return
        # An order may have come while it was found out who this is.
        admission.ended.check(identity)
        admission.registry.admit(client, identity.user, rank_of(identity), payer=identity.payer)
        client.admitted(identity.payer)
        client.end_with(identity)
        self._session.authenticated(request.version, rooms=identity.vhost is None)
        if self.uplink is None:
            early = self._routes.uplinks.early
            self._early = early.begin(identity, request.version, address=client.address)
        self._socket.introduced(
            rate=limits.frames_per_second,
            burst=limits.frames_burst,
            bytes_in=rate_of(BYTES_IN.limits[0], limits),
            met=admission.met,
        )
        # From now on it takes its turns with the user's other connections, not with its neighbours.
        # Those with a login that is shared take turns as those of their address.
        payer = identity.user if identity.login is None else None
        share = self._services.rotation.share(share_key(payer, client.address))
        self._socket.transport.move_to(share)
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
                ("session", client.id),
            ],
        )
        self._socket.keep_alive(sends=sends / 1000, wants=wants / 1000)
        client.check(asyncio.get_running_loop().time())
        logger.info(
            "%s has connected from %s with STOMP %s",
            identity.user,
            client.address,
            request.version,
        )

    async def _identify(self, request: Connect) -> None:
        client, admission = self._client, self._services.admission
        identity = client.identity
        if identity is None:
            if not request.token:
                raise NotAuthenticated(
                    "CONNECT needs a token as passcode, or the handshake a cookie or bearer token"
                )
            identity = await admission.tokens.verify(request.token)
        vhost = admission.virtual_hosts.choose(request.host, dialled=self._host)
        client.identity = replace(identity, vhost=vhost)

    async def _confirm(self, request: Connect, shown: Identity) -> None:
        """Check that CONNECT names nobody else than the handshake has shown.

        Raises :class:`CredentialsDiffer`, and the errors of a token that is not valid.
        """
        if request.login and not is_user(request.login, shown):
            raise CredentialsDiffer(
                "login names another user than the cookie or token of the handshake; leave one out"
            )
        if request.token:
            proven = await self._services.admission.tokens.verify(request.token)
            if proven.user != shown.user:
                raise CredentialsDiffer(
                    "the token of CONNECT is another user's than the cookie or token of the"
                    " handshake; leave one out"
                )

    async def _log_in(self, request: Connect, rabbitmq: RabbitmqLogins) -> None:
        """Let RabbitMQ judge one of its own users: the relay that will be needed logs in now,
        unless RabbitMQ has taken the login a short time ago."""
        client = self._client
        if client.ended:
            # Before its turn came: everything has been given back already.
            return
        self._login_place = rabbitmq.places.take(client.address)
        identity = rabbitmq.identity(
            request.login or "",
            request.token or "",
            vhost=self._services.admission.virtual_hosts.choose(request.host, dialled=self._host),
            address=client.address,
            connection=client.id,
        )
        login = self._login = identity.login
        assert login is not None  # noqa: S101 - it is what was asked for
        client.identity = identity
        async with rabbitmq.logging_in(login, address=client.address) as known:
            if not known:
                await self._try_to_log_in(request.version)
        if not client.ended:
            self._login_held = rabbitmq.rights.hold_login(login, ended=client.end)

    async def _try_to_log_in(self, version: str) -> None:
        """Raises :class:`WrongLogin`, :class:`UnknownVirtualHost`, :class:`BrokerUnavailable`."""
        try:
            if not self._client.ended:
                await self._open_uplink(version)
        finally:
            if self._client.ended:
                # The passcode was forgotten meanwhile: whatever RabbitMQ said is about another one.
                raise NotAuthenticated("the connection has ended")

    async def _subscribe(self, request: Subscribe) -> None:
        match await self._routes.judge.subscribe(self._who, request):
            case _ if self._client.ended:
                # Meanwhile, from outside: everything has been given back already.
                return
            case ByHub(stream, resume_after, right, state):
                self._count(request)
                self._attend(request.key, right)
                subscriber = Subscriber(self._client, request.key)
                subscriber.sees_hidden = partial(
                    self._routes.attendance.sees_hidden, self._client, right
                )
                self._joined[request.key] = partial(self._routes.hub.leave, stream, subscriber)
                seq = await self._routes.hub.join(
                    stream, subscriber, resume_after=resume_after, state=state
                )
                self._acknowledge(request.frame, ("seq", str(seq)))
            case ByPattern(pattern, frame):
                self._count(request)
                self._opened[request.key] = _head(request.frame)
                await self._follow(request, pattern, frame)
            case ByRelay(frame, right):
                self._count(request)
                if right is not None:
                    self._attend(request.key, right)
                else:
                    self._opened[request.key] = _head(request.frame)
                urgent = isinstance(request.destination, RoomQueue)
                uplink = await self._open_uplink(urgent=urgent)
                await uplink.subscribe(request.key, request.destination, frame)

    async def _follow(self, request: Subscribe, pattern: Pattern, frame: Frame) -> None:
        subscriber = Subscriber(self._client, request.key)
        patterns, charges = self._routes.patterns, self._routes.uplinks.charges
        try:
            await self._hold(request.key, pattern)
            if pattern not in patterns:
                # It costs RabbitMQ as much as a subscription of the client's own.
                await charges.subscription(self._who.payer)
            if self._client.ended:
                return
            leave = await patterns.join(pattern, subscriber)
        except NotShared as error:
            logger.debug("%s gets a relay for %s: %s", self._client.id, pattern, error)
            self._let_go(request.key)
            if not self._client.ended:
                uplink = await self._open_uplink()
                await uplink.subscribe(request.key, request.destination, frame)
            return
        if self._client.ended:
            leave()
            return
        self._joined[request.key] = leave
        self._follows = True
        self._acknowledge(request.frame)

    async def _hold(self, key: str, pattern: Pattern) -> None:
        """Rely on RabbitMQ's word that one of its own users may read this.

        Raises :class:`BrokerRefused`, :class:`BrokerUnavailable` and the errors of a login.
        """
        rabbitmq = self._services.admission.rabbitmq
        if self._who.login is None or rabbitmq is None:
            return
        held = await rabbitmq.rights.hold(self._who, *pattern, ended=self._client.end)
        self._held[key] = held
        if self._client.ended:
            self._let_go(key)

    def _let_go(self, key: str) -> None:
        if held := self._held.pop(key, None):
            held.release()

    def _count(self, request: Subscribe) -> None:
        """Raises :class:`TooManyCopies`."""
        destination: Hashable = request.destination
        if isinstance(destination, Elsewhere):
            destination = request.frame.get("destination")
        self._copies[request.key] = self._routes.copies.take(
            (self._client.id, destination), (self._who.payer, destination)
        )

    def _attend(self, key: str, right: Right) -> None:
        """In the turn of the loop in which the membership was found: nothing can end it between."""
        self._rights[key] = right
        self._routes.attendance.begin(self._client, right)

    def _unsubscribe(self, request: Unsubscribe) -> Work | None:
        if copy := self._copies.pop(request.key, None):
            copy.give_back()
        if right := self._rights.pop(request.key, None):
            self._routes.attendance.end(self._client, right)
        self._opened.pop(request.key, None)
        self._let_go(request.key)
        leave = self._joined.pop(request.key, None)
        if leave is None:
            frame = self._routes.judge.unsubscribe(self._who, request)
            return self._by_uplink(lambda uplink: uplink.unsubscribe(request.key, frame))
        leave()
        self._acknowledge(request.frame)
        return None

    def _pass(self, frame: Frame) -> Work | None:
        def send(uplink: Uplink) -> None:
            if not uplink.send(frame):
                self._acknowledge(frame)

        return self._by_uplink(send)

    def _by_uplink(self, act: Callable[[Uplink], None]) -> Work | None:
        """Do this at the broker, at once or with the work that is returned."""
        uplink = self.uplink
        if uplink is None and self._follows:
            # It has no relay because the hub serves it: RabbitMQ's answer is the same as ever.
            return self._open_and(act)
        if uplink is None:
            raise BadFrame("there is no subscription at the broker that this could mean")
        return _when_ready(uplink, lambda: act(uplink))

    async def _open_and(self, act: Callable[[Uplink], None]) -> None:
        uplink = await self._open_uplink()
        await uplink.wait()
        act(uplink)

    async def _send(self, frame: Frame) -> None:
        uplink = await self._open_uplink()
        await uplink.wait()
        uplink.send(frame)

    async def _post(self, request: Post) -> None:
        judge = self._routes.judge
        try:
            await self._routes.intake.post(
                self._who,
                request.stream,
                id=request.id,
                type=request.type,
                importance=request.importance,
                body=request.body,
                kept=request.kept,
                elsewhere=lambda: judge.opens_topic(self._who, request.frame),
            )
        except (Refused, UnknownRoom):
            if not judge.opens_topic(self._who, request.frame):
                raise
            self._note_question(request.frame)
            await self._send(request.frame)
        else:
            self._acknowledge(request.frame)

    def _note_question(self, frame: Frame) -> None:
        if (frame.get("reply-to") or "").startswith(TEMP_QUEUE):
            self._asked = _head(frame)

    def _for_gateway(self, request: Renew | Ping) -> Work | None:
        """A message to the gateway itself."""
        if isinstance(request, Renew):
            return self._renew(request)
        self._acknowledge(request.frame)
        return None

    async def _renew(self, request: Renew) -> None:
        if self._who.login is not None:
            raise Refused("a login of RabbitMQ is not renewed by a token: RabbitMQ says how long")
        identity = await self._services.admission.tokens.verify(request.token)
        if identity.user != self._who.user:
            raise Refused("the token is another user's; renew with one of the same subject")
        if identity.roles != self._who.roles:
            # What the old roles opened must end; the relay's login still carries them.
            raise TokenExpired("your roles have changed: connect again with the new token")
        # A socket that a login has opened ends with that login, whatever token renews it.
        who = self._who
        self._client.identity = replace(identity, session=who.session, vhost=who.vhost)
        self._client.end_with(identity)
        self._acknowledge(request.frame)

    async def _disconnect(self, request: Disconnect) -> None:
        await self.leave()
        self._acknowledge(request.frame)
        self._client.end(None)

    async def _open_uplink(self, version: str | None = None, *, urgent: bool = False) -> Uplink:
        """The uplink; ``version``: of STOMP, before the session knows it."""
        if self.uplink is None:
            self.uplink = Uplink(
                self._routes.uplinks,
                who=lambda: self._who,
                version=version or self._session.version,
                client=self._socket.transport,
                ended=self._client.end,
            )
            self._reader.fast_path = self.uplink.acknowledge
            if self._client.ended:
                self.uplink.close()
            early, self._early = self._early, None
            await self.uplink.open(urgent=urgent, early=early)
        return self.uplink

    def _acknowledge(self, frame: Frame, *more: tuple[str, str]) -> None:
        receipt = frame.get("receipt")
        if receipt is not None and not self._client.ended:
            self._socket.send("RECEIPT", [("receipt-id", receipt), *more])

    @property
    def _who(self) -> Identity:
        identity = self._client.identity
        if identity is None:
            raise NotAuthenticated("CONNECT first")
        return identity


def _head(frame: Frame) -> Frame:
    """The frame without its body, to be kept."""
    return Frame(frame.command, frame.headers)


def _when_ready(uplink: Uplink, act: Callable[[], None]) -> Work | None:
    """Do it now if the uplink is ready, otherwise with the work that is returned."""
    if not uplink.ready:
        return _after(uplink, act)
    act()
    return None


async def _after(uplink: Uplink, act: Callable[[], None]) -> None:
    await uplink.wait()
    act()
