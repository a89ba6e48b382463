"""One client's WebSocket connection, from the handshake to its end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from typing import Final

from tornado.iostream import IOStream

from broker.protocol.stomp import VERSIONS, Frame
from broker.protocol.websocket import CloseCode
from gateway.domain.identity import ADMIN, HOST, Identity
from gateway.domain.journal import Entry, EntryKind, Visit
from gateway.errors import (
    ACCESS_ENDED,
    BadFrame,
    GatewayError,
    Internal,
    NotAuthenticated,
    Removed,
    Silent,
    TokenExpired,
    TooSlow,
    outcome,
)
from gateway.live.client.connection_states import OPEN, TRANSITIONS, Input, State
from gateway.live.client.executor import Executor
from gateway.live.client.farewell import coming_back, note, note_end, who
from gateway.live.client.reader import Reader, Work
from gateway.live.client.registry import ConnectionState
from gateway.live.client.services import ConnectionServices
from gateway.live.client.session import OPENING, Session
from gateway.live.client.socket import ClientSocket
from gateway.live.destinations import RoomQueue, RoomTopic
from gateway.live.transport import Stalled, Transport
from gateway.observe.logs import connection as connection_in_logs
from gateway.rotation import share_key

logger = logging.getLogger(__name__)

_UNENDED: Final = (
    "the first frame has not ended: behind its headers and the empty line belongs a NUL"
)


class Connection:
    """One client's connection. It ends once, as :data:`TRANSITIONS` says, whoever ends it.

    ``identity`` is known from the handshake, or comes with CONNECT. ``address`` and ``id`` are for
    logs and the dashboard; ``host`` is the handshake's header, ``browser`` its ``User-Agent``.
    """

    __slots__ = (
        "_accounts",
        "_deadline",
        "_executor",
        "_gone",
        "_loop",
        "_overdue",
        "_reader",
        "_services",
        "_socket",
        "_state",
        "address",
        "browser",
        "due",
        "id",
        "identity",
        "session",
        "since",
    )

    def __init__(
        self,
        stream: IOStream,
        services: ConnectionServices,
        *,
        id: str,
        address: str,
        host: str,
        identity: Identity | None,
        browser: str = "",
    ) -> None:
        self.id = id
        self.address = address
        self.browser = browser
        self.identity = identity
        self.since = services.clock()
        limits = services.limits.now
        self.session = Session(
            services.routes.topology,
            places=services.admission.subscriptions,
            largest_body=lambda: services.limits.largest_body,
        )
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._socket = ClientSocket(
            stream,
            frame_bytes=limits.frame_bytes,
            stall_timeout=limits.stall_timeout,
            poller=services.poller,
            rotation=services.rotation,
            share=services.rotation.share(share_key(identity.user if identity else None, address)),
        )
        backlog, half_read = services.bytes_in_hand
        self._accounts = backlog.account(self), half_read.account(self)
        self._socket.transport.account, account = self._accounts
        self._reader = Reader(
            self._socket,
            self,
            account=account,
            tasks=services.tasks,
            rotation=services.rotation,
        )
        self._executor = Executor(
            self,
            services,
            session=self.session,
            socket=self._socket,
            reader=self._reader,
            host=host,
        )
        #: When :meth:`check` is to be called next.
        self.due = math.inf
        self._deadline = math.inf
        self._overdue: GatewayError | None = None
        self._state = State.SERVING
        self._gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def writer(self) -> Transport:
        """The transport that the hub delivers to."""
        return self._socket.transport

    @property
    def user(self) -> str | None:
        """The user, once it is known."""
        return self.identity.user if self.identity else None

    @property
    def node(self) -> str | None:
        """The broker node of the relay, if there is one."""
        uplink = self._executor.uplink
        return None if uplink is None else uplink.node

    @property
    def ended(self) -> bool:
        """Whether everything has been given back, and nothing more may be said."""
        return self._state not in OPEN

    @property
    def is_open(self) -> bool:
        return not self.ended

    @property
    def is_host(self) -> bool:
        """Whether the user is a host or an admin, of the system or in a room that is followed."""
        return self.identity is not None and (
            bool(self.identity.roles & {HOST, ADMIN}) or self._executor.follows_as_host
        )

    def admitted(self, user: str) -> None:
        """CONNECT is accepted for this user."""
        for account in self._accounts:
            account.belongs_to(user)
        self._services.journal.add(
            Entry(
                at=self._services.clock(),
                kind=EntryKind.CONNECTION,
                code="admitted",
                user=self.user,
                address=self.address,
                connection=self.id,
                browser=self.browser,
                since=self.since,
            )
        )

    def visit(self) -> Visit:
        """The facts that the journal remembers of this connection at its end."""
        transport = self._socket.transport
        return Visit(
            tuple(sorted(set(self._rooms()))),
            self.since,
            self.browser,
            transport.bytes_in,
            transport.bytes_out,
            self._socket.client_code,
        )

    def snapshot(self) -> ConnectionState:
        """The facts about this connection, now."""
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
        self._await_connect()
        self._services.ticker.add(self)
        self._reader.begin()
        try:
            await self._gone
            await self._reader.finished()
        finally:
            self._receive(Input.LOST)
            self._reader.close()
            self._release()
            self._socket.close()
            for account in self._accounts:
                account.close()
            # All of them point back here. Such a ring of fifty objects is freed by the collector
            # only, which stops the loop for a tenth of a second when thousands have come and gone.
            self._socket.transport.account = None
            self._executor.forget()
            del self._accounts, self._executor, self._reader

    def end(self, error: GatewayError | None, *, error_sent: bool = False) -> None:
        """Tell the client why in an ERROR frame, unless one has been sent (``error_sent``), close,
        and give everything back: at once, once, from anywhere. None: the client asked for it."""
        if self._receive(Input.END):
            self._say_goodbye(error, error_sent=error_sent)

    def cut_short(self, error: GatewayError) -> None:
        """End as :meth:`end` does, and drop what waits for the client."""
        if self._receive(Input.END):
            self._socket.revoke()
            self._say_goodbye(error)

    def judge_again(self) -> None:
        """End if the access rules no longer open something that they have opened for it."""
        if not self.ended and (withdrawn := self._executor.withdrawn()) is not None:
            self.end(Removed(f"no access rule opens {withdrawn} to you any more"))

    def carry_out(self, frame: Frame) -> Work | None:
        """Carry out what the client asks for, at once or with the work that is returned."""
        return self._executor.carry_out(frame)

    def left(self) -> Work | None:
        """The client has sent Close. If it did so without DISCONNECT, our Close says all the same
        that all is well, so RabbitMQ is asked before."""
        if self._executor.in_doubt and self._receive(Input.CLOSED_IN_DOUBT):
            return self._depart()
        self._close()
        return None

    def failed(self, error: Exception) -> None:
        """End the connection, and name the reason: a wrong frame, or a fault of ours."""
        match error:
            case GatewayError():
                self.end(error)
            case Stalled():
                self.end(TooSlow("messages were not read fast enough"))
            case _:
                logger.error(
                    "a frame could not be handled; its client is disconnected", exc_info=error
                )
                self.end(Internal("the gateway failed; its log says why"))

    def lost(self) -> None:
        """The socket broke off."""
        logger.info("the client is gone, %s", who(self.identity))
        noted = self.ended
        self._receive(Input.LOST)
        if not noted:
            self._note_end("gone", "the connection broke off", CloseCode.ABNORMAL)

    def end_with(self, identity: Identity) -> None:
        """End when the identity's time is over."""
        self._set_deadline(
            identity.expires_at - self._services.clock(),
            TokenExpired("the token has ended: get a new one and connect again"),
        )

    def check(self, now: float) -> None:
        """Look at the deadline and the heart-beats; called by the ticker."""
        if now >= self._deadline:
            late = not isinstance(self._overdue, TokenExpired) and self.session.state is OPENING
            unended = late and self._socket.awaits_nul
            self.end(BadFrame(_UNENDED) if unended else self._overdue)
            return
        following = self._socket.check(now)
        if following is None:
            self.end(Silent("nothing came within the heart-beat's time, not even a pong"))
        else:
            self.due = min(following, self._deadline)

    def _await_connect(self) -> None:
        """End when no CONNECT comes in time, or when the credentials of the handshake end before:
        nobody is served on their account any longer, whether CONNECT has come or not."""
        patience, identity = self._services.admission.connect_timeout, self.identity
        if identity is not None and identity.expires_at - self._services.clock() < patience:
            self.end_with(identity)
        else:
            self._set_deadline(patience, NotAuthenticated("no CONNECT came in time"))

    def _receive(self, received: Input) -> bool:
        """Go to the next state; False if nothing changes."""
        following = TRANSITIONS.get((self._state, received))
        if following is None:
            return False
        self._state = following
        if following is State.GONE and not self._gone.done():
            self._gone.set_result(None)
        return True

    async def _depart(self) -> None:
        await self._executor.leave()
        self._close()

    def _close(self) -> None:
        """Answer the client's Close, unless it is the answer to ours."""
        answers = self.ended
        if self._receive(Input.CLOSED) and not answers:
            self._say_goodbye(None)

    def _say_goodbye(self, error: GatewayError | None, *, error_sent: bool = False) -> None:
        self._release()
        code = CloseCode.NORMAL if error is None else outcome(error).close_code
        if error is None:
            logger.info(
                "closing with %d, %s: the client has asked for it", code, who(self.identity)
            )
            self._note_end("left", "the client has asked for it", code)
        else:
            if isinstance(error, ACCESS_ENDED):
                self._socket.revoke()
            if not error_sent:
                self._socket.send("ERROR", self._explanation(error), error.detail.encode())
            note(self, error, self._services.events)
        self._socket.say_goodbye(code, self._late)

    def _late(self) -> None:
        self._receive(Input.LATE)

    def _explanation(self, error: GatewayError) -> list[tuple[str, str]]:
        """The headers of the ERROR frame."""
        row = outcome(error)
        headers = [("message", row.code), ("content-type", "text/plain;charset=utf-8")]
        if error.stomp_message is not None:
            headers = [
                ("message", error.stomp_message),
                ("content-type", "text/plain"),
                ("version", ",".join(reversed(VERSIONS))),
            ]
        if self._reader.receipt is not None:
            headers.append(("receipt-id", self._reader.receipt))
        if (wait := coming_back(error, self._services.rng)) is not None:
            headers.append(("retry-after", str(wait)))
        return headers

    def _note_end(self, code: str, detail: str, status: int) -> None:
        note_end(self, code, detail, status, events=self._services.events)

    def _release(self) -> None:
        self._services.ticker.remove(self)
        self._executor.release()

    def _set_deadline(self, seconds: float, error: GatewayError | None) -> None:
        """End with ``error`` then, whatever the deadline was before."""
        self._deadline = self._loop.time() + seconds
        self._overdue = error
        self.due = min(self.due, self._deadline)
